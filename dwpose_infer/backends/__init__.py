"""Runtimes that execute a graph, chosen by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..errors import BackendUnavailableError, InvalidArgumentError
from .base import Backend, TensorSpec
from .device import Device, parse_device

if TYPE_CHECKING:
    from .onnxruntime import Provider
    from .openvino import Precision

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
    precision: Precision | None = None,
) -> Backend:
    """Loads a model file into a runtime.

    Args:
        name: "ort" for ONNX Runtime, "openvino" for OpenVINO.
        model_path: Model file.
        device: "cpu", "cuda" or "cuda:N".
        provider: Execution provider of ONNX Runtime, "cpu", "cuda" or "tensorrt"; None takes
            the one of the device's own name.
        threads: Threads inside one operator; None leaves it to the runtime.
        precision: What "openvino" calculates in, "fp32" or "bf16"; None means "fp32". ONNX
            Runtime takes the precision of the file.

    Raises:
        InvalidArgumentError: The backend or the device is unknown, or an option does not go
            with the backend.
        BackendUnavailableError: The backend or the device cannot be used on this machine.
        MissingDependencyError: The runtime is not installed.
        ModelFormatError: The file is not a model this runtime can load.
    """
    place = parse_device(device)
    if name == "ort":
        from .onnxruntime import OrtBackend, OrtOptions

        if precision not in (None, "fp32"):
            raise InvalidArgumentError(
                f"precision {precision!r} does not go with backend 'ort', which takes the "
                "precision of the file; use backend='openvino'"
            )
        options = OrtOptions(provider=provider, intra_op_threads=threads)
        return OrtBackend(model_path, device=place, options=options)
    if name == "openvino":
        from .openvino import OpenVinoBackend, OpenVinoOptions

        if provider is not None:
            raise InvalidArgumentError(
                f"provider {provider!r} does not go with backend 'openvino'; providers are parts "
                "of ONNX Runtime, backend='ort'"
            )
        return OpenVinoBackend(
            model_path,
            device=place,
            options=OpenVinoOptions(precision=precision or "fp32", threads=threads),
        )
    if name in BACKENDS:
        raise BackendUnavailableError(
            f"this version has no backend {name!r} yet; use backend='ort', with device='cuda' "
            'on an NVIDIA GPU (pip install "dwpose-infer[gpu]")'
        )
    raise InvalidArgumentError(f"unknown backend {name!r}; the backends are {', '.join(BACKENDS)}")
