"""OpenVINO on the CPU, in fp32 or bf16, behind the `Backend` protocol."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast, get_args

import numpy as np

from ..arrays import Array
from ..cores import limited_threads, require_threads
from ..errors import (
    BackendUnavailableError,
    InferenceError,
    InvalidArgumentError,
    MissingDependencyError,
    ModelFormatError,
)
from ..wheels import installed, join_wheels, openvino_remedy
from ..zoo import DEFAULT_DETECTOR, DEFAULT_POSE, resolve_model
from .base import Backend, TensorSpec
from .batching import ChunkedBackend
from .device import Device, parse_device
from .kind import BackendKind, LoadOptions
from .openvino_parts import Request, RequestPool, cut_head
from .openvino_precision import Choice, Precision, choose_precision

logger = logging.getLogger(__name__)

_TYPE_NAMES: dict[Precision, str] = {"fp32": "f32", "bf16": "bf16"}

_DTYPES: dict[str, type[np.generic]] = {
    "f32": np.float32,
    "f16": np.float16,
    "f64": np.float64,
    "u8": np.uint8,
    "i32": np.int32,
    "i64": np.int64,
    "boolean": np.bool_,
}

_TELEMETRY = "openvino_telemetry"


@dataclass(frozen=True, slots=True)
class OpenVinoOptions:
    """Settings of a compiled model.

    Attributes:
        precision: "fp32", or "bf16" on CPUs with bf16 arithmetic. Inputs and outputs keep their
            types, and the head of a pose network its fp32.
        threads: Threads of one call; None leaves it to OpenVINO, which takes the cores.
    """

    precision: Precision = "fp32"
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise InvalidArgumentError(
                f"unknown precision {self.precision!r}; "
                f"OpenVINO's precisions are {', '.join(get_args(Precision))}"
            )
        require_threads("threads", self.threads)


class OpenVinoBackend(ChunkedBackend):
    """An ONNX file compiled by OpenVINO for the CPU.

    A graph with a free batch size is compiled once and takes every batch size: compiling it
    for each size again gained at most a tenth of the time, and costs a second each.
    """

    def __init__(
        self, model_path: Path, *, device: Device, options: OpenVinoOptions | None = None
    ) -> None:
        """Compiles the model.

        Args:
            model_path: ONNX file.
            device: Where to run; the CPU is the only choice.
            options: Precision and threads.

        Raises:
            InvalidArgumentError: The device is not the CPU.
            MissingDependencyError: OpenVINO is not installed.
            BackendUnavailableError: The CPU cannot calculate in the precision asked for.
            ModelFormatError: The file is not an ONNX model that OpenVINO can compile.
        """
        options = options or OpenVinoOptions()
        _require_cpu(device)
        openvino = _import_openvino()
        core = openvino.Core()
        _require_precision(core, options.precision)
        model = _read_model(openvino, model_path)
        self.metadata = _metadata(model)
        self.inputs = tuple(
            _tensor_spec(port, port.get_any_name(), model_path) for port in model.inputs
        )
        parts = cut_head(openvino, model) if options.precision == "bf16" else [model]
        compiled = [
            _compile(core, part, model_path, precision, options.threads)
            for part, precision in zip(parts, (options.precision, "fp32"), strict=False)
        ]
        # Compilation finds out more sizes, but may merge the names of equal tensors.
        self.outputs = tuple(
            _tensor_spec(port, _output_name(read), model_path)
            for read, port in zip(parts[-1].outputs, compiled[-1].outputs, strict=True)
        )
        self._requests: RequestPool | None = RequestPool(compiled)
        version = openvino.__version__.split("-")[0]
        self.description = f"OpenVINO {version} on CPU ({options.precision})"
        logger.debug("loaded %s: %s", model_path, self.description)

    def _run_once(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        requests = self._requests
        if requests is None:
            raise InferenceError("this backend is closed; create a new one")
        arrays = [inputs[spec.name] for spec in self.inputs]
        try:
            with requests.borrow() as request:
                outputs = request.infer(arrays)
        except Exception as error:  # of no common base below Exception in OpenVINO
            raise InferenceError(f"{self.description} failed: {_reason(error)}") from error
        return {spec.name: array for spec, array in zip(self.outputs, outputs, strict=True)}

    def create_request(self) -> Request:
        """Returns a new request, for who repeats a call on the same tensors.

        Raises:
            InferenceError: The backend is closed.
        """
        if self._requests is None:
            raise InferenceError("this backend is closed; create a new one")
        return self._requests.create()

    def close(self) -> None:
        """Frees the compiled model; may be called again."""
        self._requests = None


def _require_cpu(device: Device) -> None:
    if device.kind != "cpu":
        raise InvalidArgumentError(
            f"backend 'openvino' does not run on device {str(device)!r}; use device='cpu', or "
            "backend='ort' for an NVIDIA GPU"
        )


def _import_openvino() -> Any:
    try:
        with _no_telemetry():
            return importlib.import_module("openvino")
    except ImportError as error:
        raise MissingDependencyError(
            f"OpenVINO is not installed or not usable ({error}). {openvino_remedy()}"
        ) from error


@contextmanager
def _no_telemetry() -> Iterator[None]:
    """Hides the telemetry package while OpenVINO is imported for the first time.

    Merely importing OpenVINO would report that to Google Analytics and leave files in the home
    folder, without having asked; without the package it does neither.
    """
    hidden = sys.modules.get(_TELEMETRY)
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.modules.pop(_TELEMETRY, None)
        if hidden is not None:
            sys.modules[_TELEMETRY] = hidden


def _require_precision(core: Any, precision: Precision) -> None:
    """Raises for bf16 on a CPU without it: OpenVINO would emulate it, several times slower."""
    if precision == "bf16" and not _has_bf16(core):
        raise BackendUnavailableError(
            f"{core.get_property('CPU', 'FULL_DEVICE_NAME')} has no bf16 arithmetic (avx512_bf16 "
            "or AMX), or ONEDNN_MAX_CPU_ISA keeps OpenVINO from it. Remedy: precision='fp32'"
        )


_ISA_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")

_ISAS_WITH_BF16 = ("BF16", "FP16", "AMX", "AVX10", "ALL", "DEFAULT")
"""In the names that oneDNN has for instruction sets with bf16 arithmetic, and for no limit."""


def _has_bf16(core: Any) -> bool:
    """Whether OpenVINO finds the CPU's flags of bf16 arithmetic, and its kernels may use it.

    It finds the flags even where the variables keep its kernels from them, which then fail.
    """
    limits = [os.environ[name].upper() for name in _ISA_LIMITS if os.environ.get(name)]
    allowed = all(any(name in limit for name in _ISAS_WITH_BF16) for limit in limits)
    return allowed and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def has_bf16() -> bool:
    """Whether OpenVINO may use bf16 arithmetic of this CPU.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
    """
    return _has_bf16(_import_openvino().Core())


def _read_model(openvino: Any, model_path: Path) -> Any:
    """Reads an ONNX file.

    `Core.read_model` would try the readers of all formats in turn on a broken file; they print
    to standard error, and the reason is lost.
    """
    try:
        reader = openvino.frontend.FrontEndManager().load_by_framework("onnx")
        model = reader.convert(reader.load(str(model_path)))
    except Exception as error:  # of no common base below Exception in OpenVINO
        raise ModelFormatError(
            f"{model_path} is not a usable ONNX model: {_reason(error)}"
        ) from error
    if not model.inputs or not model.outputs:
        raise ModelFormatError(f"{model_path} is not a usable ONNX model: it has no tensors")
    return model


def _compile(
    core: Any, model: Any, model_path: Path, precision: Precision, own_threads: int | None
) -> Any:
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        # Never left to OpenVINO: where the CPU has bf16, it would be the default.
        "INFERENCE_PRECISION_HINT": _TYPE_NAMES[precision],
        # Pinned threads wait for their core when somebody else computes on it.
        "ENABLE_CPU_PINNING": False,
    }
    threads = own_threads or limited_threads()
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        compiled = core.compile_model(model, "CPU", settings)
    except Exception as error:  # of no common base below Exception in OpenVINO
        raise ModelFormatError(f"OpenVINO cannot compile {model_path}: {_reason(error)}") from error
    used = compiled.get_property("INFERENCE_PRECISION_HINT")
    if getattr(used, "get_type_name", lambda: used)() != _TYPE_NAMES[precision]:
        raise BackendUnavailableError(
            f"precision {precision!r} was asked for, but OpenVINO took {used}"
        )
    return compiled


def _metadata(model: Any) -> dict[str, str]:
    """The file's metadata, which the ONNX reader keeps under "framework"."""
    if not model.has_rt_info("framework"):
        return {}
    return {key: str(value.astype(str)) for key, value in model.rt_info["framework"].items()}


def _output_name(port: Any) -> str:
    """The name of an output in the file; one tensor can have several names."""
    name: str = port.get_node().get_friendly_name().split("/sink_port_")[0]
    return name if name in port.get_names() else str(port.get_any_name())


def _tensor_spec(port: Any, name: str, model_path: Path) -> TensorSpec:
    type_name = port.get_element_type().get_type_name()
    dtype = _DTYPES.get(type_name)
    if dtype is None:
        raise ModelFormatError(f"{model_path}: {name} has the unknown type {type_name}")
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        raise ModelFormatError(f"{model_path}: {name} has no fixed number of dimensions")
    sizes = tuple(size.get_length() if size.is_static else None for size in shape)
    return TensorSpec(name, np.dtype(dtype), sizes)


def _reason(error: Exception) -> str:
    """The last line of OpenVINO's message; those before it are places in its source code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _choose(model_path: Path, threads: int | None) -> Choice:
    """What `precision="auto"` stands for: of this file, on this machine, with so many threads."""
    openvino = _import_openvino()
    core = openvino.Core()
    with ExitStack() as opened:

        def open_call(precision: Precision, input_hw: tuple[int, int]) -> Callable[[], object]:
            options = OpenVinoOptions(precision=precision, threads=threads)
            backend = OpenVinoBackend(model_path, device=Device("cpu"), options=options)
            opened.enter_context(backend)
            inputs = {spec.name: _zeros(spec, input_hw) for spec in backend.inputs}
            return lambda: backend.run(inputs)

        choice = choose_precision(
            model_path,
            has_bf16=_has_bf16(core),
            machine=f"{core.get_property('CPU', 'FULL_DEVICE_NAME')}, OpenVINO "
            f"{openvino.__version__}, {threads or limited_threads() or 'all'} threads",
            open_call=open_call,
        )
    logger.info("%s in %s: %s", model_path.name, choice.precision, choice.reason)
    return choice


def _zeros(spec: TensorSpec, input_hw: tuple[int, int]) -> Array:
    free = iter(input_hw)
    sizes = (next(free) if size is None else size for size in spec.shape[1:])
    return np.zeros((spec.shape[0] or 1, *sizes), spec.dtype)


def _load(model_path: Path, device: Device, options: LoadOptions) -> Backend:
    _require_cpu(device)
    if options.precision == "auto":
        require_threads("threads", options.threads)
        chosen = _choose(model_path, options.threads).precision
    else:
        chosen = cast("Precision", options.precision or "fp32")  # OpenVinoOptions checks it
    own = OpenVinoOptions(precision=chosen, threads=options.threads)
    return OpenVinoBackend(model_path, device=device, options=own)


def _probe(device: str) -> str:
    """Runs the default networks, and tells what precision "auto" stands for here."""
    lines = []
    for name in (DEFAULT_DETECTOR, DEFAULT_POSE):
        path = resolve_model(name)
        choice = _choose(path, None)
        own = OpenVinoOptions(precision=choice.precision)
        with OpenVinoBackend(path, device=parse_device(device), options=own) as loaded:
            loaded.warmup()
        lines.append(f"{name} in {choice.precision}, for {choice.reason}")
    version = loaded.description.partition(" (")[0]
    return f"{version}; with --precision auto {'; '.join(lines)}"


KIND: Final = BackendKind(
    name="openvino",
    devices=("cpu",),
    default_device="cpu",
    options=frozenset({"threads", "precision"}),
    precisions=get_args(Precision),
    load=_load,
    check=lambda _provider: None,  # is found out as it is imported, with the model
    probes=("cpu",),
    probe=_probe,
    versions=lambda: {"OpenVINO": join_wheels(installed(("openvino",)))},
)
