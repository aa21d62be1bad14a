"""The execute call alone, on each backend.

The published table has the time of the network itself: its input lies where it computes, its
output stays there, and the clock stops when the device is done. An `Executor` holds a network
whose input is in place; `execute` runs it once.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from ...backends.base import Backend, TensorSpec
from ...backends.batching import INPUT_SIZE_ENTRY
from ...backends.device import Device, parse_device
from ...closing import ClosesOnExit
from ...errors import BackendUnavailableError, InvalidArgumentError, ModelFormatError
from .networks import Network

Array = npt.NDArray[Any]


class Executor(ClosesOnExit):
    """A network on a device with its input in place.

    Attributes:
        description: Runtime, version and device in words.
        input: Name, type and shape of the input; the batch is 1.
    """

    description: str
    input: TensorSpec

    @abstractmethod
    def execute(self) -> None:
        """Runs the network once and returns when the device is done."""


class OrtExecutor(Executor):
    """ONNX Runtime with its input and output bound to the device."""

    def __init__(self, path: Path, *, device: str, threads: int) -> None:
        from ...backends.onnxruntime import OrtBackend, OrtOptions

        place = parse_device(device)
        options = OrtOptions(intra_op_threads=threads if place.kind == "cpu" else None)
        self._backend = OrtBackend(path, device=place, options=options)
        self.description = self._backend.description
        self.input = single_input(self._backend, path)
        self._run = self._backend.bound({self.input.name: random_sample(self.input)})

    def execute(self) -> None:
        """Runs the session; ONNX Runtime waits for the device before it returns."""
        self._run()

    def close(self) -> None:
        """Frees the session."""
        del self._run
        self._backend.close()


class OpenVinoExecutor(Executor):
    """OpenVINO with its input set."""

    def __init__(self, path: Path, *, precision: Any, threads: int) -> None:
        from ...backends.openvino import OpenVinoBackend, OpenVinoOptions

        options = OpenVinoOptions(precision=precision, threads=threads)
        self._backend = OpenVinoBackend(path, device=parse_device("cpu"), options=options)
        self.description = self._backend.description
        self.input = single_input(self._backend, path)
        self._request: Any = self._backend.create_request()
        # The tensor is kept for the calls without arguments.
        self._request.infer([random_sample(self.input)])

    def execute(self) -> None:
        """Runs the request without copying in or out."""
        self._request.repeat()

    def close(self) -> None:
        """Frees the compiled model."""
        self._request = None
        self._backend.close()


class TensorRtExecutor(Executor):
    """A TensorRT engine in half precision, of the network in deploy form (uint8 crops in)."""

    def __init__(self, network: Network) -> None:
        from ...backends.tensorrt.backend import TensorRtBackend

        device = parse_device("cuda")

        def load(path: Path) -> TensorRtBackend:
            return TensorRtBackend(path, device=device)

        if network.weights == "random":
            self._backend = load(_random_engine(network, device))
        else:
            from ...export.engine_cache import open_engine

            self._backend = open_engine(network.path, device=device, load=load)
        self.description = self._backend.description
        self.input = single_input(self._backend, network.path)
        self._backend.upload({self.input.name: random_sample(self.input)})

    def execute(self) -> None:
        """Runs the engine on what was uploaded and waits for the GPU."""
        self._backend.execute()

    def close(self) -> None:
        """Frees the engine."""
        self._backend.close()


def _random_engine(network: Network, device: Device) -> Path:
    """Builds an engine beside the network's file, out of the cache of those that are of use."""
    from ...export.engine_exporter import export_engine
    from ...export.exporter import ExportOptions

    path = network.path.with_suffix(".engine")
    undecided = ExportOptions(allow_undecided=True)  # random weights are not sure of any point
    export_engine(network.path, path, options=undecided, device=device)
    return path


class TorchExecutor(Executor):
    """PyTorch on the CPU, eager or compiled."""

    def __init__(self, network: Network, *, compiled: bool, threads: int) -> None:
        from ..random_networks import import_torch

        torch = import_torch()
        if network.module is None:
            raise InvalidArgumentError(
                f"{network.name} is an ONNX file, which torch does not run; its backends measure "
                "--random-weights"
            )
        self._torch, self._threads_before = torch, torch.get_num_threads()
        torch.set_num_threads(threads)
        self._module: Any = network.module
        height, width = network.input_hw
        self.input = TensorSpec("input", np.dtype(np.float32), (1, 3, height, width))
        self._sample = torch.from_numpy(random_sample(self.input))
        self.description = f"PyTorch {torch.__version__} on CPU"
        if compiled:
            self._module = torch.compile(self._module, dynamic=False)
            self.description += ", compiled"
            self._compile_now()

    def _compile_now(self) -> None:
        try:
            self.execute()
        except Exception as error:  # torch's compiler raises errors of many kinds
            self.close()
            reason = str(error).strip().splitlines()
            raise BackendUnavailableError(
                f"torch.compile does not work here ({reason[0] if reason else error!r}); it needs "
                "a C++ compiler, such as g++. Remedy: install one, or leave out torch-compiled"
            ) from error

    def execute(self) -> None:
        """Runs the module."""
        with self._torch.inference_mode():
            self._module(self._sample)

    def close(self) -> None:
        """Frees the module and gives torch the threads it had before."""
        self._module = None
        self._torch.set_num_threads(self._threads_before)


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


BackendKey: TypeAlias = Literal[
    "ort", "openvino", "openvino-bf16", "ort-cuda", "trt", "torch", "torch-compiled"
]
BACKEND_KEYS: tuple[BackendKey, ...] = get_args(BackendKey)

WHERE_PRESENT: tuple[BackendKey, ...] = ("ort", "openvino", "ort-cuda", "trt")
"""Measured without being asked for, as far as they can be used on the machine."""


def parse_backends(text: str) -> list[BackendKey]:
    """Returns the backends of a list with commas, each once.

    Raises:
        InvalidArgumentError: There is no such backend.
    """
    asked = [part.strip() for part in text.split(",") if part.strip()]
    keys = [key for key in BACKEND_KEYS if key in asked]
    unknown = sorted(set(asked) - set(keys))
    if unknown or not keys:
        raise InvalidArgumentError(
            f"there is no backend {', '.join(unknown) or repr(text)}; "
            f"the backends are {', '.join(BACKEND_KEYS)}"
        )
    return keys


def load_executor(key: BackendKey, network: Network, *, threads: int) -> Executor:
    """Loads a network into a backend.

    Args:
        key: The backend.
        network: The network.
        threads: Threads of one call on the CPU.

    Raises:
        MissingDependencyError: The runtime is not installed.
        BackendUnavailableError: It cannot be used on this machine.
        ModelFormatError: The file is not a network with one input of fixed size.
        InvalidArgumentError: The backend cannot run this network.
    """
    if key == "ort":
        return OrtExecutor(network.path, device="cpu", threads=threads)
    if key == "ort-cuda":
        return OrtExecutor(network.path, device="cuda", threads=threads)
    if key == "openvino":
        return OpenVinoExecutor(network.path, precision="fp32", threads=threads)
    if key == "openvino-bf16":
        return OpenVinoExecutor(network.path, precision="bf16", threads=threads)
    if key == "trt":
        return TensorRtExecutor(network)
    return TorchExecutor(network, compiled=key == "torch-compiled", threads=threads)
