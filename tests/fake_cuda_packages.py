"""The two packages that speak to CUDA, on the fake driver: as they name, take and return things.

cuda-python: a tuple whose first entry is the error code, addresses and handles are objects that
`int` takes. pycuda: exceptions, and objects that own what they stand for.
"""

from __future__ import annotations

import numpy as np

from fake_cuda import CUdevice_attribute, CUresult, FakeCudaError, FakeDriver, make_module


class _Number:
    """A `CUstream`, `CUdeviceptr` or `CUcontext`: no int, but convertible into one."""

    def __init__(self, value):
        self._value = int(value)

    def __int__(self):
        return self._value

    __index__ = __int__


def cuda_python_modules(driver: FakeDriver) -> dict:
    """`cuda.bindings.driver`, as of cuda-python 12.6 to 13."""

    def returns(name, function, kind=lambda value: value):
        def call(*arguments):
            try:
                driver.check(name)
                value = function(*arguments)
            except FakeCudaError as error:
                return (error.code, None)
            if value is None:
                return (CUresult.CUDA_SUCCESS,)
            if isinstance(value, tuple):
                return (CUresult.CUDA_SUCCESS, *value)
            return (CUresult.CUDA_SUCCESS, kind(value))

        return call

    def attribute(name, device):
        major = CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
        return driver.gpu(int(device)).compute_capability[0 if name is major else 1]

    def get_device(index):
        driver.gpu(index)
        return index

    calls = {
        "cuInit": returns("cuInit", lambda flags: None),
        "cuDeviceGetCount": returns("cuDeviceGetCount", lambda: len(driver.gpus)),
        "cuDeviceGet": returns("cuDeviceGet", get_device, _Number),
        "cuDeviceGetName": returns(
            "cuDeviceGetName",
            # As the real one: the driver ends the name with a NUL and leaves the rest of 64 bytes
            # as it is; the binding's buffer was blank.
            lambda length, device: (driver.gpu(int(device)).name.encode() + b"\0").ljust(64, b" "),
        ),
        "cuDeviceGetAttribute": returns("cuDeviceGetAttribute", attribute),
        "cuDevicePrimaryCtxRetain": returns(
            "cuDevicePrimaryCtxRetain",
            lambda device: (driver.retained.append(int(device)), _Number(device))[1:],
        ),
        "cuDevicePrimaryCtxRelease": returns(
            "cuDevicePrimaryCtxRelease", lambda device: driver.retained.remove(int(device))
        ),
        "cuCtxPushCurrent": returns("cuCtxPushCurrent", lambda ctx: driver.stack.append(int(ctx))),
        "cuCtxPopCurrent": returns(
            "cuCtxPopCurrent", lambda: (_Number(driver.stack[-1]), driver.pop())[:1]
        ),
        "cuMemGetInfo": returns("cuMemGetInfo", driver.free_and_total),
        "cuStreamCreate": returns("cuStreamCreate", driver.create_stream, _Number),
        "cuStreamSynchronize": returns(
            "cuStreamSynchronize", lambda stream: driver.synchronize(int(stream))
        ),
        "cuStreamDestroy": returns(
            "cuStreamDestroy", lambda stream: driver.destroy_stream(int(stream))
        ),
        "cuMemAlloc": returns("cuMemAlloc", driver.allocate, _Number),
        "cuMemFree": returns("cuMemFree", lambda address: driver.free(int(address))),
        "cuMemHostAlloc": returns("cuMemHostAlloc", lambda size, flags: driver.pin(size)),
        "cuMemFreeHost": returns("cuMemFreeHost", driver.unpin),
        "cuMemcpyHtoDAsync": returns(
            "cuMemcpyHtoDAsync",
            lambda to, source, size, stream: driver.upload(int(to), source, size, int(stream)),
        ),
        "cuMemcpyDtoHAsync": returns(
            "cuMemcpyDtoHAsync",
            lambda to, source, size, stream: driver.download(to, int(source), size, int(stream)),
        ),
    }
    return {
        "cuda": make_module("cuda"),
        "cuda.bindings": make_module("cuda.bindings", __version__="12.9.99"),
        "cuda.bindings.driver": make_module(
            "cuda.bindings.driver",
            CUresult=CUresult,
            CUdevice_attribute=CUdevice_attribute,
            **calls,
        ),
    }


class Error(Exception):
    pass


class PyCudaMemoryError(Error):
    pass


class LogicError(Error):
    pass


def _raising(driver: FakeDriver, name: str, function):
    def call(*arguments):
        try:
            driver.check(name)
            return function(*arguments)
        except FakeCudaError as error:
            memory = error.code == CUresult.CUDA_ERROR_OUT_OF_MEMORY
            words = "out of memory" if memory else "invalid something"
            raise (PyCudaMemoryError if memory else LogicError)(f"{name} failed: {words}") from None

    return call


def pycuda_modules(driver: FakeDriver) -> dict:
    """`pycuda.driver`, as of pycuda 2024 to 2026."""
    return {
        "pycuda": make_module("pycuda", VERSION_TEXT="2026.1"),
        "pycuda.driver": make_module(
            "pycuda.driver",
            **_pycuda_devices(driver),
            **_pycuda_streams(driver),
            **_pycuda_memory(driver),
            Error=Error,
            LogicError=LogicError,
            MemoryError=PyCudaMemoryError,
            init=_raising(driver, "cuInit", lambda flags=0: None),
        ),
    }


def _pycuda_devices(driver: FakeDriver) -> dict:
    class Context:
        def __init__(self, index):
            self._index = index
            driver.retained.append(index)

        def detach(self):  # at the end of the process, after the tests
            if self._index in driver.retained:
                driver.retained.remove(self._index)

        def push(self):
            _raising(driver, "cuCtxPushCurrent", driver.stack.append)(self._index)

        @staticmethod
        def pop():
            _raising(driver, "cuCtxPopCurrent", driver.pop)()

    class Device:
        def __init__(self, index):
            self._index = index
            self._gpu = _raising(driver, "cuDeviceGet", driver.gpu)(index)

        @staticmethod
        def count():
            return _raising(driver, "cuDeviceGetCount", lambda: len(driver.gpus))()

        def name(self):
            return self._gpu.name

        def compute_capability(self):
            return self._gpu.compute_capability

        def retain_primary_context(self):
            return _raising(driver, "cuDevicePrimaryCtxRetain", Context)(self._index)

    return {"Context": Context, "Device": Device}


def _pycuda_streams(driver: FakeDriver) -> dict:
    class Stream:
        def __init__(self, flags=0):
            self.handle = _raising(driver, "cuStreamCreate", driver.create_stream)(flags)

        def synchronize(self):
            _raising(driver, "cuStreamSynchronize", driver.synchronize)(self.handle)

        def __del__(self):  # the real one makes its context current for it, if it has to
            if hasattr(self, "handle"):
                driver.streams.pop(self.handle, None)

    return {"Stream": Stream}


def _pycuda_memory(driver: FakeDriver) -> dict:
    class DeviceAllocation:
        def __init__(self, size_bytes):
            self._address = _raising(driver, "cuMemAlloc", driver.allocate)(size_bytes)

        def __int__(self):
            return self._address

        def free(self):
            _raising(driver, "cuMemFree", driver.free)(self._address)

    class PagelockedHostAllocation:
        def __init__(self, size_bytes):
            self._address = _raising(driver, "cuMemHostAlloc", driver.pin)(size_bytes)
            self.__array_interface__ = {
                "shape": (size_bytes,),
                "typestr": "|u1",
                "data": (self._address, False),
                "version": 3,
            }

        def free(self):
            _raising(driver, "cuMemFreeHost", driver.unpin)(self._address)

    def pagelocked_empty(shape, dtype, order="C", mem_flags=0):
        assert dtype == np.uint8
        return np.asarray(PagelockedHostAllocation(shape))

    def memcpy_htod_async(dest, src, stream=None):
        upload = _raising(driver, "cuMemcpyHtoDAsync", driver.upload)
        upload(int(dest), src.ctypes.data, src.nbytes, stream.handle)

    def memcpy_dtoh_async(dest, src, stream=None):
        download = _raising(driver, "cuMemcpyDtoHAsync", driver.download)
        download(dest.ctypes.data, int(src), dest.nbytes, stream.handle)

    return {
        "mem_alloc": DeviceAllocation,
        "mem_get_info": _raising(driver, "cuMemGetInfo", driver.free_and_total),
        "pagelocked_empty": pagelocked_empty,
        "memcpy_htod_async": memcpy_htod_async,
        "memcpy_dtoh_async": memcpy_dtoh_async,
    }
