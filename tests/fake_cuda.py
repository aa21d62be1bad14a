"""A fake CUDA driver behind fake `cuda.bindings.driver` and `pycuda.driver`, without a GPU.

It is strict where the real one is forgiving or crashes: work in a stream is done only when the
stream is synchronised, memory of the GPU has addresses that no host pointer has, and every call
but those about devices wants the right context to be current in the calling thread.
"""

from __future__ import annotations

import ctypes
import enum
import itertools
import sys
import threading
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec

import numpy as np

from dwpose_infer.backends.tensorrt import system as environment_gpu

DEVICE_ADDRESSES = 0x7F00_0000_0000


class CUresult(enum.IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_INVALID_VALUE = 1
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_NO_DEVICE = 100
    CUDA_ERROR_INVALID_DEVICE = 101
    CUDA_ERROR_INVALID_CONTEXT = 201
    CUDA_ERROR_INVALID_HANDLE = 400
    CUDA_ERROR_ILLEGAL_ADDRESS = 700


class CUdevice_attribute(enum.IntEnum):
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76


class FakeCudaError(Exception):
    def __init__(self, code: CUresult):
        super().__init__(code.name)
        self.code = code


@dataclass(frozen=True)
class FakeGpu:
    name: str = "NVIDIA L4"
    compute_capability: tuple[int, int] = (8, 9)
    memory_bytes: int = 1 << 30


@dataclass
class FakeDriver:
    """The driver of a machine. `failing` makes calls fail: name of the function -> error."""

    gpus: tuple[FakeGpu, ...] = (FakeGpu(),)
    failing: dict[str, CUresult] = field(default_factory=dict)
    context_bytes: int = 0  # what TensorRT wants for the steps of an engine
    execution_error: str | None = None  # what TensorRT logs when it cannot run an engine
    before_execution: Callable[[], None] | None = None
    memory: dict[int, np.ndarray] = field(default_factory=dict)
    memory_gpu: dict[int, int] = field(default_factory=dict)
    pinned: dict[int, ctypes.Array] = field(default_factory=dict)
    streams: dict[int, list[Callable[[], None]]] = field(default_factory=dict)
    retained: list[int] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def __post_init__(self):
        self._stacks = threading.local()
        self._numbers = itertools.count(1)

    def check(self, function: str) -> None:
        self.calls.append(function)
        if function in self.failing:
            raise FakeCudaError(self.failing[function])

    def is_clean(self) -> bool:
        """Whether everything was freed, and no context is left in this thread."""
        held = (self.memory, self.pinned, self.streams, self.retained, self.stack)
        return not any(held)

    # devices and contexts

    def gpu(self, index: int) -> FakeGpu:
        if not 0 <= index < len(self.gpus):
            raise FakeCudaError(CUresult.CUDA_ERROR_INVALID_DEVICE)
        return self.gpus[index]

    @property
    def stack(self) -> list[int]:
        if not hasattr(self._stacks, "value"):
            self._stacks.value = []
        return self._stacks.value

    def current(self) -> int:
        if not self.stack or self.stack[-1] not in self.retained:
            raise FakeCudaError(CUresult.CUDA_ERROR_INVALID_CONTEXT)
        return self.stack[-1]

    def pop(self) -> None:
        if not self.stack:
            raise FakeCudaError(CUresult.CUDA_ERROR_INVALID_CONTEXT)
        self.stack.pop()

    # memory

    def free_and_total(self) -> tuple[int, int]:
        index = self.current()
        used = sum(
            len(block)
            for address, block in self.memory.items()
            if self.memory_gpu[address] == index
        )
        total = self.gpus[index].memory_bytes
        return total - used, total

    def allocate(self, size_bytes: int) -> int:
        if size_bytes <= 0:
            raise FakeCudaError(CUresult.CUDA_ERROR_INVALID_VALUE)
        if size_bytes > self.free_and_total()[0]:
            raise FakeCudaError(CUresult.CUDA_ERROR_OUT_OF_MEMORY)
        address = DEVICE_ADDRESSES + next(self._numbers) * (1 << 32)
        # Never zero: what was not written must not look like an output.
        self.memory[address] = np.full(size_bytes, 0xAB, np.uint8)
        self.memory_gpu[address] = self.current()
        return address

    def block(self, address: int, size_bytes: int) -> np.ndarray:
        """Memory of the GPU, for copies and for kernels."""
        here = self.memory.get(address)
        if here is None or size_bytes > len(here) or self.memory_gpu[address] != self.current():
            raise FakeCudaError(CUresult.CUDA_ERROR_ILLEGAL_ADDRESS)
        return here[:size_bytes]

    def free(self, address: int) -> None:
        if self.memory_gpu.get(address) != self.current():
            raise FakeCudaError(CUresult.CUDA_ERROR_INVALID_VALUE)
        del self.memory[address], self.memory_gpu[address]

    def pin(self, size_bytes: int) -> int:
        self.current()
        block = (ctypes.c_uint8 * size_bytes)()
        address = ctypes.addressof(block)
        self.pinned[address] = block
        return address

    def unpin(self, address: int) -> None:
        self.current()
        if address not in self.pinned:
            raise FakeCudaError(CUresult.CUDA_ERROR_INVALID_VALUE)
        del self.pinned[address]

    def pinned_block(self, address: int, size_bytes: int) -> np.ndarray:
        for start, block in self.pinned.items():
            if start <= address and address + size_bytes <= start + len(block):
                return np.frombuffer(block, np.uint8)[address - start :][:size_bytes]
        raise AssertionError("an asynchronous copy from or to memory that is not page-locked")

    # streams

    def create_stream(self, flags: int) -> int:
        assert flags == 1, "a stream that waits for the default stream"
        self.current()
        handle = 0x5000 + next(self._numbers)
        self.streams[handle] = []
        return handle

    def queue(self, handle: int, work: Callable[[], None]) -> None:
        self.current()
        if handle not in self.streams:
            raise FakeCudaError(CUresult.CUDA_ERROR_INVALID_HANDLE)
        self.streams[handle].append(work)

    def synchronize(self, handle: int) -> None:
        self.current()
        works, self.streams[handle] = self.streams[handle], []
        for work in works:
            work()

    def destroy_stream(self, handle: int) -> None:
        self.current()
        left = self.streams.pop(handle)
        assert not left or self.failing, "a stream was destroyed before its work was done"

    def upload(self, address: int, host: int, size_bytes: int, stream: int) -> None:
        def copy():
            self.block(address, size_bytes)[:] = self.pinned_block(host, size_bytes)

        self.block(address, size_bytes), self.pinned_block(host, size_bytes)
        self.queue(stream, copy)

    def download(self, host: int, address: int, size_bytes: int, stream: int) -> None:
        def copy():
            self.pinned_block(host, size_bytes)[:] = self.block(address, size_bytes)

        self.block(address, size_bytes), self.pinned_block(host, size_bytes)
        self.queue(stream, copy)


_INSTALLED: list[FakeDriver] = [FakeDriver()]


def installed_driver() -> FakeDriver:
    """The driver of the latest `install`."""
    return _INSTALLED[-1]


def install(monkeypatch, *, binding="cuda-python", gpus=(FakeGpu(),)) -> FakeDriver:
    """Puts a driver and one of the two packages into this process, until the test is over."""
    from fake_cuda_packages import cuda_python_modules, pycuda_modules

    driver = FakeDriver(tuple(gpus))
    monkeypatch.setattr(sys.modules[__name__], "_INSTALLED", [driver])
    fakes = {"cuda-python": cuda_python_modules, "pycuda": pycuda_modules}
    for name in ("cuda", "cuda.bindings", "cuda.bindings.driver", "pycuda", "pycuda.driver"):
        monkeypatch.setitem(sys.modules, name, None)
    for name, module in fakes[binding](driver).items() if binding else ():
        monkeypatch.setitem(sys.modules, name, module)
    lines = tuple(f"cuda:{index} {gpu.name}" for index, gpu in enumerate(gpus))
    monkeypatch.setattr(
        environment_gpu, "find_driver", lambda: environment_gpu.Driver((13, 0), lines)
    )
    return driver


def make_module(name: str, **members: object) -> types.ModuleType:
    """A module that `find_spec` finds."""
    module = types.ModuleType(name)
    module.__spec__ = ModuleSpec(name, None, is_package=True)
    module.__path__ = []
    module.__dict__.update(members)
    return module
