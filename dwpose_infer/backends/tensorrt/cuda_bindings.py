"""CUDA's driver through pycuda or cuda-python: the same few calls from either.

Both hand on the driver's own functions. Only here is known how: cuda-python returns tuples whose
first entry is the error code and takes addresses as numbers; pycuda raises exceptions and wraps
memory in objects.
"""

from __future__ import annotations

import ctypes
import importlib
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, NoReturn

import numpy as np

from ...arrays import UInt8Array
from ...errors import (
    BackendUnavailableError,
    DeviceMemoryError,
    InferenceError,
    MissingDependencyError,
)

Bytes = UInt8Array

STREAM_NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING of cuda.h: a stream that does not wait for the default stream."""


class CudaBinding(ABC):
    """The driver's calls that this package needs. Contexts, streams and memory are opaque.

    Every call but those about devices needs a context that is current in the calling thread.

    Attributes:
        name: Name and version of the Python package.
    """

    name: str

    @abstractmethod
    def device_count(self) -> int:
        """Number of GPUs."""

    @abstractmethod
    def describe(self, index: int) -> tuple[str, tuple[int, int]]:
        """Name and compute capability of a GPU."""

    @abstractmethod
    def retain_context(self, index: int) -> Any:
        """The primary context of a GPU, which all libraries of the process share."""

    @abstractmethod
    def release_context(self, index: int) -> None:
        """Gives up what `retain_context` gave."""

    @abstractmethod
    def push_context(self, context: Any) -> None:
        """Makes a context current in this thread."""

    @abstractmethod
    def pop_context(self) -> None:
        """Makes the context current again that was so before."""

    @abstractmethod
    def memory_bytes(self) -> tuple[int, int]:
        """Free and total memory of the GPU."""

    @abstractmethod
    def create_stream(self) -> Any:
        """A stream that does not wait for the default stream."""

    @abstractmethod
    def stream_handle(self, stream: Any) -> int:
        """The stream as CUDA's other libraries take it."""

    @abstractmethod
    def synchronize(self, stream: Any) -> None:
        """Waits for everything queued in a stream."""

    @abstractmethod
    def destroy_stream(self, stream: Any) -> None:
        """Frees a stream."""

    @abstractmethod
    def allocate(self, size_bytes: int) -> Any:
        """Memory on the GPU."""

    @abstractmethod
    def address(self, memory: Any) -> int:
        """Address of memory on the GPU."""

    @abstractmethod
    def free(self, memory: Any) -> None:
        """Frees memory on the GPU."""

    @abstractmethod
    def pin(self, size_bytes: int) -> tuple[Bytes, Any]:
        """Page-locked memory of the host as an array, and what `unpin` takes."""

    @abstractmethod
    def unpin(self, owner: Any) -> None:
        """Frees page-locked memory; its arrays must not be used any more."""

    @abstractmethod
    def queue_upload(self, memory: Any, source: Bytes, stream: Any) -> None:
        """Queues a copy from page-locked memory to the GPU."""

    @abstractmethod
    def queue_download(self, target: Bytes, memory: Any, stream: Any) -> None:
        """Queues a copy from the GPU to page-locked memory."""


def binding_remedy() -> str:
    """Returns the sentence that tells how to get a package that speaks to CUDA's driver."""
    return (
        'Remedy: pip install "cuda-python>=12.6", of no newer CUDA than the driver\'s (see '
        "nvidia-smi); or pip install pycuda, which is used instead where it is installed and "
        "needs a C++ compiler and the CUDA toolkit to install"
    )


def installed_binding() -> str | None:
    """Returns the package that will be used: "pycuda", else "cuda-python", else None."""
    if is_installed("pycuda"):
        return "pycuda"
    return "cuda-python" if is_installed("cuda.bindings") else None


def is_installed(module: str) -> bool:
    """Tells whether a module can be found, without importing it."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package around the module is missing
        return False


def open_binding() -> CudaBinding:
    """Opens CUDA's driver through the package at hand.

    pycuda has to be compiled by whoever wants it, so it is taken where it is installed.

    Raises:
        MissingDependencyError: Neither package is installed, or the one that is cannot be loaded.
        BackendUnavailableError: There is no driver, or no GPU that it can use.
    """
    package = installed_binding()
    if package is None:
        raise MissingDependencyError(f"neither cuda-python nor pycuda is here. {binding_remedy()}")
    try:
        return _PyCuda() if package == "pycuda" else _CudaPython()
    except ImportError as error:
        raise MissingDependencyError(
            f"{package} is installed but cannot be loaded ({error}). {binding_remedy()}"
        ) from error
    except InferenceError as error:
        raise BackendUnavailableError(
            f"CUDA's driver cannot be used: {error}. Remedy: install or update the NVIDIA driver "
            "(nvidia-smi shows its state)"
        ) from error


class _CudaPython(CudaBinding):
    """cuda-python from 12.6 on: `cuda.bindings.driver`."""

    def __init__(self) -> None:
        self._driver: Any = importlib.import_module("cuda.bindings.driver")
        version = getattr(importlib.import_module("cuda.bindings"), "__version__", "")
        self.name = f"cuda-python {version}".strip()
        self._call("cuInit", 0)

    def _call(self, function: str, *arguments: Any) -> Any:
        """Calls the driver; gives its value, or a tuple of them where there are several."""
        try:
            code, *values = getattr(self._driver, function)(*arguments)
        except RuntimeError as error:  # the driver's library, or this function in it, is missing
            raise InferenceError(f"{function} failed: {error}") from error
        if code != self._driver.CUresult.CUDA_SUCCESS:
            _raise(function, self._driver.CUresult(code).name)
        return values[0] if len(values) == 1 else tuple(values)

    def device_count(self) -> int:
        return int(self._call("cuDeviceGetCount"))

    def describe(self, index: int) -> tuple[str, tuple[int, int]]:
        device = self._call("cuDeviceGet", index)
        name: bytes = self._call("cuDeviceGetName", 256, device)
        attributes = self._driver.CUdevice_attribute
        major = attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
        minor = attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR
        capability = (
            int(self._call("cuDeviceGetAttribute", major, device)),
            int(self._call("cuDeviceGetAttribute", minor, device)),
        )
        return _gpu_name(name), capability

    def retain_context(self, index: int) -> Any:
        return self._call("cuDevicePrimaryCtxRetain", self._call("cuDeviceGet", index))

    def release_context(self, index: int) -> None:
        self._call("cuDevicePrimaryCtxRelease", self._call("cuDeviceGet", index))

    def push_context(self, context: Any) -> None:
        self._call("cuCtxPushCurrent", context)

    def pop_context(self) -> None:
        self._call("cuCtxPopCurrent")

    def memory_bytes(self) -> tuple[int, int]:
        free, total = self._call("cuMemGetInfo")
        return int(free), int(total)

    def create_stream(self) -> Any:
        return self._call("cuStreamCreate", STREAM_NON_BLOCKING)

    def stream_handle(self, stream: Any) -> int:
        return int(stream)

    def synchronize(self, stream: Any) -> None:
        self._call("cuStreamSynchronize", stream)

    def destroy_stream(self, stream: Any) -> None:
        self._call("cuStreamDestroy", stream)

    def allocate(self, size_bytes: int) -> Any:
        return self._call("cuMemAlloc", size_bytes)

    def address(self, memory: Any) -> int:
        return int(memory)

    def free(self, memory: Any) -> None:
        self._call("cuMemFree", memory)

    def pin(self, size_bytes: int) -> tuple[Bytes, Any]:
        address = int(self._call("cuMemHostAlloc", size_bytes, 0))
        block = (ctypes.c_uint8 * size_bytes).from_address(address)
        return np.ctypeslib.as_array(block), address

    def unpin(self, owner: Any) -> None:
        self._call("cuMemFreeHost", owner)

    def queue_upload(self, memory: Any, source: Bytes, stream: Any) -> None:
        self._call("cuMemcpyHtoDAsync", memory, source.ctypes.data, source.nbytes, stream)

    def queue_download(self, target: Bytes, memory: Any, stream: Any) -> None:
        self._call("cuMemcpyDtoHAsync", target.ctypes.data, memory, target.nbytes, stream)


class _PyCuda(CudaBinding):
    """pycuda: `pycuda.driver`, without `pycuda.autoinit`, which takes a context at import."""

    def __init__(self) -> None:
        self._driver: Any = importlib.import_module("pycuda.driver")
        version = getattr(importlib.import_module("pycuda"), "VERSION_TEXT", "")
        self.name = f"pycuda {version}".strip()
        with self._errors():
            self._driver.init()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except self._driver.MemoryError as error:
            raise DeviceMemoryError(f"CUDA_ERROR_OUT_OF_MEMORY: {error}") from error
        except self._driver.Error as error:
            raise InferenceError(f"{type(error).__name__} of CUDA: {error}") from error

    def device_count(self) -> int:
        with self._errors():
            return int(self._driver.Device.count())

    def describe(self, index: int) -> tuple[str, tuple[int, int]]:
        with self._errors():
            device = self._driver.Device(index)
            major, minor = device.compute_capability()
            return _gpu_name(str(device.name()).encode()), (int(major), int(minor))

    def retain_context(self, index: int) -> Any:
        with self._errors():
            return _pycuda_context(self._driver, index)

    def release_context(self, index: int) -> None:
        """Does nothing: the context stays until the process ends, see `_pycuda_context`."""

    def push_context(self, context: Any) -> None:
        with self._errors():
            context.push()

    def pop_context(self) -> None:
        with self._errors():
            self._driver.Context.pop()

    def memory_bytes(self) -> tuple[int, int]:
        with self._errors():
            free, total = self._driver.mem_get_info()
        return int(free), int(total)

    def create_stream(self) -> Any:
        with self._errors():
            return self._driver.Stream(STREAM_NON_BLOCKING)

    def stream_handle(self, stream: Any) -> int:
        return int(stream.handle)

    def synchronize(self, stream: Any) -> None:
        with self._errors():
            stream.synchronize()

    def destroy_stream(self, stream: Any) -> None:
        """Does nothing: a stream of pycuda is freed with its last reference."""

    def allocate(self, size_bytes: int) -> Any:
        with self._errors():
            return self._driver.mem_alloc(size_bytes)

    def address(self, memory: Any) -> int:
        return int(memory)

    def free(self, memory: Any) -> None:
        with self._errors():
            memory.free()

    def pin(self, size_bytes: int) -> tuple[Bytes, Any]:
        with self._errors():
            array = self._driver.pagelocked_empty(size_bytes, np.uint8)
        return array, array.base

    def unpin(self, owner: Any) -> None:
        with self._errors():
            owner.free()

    def queue_upload(self, memory: Any, source: Bytes, stream: Any) -> None:
        with self._errors():
            self._driver.memcpy_htod_async(memory, source, stream)

    def queue_download(self, target: Bytes, memory: Any, stream: Any) -> None:
        with self._errors():
            self._driver.memcpy_dtoh_async(target, memory, stream)


@lru_cache(maxsize=16)
def _pycuda_context(driver: Any, index: int) -> Any:
    """The primary context of a GPU, held until the process ends.

    pycuda cannot release one cleanly before: its `detach` leaves the context current in the
    thread, and does nothing at all in a thread other than the one that retained it. Left to its
    destructor, it would complain on standard error at the end.
    """
    context = driver.Device(index).retain_primary_context()
    # Finalizers run in the reverse order of their making: those of whatever is in the context
    # come first.
    weakref.finalize(driver, context.detach)
    return context


def _raise(function: str, code: str) -> NoReturn:
    message = f"{function} failed with {code}"
    if code == "CUDA_ERROR_OUT_OF_MEMORY":
        raise DeviceMemoryError(message)
    raise InferenceError(message)


def _gpu_name(filled: bytes) -> str:
    """The name in a buffer that the driver filled; bindings fill the rest with what they like."""
    return filled.partition(b"\0")[0].decode(errors="replace").strip()
