"""PyTorch beside the other runtimes: on the CPU itself, on a GPU by a fake that notes it all."""

from __future__ import annotations

import shutil
from contextlib import contextmanager, nullcontext
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from dwpose_infer.backends.device import Device
from dwpose_infer.benchmarks.latency.backends import (
    Execution,
    load_executor,
)
from dwpose_infer.benchmarks.latency.networks import Network
from dwpose_infer.errors import (
    BackendUnavailableError,
    InvalidArgumentError,
)

ONE = Execution(threads=1)


class FakeTensor:
    """A tensor or a module, on whatever device."""

    def __init__(self, log, shape=()):
        self.log, self.shape = log, shape

    def __deepcopy__(self, _memo):
        return FakeTensor(self.log, self.shape)

    def to(self, place, **kind):
        self.log.append(("to", place, kind))
        return self

    def __call__(self, sample):
        self.log.append(("run", sample.shape))


class FakeStream:
    def __init__(self, name, log):
        self.name, self.log = name, log

    def wait_stream(self, other):
        self.log.append(f"{self.name} waits for {other.name}")


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
    with load_executor("torch", network, ONE) as executor:
        executor.execute()
    assert torch.get_num_threads() == before
    assert seen == [((1, 3, 256, 192), 1, True)]
    with pytest.raises(InvalidArgumentError, match="--random-weights"):
        load_executor("torch", Network("mine.onnx", "file", None), ONE)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")  # torch's own
def test_torch_eager_and_compiled_compute_the_same():
    torch = pytest.importorskip("torch")
    if shutil.which("g++") is None:
        pytest.skip("torch.compile needs a C++ compiler")
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()).eval()
    network = Network("dwpose-t", "random", None, (8, 6), module)
    outputs = {}
    for key in ("torch", "torch-compiled"):
        execution = Execution(threads=1, batch=2, deploy="fp16")  # a CPU takes float32
        with load_executor(key, network, execution) as executor:
            assert executor.input.shape == (2, 3, 8, 6)
            executor.execute()
            outputs[key] = executor._run().numpy()
            words = f"PyTorch {torch.__version__} on CPU, fp32"
            assert executor.description == words + ", compiled" * (key == "torch-compiled")
    np.testing.assert_allclose(outputs["torch"], outputs["torch-compiled"], rtol=1e-5, atol=1e-6)
    assert outputs["torch"].max() > 0


@pytest.mark.slow
def test_every_compiled_network_is_compiled(monkeypatch):
    """torch compiles one class eight times (recompile_limit) and then runs it as it is."""
    torch = pytest.importorskip("torch")
    from torch._dynamo.utils import counters

    class Wide(torch.nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.inner = torch.nn.Conv2d(3, channels, 3)

        def forward(self, crops):
            return self.inner(crops)

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    counters.clear()
    for channels in range(1, 11):
        network = Network("dwpose-t", "random", None, (8, 6), Wide(channels))
        load_executor("torch-compiled", network, ONE).close()
    assert counters["stats"]["unique_graphs"] == 10


def test_torch_on_a_gpu_that_it_has_not():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is CUDA here")
    network = Network("dwpose-t", "random", None, (8, 6), torch.nn.Identity())
    with pytest.raises(BackendUnavailableError, match=r"has no CUDA here\. Remedy"):
        load_executor("torch", network, Execution(threads=1, device=Device("cuda")))
    with pytest.raises(InvalidArgumentError, match="graphs are for GPUs"):
        load_executor("torch-graph", network, ONE)


class FakeTorch:
    """What PyTorch offers on a GPU; `log` has what was asked of it, in order."""

    __version__ = "9.9+cu130"
    float16, channels_last = "float16", "channels_last"

    def __init__(self, gpus=2):
        self.log, self.threads = [], 4
        self.compiler = SimpleNamespace(reset=lambda: self.log.append("forget what was compiled"))
        self.backends = SimpleNamespace(cudnn=SimpleNamespace(benchmark=False, allow_tf32=True))
        self.cuda = SimpleNamespace(
            is_available=lambda: gpus > 0,
            device_count=lambda: gpus,
            device=lambda place: self.during(f"on {place}"),
            Stream=lambda: FakeStream("side", self.log),
            current_stream=lambda: FakeStream("own", self.log),
            stream=lambda stream: self.during(stream.name),
            CUDAGraph=lambda: SimpleNamespace(replay=lambda: self.log.append("replay")),
            graph=lambda _graph: self.during("capture"),
            synchronize=lambda place: self.log.append(f"wait for {place}"),
        )

    @contextmanager
    def during(self, what):
        self.log.append(f"{what} {{")
        yield
        self.log.append("}")

    def from_numpy(self, array):
        return FakeTensor(self.log, array.shape)

    def get_num_threads(self):
        return self.threads

    def set_num_threads(self, threads):
        self.threads = threads

    def inference_mode(self):
        return nullcontext()

    def compile(self, module, **_options):
        self.log.append("compile")
        return module


@pytest.fixture
def gpu_torch(monkeypatch):
    fake = FakeTorch()
    monkeypatch.setattr("dwpose_infer.benchmarks.random_networks.import_torch", lambda: fake)
    return fake


def on_gpu(fake, key, **options):
    network = Network("dwpose-t", "random", None, (8, 6), FakeTensor(fake.log))
    execution = Execution(threads=1, device=Device("cuda", 1), **options)
    return load_executor(key, network, execution)


def test_torch_waits_for_the_gpu(gpu_torch):
    """Half precision has the channels last; float32 is not rounded, and settings come back."""
    cudnn = gpu_torch.backends.cudnn
    with on_gpu(gpu_torch, "torch", deploy="fp16", batch=8) as executor:
        assert executor.description == "PyTorch 9.9+cu130 on cuda:1, fp16, channels last"
        moved = {"dtype": "float16", "memory_format": "channels_last"}
        assert gpu_torch.log == [("to", "cuda:1", moved)] * 2
        del gpu_torch.log[:]
        executor.execute()
        assert gpu_torch.log == [("run", (8, 3, 8, 6)), "wait for cuda:1"]
        assert (cudnn.benchmark, cudnn.allow_tf32, gpu_torch.threads) == (True, False, 1)
    assert (cudnn.benchmark, cudnn.allow_tf32, gpu_torch.threads) == (False, True, 4)
    with on_gpu(gpu_torch, "torch-compiled") as executor:
        assert executor.description == "PyTorch 9.9+cu130 on cuda:1, fp32, compiled"


def test_a_graph_is_captured_once_and_replayed(gpu_torch):
    """Warmed up on another stream first, as PyTorch's notes on CUDA graphs have it."""
    with on_gpu(gpu_torch, "torch-graph") as executor:
        assert executor.description.endswith("fp32, CUDA graph")
        runs = [("run", (1, 3, 8, 6))]
        captured = ["side {", *runs * 3, "}", "own waits for side", "capture {", *runs, "}", "}"]
        assert gpu_torch.log[2:] == ["on cuda:1 {", "side waits for own", *captured]
        del gpu_torch.log[:]
        executor.execute()
        executor.execute()
        assert gpu_torch.log == ["replay", "wait for cuda:1"] * 2


def test_gpus_that_torch_does_not_see(gpu_torch):
    gpu_torch.cuda.device_count = lambda: 1
    with pytest.raises(BackendUnavailableError, match="no GPU cuda:1 for PyTorch, which sees 1"):
        on_gpu(gpu_torch, "torch")


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
        load_executor("torch-compiled", network, ONE)
