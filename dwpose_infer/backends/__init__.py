"""Runtimes that execute a graph, chosen by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..errors import BackendUnavailableError, InvalidArgumentError
from .base import Backend, TensorSpec
from .device import Device, parse_device

if TYPE_CHECKING:
    from .onnxruntime import Provider

__all__ = ["BACKENDS", "Backend", "BackendName", "Device", "TensorSpec", "load_backend"]

BackendName = Literal["ort", "trt", "openvino"]
BACKENDS: tuple[BackendName, ...] = ("ort", "trt", "openvino")


def load_backend(
    name: BackendName,
    model_path: Path,
    *,
    device: str = "cpu",
    provider: Provider | None = None,
    threads: int | None = None,
) -> Backend:
    """Loads a model file into a runtime.

    Args:
        name: "ort" for ONNX Runtime.
        model_path: Model file.
        device: "cpu", "cuda" or "cuda:N".
        provider: Execution provider of ONNX Runtime, "cpu", "cuda" or "tensorrt"; None takes
            the one of the device's own name.
        threads: Threads inside one operator; None leaves it to the runtime.

    Raises:
        InvalidArgumentError: The backend or the device is unknown.
        BackendUnavailableError: The backend or the device cannot be used on this machine.
        MissingDependencyError: The runtime is not installed.
        ModelFormatError: The file is not a model this runtime can load.
    """
    place = parse_device(device)
    if name == "ort":
        from .onnxruntime import OrtBackend, OrtOptions

        options = OrtOptions(provider=provider, intra_op_threads=threads)
        return OrtBackend(model_path, device=place, options=options)
    if name in BACKENDS:
        raise BackendUnavailableError(
            f"this version has no backend {name!r} yet; use backend='ort', with device='cuda' "
            'on an NVIDIA GPU (pip install "dwpose-infer[gpu]")'
        )
    raise InvalidArgumentError(f"unknown backend {name!r}; the backends are {', '.join(BACKENDS)}")
