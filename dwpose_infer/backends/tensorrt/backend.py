"""TensorRT engines behind the `Backend` protocol: one context, one stream, pinned copies."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, get_args

import numpy as np

from ...arrays import Array
from ...errors import InferenceError, InvalidArgumentError
from ..base import Backend
from ..batching import ChunkedBackend, check_inputs
from ..device import Device
from ..kind import BackendKind, LoadOptions, Provider
from .cuda import Gpu
from .engine import LoadedEngine
from .engine_record import EngineRecord, read_record
from .library import MessageLog, create_logger, import_tensorrt
from .products import PRODUCTS, Product, ProductKey, choose_product
from .system import check_tensorrt, gpu_versions

logger = logging.getLogger(__name__)


class TensorRtBackend(ChunkedBackend):
    """An engine of TensorRT 10 or 11, or of TensorRT for RTX, on one GPU.

    Calls of several threads run one after the other. Besides `run` there are its three parts, for
    measuring: `upload`, `execute`, `download`.

    Attributes:
        max_batch: Largest batch of one call of the engine; `run` splits larger ones.
    """

    def __init__(
        self, engine_path: Path, *, device: Device, product: Product | None = None
    ) -> None:
        """Loads an engine and allocates its memory for the largest batch.

        Args:
            engine_path: Engine file, built by the same version of TensorRT for the same kind of
                GPU. Metadata is read from the JSON file beside it, where there is one.
            device: GPU to run on.
            product: The library that built it; None takes what the JSON file says, else the one
                that is installed.

        Raises:
            MissingDependencyError: TensorRT, or a package that speaks to CUDA, is not installed.
            BackendUnavailableError: TensorRT or the GPU cannot be used.
            InvalidArgumentError: Another library built the engine.
            ModelFormatError: The file is no engine that can be run here.
            DeviceMemoryError: The GPU has too little free memory.
        """
        record = read_record(engine_path)
        self.metadata = dict(record.metadata) if record else {}
        # Calls of one thread may be nested: `run` is made of the other ones.
        self._lock = threading.RLock()
        self._engine: LoadedEngine | None = LoadedEngine(
            engine_path,
            device,
            product=_product_of(engine_path, record, product),
            keep_kernels=record is not None,
        )
        # Frees the memory also where nobody closes; calling it again does nothing.
        self._free = weakref.finalize(self, self._engine.close)
        self.inputs = self._engine.inputs
        self.outputs = self._engine.outputs
        self.max_batch = self._engine.max_batch
        self.description = _describe(self._engine, device, record)
        logger.debug("loaded %s: %s", engine_path, self.description)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs the engine; see `Backend.run`. Closing waits until it is done."""
        with self._lock:
            return super().run(inputs)

    def _run_once(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs the engine in parts of at most `max_batch`."""
        batch = len(next(iter(inputs.values())))
        parts = []
        with self._working() as engine:
            for start in range(0, batch, self.max_batch):
                part = slice(start, start + self.max_batch)
                engine.queue_upload({name: array[part] for name, array in inputs.items()})
                engine.queue_execution()
                engine.queue_download()
                engine.synchronize()
                parts.append(engine.copy_outputs())
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def upload(self, inputs: Mapping[str, Array]) -> None:
        """Copies a batch to the GPU and waits for it.

        Args:
            inputs: As for `run`, but of a batch size that the engine takes in one call.

        Raises:
            InvalidArgumentError: Names, shapes or dtypes are not the engine's, or the batch is
                not one for a single call.
            InferenceError: The copy failed, or the backend is closed.
        """
        batch = check_inputs(inputs, self.inputs)
        fixed = self.inputs[0].shape[0]
        if batch != fixed if fixed is not None else batch > self.max_batch:
            wanted = f"{fixed}" if fixed is not None else f"1 to {self.max_batch}"
            raise InvalidArgumentError(
                f"a batch of {batch} does not fit into one call of an engine for {wanted}"
            )
        with self._working() as engine:
            engine.queue_upload(inputs)
            engine.synchronize()

    def execute(self) -> None:
        """Runs the engine on what was uploaded last, and waits for it.

        Raises:
            InferenceError: The engine failed, nothing was uploaded, or the backend is closed.
        """
        with self._working() as engine:
            engine.queue_execution()
            engine.synchronize()

    def download(self) -> dict[str, Array]:
        """Copies the outputs of the last `execute` from the GPU.

        Returns:
            One array per output.

        Raises:
            InferenceError: The copy failed, nothing was uploaded, or the backend is closed.
        """
        with self._working() as engine:
            engine.queue_download()
            engine.synchronize()
            return engine.copy_outputs()

    @contextmanager
    def _working(self) -> Iterator[LoadedEngine]:
        """The engine for this thread alone, on a GPU that is current."""
        with self._lock:
            if self._engine is None:
                raise InferenceError("this backend is closed; create a new one")
            with self._engine.active():
                yield self._engine

    def close(self) -> None:
        """Frees the engine and its memory, after calls that are under way; may be called again."""
        with self._lock:
            self._engine = None
            self._free()


def _describe(engine: LoadedEngine, device: Device, record: EngineRecord | None) -> str:
    precision = f"{record.identity.precision}, " if record else ""
    return (
        f"{engine.library}, {precision}batches up to {engine.max_batch}, "
        f"{engine.gpu.name} ({device}), {engine.gpu.binding_name}"
    )


def _product_of(engine_path: Path, record: EngineRecord | None, wanted: Product | None) -> Product:
    if record is None:
        return wanted or choose_product()
    built_by = PRODUCTS[record.identity.product]
    if wanted not in (None, built_by):
        raise InvalidArgumentError(
            f"{engine_path} was built by {built_by.name}: leave --provider away, or build another "
            "one from the ONNX file"
        )
    return built_by


def _load(engine_path: Path, device: Device, options: LoadOptions) -> Backend:
    if engine_path.suffix.lower() == ".onnx":
        raise InvalidArgumentError(
            f"{engine_path} is no TensorRT engine; Predictor builds one of it, and so does "
            "dwpose-export --to engine"
        )
    record = read_record(engine_path)
    if record is not None and options.precision not in (None, "auto", record.identity.precision):
        raise InvalidArgumentError(
            f"{engine_path} was built for precision {record.identity.precision!r}, not for "
            f"{options.precision!r}; build another one from the ONNX file"
        )
    product = None if options.provider is None else choose_product(options.provider)
    return TensorRtBackend(engine_path, device=device, product=product)


def _check(provider: Provider | None) -> None:
    check_tensorrt(choose_product(provider))


def _probe(device: str) -> str:
    """Opens the library and the GPU: an engine takes minutes to build."""
    product = choose_product()
    check_tensorrt(product)
    trt = import_tensorrt(product)
    with Gpu() as gpu, gpu.active():
        product.require_served(gpu.name, gpu.compute_capability)
        trt.Runtime(create_logger(trt, MessageLog()))
        return (
            f"{product.name} {trt.__version__} on {gpu.name} (cuda:0) through {gpu.binding_name}; "
            "the engine of a model is built when it is used for the first time"
        )


KIND: Final = BackendKind(
    name="trt",
    devices=("cuda",),
    default_device="cuda:0",
    options=frozenset({"precision", "provider"}),
    precisions=("fp16", "fp32"),
    providers=get_args(ProductKey),
    load=_load,
    check=_check,
    probes=("cuda",),
    probe=_probe,
    versions=gpu_versions,
)
