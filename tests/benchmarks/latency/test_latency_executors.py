from __future__ import annotations

import numpy as np
import pytest

from dwpose_infer.backends.base import TensorSpec
from dwpose_infer.benchmarks.latency.executors import (
    BACKEND_KEYS,
    TensorRtExecutor,
    load_executor,
    parse_backends,
    random_sample,
)
from dwpose_infer.benchmarks.latency.networks import Network
from dwpose_infer.errors import (
    BackendUnavailableError,
    InferenceError,
    InvalidArgumentError,
    MissingDependencyError,
    ModelFormatError,
)


@pytest.mark.parametrize("backend", ["ort", "openvino"])
def test_the_network_is_really_run(small_network, backend, monkeypatch):
    """The bound input gives the output that plain calls give."""
    pytest.importorskip(backend if backend == "openvino" else "onnxruntime")
    path = small_network()
    with load_executor(backend, Network("small", "file", path), threads=1) as executor:
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
    with load_executor(backend, Network("small", "file", path), threads=1) as executor:
        assert executor.input.dtype == np.uint8
        assert executor.input.shape == (1, 3, 32, 32)
        executor.execute()
    for number, fed in enumerate([("N", 3, "H", "W"), (2, 3, 32, 32)]):
        path = small_network(name=f"unfit{number}.onnx", fed=fed)
        with pytest.raises(ModelFormatError, match="one input, of fixed size but for the batch"):
            load_executor(backend, Network("small", "file", path), threads=1)


def test_samples():
    noise = random_sample(TensorSpec("x", np.dtype(np.float32), (None, 3, 64, 48)))
    assert noise.shape == (1, 3, 64, 48)
    assert abs(noise.mean()) < 0.05
    assert noise.std() == pytest.approx(1, abs=0.05)
    grey = random_sample(TensorSpec("x", np.dtype(np.uint8), (1, 64, 48, 3)))
    assert (grey.min(), grey.max()) == (0, 255)


def test_torch_runs_the_module_and_no_files():
    torch = pytest.importorskip("torch")
    seen = []

    class Spy(torch.nn.Module):
        def forward(self, crops):
            seen.append(
                (tuple(crops.shape), torch.get_num_threads(), torch.is_inference_mode_enabled())
            )
            return crops

    before = torch.get_num_threads()
    network = Network("dwpose-t", "random", None, (256, 192), Spy())
    with load_executor("torch", network, threads=1) as executor:
        executor.execute()
    assert torch.get_num_threads() == before
    assert seen == [((1, 3, 256, 192), 1, True)]
    with pytest.raises(InvalidArgumentError, match="--random-weights"):
        load_executor("torch", Network("mine.onnx", "file", None), threads=1)


def test_a_compiler_that_fails_is_told(monkeypatch):
    torch = pytest.importorskip("torch")

    def refuse(_module, **_options):
        def call(_crops):
            raise RuntimeError("InvalidCxxCompiler: no C++ compiler\nlong story")

        return call

    monkeypatch.setattr(torch, "compile", refuse)
    network = Network("dwpose-t", "random", None, (64, 64), torch.nn.Identity())
    with pytest.raises(
        BackendUnavailableError, match=r"InvalidCxxCompiler.*needs a C\+\+ compiler"
    ):
        load_executor("torch-compiled", network, threads=1)


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


def test_tensorrt_is_timed_between_the_copies(monkeypatch, tmp_path):
    pytest.importorskip("dwpose_infer.backends.tensorrt.backend")
    monkeypatch.setattr("dwpose_infer.backends.tensorrt.backend.TensorRtBackend", FakeEngine)
    monkeypatch.setattr(
        "dwpose_infer.export.engine_cache.open_engine",
        lambda path, *, device, load: load(path.with_suffix(".cached")),
    )
    with load_executor("trt", Network("m", "file", tmp_path / "m.onnx"), threads=1) as executor:
        assert isinstance(executor, TensorRtExecutor)
        engine = executor._backend
        executor.execute()
        executor.execute()
    upload = ("upload", (1, 256, 192, 3), np.uint8)
    assert engine.calls == [upload, "execute", "execute", "close"]
    assert (engine.path.name, engine.device) == ("m.cached", "cuda:0")


def test_engines_of_random_weights_stay_out_of_the_cache(monkeypatch, tmp_path):
    pytest.importorskip("dwpose_infer.backends.tensorrt.backend")
    built = []
    monkeypatch.setattr("dwpose_infer.backends.tensorrt.backend.TensorRtBackend", FakeEngine)
    monkeypatch.setattr(
        "dwpose_infer.export.engine_exporter.export_engine",
        lambda source, out, *, options, device: built.append((source, out, options, device)),
    )
    network = Network("dwpose-m", "random", tmp_path / "m.onnx")
    with load_executor("trt", network, threads=1) as executor:
        assert executor._backend.path == tmp_path / "m.engine"
    ((source, out, options, device),) = built
    assert (source, out) == (tmp_path / "m.onnx", tmp_path / "m.engine")
    assert options.allow_undecided
    assert str(device) == "cuda:0"


def test_backends_that_are_not_here(small_network):
    network = Network("small", "file", small_network())
    for backend in ("ort-cuda", "trt"):
        with pytest.raises((BackendUnavailableError, MissingDependencyError), match=r"Remedy|pip"):
            load_executor(backend, network, threads=1)


def test_a_closed_openvino_backend_gives_no_request(small_network):
    pytest.importorskip("openvino")
    executor = load_executor("openvino", Network("s", "file", small_network()), threads=1)
    executor.close()
    with pytest.raises(InferenceError, match="closed"):
        executor._backend.create_request()


def test_names_of_backends():
    assert parse_backends("openvino, ort,ort") == ["ort", "openvino"]
    assert parse_backends(",".join(BACKEND_KEYS)) == list(BACKEND_KEYS)
    for text in ("", "ort,cuda", "tensorrt"):
        with pytest.raises(InvalidArgumentError, match="the backends are ort, openvino"):
            parse_backends(text)
