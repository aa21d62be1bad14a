"""Settings of ONNX Runtime's sessions and execution providers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ..cores import require_threads
from ..errors import InvalidArgumentError, OutputError
from ..wheels import installed
from ..zoo.places import engines_folder
from .base import TensorSpec
from .device import Device
from .tensorrt.system import TENSORRT_WHEELS

Provider = Literal["cpu", "cuda", "tensorrt"]

PROVIDER_NAMES: dict[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}

ArenaGrowth = Literal["kNextPowerOfTwo", "kSameAsRequested"]
ConvSearch = Literal["EXHAUSTIVE", "HEURISTIC", "DEFAULT"]


@dataclass(frozen=True, slots=True)
class CudaOptions:
    """Settings of the CUDA provider; names and values are ONNX Runtime's, from 1.19 on.

    Attributes:
        gpu_mem_limit: Bytes that its memory arena may take; None for no limit.
        arena_extend_strategy: How the arena grows: "kNextPowerOfTwo" (None means this) or
            "kSameAsRequested", which takes less memory and more time.
        cudnn_conv_algo_search: How cuDNN's algorithms are chosen for each batch size:
            "EXHAUSTIVE" tries all of them, "HEURISTIC" estimates, "DEFAULT" takes always the
            same. None: "HEURISTIC" for detectors and for files that compute in half precision,
            where it takes half the time once and at most 12 % more with every call, else
            "EXHAUSTIVE" (H200).
        prefer_nhwc: Convolve with the channels last. None: for files that compute in half
            precision, which gain 10 to 17 %; others lose as much (H200).
        graph: Capture every batch size as a CUDA graph and replay it, which takes .3 to .6 of
            the time for single persons (H200). Networks of which a part is left to the CPU, or
            whose outputs have no fixed size, do without.
        use_tf32: Let GPUs from Ampere on round float32 to TF32, with 10 bits of mantissa, before
            they multiply. ONNX Runtime does that unless told otherwise. None: on for files that
            compute in half precision, whose own mantissa has no more bits, and off for others,
            so that the results are those of the CPU. Off, ONNX Runtime keeps half-precision
            convolutions from the tensor cores too: l-384 takes twice the time (H200, 1.31.1).
    """

    gpu_mem_limit: int | None = None
    arena_extend_strategy: ArenaGrowth | None = None
    cudnn_conv_algo_search: ConvSearch | None = None
    use_tf32: bool | None = None
    prefer_nhwc: bool | None = None
    graph: bool = True

    def __post_init__(self) -> None:
        if self.gpu_mem_limit is not None and self.gpu_mem_limit < 1:
            raise InvalidArgumentError(
                f"gpu_mem_limit is {self.gpu_mem_limit}, must be a number of bytes above 0"
            )
        _require_one_of("arena_extend_strategy", self.arena_extend_strategy, get_args(ArenaGrowth))
        _require_one_of("cudnn_conv_algo_search", self.cudnn_conv_algo_search, get_args(ConvSearch))

    def as_provider_options(self, device: Device, *, half: bool = False) -> dict[str, Any]:
        """Returns the options in ONNX Runtime's own words, without those left to it.

        Args:
            device: GPU to run on.
            half: Whether the file computes in half precision.
        """
        tf32 = half if self.use_tf32 is None else self.use_tf32
        nhwc = half if self.prefer_nhwc is None else self.prefer_nhwc
        chosen = {
            "gpu_mem_limit": self.gpu_mem_limit,
            "arena_extend_strategy": self.arena_extend_strategy,
            "cudnn_conv_algo_search": self.cudnn_conv_algo_search,
            "prefer_nhwc": int(nhwc) or None,
        }
        given = {name: value for name, value in chosen.items() if value is not None}
        return {"device_id": device.index, "use_tf32": int(tf32), **given}


@dataclass(frozen=True, slots=True)
class TensorRtOptions:
    """Settings of the TensorRT provider. For TensorRT without ONNX Runtime see backend "trt".

    Attributes:
        fp16: Let TensorRT calculate everything in half precision, which loses fingers; a file
            exported with half precision where it is safe is the better way.
        max_batch: Largest batch that the engine is built for; None lets ONNX Runtime build it
            again for each batch larger than those before.
        engine_cache: Folder that keeps engines and timings; None takes one among this package's
            own, for this version of ONNX Runtime and TensorRT.
    """

    fp16: bool = False
    max_batch: int | None = None
    engine_cache: Path | None = None

    def as_provider_options(
        self, device: Device, inputs: tuple[TensorSpec, ...], *, ort_version: str
    ) -> dict[str, Any]:
        """Returns the options in ONNX Runtime's own words.

        Args:
            device: GPU to run on.
            inputs: The graph's inputs.
            ort_version: Version of ONNX Runtime.

        Raises:
            OutputError: The folder of the engines cannot be made.
        """
        folder = self.engine_cache or _engine_folder(ort_version)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot make the folder {folder} for TensorRT engines "
                f"({error.strerror or error}): name another folder in the environment variable "
                "DWPOSE_HOME"
            ) from error
        return {
            "device_id": device.index,
            "trt_fp16_enable": self.fp16,
            "trt_engine_cache_enable": True,
            "trt_engine_cache_path": str(folder),
            "trt_timing_cache_enable": True,
            "trt_timing_cache_path": str(folder),
            **self._profile(inputs),
        }

    def _profile(self, inputs: tuple[TensorSpec, ...]) -> dict[str, str]:
        """The batch sizes of the engine, where nothing but the batch is free in the graph."""
        if self.max_batch is None or any(
            spec.shape[0] is not None or None in spec.shape[1:] for spec in inputs
        ):
            return {}

        def shapes(batch: int) -> str:
            return ",".join(
                f"{spec.name}:{'x'.join(map(str, (batch, *spec.shape[1:])))}" for spec in inputs
            )

        return {
            "trt_profile_min_shapes": shapes(1),
            "trt_profile_opt_shapes": shapes(1),
            "trt_profile_max_shapes": shapes(self.max_batch),
        }


@dataclass(frozen=True, slots=True)
class OrtOptions:
    """Settings of an ONNX Runtime session.

    Attributes:
        provider: Execution provider; None means "cpu" on a CPU and "cuda" on a GPU.
        intra_op_threads: Threads inside one operator; None leaves it to ONNX Runtime, which
            takes one per physical core, unless a CPU mask or a container's quota allows fewer.
        inter_op_threads: Operators run at the same time; None leaves it to ONNX Runtime.
        cuda: Settings of the CUDA provider; also for what TensorRT leaves to it.
        tensorrt: Settings of the TensorRT provider.
        provider_options: Further options of the provider, in ONNX Runtime's own words; they
            come after those of `cuda` and `tensorrt`.
    """

    provider: Provider | None = None
    intra_op_threads: int | None = None
    inter_op_threads: int | None = None
    cuda: CudaOptions = field(default_factory=CudaOptions)
    tensorrt: TensorRtOptions = field(default_factory=TensorRtOptions)
    provider_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.provider is not None and self.provider not in PROVIDER_NAMES:
            raise InvalidArgumentError(
                f"unknown execution provider {self.provider!r}; "
                f"the providers are {', '.join(PROVIDER_NAMES)}"
            )
        for name in ("intra_op_threads", "inter_op_threads"):
            require_threads(name, getattr(self, name))

    def provider_list(
        self,
        provider: Provider,
        device: Device,
        *,
        inputs: tuple[TensorSpec, ...] = (),
        ort_version: str = "",
        half: bool = False,
    ) -> list[tuple[str, dict[str, Any]]]:
        """Returns the provider asked for, then those that take the operators it does not know.

        Args:
            provider: The provider asked for.
            device: Where to run.
            inputs: The graph's inputs; only "tensorrt" needs them.
            ort_version: Version of ONNX Runtime; only "tensorrt" needs it.
            half: Whether the file computes in half precision.

        Raises:
            InvalidArgumentError: An option cannot work here.
        """
        chosen = dict(self.provider_options)
        for name in _GRAPHS_BY_OPTION:
            if _is_on(chosen.get(name)):
                raise InvalidArgumentError(
                    f"the provider option {name} cannot be turned on: with the provider 'cuda' "
                    "networks run as CUDA graphs wherever that is safe (enable_cuda_graph=0 turns "
                    "that off), with others they would give wrong points: leave it out"
                )
        cpu: tuple[str, dict[str, Any]] = (PROVIDER_NAMES["cpu"], {})
        if provider == "cpu":
            return [(PROVIDER_NAMES["cpu"], chosen)]
        cuda = self.cuda.as_provider_options(device, half=half)
        if provider == "cuda":
            graph = {"enable_cuda_graph": 1} if self.cuda.graph else {}
            return [(PROVIDER_NAMES["cuda"], cuda | graph | chosen), cpu]
        own = self.tensorrt.as_provider_options(device, inputs, ort_version=ort_version)
        return [(PROVIDER_NAMES["tensorrt"], own | chosen), (PROVIDER_NAMES["cuda"], cuda), cpu]


_GRAPHS_BY_OPTION = ("enable_cuda_graph", "trt_cuda_graph_enable")
"""Options of the providers that replay what was captured, whatever is bound (H200, 1.31.1)."""


def _is_on(value: object) -> bool:
    return str(value).lower() in ("1", "true")


def _require_one_of(name: str, value: str | None, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        raise InvalidArgumentError(f"unknown {name} {value!r}; it may be {', '.join(known)}")


def _engine_folder(ort_version: str) -> Path:
    """ONNX Runtime names engines after graph and GPU only; the versions are up to the folder."""
    versions = installed(TENSORRT_WHEELS).values()
    return engines_folder() / "-".join(["onnxruntime", ort_version, "tensorrt", *versions])
