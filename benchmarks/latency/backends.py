"""Which backends the table can have, and how they are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from ...backends.device import Device
from ...errors import InvalidArgumentError
from .executors import Executor, OpenVinoExecutor, OrtExecutor, TensorRtExecutor
from .networks import DeployPrecision, Network
from .torch_executor import Mode, TorchExecutor

BackendKey: TypeAlias = Literal[
    "ort", "openvino", "openvino-bf16", "ort-cuda", "trt", "torch", "torch-graph", "torch-compiled"
]
BACKEND_KEYS: tuple[BackendKey, ...] = get_args(BackendKey)

WHERE_PRESENT: Mapping[str, tuple[BackendKey, ...]] = {
    "cpu": ("ort", "openvino", "ort-cuda", "trt"),
    "cuda": ("ort-cuda", "trt"),
}
"""Measured on a kind of device without being asked for, as far as they can be used there."""

TORCH_MODES: Mapping[BackendKey, Mode] = {
    "torch": "eager",
    "torch-graph": "graph",
    "torch-compiled": "compiled",
}
"""The backends that need torch, and how it runs the network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How networks are run.

    Attributes:
        threads: Threads of one call on the CPU.
        batch: Crops in one call.
        device: Where torch runs, and which GPU the others take; None: torch on the CPU, others on
            the first GPU.
        deploy: Precision of the deploy form the networks were converted to, in which TensorRT and,
            on a GPU, torch compute as well; None: TensorRT in half precision, torch in float32.
    """

    threads: int
    batch: int = 1
    device: Device | None = None
    deploy: DeployPrecision | None = None

    @property
    def torch_device(self) -> Device:
        """Where torch runs."""
        return self.device or Device("cpu")

    @property
    def gpu(self) -> Device:
        """The GPU of those that need one."""
        on_gpu = self.device is not None and self.device.kind == "cuda"
        return self.device if self.device is not None and on_gpu else Device("cuda")

    def has(self, key: BackendKey) -> bool:
        """Whether there is such a thing: a CUDA graph needs a GPU."""
        return key != "torch-graph" or self.torch_device.kind == "cuda"


def parse_backends(text: str) -> list[BackendKey]:
    """Returns the backends of a list with commas, each once.

    Raises:
        InvalidArgumentError: There is no such backend.
    """
    asked = [part.strip() for part in text.split(",") if part.strip()]
    keys = [key for key in BACKEND_KEYS if key in asked]
    unknown = sorted(set(asked) - set(keys))
    if unknown or not keys:
        raise InvalidArgumentError(
            f"there is no backend {', '.join(unknown) or repr(text)}; "
            f"the backends are {', '.join(BACKEND_KEYS)}"
        )
    return keys


def load_executor(key: BackendKey, network: Network, execution: Execution) -> Executor:
    """Loads a network into a backend.

    Args:
        key: The backend.
        network: The network.
        execution: How it is run.

    Raises:
        MissingDependencyError: The runtime is not installed.
        BackendUnavailableError: It cannot be used on this machine.
        ModelFormatError: The file is not a network with one input of fixed size.
        InvalidArgumentError: The backend cannot run this network.
    """
    threads, batch = execution.threads, execution.batch
    if key in ("ort", "ort-cuda"):
        device = "cpu" if key == "ort" else str(execution.gpu)
        return OrtExecutor(network.path, device=device, threads=threads, batch=batch)
    if key in ("openvino", "openvino-bf16"):
        precision = "bf16" if key == "openvino-bf16" else "fp32"
        return OpenVinoExecutor(network.path, precision=precision, threads=threads, batch=batch)
    if key == "trt":
        precision = execution.deploy or "fp16"
        return TensorRtExecutor(network, device=execution.gpu, precision=precision, batch=batch)
    return TorchExecutor(
        network,
        mode=TORCH_MODES[key],
        device=execution.torch_device,
        half=execution.deploy == "fp16",
        threads=threads,
        batch=batch,
    )
