"""The gate on a GPU, on a fake of the GPU wheel that gives what it is told."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dwpose_infer.backends import onnxruntime_session
from dwpose_infer.backends.onnxruntime_session import import_onnxruntime
from dwpose_infer.backends.tensorrt.system import Driver
from dwpose_infer.errors import BackendUnavailableError, InferenceError, InvalidArgumentError
from dwpose_infer.export import serving_device
from dwpose_infer.export.cli import main
from dwpose_infer.export.exporter import ExportOptions, convert, export_model
from dwpose_infer.export.pictures import shipped_samples
from dwpose_infer.export.serving_device import ServingDevice, check_where_it_serves
from dwpose_infer.export.to_triton import TritonOptions, export_to_triton
from fake_onnxruntime import install_onnxruntime

POSE = "dwpose-t-bundled"


@pytest.fixture
def ort(monkeypatch):
    return install_onnxruntime(monkeypatch)


@pytest.fixture
def a_gpu(monkeypatch):
    driver = Driver((13, 0), ("cuda:0 NVIDIA L4, 22 GiB",))
    monkeypatch.setattr(serving_device, "find_driver", lambda: driver)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(serving_device, "find_driver", lambda: None)


@pytest.fixture
def export(tmp_path, capsys):
    """Runs the command; returns its status, what it said, and the report."""

    def run(*arguments):
        report, out = tmp_path / "report.json", tmp_path / "x.onnx"
        status = main([*arguments, "--out", str(out), "--report", str(report)])
        assert out.exists() == (status == 0)
        found = json.loads(report.read_text()) if report.exists() else None
        return status, capsys.readouterr().err, found

    return run


@pytest.fixture(scope="module")
def networks(pose_source, detector_source):
    """Each source, its deploy form in float32, and pictures for it."""
    found = {}
    for source in (pose_source, detector_source):
        model = convert(source, ExportOptions(fixed_size=True)).SerializeToString()
        samples = shipped_samples(source.kind, source.input_size_wh)
        found[source.kind] = (source, model, samples)
    return found


def check(network, serving=None, *, form="deploy", precision="fp32", say=lambda _line: None):
    return check_where_it_serves(
        serving or ServingDevice(device="cuda"),
        *network,
        form=form,
        precision=precision,
        allow_undecided=False,
        progress=say,
    )


def overflowing(results):
    """What half precision gives where a number outgrows it."""
    return {name: np.full_like(value, np.nan) for name, value in results.items()}


def moved(pixels):
    def move(results):
        name = "keypoints" if "keypoints" in results else "boxes_xyxy"
        return results | {name: results[name] + np.float32(pixels)}

    return move


@pytest.mark.slow
def test_half_precision_is_compared_on_the_gpu_that_is_here(ort, a_gpu, export):
    """The CPU sees nothing of what the GPU gives."""
    status, said, report = export(POSE, "--precision", "fp16")
    assert status == 0
    served, alone = report["served"], report["parity"]
    assert (served["violations"], alone["device"]) == ([], "cpu")
    assert served["device"] == "ONNX Runtime 9.9, CUDAExecutionProvider, cuda:0"
    assert (served["samples"], alone["samples"]) == (6, 3)
    assert "on ONNX Runtime 9.9, CUDAExecutionProvider, cuda:0, each picture alone" in said
    batches = [next(iter(session.shapes))[0][0] for session in ort.sessions if session.shapes]
    assert sorted(batches) == [1, 4]  # alone, and the three together in a batch filled up


@pytest.mark.slow
def test_a_file_that_overflows_on_the_gpu_is_not_written(ort, a_gpu, export):
    ort.distort = overflowing
    status, said, report = export(POSE, "--precision", "fp16")
    assert status == 1
    assert report["parity"]["violations"] == []
    assert report["served"]["violations"][0] == "median distance in px is inf, the limit is 0.01"
    assert "does not do on ONNX Runtime 9.9, CUDAExecutionProvider, cuda:0 what its source" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "distort", "violation"),
    [
        ("pose", None, None),
        ("pose", overflowing, "median distance in px is inf"),
        ("pose", moved(0.2), "median distance in px is 0.2"),
        ("detector", None, None),
        ("detector", overflowing, "boxes that only one of the two finds"),
        ("detector", moved(1), "worst side of a box in px is 1"),
        ("detector", moved(0.1), None),
    ],
)
def test_what_the_gpu_gives_is_judged(ort, networks, kind, distort, violation):
    """H200, fp32: boxes within 2e-4 px; the limit is 5e-4 of the side of 416 px, .2 px."""
    ort.distort = distort
    report = check(networks[kind])
    assert bool(report.violations) == (violation is not None)
    assert any(each.startswith(violation or "") for each in report.violations or [""])
    json.dumps(report.to_json(), allow_nan=False)


def test_a_network_that_fails_on_the_gpu_is_an_error_with_a_way_out(ort, networks):
    ort.failure = RuntimeError("CUDA failure 2: out of memory")
    with pytest.raises(InferenceError, match=r"out of memory.*--device cpu"):
        check(networks["pose"])


@pytest.mark.slow
def test_the_official_form_is_compared_by_its_raw_outputs_too(ort, networks):
    source, _, samples = networks["pose"]
    official = (source, source.model.SerializeToString(), samples)
    report = check(official, ServingDevice(device="cuda:1"), form="official")
    assert report.violations == ()
    assert set(report.raw) == {"simcc_x", "simcc_y"}
    assert report.device.endswith("cuda:1")


@pytest.mark.slow
def test_options_to_serve_with_are_compared_with(ort, networks):
    assert check(networks["pose"], ServingDevice(provider_options={"use_tf32": "1"})) is not None
    assert dict(ort.requested[-1])["CUDAExecutionProvider"]["use_tf32"] == "1"


def test_without_a_gpu_half_precision_says_what_was_not_seen(no_gpu, networks):
    said = []
    assert check(networks["pose"], ServingDevice(), precision="fp16", say=said.append) is None
    assert said[0].startswith("no NVIDIA GPU is here: compared on the CPU alone")


@pytest.mark.parametrize(
    "asked", [{"device": "cuda"}, {"provider": "cuda"}, {"provider_options": {"use_tf32": 1}}]
)
def test_a_gpu_that_does_not_start_is_told_and_an_error_where_it_was_asked_for(
    ort, a_gpu, networks, asked
):
    ort.used, said = ["CPUExecutionProvider"], []
    assert check(networks["pose"], ServingDevice(), precision="fp16", say=said.append) is None
    assert said[-1].startswith("compared on the CPU alone: CUDAExecutionProvider was asked for")
    with pytest.raises(BackendUnavailableError, match="CUDAExecutionProvider was asked for"):
        check(networks["pose"], ServingDevice(**asked))


def test_only_half_precision_looks_for_a_gpu(a_gpu, ort):
    said = []
    chosen = {p: ServingDevice().choose(p, said.append) for p in ("fp32", "fp16-stored", "fp16")}
    assert chosen == {"fp32": None, "fp16-stored": None, "fp16": "cuda:0"}
    assert ServingDevice(device="cpu").choose("fp16", said.append) is None
    assert ServingDevice(for_gpus=True).choose("fp32", said.append) == "cuda:0"
    assert ServingDevice(provider="tensorrt").choose("fp32", said.append) == "cuda:0"
    assert said == []


@pytest.mark.skipif(
    "CUDAExecutionProvider" in import_onnxruntime().get_available_providers(),
    reason="the GPU wheel is installed",
)
def test_a_wheel_without_cuda_beside_a_gpu(a_gpu):
    said = []
    assert ServingDevice().choose("fp16", said.append) is None
    assert said[0].startswith("the ONNX Runtime installed has no CUDA: compared on the CPU alone")
    with pytest.raises(BackendUnavailableError, match="has no CUDAExecutionProvider"):
        export_model(POSE, "x.onnx", ExportOptions(serving=ServingDevice(device="cuda")))


def test_a_gpu_that_is_not_there_is_told_before_the_work(ort, monkeypatch):
    driver = Driver((13, 0), ("cuda:0 NVIDIA L4, 22 GiB",))
    monkeypatch.setattr(onnxruntime_session, "find_driver", lambda: driver)
    said = []
    options = ExportOptions(serving=ServingDevice(device="cuda:1"))
    with pytest.raises(BackendUnavailableError, match="no GPU cuda:1"):
        export_model(POSE, "x.onnx", options, progress=said.append)
    assert said == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "gpu"], "the devices are"),
        (["--device", "cpu", "--provider", "cuda"], "--device cuda"),
        (["--provider", "tensorrt-rtx"], "builds engines"),
        (["--to", "engine", "--provider", "cuda"], "an engine is built by TensorRT"),
        (["--to", "engine", "--provider-option", "a=b"], "--provider-option goes with --to onnx"),
        (["--to", "engine", "--device", "cpu"], "an engine is built on a GPU"),
    ],
)
def test_wrong_use(export, arguments, message):
    status, said, _ = export(POSE, *arguments)
    assert status == 2
    assert message in said


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "compared"), [("gpu", True), ("cpu", False)])
def test_a_server_on_a_gpu_gets_what_was_compared_on_one(ort, a_gpu, tmp_path, kind, compared):
    result = export_to_triton(POSE, tmp_path / "repository", TritonOptions(kind=kind))
    assert (result.served is not None) is compared


def test_unknown_providers():
    with pytest.raises(InvalidArgumentError, match="'cuda' or 'tensorrt'"):
        ServingDevice(provider="tensorrt-rtx")
