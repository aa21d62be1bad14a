from __future__ import annotations

import subprocess
import sys
import threading
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

from dwpose_infer import Predictor, zoo
from dwpose_infer.backends import load_backend
from dwpose_infer.backends import openvino as openvino_backend
from dwpose_infer.errors import (
    BackendUnavailableError,
    InferenceError,
    InvalidArgumentError,
    MissingDependencyError,
    ModelFormatError,
)
from dwpose_infer.images import read_image
from dwpose_infer.letterbox import letterbox
from tolerances import BATCH_KEYPOINT_PX, BATCH_SCORE, OTHER_RUNTIME

if find_spec("openvino") is None:  # not `importorskip`: importing it is the backend's business
    pytest.skip("OpenVINO is not installed", allow_module_level=True)


@pytest.fixture
def double(save_graph):
    """Graph that doubles its input, for a batch of the given size."""

    def save(batch: int | str, name: str = "double.onnx"):
        return save_graph(
            [onnx.helper.make_node("Mul", ["x", "two"], ["y"])],
            {"x": (np.float32, [batch, 2])},
            {"y": (np.float32, [batch, 2])},
            {"two": np.float32(2)},
            name=name,
            metadata={"source": "a test", "threshold": "0.3", "input.size": ""},
        )

    return save


@pytest.mark.parametrize("batch", ["N", 1, 4])
def test_runs_any_number_of_samples(double, batch):
    with load_backend("openvino", double(batch)) as backend:
        for count in (7, 1, 3):
            samples = np.arange(2 * count, dtype=np.float32).reshape(count, 2)
            np.testing.assert_array_equal(backend.run({"x": samples})["y"], samples * 2)


def test_tells_what_it_loaded(double):
    backend = load_backend("openvino", double("N"), threads=1)
    assert [str(spec) for spec in backend.inputs] == ["x float32[?, 2]"]
    assert [str(spec) for spec in backend.outputs] == ["y float32[?, 2]"]
    assert backend.metadata == {"source": "a test", "threshold": "0.3", "input.size": ""}
    assert backend.description.startswith("OpenVINO 20")
    assert backend.description.endswith(" on CPU (fp32)")
    backend.warmup()


def test_outputs_of_one_tensor_keep_their_names(save_graph):
    path = save_graph(
        [
            onnx.helper.make_node("Relu", ["x"], ["inner"]),
            onnx.helper.make_node("Identity", ["inner"], ["second"]),
            onnx.helper.make_node("Identity", ["inner"], ["first"]),
            onnx.helper.make_node("Neg", ["inner"], ["third"]),
        ],
        {"x": (np.float32, ["N", 2])},
        {name: (np.float32, ["N", 2]) for name in ("second", "first", "third")},
    )
    outputs = load_backend("openvino", path).run({"x": np.ones((3, 2), np.float32)})
    assert list(outputs) == ["second", "first", "third"]
    assert [array[0, 0] for array in outputs.values()] == [1, 1, -1]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.float16, np.float32])
def test_types_of_inputs_and_outputs(save_graph, dtype):
    path = save_graph(
        [onnx.helper.make_node("Slice", ["x", "zero", "one", "last"], ["y"])],
        {"x": (dtype, ["N", 4, 4, 3])},
        {"y": (dtype, ["N", 4, 4, 1])},
        {"zero": np.array([0]), "one": np.array([1]), "last": np.array([3])},
    )
    samples = np.arange(96).reshape(2, 4, 4, 3).astype(dtype)
    for given in (samples, np.repeat(samples, 2, axis=0)[::2]):
        output = load_backend("openvino", path).run({"x": given})["y"]
        assert output.dtype == dtype
        np.testing.assert_array_equal(output, samples[..., :1])


def test_half_precision_constants_are_used_in_full_precision(save_graph, rng):
    weights = rng.standard_normal((512, 8)).astype(np.float16)
    path = save_graph(
        [
            onnx.helper.make_node("Cast", ["stored"], ["weights"], to=onnx.TensorProto.FLOAT),
            onnx.helper.make_node("MatMul", ["x", "weights"], ["y"]),
        ],
        {"x": (np.float32, ["N", 512])},
        {"y": (np.float32, ["N", 8])},
        {"stored": weights},
    )
    samples = rng.standard_normal((5, 512)).astype(np.float32)
    exact = samples.astype(np.float64) @ weights.astype(np.float64)
    output = load_backend("openvino", path).run({"x": samples})["y"]
    np.testing.assert_allclose(output, exact, atol=OTHER_RUNTIME * np.abs(exact).max())


def test_outputs_do_not_change_with_the_next_call(double):
    backend = load_backend("openvino", double("N"))
    first = backend.run({"x": np.ones((2, 2), np.float32)})["y"]
    backend.run({"x": np.zeros((2, 2), np.float32)})
    assert (first == 2).all()


@pytest.mark.parametrize("batch", ["N", 2])
def test_several_threads_at_once(double, batch):
    backend = load_backend("openvino", double(batch), threads=1)
    wrong = []

    def work(value):
        samples = np.full((5 + value, 2), value, np.float32)
        for _ in range(50):
            if not (backend.run({"x": samples})["y"] == 2 * value).all():
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_closed_backend_says_so(double):
    backend = load_backend("openvino", double("N"))
    backend.close()
    backend.close()
    with pytest.raises(InferenceError, match="closed"):
        backend.run({"x": np.zeros((1, 2), np.float32)})


@pytest.mark.parametrize("content", [b"this is not a protobuf", b"", None])
def test_not_a_model(tmp_path, content, capfd):
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelFormatError, match="not a usable ONNX model"):
        load_backend("openvino", path)
    assert capfd.readouterr().err == ""


def test_unknown_operator(double, tmp_path):
    model = onnx.load(double("N"))
    model.graph.node[0].op_type = "NoSuchOperator"
    path = tmp_path / "foreign.onnx"
    onnx.save(model, path)
    with pytest.raises(ModelFormatError, match="NoSuchOperator") as caught:
        load_backend("openvino", path)
    assert caught.value.__cause__ is not None


def test_failure_while_running_is_chained(save_graph):
    path = save_graph(
        [onnx.helper.make_node("Reshape", ["x", "shape"], ["y"])],
        {"x": (np.float32, ["N", 2])},
        {"y": (np.float32, ["M", 3])},
        {"shape": np.array([-1, 3])},
    )
    backend = load_backend("openvino", path)
    with pytest.raises(InferenceError, match=r"\(fp32\) failed: .*reshape") as caught:
        backend.run({"x": np.zeros((2, 2), np.float32)})
    assert caught.value.__cause__ is not None
    assert backend.run({"x": np.zeros((3, 2), np.float32)})["y"].shape == (2, 3)


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
    with pytest.raises(InvalidArgumentError, match="at least 1"):
        load_backend("openvino", double("N"), threads=0)
    with pytest.raises(InvalidArgumentError, match="precisions are fp32, bf16"):
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
