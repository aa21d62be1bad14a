"""The gate once more, on the GPU that an exported file will serve on.

ONNX Runtime's CPU keeps float32 between half-precision nodes, and a GPU has kernels of its own:
what a file gives there is seen there alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ..arrays import UInt8Array
from ..backends import load_backend
from ..backends.device import parse_device
from ..backends.onnxruntime_options import PROVIDER_NAMES
from ..backends.onnxruntime_session import (
    import_onnxruntime,
    require_available,
    require_gpu,
)
from ..backends.tensorrt.system import find_driver
from ..errors import (
    BackendUnavailableError,
    InferenceError,
    InvalidArgumentError,
    MissingDependencyError,
)
from .metadata import Form, Precision
from .parity import check_device_parity
from .parity_report import ParityReport
from .sources import Source

GateProvider = Literal["cuda", "tensorrt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingDevice:
    """Where a file is compared with its source, besides on the CPU.

    Attributes:
        device: "cpu" for nowhere else, "cuda" or "cuda:N"; None takes the first GPU for files in
            "fp16", which are for GPUs, where there is one that ONNX Runtime can use.
        provider: Execution provider of ONNX Runtime; None takes "cuda".
        provider_options: Options of it in ONNX Runtime's own words, those to serve with.
        for_gpus: The file is for GPUs whatever its precision; `device` None does as for "fp16".
    """

    device: str | None = None
    provider: GateProvider | None = None
    provider_options: Mapping[str, Any] = field(default_factory=dict)
    for_gpus: bool = False

    def __post_init__(self) -> None:
        if self.provider not in (None, *get_args(GateProvider)):
            raise InvalidArgumentError(
                f"a file is compared with ONNX Runtime's provider 'cuda' or 'tensorrt', not "
                f"{self.provider!r}"
            )
        place = parse_device(self.device or "cuda")
        if place.kind == "cpu" and (self.provider or self.provider_options):
            raise InvalidArgumentError(
                "a provider and its options go with a comparison on a GPU: --device cuda"
            )

    @property
    def asked(self) -> bool:
        """Whether a GPU was asked for, so that one that cannot be used is an error."""
        return bool(self.device or self.provider or self.provider_options)

    @property
    def is_gpu(self) -> bool:
        """Whether a GPU was asked for."""
        return self.asked and parse_device(self.device or "cuda").kind == "cuda"

    def require_available(self) -> None:
        """Finds out before the work starts whether ONNX Runtime has what was asked for.

        Raises:
            BackendUnavailableError: It was built without it, or there is no such GPU.
        """
        if self.is_gpu:
            require_available(import_onnxruntime(), self.provider or "cuda")
            require_gpu(parse_device(self.device or "cuda"))

    def choose(self, precision: Precision, say: Callable[[str], None]) -> str | None:
        """Returns the GPU to compare on, or None for none.

        Args:
            precision: Of the file.
            say: Called with a line where a file for GPUs is not compared on one.
        """
        if self.asked:
            place = parse_device(self.device or "cuda")
            return None if place.kind == "cpu" else str(place)
        if precision != "fp16" and not self.for_gpus:
            return None
        why = _why_no_gpu()
        if why is None:
            return "cuda:0"
        half = ", where fp16 keeps float32 between the nodes" if precision == "fp16" else ""
        say(f"{why}: compared on the CPU alone{half}")
        return None


def _why_no_gpu() -> str | None:
    driver = find_driver()
    if driver is None or driver.problem or not driver.gpus:
        return "no NVIDIA GPU is here"
    if PROVIDER_NAMES["cuda"] not in import_onnxruntime().get_available_providers():
        return "the ONNX Runtime installed has no CUDA"
    return None


def check_where_it_serves(
    serving: ServingDevice,
    source: Source,
    model: bytes,
    samples: UInt8Array,
    *,
    form: Form,
    precision: Precision,
    allow_undecided: bool,
    progress: Callable[[str], None],
) -> ParityReport | None:
    """Compares a file on a GPU with its source on the CPU.

    Args:
        serving: Which GPU, and how.
        source: What was exported.
        model: The file's bytes.
        samples: (N, H, W, 3) uint8 BGR, of the network's input size.
        form: Form of the file.
        precision: Its precision, chooses the limits.
        allow_undecided: Where points or boxes decide nothing, let raw outputs or scores decide.
        progress: Called with a line before the comparison, or that says why there is none.

    Returns:
        The report, or None where no GPU is asked for, or none is here that was not asked for.

    Raises:
        BackendUnavailableError: The GPU that was asked for cannot be used.
        InferenceError: The network failed while it ran.
    """
    device = serving.choose(precision, progress)
    if device is None:
        return None
    progress(f"comparing on {device}; its kernels are searched first, for seconds")
    with tempfile.TemporaryDirectory(prefix="dwpose-export-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model)
        try:
            backend = load_backend(
                "ort",
                path,
                device=device,
                provider=serving.provider,
                provider_options=serving.provider_options,
            )
        except (BackendUnavailableError, MissingDependencyError) as error:
            if serving.asked:
                raise
            progress(f"compared on the CPU alone: {error}")
            return None
        try:
            with backend:
                return check_device_parity(
                    source,
                    backend.run,
                    samples,
                    form=form,
                    precision=precision,
                    device=backend.description,
                    allow_undecided=allow_undecided,
                )
        except InferenceError as error:
            raise InferenceError(
                f"{error}. Remedy: where the GPU is busy, try again; --device cpu compares on the "
                "CPU alone"
            ) from error
