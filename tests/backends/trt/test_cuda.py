from __future__ import annotations

import sys
import threading
from contextlib import ExitStack

import numpy as np
import pytest

import fake_cuda
from dwpose_infer.backends.tensorrt.cuda import Gpu
from dwpose_infer.backends.tensorrt.cuda_bindings import installed_binding
from dwpose_infer.errors import (
    BackendUnavailableError,
    DeviceMemoryError,
    InferenceError,
    MissingDependencyError,
)
from fake_cuda import CUresult, FakeGpu

GPUS = (FakeGpu("NVIDIA L4", (8, 9), 1 << 20), FakeGpu("NVIDIA H200", (9, 0), 1 << 21))


@pytest.fixture(params=["cuda-python", "pycuda"])
def driver(request, monkeypatch):
    return fake_cuda.install(monkeypatch, binding=request.param, gpus=GPUS)


def is_clean(driver) -> bool:
    """Whether all was freed; pycuda holds a primary context until the process ends."""
    driver.retained = driver.retained if installed_binding() == "cuda-python" else []
    return driver.is_clean()


def test_gpus_are_told_apart(driver):
    with Gpu(0) as first, Gpu(1) as second:
        assert (first.name, first.compute_capability) == ("NVIDIA L4", (8, 9))
        assert (second.name, second.compute_capability) == ("NVIDIA H200", (9, 0))
        assert first.binding_name in ("cuda-python 12.9.99", "pycuda 2026.1")
        with first.active():
            assert first.free_and_total_bytes() == (1 << 20, 1 << 20)
            with second.active():
                assert second.free_and_total_bytes() == (1 << 21, 1 << 21)
            assert first.free_and_total_bytes()[1] == 1 << 20
    assert is_clean(driver)


def test_copies_there_and_back_run_only_when_waited_for(driver, rng):
    samples = rng.standard_normal((3, 3, 5)).astype(np.float32)
    with Gpu(1) as gpu, gpu.active(), gpu.create_stream() as stream, ExitStack() as held:
        buffer = held.enter_context(gpu.allocate((4, 3, 5), np.dtype(np.float32)))
        buffer.host[:3] = samples
        buffer.queue_upload(3, stream)
        stream.synchronize()
        buffer.host[:] = 0
        buffer.queue_download(3, stream)
        assert not buffer.host.any()
        stream.synchronize()
        np.testing.assert_array_equal(buffer.host[:3], samples)
        assert not buffer.host[3:].any()
        assert buffer.address >= fake_cuda.DEVICE_ADDRESSES
    assert is_clean(driver)


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.float16, np.int64])
def test_every_type_keeps_its_bytes(driver, dtype):
    samples = (np.arange(14).reshape(2, 7) % 2).astype(dtype)
    with Gpu() as gpu, gpu.active(), gpu.create_stream() as stream, ExitStack() as held:
        buffer = held.enter_context(gpu.allocate((2, 7), np.dtype(dtype)))
        buffer.host[:] = samples
        buffer.queue_upload(2, stream)
        stream.synchronize()
        buffer.host[:] = 0
        buffer.queue_download(2, stream)
        stream.synchronize()
        assert buffer.host.dtype == dtype
        np.testing.assert_array_equal(buffer.host, samples)


def test_memory_that_does_not_suffice_is_named_and_nothing_stays(driver):
    with Gpu(0) as gpu, gpu.active():
        with pytest.raises(DeviceMemoryError, match="CUDA_ERROR_OUT_OF_MEMORY"):
            gpu.allocate((1 << 21,), np.dtype(np.uint8))
        driver.failing["cuMemHostAlloc"] = CUresult.CUDA_ERROR_OUT_OF_MEMORY
        with pytest.raises(DeviceMemoryError):
            gpu.allocate((16,), np.dtype(np.uint8))
        assert gpu.free_and_total_bytes() == (1 << 20, 1 << 20)
    assert is_clean(driver)


def test_closing_twice_frees_once(driver):
    gpu = Gpu()
    with gpu.active():
        stream, buffer = gpu.create_stream(), gpu.allocate((8,), np.dtype(np.int32))
        for held in (buffer, stream, buffer, stream):
            held.close()
    gpu.close()
    gpu.close()
    assert is_clean(driver)
    with pytest.raises(InferenceError, match="closed"), gpu.active():
        pass


@pytest.mark.parametrize(
    ("gpus", "index", "message"),
    [
        ((), 0, "finds no GPU"),
        (GPUS[:1], 1, "there is no GPU 1: only 'cuda:0' is here"),
        (GPUS, 2, "there is no GPU 2: 'cuda:0' to 'cuda:1' are here"),
    ],
)
def test_wrong_number_says_which_gpus_there_are(monkeypatch, gpus, index, message):
    driver = fake_cuda.install(monkeypatch, gpus=gpus)
    with pytest.raises(BackendUnavailableError, match=message) as caught:
        Gpu(index)
    assert "CUDA_VISIBLE_DEVICES" in str(caught.value)
    assert driver.is_clean()


def test_driver_that_does_not_start(driver):
    driver.failing["cuInit"] = CUresult.CUDA_ERROR_NO_DEVICE
    with pytest.raises(BackendUnavailableError, match="nvidia-smi") as caught:
        Gpu()
    assert isinstance(caught.value.__cause__, InferenceError)


def test_driver_library_that_is_missing(monkeypatch):
    """cuda-python says so with a RuntimeError, at the first call."""
    fake_cuda.install(monkeypatch)

    def missing(flags):
        raise RuntimeError("Failed to dlopen libcuda.so.1")

    monkeypatch.setattr(sys.modules["cuda.bindings.driver"], "cuInit", missing)
    with pytest.raises(BackendUnavailableError, match=r"libcuda\.so\.1.*NVIDIA driver"):
        Gpu()


def test_failure_names_function_and_error(driver):
    with Gpu() as gpu, gpu.active(), gpu.create_stream() as stream:
        driver.failing["cuStreamSynchronize"] = CUresult.CUDA_ERROR_ILLEGAL_ADDRESS
        with pytest.raises(InferenceError, match="cuStreamSynchronize failed") as caught:
            stream.synchronize()
        if installed_binding() == "cuda-python":  # pycuda has no names, only words
            assert "CUDA_ERROR_ILLEGAL_ADDRESS" in str(caught.value)


def test_pycuda_is_taken_where_both_are_installed(monkeypatch):
    driver = fake_cuda.install(monkeypatch)
    from fake_cuda_packages import pycuda_modules

    for name, module in pycuda_modules(driver).items():
        monkeypatch.setitem(sys.modules, name, module)
    with Gpu() as gpu:
        assert gpu.binding_name == "pycuda 2026.1"


def test_neither_package(monkeypatch):
    fake_cuda.install(monkeypatch, binding=None)
    assert installed_binding() is None
    with pytest.raises(MissingDependencyError, match="neither cuda-python nor pycuda") as caught:
        Gpu()
    assert "pip install" in str(caught.value)
    assert caught.value.exit_code == 3


def test_package_that_cannot_be_loaded(monkeypatch):
    fake_cuda.install(monkeypatch, binding="pycuda")
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    with pytest.raises(MissingDependencyError, match="pycuda is installed but cannot be loaded"):
        Gpu()


def test_a_gpu_can_be_used_from_another_thread(driver):
    seen = []

    def work(gpu):
        with gpu.active():
            seen.append(gpu.free_and_total_bytes()[1])

    with Gpu(1) as gpu:
        thread = threading.Thread(target=work, args=(gpu,))
        thread.start()
        thread.join()
        with pytest.raises(InferenceError):  # this thread has made nothing active
            gpu.free_and_total_bytes()
    assert seen == [1 << 21]
