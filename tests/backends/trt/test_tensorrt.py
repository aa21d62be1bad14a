from __future__ import annotations

import gc
import sys
import threading

import numpy as np
import onnx
import pytest

import fake_cuda
from dwpose_infer.backends import load_backend
from dwpose_infer.backends.device import Device
from dwpose_infer.backends.tensorrt.backend import TensorRtBackend
from dwpose_infer.errors import (
    BackendUnavailableError,
    DeviceMemoryError,
    InferenceError,
    InvalidArgumentError,
    ModelFormatError,
)
from fake_cuda import CUresult, FakeGpu
from fake_tensorrt import make_tensorrt
from fake_tensorrt_builder import FakeMachine, pack_plan

GPUS = (FakeGpu(), FakeGpu("NVIDIA H200", (9, 0)))
CUDA = Device("cuda")


@pytest.fixture(params=["cuda-python", "pycuda"])
def driver(request, monkeypatch):
    return install(monkeypatch, request.param)


@pytest.fixture
def quick(monkeypatch):
    """The same with one of the two packages only."""
    return install(monkeypatch, "cuda-python")


def install(monkeypatch, binding):
    driver = fake_cuda.install(monkeypatch, binding=binding, gpus=GPUS)
    monkeypatch.setitem(sys.modules, "tensorrt", make_tensorrt(FakeMachine()))
    return driver


@pytest.fixture
def plan(save_graph, tmp_path):
    """Saves an engine of a graph: y = x * w + x, z = the sum of each row of x and its count."""

    def save(least=1, most=4, name="two.engine", **header):
        path = save_graph(
            [
                onnx.helper.make_node("Cast", ["x"], ["f"], to=onnx.TensorProto.FLOAT),
                onnx.helper.make_node("Mul", ["f", "w"], ["m"]),
                onnx.helper.make_node("Add", ["m", "f"], ["y"]),
                onnx.helper.make_node("ReduceSum", ["f", "one"], ["z"], keepdims=0),
            ],
            {"x": (np.uint8, ["N", 3]), "w": (np.float32, ["N", 3])},
            {"y": (np.float32, ["N", 3]), "z": (np.float32, ["N"])},
            {"one": np.array([1])},
        )
        engine = tmp_path / name
        profile = {name: [[least, 3], [least, 3], [most, 3]] for name in ("x", "w")}
        facts = {
            "tensorrt": "10.16.1.11",
            "gpu": "NVIDIA L4",
            "compute_capability": "8.9",
            "profile": profile,
        }
        engine.write_bytes(pack_plan(facts | header, path.read_bytes()))
        return engine

    return save


@pytest.fixture
def load(plan):
    opened = []

    def load(**arguments):
        opened.append(TensorRtBackend(plan(**arguments), device=CUDA))
        return opened[-1]

    yield load
    for backend in opened:
        backend.close()


def batch_of(count, rng):
    return {
        "w": rng.standard_normal((count, 3)).astype(np.float32),
        "x": rng.integers(0, 256, (count, 3), dtype=np.uint8),
    }


def expected(inputs):
    x = inputs["x"].astype(np.float32)
    return {"y": x * inputs["w"] + x, "z": x.sum(axis=1)}


def assert_right(outputs, inputs):
    assert set(outputs) == {"y", "z"}
    for name, array in expected(inputs).items():
        assert outputs[name].dtype == np.float32
        np.testing.assert_array_equal(outputs[name], array)


def is_clean(driver) -> bool:
    driver.retained = driver.retained if "pycuda" not in str(sys.modules["pycuda"]) else []
    return driver.is_clean()


def test_tensors_are_bound_by_name(driver, load, rng):
    backend = load()
    assert {str(spec) for spec in backend.inputs} == {"x uint8[?, 3]", "w float32[?, 3]"}
    assert {str(spec) for spec in backend.outputs} == {"y float32[?, 3]", "z float32[?]"}
    for count in (1, 4, 2, 2, 1):
        inputs = batch_of(count, rng)
        assert_right(backend.run(inputs), inputs)
        assert_right(backend.run(dict(reversed(inputs.items()))), inputs)
    backend.close()
    assert is_clean(driver)


@pytest.mark.parametrize("count", [5, 8, 11])
def test_larger_batches_are_split(driver, load, rng, count):
    backend = load()
    inputs = batch_of(count, rng)
    assert_right(backend.run(inputs), inputs)
    assert driver.calls.count("cuStreamSynchronize") == -(-count // 4)


@pytest.mark.parametrize("least", [2, 3])
def test_an_engine_that_takes_no_single_sample_gets_full_batches(quick, load, rng, least):
    backend = load(least=least, most=3)
    assert backend.inputs[0].shape[0] == 3
    for count in (1, 3, 7):
        inputs = batch_of(count, rng)
        assert_right(backend.run(inputs), inputs)


def test_outputs_do_not_change_with_the_next_call(quick, load, rng):
    backend = load()
    first, second = batch_of(2, rng), batch_of(2, rng)
    outputs = backend.run(first)
    backend.run(second)
    assert_right(outputs, first)


def test_arrays_need_not_be_contiguous(quick, load, rng):
    wide = batch_of(8, rng)
    inputs = {name: array[::2] for name, array in wide.items()}
    assert_right(load().run(inputs), inputs)


def test_the_parts_of_a_run(driver, load, rng):
    backend = load()
    for part in (backend.execute, backend.download):
        with pytest.raises(InferenceError, match="nothing was uploaded"):
            part()
    inputs = batch_of(3, rng)
    backend.upload(inputs)
    backend.execute()
    backend.execute()
    assert_right(backend.download(), inputs)
    with pytest.raises(InvalidArgumentError, match=r"a batch of 5 .* for 1 to 4"):
        backend.upload(batch_of(5, rng))
    with pytest.raises(InvalidArgumentError, match="the graph's inputs"):
        backend.upload({"x": inputs["x"]})


def test_the_parts_of_a_fixed_batch(quick, load, rng):
    backend = load(least=3, most=3)
    with pytest.raises(InvalidArgumentError, match=r"a batch of 2 .* for 3"):
        backend.upload(batch_of(2, rng))


def test_wrong_inputs_are_refused(quick, load):
    with pytest.raises(InvalidArgumentError, match="float64"):
        load().run({"x": np.zeros((1, 3)), "w": np.zeros((1, 3), np.float32)})


def test_tells_what_it_loaded(driver, load):
    description = load().description
    assert description.startswith("TensorRT 10.16.1.11, batches up to 4, NVIDIA L4 (cuda:0), ")
    assert description.endswith(("cuda-python 12.9.99", "pycuda 2026.1"))


def test_use_after_close(driver, load, rng):
    backend = load()
    backend.close()
    backend.close()
    for use in (lambda: backend.run(batch_of(1, rng)), backend.execute, backend.warmup):
        with pytest.raises(InferenceError, match="closed"):
            use()
    assert is_clean(driver)


def test_memory_is_freed_where_nobody_closes(quick, plan):
    backend = TensorRtBackend(plan(), device=CUDA)
    backend.warmup()
    assert not quick.is_clean()
    del backend
    gc.collect()
    assert quick.is_clean()


def test_closing_waits_for_a_run_under_way(quick, load, rng):
    backend = load()
    running, go_on, closed = threading.Event(), threading.Event(), threading.Event()
    inputs, outputs = batch_of(6, rng), {}

    def hold():
        running.set()
        assert go_on.wait(10)

    quick.before_execution = hold
    runner = threading.Thread(target=lambda: outputs.update(backend.run(inputs)))
    closer = threading.Thread(target=lambda: (backend.close(), closed.set()))
    runner.start()
    assert running.wait(10)
    closer.start()
    assert not closed.wait(0.2)
    go_on.set()
    runner.join(10)
    closer.join(10)
    assert_right(outputs, inputs)
    assert closed.is_set()
    assert not quick.memory
    assert not quick.pinned


def test_several_threads_at_once(driver, load):
    backend = load()
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(20):
            inputs = batch_of(int(rng.integers(1, 9)), rng)
            outputs = backend.run(inputs)
            if not all((outputs[name] == array).all() for name, array in expected(inputs).items()):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("context_bytes", [0, 2 << 30])
def test_too_little_memory_is_reported_with_the_remedy(monkeypatch, plan, context_bytes):
    """For its inputs and outputs (which take 4 times 28 bytes), or for the steps of the engine."""
    driver = install(monkeypatch, "cuda-python")
    driver.context_bytes = context_bytes
    if not context_bytes:
        driver.gpus = (FakeGpu(memory_bytes=64), FakeGpu())
    with pytest.raises(DeviceMemoryError, match=r"NVIDIA L4 .* has too little memory") as caught:
        TensorRtBackend(plan(), device=CUDA)
    message = str(caught.value)
    for words in ("MiB are free", "--max-batch", "--device cuda:1", "nvidia-smi"):
        assert words in message
    assert driver.is_clean()


def test_too_little_memory_while_running(quick, load, rng):
    backend = load()
    quick.execution_error = "Error Code 2: OutOfMemory (Requested size was 1234 bytes.)"
    with pytest.raises(DeviceMemoryError, match="Remedy: smaller batches"):
        backend.run(batch_of(1, rng))


def test_failure_while_running_tells_the_reason_and_is_got_over(quick, load, rng):
    backend = load()
    quick.execution_error = "Error Code 1: Cask (Cask convolution execution)"
    with pytest.raises(InferenceError, match="Cask convolution execution"):
        backend.run(batch_of(2, rng))
    assert not any(quick.streams.values())  # nothing still reads the buffers
    quick.execution_error = None
    inputs = batch_of(2, rng)
    assert_right(backend.run(inputs), inputs)


def test_a_gpu_that_frees_nothing_any_more_does_not_hide_the_error(quick, load, rng, caplog):
    backend = load()
    quick.failing["cuStreamSynchronize"] = CUresult.CUDA_ERROR_ILLEGAL_ADDRESS
    quick.failing["cuMemFree"] = CUresult.CUDA_ERROR_ILLEGAL_ADDRESS
    with pytest.raises(InferenceError, match="CUDA_ERROR_ILLEGAL_ADDRESS"), backend:
        backend.run(batch_of(1, rng))
    assert "cannot be freed" in caplog.text
    quick.streams.clear()


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"tensorrt": "10.9.0.34"}, "expecting library version 10.16.1.11 got 10.9.0.34"),
        ({"compute_capability": "7.5"}, "incompatible device"),
    ],
)
def test_an_engine_from_elsewhere(quick, plan, header, reason):
    with pytest.raises(ModelFormatError, match=reason) as caught:
        TensorRtBackend(plan(**header), device=CUDA)
    assert "dwpose-export --to engine" in str(caught.value)
    assert quick.is_clean()


def test_files_that_are_no_engines(quick, tmp_path):
    path = tmp_path / "no.engine"
    path.write_bytes(b"this is no engine")
    with pytest.raises(ModelFormatError, match=r"is no engine for TensorRT 10\.16\.1\.11"):
        TensorRtBackend(path, device=CUDA)
    with pytest.raises(ModelFormatError, match="cannot be read"):
        TensorRtBackend(tmp_path / "missing.engine", device=CUDA)
    assert quick.is_clean()


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({"x": [[1, 3], [1, 3], [4, 5]]}, "only the batch size may vary"),
        ({"w": [[1, 3], [1, 3], [2, 3]]}, "batch sizes differ"),
    ],
)
def test_engines_whose_profile_does_not_fit(quick, plan, profile, message):
    same = {name: [[1, 3], [1, 3], [4, 3]] for name in ("x", "w")}
    with pytest.raises(ModelFormatError, match=message):
        TensorRtBackend(plan(profile=same | profile), device=CUDA)
    assert quick.is_clean()


def test_outputs_of_unknown_size_are_refused(quick, save_graph, tmp_path):
    path = save_graph(
        [
            onnx.helper.make_node("NonZero", ["x"], ["places"]),
            onnx.helper.make_node("Transpose", ["places"], ["y"], perm=[1, 0]),
        ],
        {"x": (np.float32, ["N", 3])},
        {"y": (np.int64, ["M", 2])},
    )
    header = {
        "tensorrt": "10.16.1.11",
        "compute_capability": "8.9",
        "profile": {"x": [[1, 3], [1, 3], [4, 3]]},
    }
    engine = tmp_path / "found.engine"
    engine.write_bytes(pack_plan(header, path.read_bytes()))
    with pytest.raises(ModelFormatError, match="depend on the picture"):
        TensorRtBackend(engine, device=CUDA)


def test_wrong_device(quick, plan):
    with pytest.raises(InvalidArgumentError, match="does not run on device 'cpu'"):
        load_backend("trt", plan(), device="cpu")
    with pytest.raises(BackendUnavailableError, match="there is no GPU 7"):
        TensorRtBackend(plan(), device=Device("cuda", 7))


def test_the_second_gpu(quick, plan, rng):
    with load_backend("trt", plan(), device="cuda:1") as backend:
        assert "NVIDIA H200 (cuda:1)" in backend.description
        inputs = batch_of(6, rng)
        assert_right(backend.run(inputs), inputs)
        assert set(quick.memory_gpu.values()) == {1}
    assert quick.is_clean()
