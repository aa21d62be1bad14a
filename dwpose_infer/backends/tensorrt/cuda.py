"""CUDA: one GPU's context, stream, memory and copies, freed when they are closed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np

from ...arrays import Array, UInt8Array
from ...closing import ClosesOnExit
from ...errors import BackendUnavailableError, InferenceError
from .cuda_bindings import Bytes, CudaBinding, open_binding


class Gpu(ClosesOnExit):
    """A GPU, with its primary context held.

    What is allocated has to be freed before the GPU is closed. None of it is safe for several
    threads at once.

    Attributes:
        index: Number of the GPU, as CUDA counts them.
        name: Name of the GPU, such as "NVIDIA L4".
        compute_capability: Its compute capability (major, minor), such as (8, 9).
        binding_name: Package that speaks to the driver, such as "cuda-python 12.9.10".
    """

    def __init__(self, index: int = 0, *, binding: CudaBinding | None = None) -> None:
        """Opens a GPU.

        Args:
            index: Number of the GPU, as CUDA counts them.
            binding: How to speak to the driver; None takes pycuda where it is installed, else
                cuda-python.

        Raises:
            MissingDependencyError: Neither pycuda nor cuda-python can be loaded.
            BackendUnavailableError: There is no usable driver, or no GPU of this number.
            DeviceMemoryError: The GPU has no memory left for a context.
        """
        self._binding = binding = binding or open_binding()
        self._context: object | None = None
        count = _count(binding)
        if index >= count:
            raise BackendUnavailableError(_no_such_gpu(index, count))
        self.index = index
        self.binding_name = binding.name
        self.name, self.compute_capability = binding.describe(index)
        self._context = binding.retain_context(index)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Makes the GPU the current one of the calling thread; everything below needs that.

        Raises:
            InferenceError: The GPU is closed.
        """
        if self._context is None:
            raise InferenceError("this GPU is closed; open a new one")
        self._binding.push_context(self._context)
        try:
            yield
        finally:
            self._binding.pop_context()

    def free_and_total_bytes(self) -> tuple[int, int]:
        """Returns how much memory the GPU has left and has in all."""
        return self._binding.memory_bytes()

    def create_stream(self) -> Stream:
        """Creates a stream."""
        return Stream(self._binding)

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Buffer:
        """Allocates an array on the GPU and a page-locked one of the same size on the host.

        Raises:
            DeviceMemoryError: Too little memory is free.
        """
        return Buffer(self._binding, shape, dtype)

    def close(self) -> None:
        """Releases the GPU; may be called again."""
        context, self._context = self._context, None
        if context is not None:
            self._binding.release_context(self.index)


class Stream(ClosesOnExit):
    """Work that a GPU does in order.

    Attributes:
        handle: The stream as CUDA's other libraries take it.
    """

    def __init__(self, binding: CudaBinding) -> None:
        self._binding = binding
        self.raw: object | None = binding.create_stream()
        self.handle = binding.stream_handle(self.raw)

    def synchronize(self) -> None:
        """Waits until everything queued so far is done.

        Raises:
            InferenceError: Some of it failed.
        """
        self._binding.synchronize(self.raw)

    def close(self) -> None:
        """Frees the stream; may be called again."""
        raw, self.raw = self.raw, None
        if raw is not None:
            self._binding.destroy_stream(raw)


class Buffer(ClosesOnExit):
    """An array on the GPU and its page-locked twin on the host; copies run in the background.

    The first axis is the batch: every copy moves so many samples from the beginning.

    Attributes:
        address: Address on the GPU.
        host: The array on the host. What an upload reads, and what a download writes, may be
            touched only after the stream was synchronised.
    """

    def __init__(
        self, binding: CudaBinding, shape: tuple[int, ...], dtype: np.dtype[np.generic]
    ) -> None:
        size_bytes = max(int(np.prod(shape)) * dtype.itemsize, 1)
        self._binding = binding
        with ExitStack() as on_error:
            self._memory: object | None = binding.allocate(size_bytes)
            on_error.callback(binding.free, self._memory)
            block, self._pinned = binding.pin(size_bytes)
            on_error.pop_all()
        self.address = binding.address(self._memory)
        self.host: Array = block.view(dtype).reshape(shape)

    def _bytes(self, samples: int) -> Bytes:
        part: UInt8Array = self.host[:samples].reshape(-1).view(np.uint8)
        return part

    def queue_upload(self, samples: int, stream: Stream) -> None:
        """Queues a copy of the first samples to the GPU."""
        self._binding.queue_upload(self._memory, self._bytes(samples), stream.raw)

    def queue_download(self, samples: int, stream: Stream) -> None:
        """Queues a copy of the first samples from the GPU."""
        self._binding.queue_download(self._bytes(samples), self._memory, stream.raw)

    def close(self) -> None:
        """Frees both arrays; may be called again."""
        memory, self._memory = self._memory, None
        if memory is not None:
            self.host = np.empty(0, self.host.dtype)
            self._binding.free(memory)
            self._binding.unpin(self._pinned)


def _count(binding: CudaBinding) -> int:
    try:
        return binding.device_count()
    except InferenceError as error:
        raise BackendUnavailableError(f"CUDA's driver finds no GPU: {error}") from error


def _no_such_gpu(index: int, count: int) -> str:
    if count == 0:
        return "CUDA's driver finds no GPU (see nvidia-smi and the variable CUDA_VISIBLE_DEVICES)"
    here = "only 'cuda:0' is" if count == 1 else f"'cuda:0' to 'cuda:{count - 1}' are"
    return f"there is no GPU {index}: {here} here (see nvidia-smi and CUDA_VISIBLE_DEVICES)"
