"""Runtimes that execute a graph, chosen by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from ..errors import InvalidArgumentError
from .base import Backend, TensorSpec
from .device import Device, parse_device

if TYPE_CHECKING:
    from .onnxruntime import Provider
    from .openvino import Precision as OpenVinoPrecision

__all__ = [
    "BACKENDS",
    "ENGINE_SUFFIXES",
    "Backend",
    "BackendName",
    "Device",
    "Precision",
    "TensorSpec",
    "check_backend",
    "check_options",
    "default_device",
    "load_backend",
]

BackendName = Literal["ort", "trt", "openvino"]
BACKENDS: tuple[BackendName, ...] = ("ort", "trt", "openvino")

Precision = Literal["fp32", "fp16", "bf16"]

ENGINE_SUFFIXES = (".engine", ".plan")
"""Ends of the names of TensorRT engines: what its own tools write, and what others call them."""


def default_device(backend: str) -> str:
    """Returns the device that a backend runs on where none is named."""
    return "cuda:0" if backend == "trt" else "cpu"


def check_backend(name: str, device: str | None = None) -> Device:
    """Finds out what can be found out before there is a model, which may have to be downloaded.

    Args:
        name: Name of the backend.
        device: "cpu", "cuda" or "cuda:N"; None means the backend's default.

    Returns:
        The device.

    Raises:
        InvalidArgumentError: The backend or the device is unknown, or they do not go together.
        BackendUnavailableError: There is no GPU that TensorRT could use.
        MissingDependencyError: TensorRT, or a package that speaks to CUDA, is not installed.
    """
    if name not in BACKENDS:
        raise InvalidArgumentError(
            f"unknown backend {name!r}; the backends are {', '.join(BACKENDS)}"
        )
    place = parse_device(default_device(name) if device is None else device)
    if name == "trt":
        from .tensorrt.system import check_tensorrt

        if place.kind != "cuda":
            raise InvalidArgumentError(
                f"backend 'trt' does not run on device {str(place)!r}; use device='cuda' or "
                "'cuda:N', or another backend for the CPU: backend='ort' or 'openvino'"
            )
        check_tensorrt()
    return place


def load_backend(
    name: BackendName,
    model_path: Path,
    *,
    device: str | None = None,
    provider: Provider | None = None,
    provider_options: Mapping[str, Any] | None = None,
    threads: int | None = None,
    precision: Precision | None = None,
    max_batch: int | None = None,
) -> Backend:
    """Loads a model file into a runtime.

    Args:
        name: "ort" for ONNX Runtime, "trt" for TensorRT, "openvino" for OpenVINO.
        model_path: ONNX file; for "trt" a TensorRT engine, whose name ends in .engine or .plan.
        device: "cpu", "cuda" or "cuda:N"; None means "cpu", for "trt" the first GPU.
        provider: Execution provider of ONNX Runtime, "cpu", "cuda" or "tensorrt"; None takes
            the one of the device's own name.
        provider_options: Further options of the execution provider, in ONNX Runtime's own words.
        threads: CPU threads inside one operator; None leaves it to the runtime.
        precision: What is calculated in. "trt": "fp16" where it is safe (None means this), or
            "fp32". "openvino": "fp32" (None means this) or "bf16". ONNX Runtime takes the
            precision of the file; only its provider "tensorrt" can be told "fp16".
        max_batch: Largest batch of one call that ONNX Runtime's provider "tensorrt" is prepared
            for; None means 16.

    Raises:
        InvalidArgumentError: The backend or the device is unknown, or an option does not go
            with the backend.
        BackendUnavailableError: The backend or the device cannot be used on this machine.
        MissingDependencyError: The runtime is not installed.
        ModelFormatError: The file is not a model this runtime can load.
        DeviceMemoryError: The GPU has too little free memory.
    """
    if max_batch is not None and max_batch < 1:
        raise InvalidArgumentError(f"max_batch is {max_batch}, must be at least 1")
    check_options(
        name,
        provider=provider,
        provider_options=provider_options,
        threads=threads,
        precision=precision,
    )
    place = check_backend(name, device)
    if name == "trt":
        return _load_tensorrt(model_path, place, precision=precision)
    if name == "openvino":
        from .openvino import OpenVinoBackend, OpenVinoOptions

        chosen = cast("OpenVinoPrecision", precision or "fp32")  # the options check it
        options = OpenVinoOptions(precision=chosen, threads=threads)
        return OpenVinoBackend(model_path, device=place, options=options)
    return _load_onnxruntime(
        model_path,
        place,
        provider=provider,
        provider_options=provider_options or {},
        threads=threads,
        precision=precision,
        max_batch=max_batch,
    )


def check_options(
    name: BackendName,
    *,
    provider: Provider | None,
    provider_options: Mapping[str, Any] | None,
    threads: int | None,
    precision: Precision | None,
) -> None:
    """Finds out which options mean nothing to a backend.

    Raises:
        InvalidArgumentError: One does not go with the backend.
    """
    if name in ("trt", "openvino"):
        _refuse(name, provider=provider, provider_options=provider_options or None)
    if name == "trt":
        _refuse(name, threads=threads)
        if precision not in (None, "fp16", "fp32"):
            raise InvalidArgumentError(
                f"precision {precision!r} does not go with backend 'trt', which calculates in "
                "'fp16' or 'fp32'"
            )


def _refuse(backend: str, **options: object) -> None:
    """Raises for options that mean nothing to a backend."""
    for name, value in options.items():
        if value is not None:
            belongs = "backend='ort'" if name.startswith("provider") else "'ort' or 'openvino'"
            raise InvalidArgumentError(
                f"{name} {value!r} does not go with backend {backend!r}; it is an option of "
                f"{belongs}"
            )


def _load_tensorrt(engine_path: Path, device: Device, *, precision: Precision | None) -> Backend:
    from .tensorrt.backend import TensorRtBackend
    from .tensorrt.engine_record import read_record

    if engine_path.suffix.lower() == ".onnx":
        raise InvalidArgumentError(
            f"{engine_path} is no TensorRT engine; Predictor builds one of it, and so does "
            "dwpose-export --to engine"
        )
    record = read_record(engine_path)
    if record is not None and precision not in (None, record.identity.precision):
        raise InvalidArgumentError(
            f"{engine_path} was built for precision {record.identity.precision!r}, not for "
            f"{precision!r}; build another one from the ONNX file"
        )
    return TensorRtBackend(engine_path, device=device)


def _load_onnxruntime(
    model_path: Path,
    device: Device,
    *,
    provider: Provider | None,
    provider_options: Mapping[str, Any],
    threads: int | None,
    precision: str | None,
    max_batch: int | None,
) -> Backend:
    from .onnxruntime import OrtBackend, OrtOptions, TensorRtOptions

    half = precision == "fp16" and provider == "tensorrt"
    if precision not in (None, "fp32") and not half:
        raise InvalidArgumentError(
            f"precision {precision!r} does not go with backend 'ort', which takes the precision "
            "of the file (see `dwpose-export --precision`); use backend='openvino' for 'bf16', "
            "backend='trt' for 'fp16'"
        )
    options = OrtOptions(
        provider=provider,
        intra_op_threads=threads,
        tensorrt=TensorRtOptions(fp16=half, max_batch=max_batch),
        provider_options=provider_options,
    )
    return OrtBackend(model_path, device=device, options=options)
