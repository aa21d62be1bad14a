from __future__ import annotations

import json
import sys

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from dwpose_infer.backends.device import Device
from dwpose_infer.backends.tensorrt.backend import TensorRtBackend
from dwpose_infer.backends.tensorrt.engine_record import EngineOptions, read_record, record_path
from dwpose_infer.errors import InvalidArgumentError, ModelFormatError, ParityError
from dwpose_infer.export.cli import main
from dwpose_infer.export.engine_exporter import export_engine
from dwpose_infer.export.exporter import ExportOptions, export_model
from fake_tensorrt import install_tensorrt, press_ctrl_c
from fake_tensorrt_builder import FakeMachine, doubled_keypoints, unpack_plan

POSE = "dwpose-t-bundled"
DETECTOR = "yolox-nano-person-bundled"
CUDA = Device("cuda")


@pytest.fixture
def machine(monkeypatch):
    return install_tensorrt(monkeypatch)


def element_types(path):
    """Names of the types of what convolutions read in an engine's graph."""
    _, model = unpack_plan(path.read_bytes())
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(model)).graph
    types = {value.name: value.type.tensor_type.elem_type for value in graph.value_info}
    read = {node.input[0] for node in graph.node if node.op_type == "Conv"}
    return {onnx.TensorProto.DataType.Name(types[name]) for name in read}


@pytest.mark.slow
@pytest.mark.parametrize("name", [POSE, DETECTOR])
@pytest.mark.parametrize(("precision", "computed"), [("fp16", "FLOAT16"), ("fp32", "FLOAT")])
def test_models_by_name(machine, tmp_path, name, precision, computed):
    out = tmp_path / "x.engine"
    result = export_engine(name, out, EngineOptions(precision=precision, max_batch=5))
    assert element_types(out) == {computed}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.engine", "x.engine.json"]
    record = read_record(out)
    assert record == result.record
    assert record.identity.gpu_name == "NVIDIA L4"
    assert record.identity.tensorrt_version == "10.16.1.11"
    assert record.metadata["dwpose_infer.precision"] == precision
    assert record.parity["violations"] == []
    with TensorRtBackend(out, device=CUDA) as backend:
        assert backend.inputs[0].dtype == np.uint8
        assert backend.max_batch == 5
        assert backend.metadata["dwpose_infer.name"] == name


@pytest.mark.slow
def test_official_files_get_deploy_form(machine, tmp_path, detector_source):
    source = tmp_path / "official.onnx"
    onnx.save(detector_source.model, source)
    out = tmp_path / "x.engine"
    export_engine(source, out)
    with TensorRtBackend(out, device=CUDA) as backend:
        assert {spec.name for spec in backend.outputs} == {"boxes_xyxy", "scores"}


@pytest.mark.slow
def test_exported_half_precision_is_taken_as_it_is(machine, tmp_path):
    source, out = tmp_path / "half.onnx", tmp_path / "x.engine"
    export_model(POSE, source, ExportOptions(precision="fp16"))
    result = export_engine(source, out)
    _, model = unpack_plan(out.read_bytes())
    assert onnx.load_from_string(model) == onnx.load(source)
    assert result.record.name == POSE
    with pytest.raises(InvalidArgumentError, match="computes in fp16"):
        export_engine(source, out, EngineOptions(precision="fp32"))


def test_a_file_that_is_no_network(machine, tmp_path):
    source = tmp_path / "x.onnx"
    source.write_bytes(b"\x08 nothing")
    with pytest.raises(ModelFormatError, match="nor a whole ONNX model"):
        export_engine(source, tmp_path / "x.engine")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "remedy"), [("fp16", "--precision fp32"), ("fp32", "--backend ort")]
)
def test_an_engine_that_computes_something_else_is_not_kept(machine, tmp_path, precision, remedy):
    machine.distort = doubled_keypoints
    report = tmp_path / "report.json"
    with pytest.raises(ParityError, match=rf"median distance.*{remedy}"):
        export_engine(
            POSE, tmp_path / "x.engine", EngineOptions(precision=precision), report=report
        )
    assert list(tmp_path.iterdir()) == [report]
    assert json.loads(report.read_text())["parity"]["violations"]


def unsure(model):
    """The detector with person scores that never pass the threshold."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for node in changed.graph.node:
        for index, name in enumerate(node.output):
            if name == "output":
                node.output[index] = "output/sure"
    scale = np.full(model.graph.output[0].type.tensor_type.shape.dim[2].dim_value, 0.1, np.float32)
    changed.graph.initializer.append(onnx.numpy_helper.from_array(scale, "scale"))
    changed.graph.node.append(onnx.helper.make_node("Mul", ["output/sure", "scale"], ["output"]))
    return changed


@pytest.mark.slow
def test_a_network_that_is_sure_of_nothing(machine, tmp_path, detector_source, capsys):
    source, out = tmp_path / "unsure.onnx", tmp_path / "x.engine"
    onnx.save(unsure(detector_source.model), source)
    remedy = r"finds nobody.*--verify.*--allow-undecided.*--to engine"
    with pytest.raises(ParityError, match=remedy):
        export_engine(source, out)
    assert not out.exists()
    result = export_engine(source, out, options=ExportOptions(allow_undecided=True))
    assert out.exists()
    assert result.parity.raw["scores"].largest < 0.01
    assert result.parity.undecided == "the source finds nobody on the pictures"


def halved_scores(model):
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    changed.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.5), "half"))
    for node in changed.graph.node:
        for index, name in enumerate(node.output):
            if name == "scores":
                node.output[index] = "scores/full"
    changed.graph.node.append(onnx.helper.make_node("Mul", ["scores/full", "half"], ["scores"]))
    return changed


@pytest.mark.slow
def test_without_points_the_scores_decide(machine, tmp_path, detector_source):
    source, out = tmp_path / "unsure.onnx", tmp_path / "x.engine"
    onnx.save(unsure(detector_source.model), source)
    machine.distort = halved_scores
    with pytest.raises(ParityError, match=r"raw scores \(rms\)"):
        export_engine(source, out, options=ExportOptions(allow_undecided=True))
    assert not out.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gpu", "precision", "warns"),
    [
        ("NVIDIA GeForce GTX 1660 Ti", "fp16", True),
        ("NVIDIA GeForce GTX 1650", "fp16", True),
        ("NVIDIA GeForce GTX 1660 Ti", "fp32", False),
        ("NVIDIA GeForce RTX 2060", "fp16", False),
        ("Tesla T4", "fp16", False),
    ],
)
def test_gpus_whose_half_precision_misbehaves(monkeypatch, tmp_path, caplog, gpu, precision, warns):
    install_tensorrt(monkeypatch, FakeMachine(gpu_name=gpu, compute_capability=(7, 5)))
    export_engine(DETECTOR, tmp_path / "x.engine", EngineOptions(precision=precision))
    warned = [record for record in caplog.records if "tensor cores" in record.message]
    assert len(warned) == warns
    assert all("fp32" in record.message for record in warned)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"top_k": 3841}, "at most 3840"), ({"opset": 21}, "opset 21")],
)
def test_what_tensorrt_cannot_do(machine, tmp_path, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        export_engine(DETECTOR, tmp_path / "x.engine", options=ExportOptions(**options))


@pytest.mark.slow
def test_the_command(machine, tmp_path, capsys):
    out = tmp_path / "person.engine"
    command = [DETECTOR, "--to", "engine", "--out", str(out), "--max-batch", "2"]
    assert main([*command, "--workspace-mib", "256", "--precision", "fp32"]) == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == str(out)
    for words in ("takes minutes", "batches of 1 to 2 (tuned for 1)", "NVIDIA L4 (8.9)"):
        assert words in captured.err
    record = read_record(out)
    assert (record.identity.precision, record.workspace_mib) == ("fp32", 256)
    assert json.loads(record_path(out).read_text())["schema_version"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "engine", "--form", "official"], "deploy form"),
        (["--to", "engine", "--calibration", "."], "int8"),
        (["--to", "engine", "--precision", "int8"], "the precisions are fp16, fp32"),
        (["--to", "engine", "--device", "cpu"], "on a GPU"),
        (["--to", "engine", "--max-batch", "0"], "batches of 1 to 0"),
        (["--max-batch", "2"], "goes with --to engine"),
        (["--workspace-mib", "2"], "goes with --to engine"),
    ],
)
def test_wrong_use_of_the_command(machine, tmp_path, capsys, arguments, message):
    out = tmp_path / "x.engine"
    assert main([DETECTOR, "--out", str(out), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.slow
def test_ctrl_c_at_the_command(machine, tmp_path, capsys, monkeypatch):
    press_ctrl_c(monkeypatch, machine)
    assert main([DETECTOR, "--to", "engine", "--out", str(tmp_path / "x.engine")]) == 130
    assert "nothing was written" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_without_tensorrt_the_command_says_what_is_missing(monkeypatch, tmp_path, capsys):
    import importlib.util

    if importlib.util.find_spec("tensorrt") is not None:
        pytest.skip("TensorRT is installed here")
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    out = tmp_path / "x.engine"
    assert main([DETECTOR, "--to", "engine", "--out", str(out)]) == 3
    message = capsys.readouterr().err
    assert "TensorRT is not installed" in message
    assert "dwpose-infer[trt]" in message
