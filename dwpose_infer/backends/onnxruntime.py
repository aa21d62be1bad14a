"""ONNX Runtime: execution providers for CPU, CUDA and TensorRT behind the `Backend` protocol."""

from __future__ import annotations

import importlib
import io
import logging
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, cast, get_args

import numpy as np

from .. import wheels
from ..cores import limited_threads
from ..errors import (
    BackendUnavailableError,
    DwposeError,
    InferenceError,
    InvalidArgumentError,
    MissingDependencyError,
    ModelFormatError,
)
from .arena import CallSizes
from .base import Array, Backend, TensorSpec
from .batching import ChunkedBackend, whole_shape
from .cuda_sessions import ShapedSessions, fixed_batch
from .device import Device
from .kind import BackendKind, LoadOptions
from .onnx_file import read_metadata
from .onnxruntime_options import (
    PROVIDER_NAMES,
    ConvSearch,
    CudaOptions,
    OrtOptions,
    Provider,
    TensorRtOptions,
)
from .tensorrt.system import find_driver

__all__ = [
    "PROVIDER_NAMES",
    "CudaOptions",
    "OrtBackend",
    "OrtOptions",
    "Provider",
    "TensorRtOptions",
]

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

_SHRINK_ARENA = "memory.enable_memory_arena_shrinkage"
"""Gives what a call left unused in the arenas of these devices back when it ends.

The name is in onnxruntime_run_options_config_keys.h.
"""

PRECISION_ENTRY = "dwpose_infer.precision"
KIND_ENTRY = "dwpose_infer.kind"
"""Entries of an exported file's metadata that say what it computes in, and what it finds."""

# Names of those exceptions of ONNX Runtime that blame the file, whatever the provider.
_MODEL_ERRORS = ("InvalidProtobuf", "InvalidGraph", "NoModel", "NoSuchFile")


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
        self.description = f"ONNX Runtime {ort.__version__}, {PROVIDER_NAMES[provider]}, {device}"
        # Where inputs and outputs are bound; on the CPU nothing has to be copied.
        self._gpu_index = device.index if device.kind == "cuda" else None
        self._ort: Any = ort
        self._call_sizes = CallSizes()
        self._shaped: ShapedSessions | None = None
        if provider == "cuda":
            self._open_shaped(model_path, device, options)
        else:
            self._session = _create_session(ort, model_path, provider, device, options)
            self.inputs, self.outputs, self.metadata = _read_names(self._session, model_path)
        self._output_names = [spec.name for spec in self.outputs]
        logger.debug("loaded %s: %s", model_path, self.description)

    def _open_shaped(self, model_path: Path, device: Device, options: OrtOptions) -> None:
        """Opens the session for one sample; those for other shapes follow when they are met."""
        read = _open_for_reading(self._ort, model_path)
        self.inputs, self.outputs, self.metadata = _read_names(read, model_path)

        chosen = options.cuda
        # Estimating takes .4 to .8 of the time of trying all, once, and gives convolutions as
        # fast, but for those of pose networks in float32, which take 1.5 times as long (H200).
        quick = _computes_in_half(model_path) or self.metadata.get(KIND_ENTRY) == "detector"
        searches: tuple[ConvSearch, ...] = ("HEURISTIC", "EXHAUSTIVE") if quick else ("EXHAUSTIVE",)
        if chosen.cudnn_conv_algo_search is not None:
            searches = (chosen.cudnn_conv_algo_search,)

        def open_session(sizes: Mapping[str, int], graph: bool, search: ConvSearch) -> Any:
            cuda = replace(chosen, graph=chosen.graph and graph, cudnn_conv_algo_search=search)
            own = replace(options, cuda=cuda)
            return _create_session(self._ort, model_path, "cuda", device, own, sizes=sizes)

        self._shaped = ShapedSessions(
            self._ort,
            open_session,
            inputs=self.inputs,
            outputs=self.outputs,
            free=[[s if isinstance(s, str) else None for s in n.shape] for n in read.get_inputs()],
            gpu_index=device.index,
            searches=searches,
        )
        self._session = self._shaped.open(
            tuple(whole_shape(spec, self.metadata) for spec in self.inputs)
        )

    @property
    def session(self) -> Any:
        """The session of ONNX Runtime, for who runs it in a way of their own; None once closed.

        With the CUDA provider it is the one for a single sample.
        """
        return self._session

    def _batch_for(self, batch: int) -> int | None:
        own = super()._batch_for(batch)
        return fixed_batch(batch) if own is None and self._shaped is not None else own

    def _run_once(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        session = self._session
        if session is None:
            raise InferenceError("this backend is closed; create a new one")
        try:
            if self._shaped is not None:
                outputs = self._shaped.run(inputs)
            elif self._gpu_index is None:
                outputs = session.run(self._output_names, dict(inputs), self._run_options(inputs))
            else:
                outputs = self._run_bound(session, inputs)
        except DwposeError:
            raise
        except Exception as error:  # ONNX Runtime's exceptions have no base of their own
            raise InferenceError(f"{self.description} failed: {error}") from error
        return dict(zip(self._output_names, outputs, strict=True))

    def _run_options(self, inputs: Mapping[str, Array]) -> Any:
        """The options of a call on the CPU that gives memory back; None for most calls."""
        if not self._call_sizes.should_give_back(sum(array.nbytes for array in inputs.values())):
            return None
        options = self._ort.RunOptions()
        options.add_run_config_entry(_SHRINK_ARENA, "cpu:0")
        return options

    def bound(self, inputs: Mapping[str, Array]) -> Callable[[], None]:
        """Puts inputs where the network reads them; what is returned runs it and copies nothing.

        Args:
            inputs: As for `run`, of a batch size that the graph takes in one call.

        Raises:
            InferenceError: The runtime failed.
        """
        try:
            if self._shaped is not None:
                return self._shaped.bound(inputs)
            return partial(self._session.run_with_iobinding, self._bind(self._session, inputs))
        except DwposeError:
            raise
        except Exception as error:  # ONNX Runtime's exceptions have no base of their own
            raise InferenceError(f"{self.description} failed: {error}") from error

    def _bind(self, session: Any, inputs: Mapping[str, Array]) -> Any:
        place = ("cpu", 0) if self._gpu_index is None else ("cuda", self._gpu_index)
        binding = session.io_binding()
        for name, array in inputs.items():
            whole = np.ascontiguousarray(array)
            value = self._ort.OrtValue.ortvalue_from_numpy(whole, *place)
            binding.bind_ortvalue_input(name, value)
        for name in self._output_names:
            binding.bind_output(name, *place)
        return binding

    def _run_bound(self, session: Any, inputs: Mapping[str, Array]) -> list[Array]:
        """Runs with inputs and outputs that are bound to the GPU.

        Every input is copied there once, before the run; the outputs stay there until all of
        them are copied back together. Each call has a binding of its own: calls of several
        threads do not see one another's.
        """
        binding = self._bind(session, inputs)
        binding.synchronize_inputs()
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        outputs: list[Array] = binding.copy_outputs_to_cpu()  # in the order of binding
        return outputs

    def close(self) -> None:
        """Frees the session; may be called again."""
        self._session = None
        if self._shaped is not None:
            self._shaped.close()


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


def _create_session(
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
        _require_gpu(device)
    _load_libraries(ort, provider)
    settings = ort.SessionOptions()
    settings.log_severity_level = 3  # errors; the rest is checked and reported below
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
                half=provider != "cpu" and _computes_in_half(model_path),
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


def _require_gpu(device: Device) -> None:
    """Tells a GPU that is not there from a library that is not, where the driver can be asked."""
    driver = find_driver()
    if driver is None or driver.problem or device.index < len(driver.gpus):
        return
    there = "; ".join(driver.gpus) or "none"
    raise BackendUnavailableError(f"there is no GPU {device} on this machine: it has {there}")


def _computes_in_half(model_path: Path) -> bool:
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
        with redirect_stdout(said):
            ort.preload_dlls()
        if said.getvalue():
            logger.debug("ONNX Runtime: %s", said.getvalue().strip())
    if provider == "tensorrt":
        with suppress(ImportError, OSError):  # a system-wide TensorRT may do as well
            importlib.import_module("tensorrt")


def _read_inputs(ort: Any, model_path: Path) -> tuple[TensorSpec, ...]:
    """The graph's inputs, before there is a session."""
    nodes = _open_for_reading(ort, model_path).get_inputs()
    return tuple(_tensor_spec(node, model_path) for node in nodes)


def _open_for_reading(ort: Any, model_path: Path) -> Any:
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


def _read_names(
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


def _load(model_path: Path, device: Device, options: LoadOptions) -> Backend:
    half = options.precision == "fp16" and options.provider == "tensorrt"
    if options.precision == "fp16" and not half:
        raise InvalidArgumentError(
            "precision 'fp16' does not go with backend 'ort', which takes the precision of the "
            "file (see `dwpose-export --precision`); only its provider 'tensorrt' can be told; "
            "use backend='trt'"
        )
    own = OrtOptions(
        provider=cast("Provider | None", options.provider),
        intra_op_threads=options.threads,
        tensorrt=TensorRtOptions(fp16=half, max_batch=options.max_batch),
        provider_options=options.provider_options,
    )
    return OrtBackend(model_path, device=device, options=own)


def _versions() -> dict[str, str]:
    try:
        found = getattr(_import_onnxruntime(), "get_available_providers", list)
        providers = ", ".join(found())
    except MissingDependencyError:
        providers = ""
    return {
        "ONNX Runtime": wheels.join_wheels(wheels.onnxruntime_wheels()),
        "providers": providers or "none",
    }


KIND: Final = BackendKind(
    name="ort",
    devices=("cpu", "cuda"),
    default_device="cpu",
    options=frozenset({"provider", "provider_options", "threads", "precision"}),
    precisions=("fp32", "fp16"),
    providers=get_args(Provider),
    load=_load,
    check=lambda _provider: None,  # is found out as it is imported, with the model
    probes=("cpu", "cuda"),
    versions=_versions,
)
