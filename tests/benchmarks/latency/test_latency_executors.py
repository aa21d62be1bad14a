from __future__ import annotations

import numpy as np
import pytest

from dwpose_infer.backends.base import TensorSpec
from dwpose_infer.backends.device import Device
from dwpose_infer.backends.tensorrt.engine_record import EngineOptions
from dwpose_infer.benchmarks.latency.backends import (
    BACKEND_KEYS,
    Execution,
    load_executor,
    parse_backends,
)
from dwpose_infer.benchmarks.latency.executors import TensorRtExecutor, random_sample
from dwpose_infer.benchmarks.latency.networks import Network
from dwpose_infer.errors import (
    BackendUnavailableError,
    InferenceError,
    InvalidArgumentError,
    MissingDependencyError,
    ModelFormatError,
)

ONE = Execution(threads=1)


@pytest.mark.parametrize("backend", ["ort", "openvino"])
def test_the_network_is_really_run(small_network, backend, monkeypatch):
    """The bound input gives the output that plain calls give."""
    pytest.importorskip(backend if backend == "openvino" else "onnxruntime")
    path = small_network()
    with load_executor(backend, Network("small", "file", path), ONE) as executor:
        assert executor.input == TensorSpec("x", np.dtype(np.float32), (1, 3, 64, 48))
        executor.execute()
        if backend == "ort":
            (output,) = executor._run.args[0].copy_outputs_to_cpu()
        else:
            output = executor._request._last.get_output_tensor(0).data
        expected = executor._backend.run({"x": random_sample(executor.input)})["y"]
        np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-5)
        assert np.abs(output).max() > 1


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["ort", "openvino"])
def test_other_inputs(small_network, backend):
    path = small_network(fed=(1, 3, 32, 32), dtype=np.uint8)
    with load_executor(backend, Network("small", "file", path), ONE) as executor:
        assert executor.input.dtype == np.uint8
        assert executor.input.shape == (1, 3, 32, 32)
        executor.execute()
    for number, fed in enumerate([("N", 3, "H", "W"), (2, 3, 32, 32)]):
        path = small_network(name=f"unfit{number}.onnx", fed=fed)
        with pytest.raises(ModelFormatError, match="one input, of fixed size but for the batch"):
            load_executor(backend, Network("small", "file", path), ONE)


def test_samples():
    noise = random_sample(TensorSpec("x", np.dtype(np.float32), (None, 3, 64, 48)))
    assert noise.shape == (1, 3, 64, 48)
    assert abs(noise.mean()) < 0.05
    assert noise.std() == pytest.approx(1, abs=0.05)
    grey = random_sample(TensorSpec("x", np.dtype(np.uint8), (1, 64, 48, 3)))
    assert (grey.min(), grey.max()) == (0, 255)


@pytest.mark.parametrize("backend", ["ort", "openvino"])
def test_batches(small_network, backend):
    path = small_network()
    execution = Execution(threads=1, batch=3)
    with load_executor(backend, Network("small", "file", path), execution) as executor:
        assert executor.input.shape == (3, 3, 64, 48)
        executor.execute()
    path = small_network(name="one.onnx", fed=(1, 3, 64, 48))
    with pytest.raises(ModelFormatError, match=r"one picture a call, and 3 were.*--deploy"):
        load_executor(backend, Network("one", "file", path), execution)


class FakeEngine:
    """What `TensorRtBackend` offers, without a GPU."""

    def __init__(self, path, *, device):
        self.path, self.device, self.calls = path, str(device), []
        self.description, self.metadata = "TensorRT 10, fp16", {}
        self.inputs = (TensorSpec("crops", np.dtype(np.uint8), (None, 256, 192, 3)),)

    def upload(self, inputs):
        self.calls.append(("upload", inputs["crops"].shape, inputs["crops"].dtype))

    def execute(self):
        self.calls.append("execute")

    def close(self):
        self.calls.append("close")


@pytest.mark.parametrize(
    ("batch", "deploy", "precision", "largest"),
    [(1, None, "fp16", 16), (8, "fp16", "fp16", 16), (64, "fp32", "fp32", 64)],
)
def test_tensorrt_is_timed_between_the_copies(
    monkeypatch, tmp_path, batch, deploy, precision, largest
):
    pytest.importorskip("dwpose_infer.backends.tensorrt.backend")
    asked = []
    monkeypatch.setattr("dwpose_infer.backends.tensorrt.backend.TensorRtBackend", FakeEngine)
    monkeypatch.setattr(
        "dwpose_infer.export.engine_cache.open_engine",
        lambda path, *, device, load, options: asked.append(options) or load(path),
    )
    network = Network("m", "file", tmp_path / "m.onnx")
    execution = Execution(threads=1, device=Device("cuda", 1), batch=batch, deploy=deploy)
    with load_executor("trt", network, execution) as executor:
        assert isinstance(executor, TensorRtExecutor)
        engine = executor._backend
        executor.execute()
        executor.execute()
    upload = ("upload", (batch, 256, 192, 3), np.uint8)
    assert engine.calls == [upload, "execute", "execute", "close"]
    assert (engine.path, engine.device) == (network.path, "cuda:1")
    assert executor.input.shape == (batch, 256, 192, 3)
    assert asked == [EngineOptions(precision=precision, opt_batch=batch, max_batch=largest)]


def test_engines_of_random_weights_stay_out_of_the_cache(monkeypatch, tmp_path):
    pytest.importorskip("dwpose_infer.backends.tensorrt.backend")
    built = []
    monkeypatch.setattr("dwpose_infer.backends.tensorrt.backend.TensorRtBackend", FakeEngine)
    monkeypatch.setattr(
        "dwpose_infer.export.engine_exporter.export_engine",
        lambda source, out, engine, *, options, device: built.append(
            (source, out, options, device)
        ),
    )
    network = Network("dwpose-m", "random", tmp_path / "m.onnx")
    with load_executor("trt", network, ONE) as executor:
        assert executor._backend.path == tmp_path / "m.engine"
    ((source, out, options, device),) = built
    assert (source, out) == (tmp_path / "m.onnx", tmp_path / "m.engine")
    assert options.allow_undecided
    assert str(device) == "cuda:0"


def test_backends_that_are_not_here(small_network):
    network = Network("small", "file", small_network())
    for backend in ("ort-cuda", "trt"):
        with pytest.raises((BackendUnavailableError, MissingDependencyError), match=r"Remedy|pip"):
            load_executor(backend, network, ONE)


def test_a_closed_openvino_backend_gives_no_request(small_network):
    pytest.importorskip("openvino")
    executor = load_executor("openvino", Network("s", "file", small_network()), ONE)
    executor.close()
    with pytest.raises(InferenceError, match="closed"):
        executor._backend.create_request()


def test_names_of_backends():
    assert parse_backends("openvino, ort,ort") == ["ort", "openvino"]
    assert parse_backends(",".join(BACKEND_KEYS)) == list(BACKEND_KEYS)
    for text in ("", "ort,cuda", "tensorrt"):
        with pytest.raises(InvalidArgumentError, match="the backends are ort, openvino"):
            parse_backends(text)
