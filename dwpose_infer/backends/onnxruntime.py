"""ONNX Runtime: execution providers for CPU, CUDA and TensorRT behind the `Backend` protocol.

It gives the memory of large calls back: ONNX Runtime keeps what a call needed: after one batch of
64 persons a process that then sees single ones stays at 464 MB, which giving back makes 149
(`dwpose-s-bundled`). A small call that gives back takes no longer; the next large one takes 1.14
times its time, so that large calls between small ones must not each pay for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, cast, get_args

import numpy as np

from .. import wheels
from ..arrays import Array
from ..errors import (
    DwposeError,
    InferenceError,
    InvalidArgumentError,
    MissingDependencyError,
)
from .base import Backend
from .batching import ChunkedBackend, whole_shape
from .cuda_sessions import ShapedSessions, fixed_batch
from .device import Device
from .kind import BackendKind, LoadOptions
from .onnxruntime_options import (
    PROVIDER_NAMES,
    ConvSearch,
    CudaOptions,
    OrtOptions,
    Provider,
    TensorRtOptions,
)
from .onnxruntime_session import (
    KIND_ENTRY,
    choose_provider,
    computes_in_half,
    create_session,
    import_onnxruntime,
    open_for_reading,
    read_names,
    require_available,
)

SMALL_CALLS: Final = 8
"""Memory is given back after so many calls in a row of at most half the largest call's input."""


class CallSizes:
    """Watches the sizes of a session's calls."""

    def __init__(self) -> None:
        """No call was seen yet."""
        self._largest_bytes = 0
        self._small_calls = 0

    def should_give_back(self, input_bytes: int) -> bool:
        """Takes note of a call, and tells whether it should give memory back when it ends.

        Calls of several threads may come at once: at worst memory goes back a call too early.

        Args:
            input_bytes: Size of the call's inputs.
        """
        if 2 * input_bytes > self._largest_bytes:
            self._largest_bytes = max(self._largest_bytes, input_bytes)
            self._small_calls = 0
            return False
        self._small_calls += 1
        if self._small_calls < SMALL_CALLS:
            return False
        self._largest_bytes, self._small_calls = input_bytes, 0
        return True


__all__ = [
    "PROVIDER_NAMES",
    "CudaOptions",
    "OrtBackend",
    "OrtOptions",
    "Provider",
    "TensorRtOptions",
]

logger = logging.getLogger(__name__)

_SHRINK_ARENA = "memory.enable_memory_arena_shrinkage"
"""Gives what a call left unused in the arenas of these devices back when it ends.

The name is in onnxruntime_run_options_config_keys.h.
"""


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
        ort = import_onnxruntime()
        provider = choose_provider(device, options)
        require_available(ort, provider)
        self.description = f"ONNX Runtime {ort.__version__}, {PROVIDER_NAMES[provider]}, {device}"
        # Where inputs and outputs are bound; on the CPU nothing has to be copied.
        self._gpu_index = device.index if device.kind == "cuda" else None
        self._ort: Any = ort
        self._call_sizes = CallSizes()
        self._shaped: ShapedSessions | None = None
        if provider == "cuda":
            self._open_shaped(model_path, device, options)
        else:
            self._session = create_session(ort, model_path, provider, device, options)
            self.inputs, self.outputs, self.metadata = read_names(self._session, model_path)
        self._output_names = [spec.name for spec in self.outputs]
        logger.debug("loaded %s: %s", model_path, self.description)

    def _open_shaped(self, model_path: Path, device: Device, options: OrtOptions) -> None:
        """Opens the session for one sample; those for other shapes follow when they are met."""
        read = open_for_reading(self._ort, model_path)
        self.inputs, self.outputs, self.metadata = read_names(read, model_path)

        chosen = options.cuda
        # Estimating takes .4 to .8 of the time of trying all, once, and gives convolutions as
        # fast, but for those of pose networks in float32, which take 1.5 times as long (H200).
        quick = computes_in_half(model_path) or self.metadata.get(KIND_ENTRY) == "detector"
        searches: tuple[ConvSearch, ...] = ("HEURISTIC", "EXHAUSTIVE") if quick else ("EXHAUSTIVE",)
        if chosen.cudnn_conv_algo_search is not None:
            searches = (chosen.cudnn_conv_algo_search,)

        def open_session(sizes: Mapping[str, int], graph: bool, search: ConvSearch) -> Any:
            cuda = replace(chosen, graph=chosen.graph and graph, cudnn_conv_algo_search=search)
            own = replace(options, cuda=cuda)
            return create_session(self._ort, model_path, "cuda", device, own, sizes=sizes)

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
        found = getattr(import_onnxruntime(), "get_available_providers", list)
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
