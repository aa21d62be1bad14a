"""ONNX Runtime: execution providers for CPU, CUDA and TensorRT behind the `Backend` protocol."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .. import environment
from ..errors import (
    BackendUnavailableError,
    InferenceError,
    InvalidArgumentError,
    MissingDependencyError,
    ModelFormatError,
)
from .base import Array, TensorSpec
from .chunked import ChunkedBackend
from .device import Device

logger = logging.getLogger(__name__)

Provider = Literal["cpu", "cuda", "tensorrt"]

PROVIDER_NAMES: dict[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}

_DTYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


# Names of those exceptions of ONNX Runtime that blame the file, whatever the provider.
_MODEL_ERRORS = ("InvalidProtobuf", "InvalidGraph", "NoModel", "NoSuchFile")


@dataclass(frozen=True, slots=True)
class OrtOptions:
    """Settings of an ONNX Runtime session.

    Attributes:
        provider: Execution provider; None means "cpu" on a CPU and "cuda" on a GPU.
        intra_op_threads: Threads inside one operator; None leaves it to ONNX Runtime, which
            takes one per physical core.
        inter_op_threads: Operators run at the same time; None leaves it to ONNX Runtime.
        provider_options: Further options of the provider, in ONNX Runtime's own words.
    """

    provider: Provider | None = None
    intra_op_threads: int | None = None
    inter_op_threads: int | None = None
    provider_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.provider is not None and self.provider not in PROVIDER_NAMES:
            raise InvalidArgumentError(
                f"unknown execution provider {self.provider!r}; "
                f"the providers are {', '.join(PROVIDER_NAMES)}"
            )
        for name in ("intra_op_threads", "inter_op_threads"):
            threads = getattr(self, name)
            if threads is not None and threads < 1:
                raise InvalidArgumentError(f"{name} is {threads}, must be at least 1")


class OrtBackend(ChunkedBackend):
    """An ONNX file in an ONNX Runtime session, on exactly the device asked for."""

    def __init__(
        self, model_path: Path, *, device: Device, options: OrtOptions | None = None
    ) -> None:
        """Creates the session.

        Args:
            model_path: ONNX file.
            device: Where to run.
            options: Threads and execution provider.

        Raises:
            MissingDependencyError: ONNX Runtime is not installed.
            BackendUnavailableError: The provider cannot be used on this machine.
            ModelFormatError: The file is not an ONNX model that ONNX Runtime can load.
            InvalidArgumentError: Provider and device contradict each other.
        """
        options = options or OrtOptions()
        ort = _import_onnxruntime()
        provider = _choose_provider(device, options)
        _require_available(ort, provider)
        self._session: Any = _create_session(ort, model_path, provider, device, options)
        _require_used(ort, self._session, provider)
        self.inputs = tuple(_tensor_spec(node, model_path) for node in self._session.get_inputs())
        self.outputs = tuple(_tensor_spec(node, model_path) for node in self._session.get_outputs())
        self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)
        self.description = f"ONNX Runtime {ort.__version__}, {PROVIDER_NAMES[provider]}, {device}"
        self._output_names = [spec.name for spec in self.outputs]
        logger.debug("loaded %s: %s", model_path, self.description)

    def _run_once(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        session = self._session
        if session is None:
            raise InferenceError("this backend is closed; create a new one")
        try:
            outputs = session.run(self._output_names, dict(inputs))
        except Exception as error:  # ONNX Runtime's exceptions have no base of their own
            raise InferenceError(f"{self.description} failed: {error}") from error
        return dict(zip(self._output_names, outputs, strict=True))

    def close(self) -> None:
        """Frees the session; may be called again."""
        self._session = None


def _import_onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            "ONNX Runtime is not installed or not usable "
            f'({error}); install it with: pip install "dwpose-infer[cpu]" for a CPU, '
            'or pip install "dwpose-infer[gpu]" for an NVIDIA GPU'
        ) from error
    return onnxruntime


def _choose_provider(device: Device, options: OrtOptions) -> Provider:
    provider = options.provider or device.kind
    if (provider == "cpu") != (device.kind == "cpu"):
        raise InvalidArgumentError(
            f"execution provider {provider!r} does not run on device {str(device)!r}; "
            "use device='cpu' with 'cpu', device='cuda' with 'cuda' or 'tensorrt'"
        )
    return provider


def _require_available(ort: Any, provider: Provider) -> None:
    """Raises unless the installed ONNX Runtime was built with the provider."""
    if not hasattr(ort, "InferenceSession"):
        # Removing one of two onnxruntime wheels leaves an empty package behind.
        raise BackendUnavailableError(
            f"the onnxruntime package is damaged. {environment.ort_remedy(provider)}"
        )
    if PROVIDER_NAMES[provider] not in ort.get_available_providers():
        raise BackendUnavailableError(
            f"ONNX Runtime {ort.__version__} here has no {PROVIDER_NAMES[provider]} "
            f"(it has {', '.join(ort.get_available_providers())}). "
            f"{environment.ort_remedy(provider)}"
        )
    wheels = environment.onnxruntime_wheels()
    if len(wheels) > 1:
        logger.warning(
            "several ONNX Runtime wheels are installed over one another (%s). %s",
            ", ".join(wheels),
            environment.ort_remedy(provider),
        )


def _create_session(
    ort: Any, model_path: Path, provider: Provider, device: Device, options: OrtOptions
) -> Any:
    if provider != "cpu" and hasattr(ort, "preload_dlls"):
        # Loads CUDA and cuDNN from the nvidia wheels; without it, only system-wide copies count.
        ort.preload_dlls()
    settings = ort.SessionOptions()
    settings.log_severity_level = 3  # errors; the rest is checked and reported below
    if options.intra_op_threads is not None:
        settings.intra_op_num_threads = options.intra_op_threads
    if options.inter_op_threads is not None:
        settings.inter_op_num_threads = options.inter_op_threads
        settings.execution_mode = ort.ExecutionMode.ORT_PARALLEL
    try:
        session = ort.InferenceSession(
            str(model_path),
            sess_options=settings,
            providers=_provider_list(provider, device, options),
        )
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        if provider != "cpu" and type(error).__name__ not in _MODEL_ERRORS:
            raise BackendUnavailableError(
                f"ONNX Runtime cannot load {model_path} with {PROVIDER_NAMES[provider]} on "
                f"{device}: {error}. {environment.ort_remedy(provider)}"
            ) from error
        raise ModelFormatError(f"{model_path} is not a usable ONNX model: {error}") from error
    session.disable_fallback()
    return session


def _provider_list(
    provider: Provider, device: Device, options: OrtOptions
) -> list[tuple[str, dict[str, Any]]]:
    """The provider asked for, then those that take the operators it does not know."""
    if provider == "cpu":
        return [(PROVIDER_NAMES["cpu"], dict(options.provider_options))]
    own = {"device_id": device.index, **options.provider_options}
    providers = [(PROVIDER_NAMES[provider], own)]
    if provider == "tensorrt":
        providers.append((PROVIDER_NAMES["cuda"], {"device_id": device.index}))
    return [*providers, (PROVIDER_NAMES["cpu"], {})]


def _require_used(ort: Any, session: Any, provider: Provider) -> None:
    """Raises when ONNX Runtime quietly took another provider than the one asked for."""
    used = session.get_providers()
    if used[0] != PROVIDER_NAMES[provider]:
        raise BackendUnavailableError(
            f"{PROVIDER_NAMES[provider]} was asked for, but ONNX Runtime {ort.__version__} could "
            f"not start it and took {', '.join(used)}: a CUDA, cuDNN or TensorRT library of the "
            f"right version was not found. {environment.ort_remedy(provider)}"
        )


def _tensor_spec(node: Any, model_path: Path) -> TensorSpec:
    dtype = _DTYPES.get(node.type)
    if dtype is None:
        raise ModelFormatError(f"{model_path}: {node.name} has the unknown type {node.type}")
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in node.shape)
    return TensorSpec(node.name, np.dtype(dtype), shape)
