"""What every backend has to do, whatever runs behind it; a new one has to pass these.

TensorRT's engines run on a GPU alone; its tests, against a library in its place, stand in
`trt/`.
"""

from __future__ import annotations

import argparse
import re
import threading
from importlib.util import find_spec

import numpy as np
import onnx
import pytest

from dwpose_infer.backends import BACKENDS as ALL
from dwpose_infer.backends import backend_kind, load_backend
from dwpose_infer.cli.model_options import add_model_options
from dwpose_infer.errors import InferenceError, ModelFormatError
from tolerances import OTHER_RUNTIME

BACKENDS = {
    "ort": ("onnxruntime", r"ONNX Runtime \d.*, CPUExecutionProvider, cpu"),
    "openvino": ("openvino", r"OpenVINO 20\d\d.* on CPU \(fp32\)"),
}
"""Name -> its package, and how it describes itself."""


def test_every_backend_of_the_processor_is_here():
    assert set(BACKENDS) == {name for name in ALL if "cpu" in backend_kind(name).devices}


def test_the_commands_know_every_backend():
    parser = argparse.ArgumentParser()
    add_model_options(parser.add_argument_group("models"))
    (action,) = (each for each in parser._actions if each.dest == "backend")
    assert tuple(action.choices) == ALL


@pytest.fixture(params=BACKENDS)
def backend_name(request):
    if find_spec(BACKENDS[request.param][0]) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.mark.parametrize("batch", ["N", 1, 4])
def test_runs_any_number_of_samples(backend_name, double, batch):
    with load_backend(backend_name, double(batch)) as backend:
        for count in (7, 1, 3):
            samples = np.arange(2 * count, dtype=np.float32).reshape(count, 2)
            np.testing.assert_array_equal(backend.run({"x": samples})["y"], samples * 2)


def test_tells_what_it_loaded(backend_name, double):
    backend = load_backend(backend_name, double("N"), threads=1)
    assert [str(spec) for spec in backend.inputs] == ["x float32[?, 2]"]
    assert [str(spec) for spec in backend.outputs] == ["y float32[?, 2]"]
    assert backend.metadata == {"source": "a test", "threshold": "0.3", "input.size": ""}
    assert re.fullmatch(BACKENDS[backend_name][1], backend.description)
    backend.warmup()


def test_outputs_of_one_tensor_keep_their_names(backend_name, save_graph):
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
    outputs = load_backend(backend_name, path).run({"x": np.ones((3, 2), np.float32)})
    assert list(outputs) == ["second", "first", "third"]
    assert [array[0, 0] for array in outputs.values()] == [1, 1, -1]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.float16, np.float32])
def test_types_of_inputs_and_outputs(backend_name, save_graph, dtype):
    path = save_graph(
        [onnx.helper.make_node("Slice", ["x", "zero", "one", "last"], ["y"])],
        {"x": (dtype, ["N", 4, 4, 3])},
        {"y": (dtype, ["N", 4, 4, 1])},
        {"zero": np.array([0]), "one": np.array([1]), "last": np.array([3])},
    )
    samples = np.arange(96).reshape(2, 4, 4, 3).astype(dtype)
    for given in (samples, np.repeat(samples, 2, axis=0)[::2]):
        output = load_backend(backend_name, path).run({"x": given})["y"]
        assert output.dtype == dtype
        np.testing.assert_array_equal(output, samples[..., :1])


def test_half_precision_constants_are_used_in_full_precision(backend_name, save_graph, rng):
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
    output = load_backend(backend_name, path).run({"x": samples})["y"]
    np.testing.assert_allclose(output, exact, atol=OTHER_RUNTIME * np.abs(exact).max())


def test_outputs_do_not_change_with_the_next_call(backend_name, double):
    backend = load_backend(backend_name, double("N"))
    first = backend.run({"x": np.ones((2, 2), np.float32)})["y"]
    backend.run({"x": np.zeros((2, 2), np.float32)})
    assert (first == 2).all()


@pytest.mark.parametrize("batch", ["N", 2])
def test_several_threads_at_once(backend_name, double, batch):
    backend = load_backend(backend_name, double(batch), threads=1)
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


def test_closed_backend_says_so(backend_name, double):
    backend = load_backend(backend_name, double("N"))
    backend.close()
    backend.close()
    with pytest.raises(InferenceError, match="closed"):
        backend.run({"x": np.zeros((1, 2), np.float32)})


@pytest.mark.parametrize("content", [b"this is not a protobuf", b"", None])
def test_not_a_model(backend_name, tmp_path, content, capfd):
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelFormatError, match="not a usable ONNX model"):
        load_backend(backend_name, path)
    assert capfd.readouterr().err == ""  # the runtime's own complaints would confuse


def test_unknown_operator(backend_name, double, tmp_path):
    model = onnx.load(double("N"))
    model.graph.node[0].op_type = "NoSuchOperator"
    path = tmp_path / "foreign.onnx"
    onnx.save(model, path)
    with pytest.raises(ModelFormatError, match="NoSuchOperator") as caught:
        load_backend(backend_name, path)
    assert caught.value.__cause__ is not None


def test_failure_while_running_is_chained(backend_name, save_graph):
    path = save_graph(
        [onnx.helper.make_node("Reshape", ["x", "shape"], ["y"])],
        {"x": (np.float32, ["N", 2])},
        {"y": (np.float32, ["M", 3])},
        {"shape": np.array([-1, 3])},
    )
    backend = load_backend(backend_name, path)
    with pytest.raises(InferenceError, match=r"(?i)failed: .*reshape") as caught:
        backend.run({"x": np.zeros((2, 2), np.float32)})
    assert caught.value.__cause__ is not None
    assert backend.run({"x": np.zeros((3, 2), np.float32)})["y"].shape == (2, 3)


def test_free_sides_beside_the_batch(backend_name, save_graph):
    """As the bundled detector has them: pictures of any height and width, each call its own."""
    path = save_graph(
        [onnx.helper.make_node("ReduceMax", ["x"], ["y"], axes=[1, 2, 3], keepdims=0)],
        {"x": (np.float32, ["N", "height", "width", 3])},
        {"y": (np.float32, ["N"])},
    )
    backend = load_backend(backend_name, path)
    assert backend.inputs[0].shape == (None, None, None, 3)
    backend.warmup()
    for height, width in ((64, 32), (32, 96), (64, 32)):
        samples = np.arange(2 * height * width * 3, dtype=np.float32).reshape(2, height, width, 3)
        found = backend.run({"x": samples})["y"]
        np.testing.assert_array_equal(found, samples.reshape(2, -1).max(axis=1))
