from __future__ import annotations

import logging
import subprocess
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from dwpose_infer import Predictor, zoo
from dwpose_infer.backends import load_backend
from dwpose_infer.backends import openvino as openvino_backend
from dwpose_infer.backends.openvino_parts import Request, cut_head
from dwpose_infer.errors import (
    BackendUnavailableError,
    InvalidArgumentError,
    MissingDependencyError,
)
from dwpose_infer.images import read_image
from dwpose_infer.letterbox import letterbox
from tolerances import BATCH_KEYPOINT_PX, BATCH_SCORE, OTHER_RUNTIME

if find_spec("openvino") is None:  # not `importorskip`: importing it is the backend's business
    pytest.skip("OpenVINO is not installed", allow_module_level=True)


def test_missing_runtime(double, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "dwpose-infer\[openvino\]"'):
        load_backend("openvino", double("N"))


def test_importing_openvino_reports_nothing(double, tmp_path):
    """Without precaution, the import alone sends a message and leaves files in the home folder."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from dwpose_infer.backends import load_backend\n"
        "load_backend('openvino', Path(sys.argv[1])).warmup()\n"
        "assert 'openvino' in sys.modules\n"
        "assert 'openvino_telemetry' not in sys.modules\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    subprocess.run([sys.executable, "-c", code, double("N")], check=True, env={"HOME": str(home)})
    assert list(home.iterdir()) == []


def test_other_devices(double):
    with pytest.raises(InvalidArgumentError, match="use device='cpu'"):
        load_backend("openvino", double("N"), device="cuda:1")


def test_bad_options(double):
    with pytest.raises(InvalidArgumentError, match="from 1 to 1024"):
        load_backend("openvino", double("N"), threads=0)
    with pytest.raises(InvalidArgumentError, match="in 'fp32' or 'bf16'"):
        load_backend("openvino", double("N"), precision="fp16")


class FakeCore:
    """Stands for a CPU, and for an OpenVINO that may take another precision than asked for."""

    def __init__(self, capabilities, used=None):
        self.capabilities = capabilities
        self.used = used
        self.settings = {}

    def get_property(self, device, name):
        return {"OPTIMIZATION_CAPABILITIES": self.capabilities, "FULL_DEVICE_NAME": "Some CPU"}[
            name
        ]

    def compile_model(self, model, device, settings):
        self.settings = settings
        used = self.used or settings["INFERENCE_PRECISION_HINT"]
        return SimpleNamespace(get_property=lambda name: used, outputs=model.outputs)


@pytest.fixture
def fake_core(monkeypatch):
    def install(*args):
        core = FakeCore(*args)
        fake = SimpleNamespace(
            Core=lambda: core,
            Type=SimpleNamespace(f32="f32", bf16="bf16"),
            frontend=openvino_backend._import_openvino().frontend,
            __version__="2030.1.0-1-abc",
        )
        monkeypatch.setattr(openvino_backend, "_import_openvino", lambda: fake)
        return core

    return install


def test_precision_is_never_left_to_openvino(double, fake_core):
    core = fake_core(["FP32", "BF16"])
    assert load_backend("openvino", double("N")).description == "OpenVINO 2030.1.0 on CPU (fp32)"
    assert core.settings["INFERENCE_PRECISION_HINT"] == "f32"
    backend = load_backend("openvino", double("N"), precision="bf16", threads=3)
    assert backend.description == "OpenVINO 2030.1.0 on CPU (bf16)"
    assert core.settings["INFERENCE_PRECISION_HINT"] == "bf16"
    assert core.settings["INFERENCE_NUM_THREADS"] == 3


def test_cpu_without_bf16(double, fake_core):
    fake_core(["FP32", "INT8"])
    with pytest.raises(BackendUnavailableError, match=r"Some CPU has no bf16 .* precision='fp32'"):
        load_backend("openvino", double("N"), precision="bf16")


def test_other_precision_than_asked_for_is_an_error(double, fake_core):
    fake_core(["FP32", "BF16"], "bf16")
    with pytest.raises(BackendUnavailableError, match="'fp32' was asked for, but OpenVINO took"):
        load_backend("openvino", double("N"))


def assert_close(found, expected):
    limit = OTHER_RUNTIME * max(1, np.abs(expected).max())
    np.testing.assert_allclose(found, expected, atol=limit, rtol=0)


def clear_peaks(simcc):
    """Where the highest bin of an axis is further above the second than two runtimes differ."""
    second, first = np.moveaxis(np.partition(simcc, -2, axis=-1)[..., -2:], -1, 0)
    return first - second > 2 * OTHER_RUNTIME * max(1, np.abs(simcc).max())


def both(model, inputs):
    """The outputs of a bundled model in ONNX Runtime and in OpenVINO."""
    pytest.importorskip("onnxruntime")
    path = zoo.resolve_model(model)
    with load_backend("ort", path) as ort, load_backend("openvino", path) as other:
        assert ort.inputs == other.inputs
        assert ort.metadata == other.metadata
        named = {ort.inputs[0].name: inputs}
        return ort.run(named), other.run(named)


@pytest.mark.slow
def test_bundled_pose_network_agrees_with_onnx_runtime(astronaut):
    image_bgr = read_image(astronaut)
    boxes = [[20, 10, 400, 500], [100, 0, 320, 200], [60, 120, 300, 480]]
    with Predictor(detector=None) as predictor:
        estimator = predictor.estimator
        images_bgr = estimator.crop(image_bgr, boxes).images_bgr
        deploy = estimator.form == "deploy"
        inputs = images_bgr if deploy else estimator.network_input(images_bgr)
    expected, found = both("dwpose-t-bundled", inputs)
    if deploy:
        assert_close(found["scores"], expected["scores"])
        same = found["keypoints"] == expected["keypoints"]
        assert same.mean() > 0.98  # the rest are ties
        return
    for axis in ("simcc_x", "simcc_y"):
        assert_close(found[axis], expected[axis])
        clear = clear_peaks(expected[axis])
        assert clear.mean() > 0.9
        same = found[axis].argmax(-1) == expected[axis].argmax(-1)
        assert same[clear].all()


@pytest.mark.slow
def test_bundled_detector_agrees_with_onnx_runtime(photos):
    with Predictor() as predictor:
        detector = predictor.detector
        canvases = [
            letterbox(read_image(path), size_wh=detector.input_size_wh)[0] for path in photos
        ]
        inputs = detector.network_input(canvases)
    expected, found = both("yolox-nano-person-bundled", inputs)
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert_close(found[name], array)


@pytest.mark.slow
def test_pictures_to_keypoints(astronaut):
    pytest.importorskip("onnxruntime")
    with (
        Predictor(score_threshold=0.2) as one,
        Predictor(score_threshold=0.2, backend="openvino", precision="fp32", threads=1) as other,
    ):
        expected, found = one(astronaut), other(astronaut)
        again = other(astronaut, boxes=expected.boxes_xyxy)
    assert len(found) == len(expected) >= 1
    np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy, atol=BATCH_KEYPOINT_PX)
    np.testing.assert_allclose(again.scores, expected.scores, atol=BATCH_SCORE)


def compiled_parts(name, *, precision):
    """A bundled network as it is cut for bf16, compiled, and how many parts there are."""
    openvino = openvino_backend._import_openvino()
    path = zoo.resolve_model(name)
    parts = cut_head(openvino, openvino_backend._read_model(openvino, path))
    core = openvino.Core()
    return [openvino_backend._compile(core, part, path, precision, 1) for part in parts]


@pytest.mark.slow
def test_a_pose_network_in_two_parts_gives_what_it_gives_whole(astronaut):
    crops = np.stack([cv2.resize(read_image(astronaut), (192, 256))] * 2)
    crops[1] = crops[1, :, ::-1]
    name = "dwpose-t-bundled"
    parts = compiled_parts(name, precision="fp32")
    assert len(parts) == 2
    keypoints, scores = Request(parts).infer([crops])
    with load_backend("openvino", zoo.resolve_model(name), threads=1) as whole:
        expected = whole.run({whole.inputs[0].name: crops})
    assert_close(scores, expected["scores"])
    assert (keypoints == expected["keypoints"]).mean() > 0.98  # the rest are ties


def test_a_whole_kernel_is_cut_behind_its_convolution(tmp_path):
    onnx = pytest.importorskip("onnx")
    from dwpose_infer.export.exporter import ExportOptions, convert
    from dwpose_infer.export.sources import load_source

    openvino = openvino_backend._import_openvino()
    path = tmp_path / "whole.onnx"
    whole = convert(load_source("dwpose-t-bundled"), ExportOptions(whole_kernels=True))
    onnx.save(whole, path)
    body, head = cut_head(openvino, openvino_backend._read_model(openvino, path))
    counts = [
        sum(node.get_type_name() == "Convolution" for node in part.get_ordered_ops())
        for part in (body, head)
    ]
    assert counts == [34, 0]  # with its kernel apart the body has 40
    assert body.output(0).get_partial_shape().get_max_shape()[1:] == [133, 8, 6]


def test_only_pose_networks_are_cut():
    assert len(compiled_parts("yolox-nano-person-bundled", precision="fp32")) == 1


def has_bf16():
    core = openvino_backend._import_openvino().Core()
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.mark.parametrize(
    ("limit", "allowed"),
    [("AVX2", False), ("avx512_core_vnni", False), ("AVX512_CORE_BF16", True), ("", True)],
)
def test_bf16_is_not_taken_where_onednn_is_kept_from_it(limit, allowed, monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    cpu = {"OPTIMIZATION_CAPABILITIES": ["BF16", "FP32"], "FULL_DEVICE_NAME": "a CPU"}
    core = SimpleNamespace(get_property=lambda _device, name: cpu[name])
    assert openvino_backend._has_bf16(core) == allowed
    if not allowed:
        with pytest.raises(BackendUnavailableError, match="ONEDNN_MAX_CPU_ISA keeps OpenVINO"):
            openvino_backend._require_precision(core, "bf16")


@pytest.mark.slow
def test_bf16_hardly_moves_points(astronaut):
    """With bf16 behind the last convolution, too, 5 to 7 % of them move by more than a pixel."""
    if not has_bf16():
        pytest.skip("this CPU has no bf16 arithmetic")
    crops = cv2.resize(read_image(astronaut), (192, 256))[None]
    found = []
    for precision in ("fp32", "bf16"):
        path = zoo.resolve_model("dwpose-s-bundled")
        with load_backend("openvino", path, precision=precision) as backend:
            found.append(backend.run({backend.inputs[0].name: crops}))
    sure = found[0]["scores"] > 0.3
    assert sure.sum() > 50
    moved = np.linalg.norm(found[0]["keypoints"] - found[1]["keypoints"], axis=-1)[sure]
    assert moved.mean() < 0.2
    assert (moved > 1).mean() < 0.03


@pytest.mark.slow
def test_auto_tells_what_it_takes_and_why(caplog):
    caplog.set_level(logging.INFO, logger="dwpose_infer")
    path = zoo.resolve_model("dwpose-t-bundled")
    with load_backend("openvino", path, precision="auto", threads=1) as backend:
        (said,) = [line for line in caplog.messages if line.startswith(path.name)]
        expected = "bf16 takes 0." if has_bf16() else "this CPU has no bf16 arithmetic"
        assert expected in said
        assert backend.description.endswith(f"({said.split()[2].rstrip(':')})")
