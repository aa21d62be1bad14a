"""A TensorRT engine with its context, stream and buffers: the calls of TensorRT's runtime."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ...arrays import Array
from ...errors import DeviceMemoryError, InferenceError, ModelFormatError
from ..base import TensorSpec
from ..device import Device
from .cuda import Buffer, Gpu, Stream
from .library import MessageLog, create_logger, import_tensorrt
from .products import TENSORRT, TENSORRT_RTX, Product
from .rtx import CompiledKernels, kernels_path, require_valid

logger = logging.getLogger(__name__)

_DTYPES: dict[str, type[np.generic]] = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "UINT8": np.uint8,
    "INT8": np.int8,
    "INT32": np.int32,
    "INT64": np.int64,
    "BOOL": np.bool_,
}
"""Members of TensorRT's `DataType` that numpy has too."""

PROFILE = 0
"""Number of the optimisation profile that is used: a new context starts with this one."""

_NO_MEMORY = re.compile(r"out of memory|outofmemory|could not be allocated|alloc_failed", re.I)
"""What TensorRT's messages say where the GPU's memory does not suffice."""

MEMORY_REMEDY = (
    "Remedy: smaller batches (--max-batch, max_batch=), which make a smaller engine; an engine "
    "with less workspace (`dwpose-export --to engine --workspace-mib N`); another GPU "
    "(--device cuda:1); or end other programs on this one (see nvidia-smi)"
)


class LoadedEngine:
    """An engine with its context, stream and buffers. Not safe for several threads at once.

    Every method that begins with `queue` only queues work in the stream; like `synchronize`, it
    has to be called inside of `active`.

    Attributes:
        inputs: The engine's inputs; the batch is None where it may be anything up to `max_batch`.
        outputs: The engine's outputs.
        max_batch: Largest batch of one call.
        library: Name and version of the library, "TensorRT 10.16.1.11".
        gpu: The GPU it runs on.
    """

    def __init__(
        self,
        engine_path: Path,
        device: Device,
        *,
        product: Product = TENSORRT,
        keep_kernels: bool = False,
    ) -> None:
        """Loads an engine; see `TensorRtBackend`.

        Args:
            engine_path: Engine file.
            device: GPU to run on.
            product: The library that built it.
            keep_kernels: Keep what TensorRT for RTX compiles in a file beside the engine.
        """
        trt = import_tensorrt(product)
        self.library = f"{product.name} {trt.__version__}"
        self._kernels: CompiledKernels | None = None
        self._log = MessageLog()
        self._batch: int | None = None
        self._context: Any = None
        self._engine: Any = None
        self._runtime: Any = None
        with ExitStack() as on_error:
            self.gpu = on_error.enter_context(Gpu(device.index))
            product.require_served(self.gpu.name, self.gpu.compute_capability)
            with self.gpu.active(), ExitStack() as held:  # what is to be freed, as it is made
                held.callback(self._drop)
                self._load(trt, engine_path, product, keep_kernels=keep_kernels)
                self.inputs, self.outputs = self._read_tensors(trt, engine_path)
                self._allocate(held)
                self._held = held.pop_all()
            on_error.pop_all()

    def _load(self, trt: Any, engine_path: Path, product: Product, *, keep_kernels: bool) -> None:
        try:
            plan = engine_path.read_bytes()
        except OSError as error:
            raise ModelFormatError(f"{engine_path} cannot be read ({error})") from error
        self._logger = create_logger(trt, self._log)
        self._runtime = trt.Runtime(self._logger)
        if product is TENSORRT_RTX:
            require_valid(trt, self._runtime, plan, engine_path, self.gpu)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            self._refuse(
                f"{engine_path} is no engine for {self.library} on {self.gpu.name}",
                "Remedy: build it on this machine, with `dwpose-export --to engine`, or give the "
                "ONNX file to --backend trt, which builds it",
            )
        if product is TENSORRT_RTX:
            kept = kernels_path(engine_path, self.gpu.name) if keep_kernels else None
            self._kernels = CompiledKernels(trt, self._engine, kept)
            self._context = self._kernels.create_context(self._engine)
        else:
            self._context = self._engine.create_execution_context()
        if self._context is None:
            self._refuse(f"{engine_path} cannot be prepared to run")

    def _drop(self) -> None:
        """Frees TensorRT's objects, each before the one that it was made by."""
        self._context = None
        self._kernels = None
        self._engine = None
        self._runtime = None

    @contextmanager
    def active(self) -> Iterator[None]:
        """Makes the GPU the current one of the calling thread.

        Leaving it with an error waits for what is queued, which still uses the buffers.
        """
        with self.gpu.active():
            try:
                yield
            except BaseException:
                with suppress(InferenceError):
                    self._stream.synchronize()
                raise

    def _read_tensors(
        self, trt: Any, engine_path: Path
    ) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        engine = self._engine
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        inputs: list[TensorSpec] = []
        outputs: list[str] = []
        batches = set()
        for name in names:
            _require_plain(trt, engine, name, engine_path)
            if engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT:
                outputs.append(name)
                continue
            least, _, most = (
                tuple(shape) for shape in engine.get_tensor_profile_shape(name, PROFILE)
            )
            if not most or least[1:] != most[1:]:
                raise ModelFormatError(
                    f"{engine_path}: only the batch size may vary, but input {name} goes from "
                    f"{list(least)} to {list(most)}"
                )
            batches.add((least[0], most[0]))
            free = least[0] == 1 < most[0]
            dtype = _dtype(engine, name, engine_path)
            inputs.append(TensorSpec(name, dtype, (None if free else most[0], *most[1:])))
        if len(batches) != 1 or not outputs:
            raise ModelFormatError(
                f"{engine_path}: the inputs' batch sizes differ, or there are no outputs: {names}"
            )
        self.max_batch: int = batches.pop()[1]
        self._set_batch(inputs, self.max_batch)
        batch = inputs[0].shape[0]
        specs = tuple(self._output_spec(name, batch, engine_path) for name in outputs)
        self._batch = None  # nothing was uploaded yet
        return tuple(inputs), specs

    def _output_spec(self, name: str, batch: int | None, engine_path: Path) -> TensorSpec:
        shape = tuple(self._context.get_tensor_shape(name))
        if not shape or shape[0] != self.max_batch or min(shape) < 0:
            raise ModelFormatError(
                f"{engine_path}: output {name} has the shape {list(shape)} for a batch of "
                f"{self.max_batch}; sizes that depend on the picture are not possible here. "
                "Remedy: export the model in deploy form, or use --backend ort"
            )
        return TensorSpec(name, _dtype(self._engine, name, engine_path), (batch, *shape[1:]))

    def _allocate(self, held: ExitStack) -> None:
        try:
            self._stream: Stream = held.enter_context(self.gpu.create_stream())
            self._buffers: dict[str, Buffer] = {}
            for spec in (*self.inputs, *self.outputs):
                shape = (self.max_batch, *(size or 1 for size in spec.shape[1:]))
                buffer = held.enter_context(self.gpu.allocate(shape, spec.dtype))
                self._buffers[spec.name] = buffer
                if not self._context.set_tensor_address(spec.name, buffer.address):
                    self._fail(f"memory cannot be bound to {spec.name}")
        except DeviceMemoryError as error:
            raise self._no_memory("no room for its inputs and outputs", str(error)) from error

    def _set_batch(self, inputs: Sequence[TensorSpec], batch: int) -> None:
        if batch == self._batch:
            return
        self._batch = None
        for spec in inputs:
            if not self._context.set_input_shape(spec.name, (batch, *spec.shape[1:])):
                self._fail(f"a batch of {batch} is not taken")
        self._batch = batch

    def queue_upload(self, inputs: Mapping[str, Array]) -> None:
        """Queues the copies of a batch to the GPU."""
        batch = len(next(iter(inputs.values())))
        self._set_batch(self.inputs, batch)
        for name, array in inputs.items():
            buffer = self._buffers[name]
            buffer.host[:batch] = array
            buffer.queue_upload(batch, self._stream)

    def queue_execution(self) -> None:
        """Queues a run of the engine."""
        self._uploaded()
        if not self._context.execute_async_v3(self._stream.handle):
            self._fail("the engine failed")

    def queue_download(self) -> None:
        """Queues the copies of the outputs from the GPU."""
        batch = self._uploaded()
        for spec in self.outputs:
            self._buffers[spec.name].queue_download(batch, self._stream)

    def synchronize(self) -> None:
        """Waits until everything queued is done."""
        try:
            self._stream.synchronize()
        except DeviceMemoryError as error:
            raise self._no_memory("it ran out of memory", str(error)) from error

    def copy_outputs(self) -> dict[str, Array]:
        """Copies of what was downloaded."""
        batch = self._uploaded()
        return {spec.name: self._buffers[spec.name].host[:batch].copy() for spec in self.outputs}

    def _uploaded(self) -> int:
        if self._batch is None:
            raise InferenceError("nothing was uploaded yet; call upload() first")
        return self._batch

    def _fail(self, what: str) -> NoReturn:
        """Raises for a failure while running, with the reasons that TensorRT logged."""
        reasons = self._reasons(what)
        raise InferenceError(f"{self.library}: {what}: {reasons}")

    def _refuse(self, what: str, remedy: str = "") -> NoReturn:
        """Raises for an engine that cannot be loaded, with the reasons that TensorRT logged."""
        reasons = self._reasons(what)
        raise ModelFormatError(f"{what}: {reasons}. {remedy}".rstrip())

    def _reasons(self, what: str) -> str:
        reasons = self._log.take_errors()
        if any(_NO_MEMORY.search(reason) for reason in reasons):
            raise self._no_memory(what, _join(reasons))
        return _join(reasons)

    def _no_memory(self, what: str, reason: str) -> DeviceMemoryError:
        free, total = self.gpu.free_and_total_bytes()
        return DeviceMemoryError(
            f"{self.gpu.name} (cuda:{self.gpu.index}) has too little memory, "
            f"{free / 2**20:.0f} of {total / 2**20:.0f} MiB are free: {what}: {reason}. "
            f"{MEMORY_REMEDY}"
        )

    def close(self) -> None:
        """Frees everything; to be called once.

        After a fatal error CUDA refuses to free anything, which is then only logged: the error
        itself was raised before.
        """
        try:
            with self.gpu, self.gpu.active():
                if self._kernels is not None:
                    self._kernels.save()
                self._held.close()
        except InferenceError as error:
            logger.warning("the memory of a TensorRT engine cannot be freed: %s", error)


def _require_plain(trt: Any, engine: Any, name: str, engine_path: Path) -> None:
    """Raises for tensors that are not rows of numbers in the GPU's memory."""
    linear = engine.get_tensor_format(name) == trt.TensorFormat.LINEAR
    if engine.get_tensor_location(name) != trt.TensorLocation.DEVICE or not linear:
        raise ModelFormatError(
            f"{engine_path}: tensor {name} is not a plain one in the GPU's memory "
            f"({engine.get_tensor_format_desc(name)})"
        )


def _dtype(engine: Any, name: str, engine_path: Path) -> np.dtype[Any]:
    kind = engine.get_tensor_dtype(name).name
    dtype = _DTYPES.get(kind)
    if dtype is None:
        raise ModelFormatError(f"{engine_path}: {name} has the type {kind}, which numpy has not")
    return np.dtype(dtype)


def _join(reasons: Sequence[str]) -> str:
    return "; ".join(reasons).rstrip(". ") or "TensorRT gave no reason"
