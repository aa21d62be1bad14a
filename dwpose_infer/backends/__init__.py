"""Runtimes that execute a graph, chosen by name.

To add one, write its module with a `BackendKind` called `KIND`, and give it a name below.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal, get_args

from ..errors import InvalidArgumentError
from .base import Backend, TensorSpec
from .device import Device, parse_device
from .kind import BackendKind, LoadOptions, Precision, Provider

__all__ = [
    "BACKENDS",
    "ENGINE_SUFFIXES",
    "Backend",
    "BackendKind",
    "BackendName",
    "Device",
    "LoadOptions",
    "Precision",
    "Provider",
    "TensorSpec",
    "backend_kind",
    "check_backend",
    "check_options",
    "default_device",
    "load_backend",
]

BackendName = Literal["ort", "trt", "openvino"]
BACKENDS: Final[tuple[BackendName, ...]] = get_args(BackendName)

_HOMES: Final = {"ort": ".onnxruntime", "trt": ".tensorrt.backend", "openvino": ".openvino"}
"""Name -> module, which is loaded when it is asked for."""

ENGINE_SUFFIXES = (".engine", ".plan")
"""Ends of the names of TensorRT engines: what its own tools write, and what others call them."""


def backend_kind(name: str) -> BackendKind:
    """Returns what a backend says of itself.

    Raises:
        InvalidArgumentError: There is no such backend.
    """
    if name not in _HOMES:
        raise InvalidArgumentError(
            f"unknown backend {name!r}; the backends are {', '.join(BACKENDS)}"
        )
    kind: BackendKind = import_module(_HOMES[name], __name__).KIND
    return kind


def default_device(backend: str) -> str:
    """Returns the device that a backend runs on where none is named."""
    return backend_kind(backend).default_device


def check_backend(name: str, device: str | None = None, provider: Provider | None = None) -> Device:
    """Finds out what can be found out before there is a model, which may have to be downloaded.

    Args:
        name: Name of the backend.
        device: "cpu", "cuda" or "cuda:N"; None means the backend's default.
        provider: What it is to run with, as for `load_backend`.

    Returns:
        The device.

    Raises:
        InvalidArgumentError: The backend or the device is unknown, or they do not go together.
        BackendUnavailableError: There is no GPU that TensorRT could use.
        MissingDependencyError: TensorRT, or a package that speaks to CUDA, is not installed.
    """
    kind = backend_kind(name)
    place = parse_device(kind.default_device if device is None else device)
    if place.kind not in kind.devices:
        words = " or ".join(_words(each) for each in kind.devices)
        others = [each for each in BACKENDS if place.kind in backend_kind(each).devices]
        raise InvalidArgumentError(
            f"backend {name!r} does not run on device {str(place)!r}; use {words}, or another "
            f"backend: {_listed(others)}"
        )
    kind.check(provider)
    return place


def _words(device_kind: str) -> str:
    return "device='cpu'" if device_kind == "cpu" else "device='cuda' or 'cuda:N'"


def _listed(names: list[BackendName]) -> str:
    return " or ".join(f"backend={name!r}" for name in names)


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
        name: "ort" for ONNX Runtime, "trt" for TensorRT or TensorRT for RTX, "openvino"
            for OpenVINO.
        model_path: ONNX file; for "trt" a TensorRT engine, whose name ends in .engine or .plan.
        device: "cpu", "cuda" or "cuda:N"; None means "cpu", for "trt" the first GPU.
        provider: Execution provider of ONNX Runtime, "cpu", "cuda" or "tensorrt"; None takes
            the one of the device's own name. With "trt" the library, "tensorrt" or
            "tensorrt-rtx"; None takes the one that built the engine.
        provider_options: Further options of the execution provider, in ONNX Runtime's own words.
        threads: CPU threads inside one operator; None leaves it to the runtime.
        precision: What is calculated in. "trt": "fp16" where it is safe (None means this), or
            "fp32". "openvino": "fp32" (None means this), "bf16" or "auto", see
            `openvino_precision`. ONNX Runtime takes the precision of the file; only its provider
            "tensorrt" can be told "fp16".
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
    options = LoadOptions(
        provider=provider,
        provider_options=provider_options or {},
        threads=threads,
        precision=precision,
        max_batch=max_batch,
    )
    check_options(name, options)
    return backend_kind(name).load(model_path, check_backend(name, device, provider), options)


def check_options(name: str, options: LoadOptions) -> None:
    """Finds out which options mean nothing to a backend.

    Raises:
        InvalidArgumentError: One does not go with the backend.
    """
    for option, value in options.given().items():
        if option not in backend_kind(name).options:
            takers = [each for each in BACKENDS if option in backend_kind(each).options]
            raise InvalidArgumentError(
                f"{option} {value!r} does not go with backend {name!r}; it is an option of "
                f"{_listed(takers)}"
            )
    providers = backend_kind(name).providers
    if options.provider not in (None, *providers):
        raise InvalidArgumentError(
            f"provider {options.provider!r} does not go with backend {name!r}, whose providers "
            f"are {', '.join(map(repr, providers))}"
        )
    known = backend_kind(name).precisions
    if options.precision not in (None, "auto", *known):
        others = [each for each in BACKENDS if options.precision in backend_kind(each).precisions]
        instead = f"; use {_listed(others)}" if others else ""
        raise InvalidArgumentError(
            f"precision {options.precision!r} does not go with backend {name!r}, which calculates "
            f"in {' or '.join(map(repr, known))}{instead}"
        )
