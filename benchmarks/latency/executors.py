"""The execute call alone, on each backend.

The published table has the time of the network itself: its input lies where it computes, its
output stays there, and the clock stops when the device is done. An `Executor` holds a network
whose input is in place; `execute` runs it once.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...backends.base import Backend, TensorSpec
from ...backends.batching import INPUT_SIZE_ENTRY
from ...backends.device import Device, parse_device
from ...closing import ClosesOnExit
from ...errors import ModelFormatError
from .networks import Network

if TYPE_CHECKING:
    from ...backends.tensorrt.engine_record import EngineOptions, EnginePrecision

Array = npt.NDArray[Any]


class Executor(ClosesOnExit):
    """A network on a device with its input in place.

    Attributes:
        description: Runtime, version and device in words.
        input: Name, type and shape of the input, with the batch that is run.
    """

    description: str
    input: TensorSpec

    @abstractmethod
    def execute(self) -> None:
        """Runs the network once and returns when the device is done."""


class OrtExecutor(Executor):
    """ONNX Runtime with its input and output bound to the device."""

    def __init__(self, path: Path, *, device: str, threads: int, batch: int = 1) -> None:
        from ...backends.onnxruntime import OrtBackend, OrtOptions

        place = parse_device(device)
        options = OrtOptions(intra_op_threads=threads if place.kind == "cpu" else None)
        self._backend = OrtBackend(path, device=place, options=options)
        self.description = self._backend.description
        self.input = _batch_of(self._backend, path, batch)
        self._run = self._backend.bound({self.input.name: random_sample(self.input, batch)})

    def execute(self) -> None:
        """Runs the session; ONNX Runtime waits for the device before it returns."""
        self._run()

    def close(self) -> None:
        """Frees the session."""
        del self._run
        self._backend.close()


class OpenVinoExecutor(Executor):
    """OpenVINO with its input set."""

    def __init__(self, path: Path, *, precision: Any, threads: int, batch: int = 1) -> None:
        from ...backends.openvino import OpenVinoBackend, OpenVinoOptions

        options = OpenVinoOptions(precision=precision, threads=threads)
        self._backend = OpenVinoBackend(path, device=parse_device("cpu"), options=options)
        self.description = self._backend.description
        self.input = _batch_of(self._backend, path, batch)
        self._request: Any = self._backend.create_request()
        # The tensor is kept for the calls without arguments.
        self._request.infer([random_sample(self.input, batch)])

    def execute(self) -> None:
        """Runs the request without copying in or out."""
        self._request.repeat()

    def close(self) -> None:
        """Frees the compiled model."""
        self._request = None
        self._backend.close()


class TensorRtExecutor(Executor):
    """A TensorRT engine of the network in deploy form (uint8 crops in), for batches up to its own.

    It is tuned for the batch that is measured.
    """

    def __init__(
        self, network: Network, *, device: Device, precision: EnginePrecision, batch: int = 1
    ) -> None:
        from ...backends.tensorrt.backend import TensorRtBackend
        from ...backends.tensorrt.engine_record import EngineOptions

        largest = max(batch, EngineOptions().max_batch)
        engine = EngineOptions(precision=precision, opt_batch=batch, max_batch=largest)

        def load(path: Path) -> TensorRtBackend:
            return TensorRtBackend(path, device=device)

        if network.weights == "random":
            self._backend = load(_random_engine(network, device, engine))
        else:
            from ...export.engine_cache import open_engine

            self._backend = open_engine(network.path, device=device, load=load, options=engine)
        self.description = self._backend.description
        self.input = _batch_of(self._backend, network.path, batch)
        self._backend.upload({self.input.name: random_sample(self.input, batch)})

    def execute(self) -> None:
        """Runs the engine on what was uploaded and waits for the GPU."""
        self._backend.execute()

    def close(self) -> None:
        """Frees the engine."""
        self._backend.close()


def _random_engine(network: Network, device: Device, engine: EngineOptions) -> Path:
    """Builds an engine beside the network's file, out of the cache of those that are of use."""
    from ...export.engine_exporter import export_engine
    from ...export.exporter import ExportOptions

    path = network.path.with_suffix(".engine")
    undecided = ExportOptions(allow_undecided=True)  # random weights are not sure of any point
    export_engine(network.path, path, engine, options=undecided, device=device)
    return path


def random_sample(spec: TensorSpec, batch: int = 1) -> Array:
    """Returns a batch for an input: normal noise, or for uint8 all grey values alike."""
    rng = np.random.default_rng(0)
    shape = [batch, *(size or 0 for size in spec.shape[1:])]
    if spec.dtype == np.uint8:
        return rng.integers(0, 256, shape, np.uint8)
    return rng.standard_normal(shape).astype(spec.dtype)


def single_input(backend: Backend, origin: str | Path) -> TensorSpec:
    """Returns the input of a network with a batch of one.

    Height and width that the graph leaves free are those the network was trained for, which the
    exporter writes into the file.

    Raises:
        ModelFormatError: The network has several inputs, or one of no known size.
    """
    spec = backend.inputs[0]
    width, _, height = backend.metadata.get(INPUT_SIZE_ENTRY, "").partition("x")
    shape = (1, *spec.shape[1:])
    if shape[1:3] == (None, None) and width.isdigit() and height.isdigit():
        shape = (1, int(height), int(width), *shape[3:])
    if len(backend.inputs) != 1 or None in shape or spec.shape[0] not in (None, 1):
        listed = ", ".join(map(str, backend.inputs))
        raise ModelFormatError(
            f"{origin}: only networks with one input, of fixed size but for the batch, can be "
            f"measured; this file has {listed}"
        )
    return TensorSpec(spec.name, spec.dtype, shape)


def _batch_of(backend: Backend, origin: str | Path, batch: int) -> TensorSpec:
    """Returns the input of a network with so many samples.

    Raises:
        ModelFormatError: As `single_input`, or it takes one sample a call only.
    """
    spec = single_input(backend, origin)
    if batch > 1 and backend.inputs[0].shape[0] is not None:
        raise ModelFormatError(
            f"{origin} takes one picture a call, and {batch} were to be measured; --deploy fp32 "
            "or fp16 converts it to one that takes any number"
        )
    return TensorSpec(spec.name, spec.dtype, (batch, *spec.shape[1:]))
