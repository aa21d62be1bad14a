"""Sessions of ONNX Runtime, on exactly the device asked for, and what a file says of itself.

What a file says of itself is read without the package onnx and without its weights: it is a
protobuf message, `ModelProto` of onnx.proto3: fields one after the other, each with a number, a
kind and, where it is not a number, a length. So the graph is skipped in one step.
"""

from __future__ import annotations

import importlib
import io
import logging
import threading
from collections.abc import Mapping
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from .. import wheels
from ..cores import limited_threads
from ..errors import (
    BackendUnavailableError,
    DwposeError,
    InvalidArgumentError,
    MissingDependencyError,
    ModelFormatError,
)
from .base import TensorSpec
from .device import Device
from .onnxruntime_options import PROVIDER_NAMES, OrtOptions, Provider
from .tensorrt.system import find_driver

METADATA_PROPS: Final = 14
"""Number of the field `metadata_props`, whose entries hold `key` (1) and `value` (2)."""

_VARINT, _64_BITS, _BYTES, _32_BITS = 0, 1, 2, 5
_MAX_ENTRY_BYTES: Final = 1 << 20


def read_metadata(path: Path) -> dict[str, str]:
    """Returns a file's metadata; nothing where it is no ONNX file, which its loader tells better.

    Raises:
        OSError: It cannot be read.
    """
    found: dict[str, str] = {}
    with path.open("rb") as file:
        try:
            while (number := _next_field(file)) is not None:
                field, value = number
                if field == METADATA_PROPS and value is not None:
                    key, text = _entry(value)
                    found[key] = text
        except (ValueError, IndexError):
            return {}
    return found


def _next_field(file: BinaryIO) -> tuple[int, bytes | None] | None:
    """The next field's number, and its bytes where they may be an entry of the metadata."""
    tag = _varint(file)
    if tag is None:
        return None
    field, kind = tag >> 3, tag & 7
    if kind == _VARINT:
        _varint(file)
    elif kind in (_64_BITS, _32_BITS):
        file.seek(8 if kind == _64_BITS else 4, 1)
    elif kind == _BYTES:
        length = _varint(file) or 0
        if field == METADATA_PROPS and length <= _MAX_ENTRY_BYTES:
            return field, file.read(length)
        file.seek(length, 1)
    else:
        raise ValueError(f"a field of the unknown kind {kind}")
    return field, None


def _entry(data: bytes) -> tuple[str, str]:
    texts = {1: "", 2: ""}
    place = 0
    while place < len(data):
        field, length = data[place] >> 3, 0
        place, shift = place + 1, 0
        while True:
            byte = data[place]
            place, length, shift = place + 1, length | (byte & 127) << shift, shift + 7
            if byte < 128:
                break
        texts[field] = data[place : place + length].decode()
        place += length
    return texts[1], texts[2]


def _varint(file: BinaryIO) -> int | None:
    """The next number, 7 bits a byte, lowest first; None at the end of the file."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    raise ValueError("a number of more than 64 bits")


logger = logging.getLogger(__name__)

_DTYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


_STOP_SPINNING = "session.force_spinning_stop"
"""Ends the busy waiting of a session's threads with each call.

Else those of the detector go on while the pose network works, and take its cores. The name is in
onnxruntime_session_options_config_keys.h; versions that do not know it ignore it.
"""

PRECISION_ENTRY = "dwpose_infer.precision"
KIND_ENTRY = "dwpose_infer.kind"
"""Entries of an exported file's metadata that say what it computes in, and what it finds."""

_REDIRECTING = threading.Lock()
"""Standard output is the process's own: of two threads that redirect it, one would give back what
the other had put there."""

# Names of those exceptions of ONNX Runtime that blame the file, whatever the provider.
_MODEL_ERRORS = ("InvalidProtobuf", "InvalidGraph", "NoModel", "NoSuchFile")


def import_onnxruntime() -> Any:
    """Returns the package onnxruntime.

    Raises:
        MissingDependencyError: It is not installed, or cannot be loaded.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            "ONNX Runtime is not installed or not usable "
            f'({error}); install it with: pip install "dwpose-infer[cpu]" for a CPU, '
            'or pip install "dwpose-infer[gpu]" for an NVIDIA GPU'
        ) from error
    return onnxruntime


def choose_provider(device: Device, options: OrtOptions) -> Provider:
    """Returns the execution provider asked for, else that of the device's own name.

    Raises:
        InvalidArgumentError: Provider and device contradict each other.
    """
    provider = options.provider or device.kind
    if (provider == "cpu") != (device.kind == "cpu"):
        raise InvalidArgumentError(
            f"execution provider {provider!r} does not run on device {str(device)!r}; "
            "use device='cpu' with 'cpu', device='cuda' with 'cuda' or 'tensorrt'"
        )
    return provider


def require_available(ort: Any, provider: Provider) -> None:
    """Raises unless the installed ONNX Runtime was built with the provider."""
    if not hasattr(ort, "InferenceSession"):
        # Removing one of two onnxruntime wheels leaves an empty package behind.
        raise BackendUnavailableError(
            f"the onnxruntime package is damaged. {wheels.ort_remedy(provider)}"
        )
    if PROVIDER_NAMES[provider] not in ort.get_available_providers():
        raise BackendUnavailableError(
            f"ONNX Runtime {ort.__version__} here has no {PROVIDER_NAMES[provider]} "
            f"(it has {', '.join(ort.get_available_providers())}). "
            f"{wheels.ort_remedy(provider)}"
        )
    installed = wheels.onnxruntime_wheels()
    if len(installed) > 1:
        logger.warning(
            "several ONNX Runtime wheels are installed over one another (%s). %s",
            ", ".join(installed),
            wheels.ort_remedy(provider),
        )


def create_session(
    ort: Any,
    model_path: Path,
    provider: Provider,
    device: Device,
    options: OrtOptions,
    *,
    sizes: Mapping[str, int] | None = None,
) -> Any:
    """Opens a session, with free dimensions of the graph set to the sizes given by name."""
    if device.kind == "cuda":
        require_gpu(device)
    _load_libraries(ort, provider)
    settings = ort.SessionOptions()
    # Nothing: the text of an error is in the exception, and in red on stderr it stayed where the
    # next way to search was about to succeed. The rest is checked and reported below.
    settings.log_severity_level = 4
    threads = options.intra_op_threads or limited_threads()
    if threads is not None:  # else it pins a thread to each core, also to those outside the mask
        settings.intra_op_num_threads = threads
    if options.inter_op_threads is not None:
        settings.inter_op_num_threads = options.inter_op_threads
        settings.execution_mode = ort.ExecutionMode.ORT_PARALLEL
    settings.add_session_config_entry(_STOP_SPINNING, "1")
    for name, size in (sizes or {}).items():
        settings.add_free_dimension_override_by_name(name, size)
    try:
        session = ort.InferenceSession(
            str(model_path),
            sess_options=settings,
            providers=options.provider_list(
                provider,
                device,
                inputs=_read_inputs(ort, model_path) if provider == "tensorrt" else (),
                ort_version=str(ort.__version__),
                half=provider != "cpu" and computes_in_half(model_path),
            ),
            # Else a refused option starts a second session on the CPU, and its reason is lost.
            enable_fallback=0,
        )
    except DwposeError:
        raise
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        if "provider option" in str(error).lower():
            raise InvalidArgumentError(
                f"ONNX Runtime refuses an option of {PROVIDER_NAMES[provider]}: {error}"
            ) from error
        if provider != "cpu" and type(error).__name__ not in _MODEL_ERRORS:
            raise BackendUnavailableError(
                f"ONNX Runtime cannot load {model_path} with {PROVIDER_NAMES[provider]} on "
                f"{device}: {error}. {wheels.ort_remedy(provider)}"
            ) from error
        raise ModelFormatError(f"{model_path} is not a usable ONNX model: {error}") from error
    session.disable_fallback()
    _require_used(ort, session, provider)
    return session


def require_gpu(device: Device) -> None:
    """Tells a GPU that is not there from a library that is not, where the driver can be asked.

    Raises:
        BackendUnavailableError: The driver counts fewer.
    """
    driver = find_driver()
    if driver is None or driver.problem or device.index < len(driver.gpus):
        return
    there = "; ".join(driver.gpus) or "none"
    raise BackendUnavailableError(f"there is no GPU {device} on this machine: it has {there}")


def computes_in_half(model_path: Path) -> bool:
    """Whether the exporter wrote the file in half precision; others do not say."""
    try:
        return read_metadata(model_path).get(PRECISION_ENTRY) == "fp16"
    except OSError:
        return False  # the session says what is wrong with the file


def _load_libraries(ort: Any, provider: Provider) -> None:
    """Loads NVIDIA's libraries from their wheels; else only system-wide copies are found."""
    if provider == "cpu":
        return
    if hasattr(ort, "preload_dlls"):  # from ONNX Runtime 1.21 on
        said = io.StringIO()  # it prints what it does not find, where --json prints results
        with _REDIRECTING, redirect_stdout(said):
            ort.preload_dlls()
        if said.getvalue():
            logger.debug("ONNX Runtime: %s", said.getvalue().strip())
    if provider == "tensorrt":
        with suppress(ImportError, OSError):  # a system-wide TensorRT may do as well
            importlib.import_module("tensorrt")


def _read_inputs(ort: Any, model_path: Path) -> tuple[TensorSpec, ...]:
    """The graph's inputs, before there is a session."""
    nodes = open_for_reading(ort, model_path).get_inputs()
    return tuple(_tensor_spec(node, model_path) for node in nodes)


def open_for_reading(ort: Any, model_path: Path) -> Any:
    """Returns a session on the CPU that is not to be run: what the file says of itself."""
    settings = ort.SessionOptions()
    settings.log_severity_level = 4
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return ort.InferenceSession(
            str(model_path), sess_options=settings, providers=[PROVIDER_NAMES["cpu"]]
        )
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        raise ModelFormatError(f"{model_path} is not a usable ONNX model: {error}") from error


def _require_used(ort: Any, session: Any, provider: Provider) -> None:
    """Raises when ONNX Runtime quietly took another provider than the one asked for."""
    used = session.get_providers()
    if used[0] != PROVIDER_NAMES[provider]:
        raise BackendUnavailableError(
            f"{PROVIDER_NAMES[provider]} was asked for, but ONNX Runtime {ort.__version__} could "
            f"not start it and took {', '.join(used)}: a CUDA, cuDNN or TensorRT library of the "
            f"right version was not found. {wheels.ort_remedy(provider)}"
        )


def read_names(
    session: Any, model_path: Path
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...], dict[str, str]]:
    """The inputs, the outputs and the metadata of a graph."""
    try:
        return (
            tuple(_tensor_spec(node, model_path) for node in session.get_inputs()),
            tuple(_tensor_spec(node, model_path) for node in session.get_outputs()),
            dict(session.get_modelmeta().custom_metadata_map),
        )
    except UnicodeDecodeError as error:
        raise ModelFormatError(f"{model_path} is damaged: a text in it is no UTF-8") from error


def _tensor_spec(node: Any, model_path: Path) -> TensorSpec:
    dtype = _DTYPES.get(node.type)
    if dtype is None:
        raise ModelFormatError(f"{model_path}: {node.name} has the unknown type {node.type}")
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in node.shape)
    return TensorSpec(node.name, np.dtype(dtype), shape)
