"""Which backends the table can have, and how they are loaded."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from ...errors import InvalidArgumentError
from .executors import Executor, OpenVinoExecutor, OrtExecutor, TensorRtExecutor, TorchExecutor
from .networks import Network

BackendKey: TypeAlias = Literal[
    "ort", "openvino", "openvino-bf16", "ort-cuda", "trt", "torch", "torch-compiled"
]
BACKEND_KEYS: tuple[BackendKey, ...] = get_args(BackendKey)

WHERE_PRESENT: tuple[BackendKey, ...] = ("ort", "openvino", "ort-cuda", "trt")
"""Measured without being asked for, as far as they can be used on the machine."""


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


def load_executor(key: BackendKey, network: Network, *, threads: int) -> Executor:
    """Loads a network into a backend.

    Args:
        key: The backend.
        network: The network.
        threads: Threads of one call on the CPU.

    Raises:
        MissingDependencyError: The runtime is not installed.
        BackendUnavailableError: It cannot be used on this machine.
        ModelFormatError: The file is not a network with one input of fixed size.
        InvalidArgumentError: The backend cannot run this network.
    """
    if key == "ort":
        return OrtExecutor(network.path, device="cpu", threads=threads)
    if key == "ort-cuda":
        return OrtExecutor(network.path, device="cuda", threads=threads)
    if key == "openvino":
        return OpenVinoExecutor(network.path, precision="fp32", threads=threads)
    if key == "openvino-bf16":
        return OpenVinoExecutor(network.path, precision="bf16", threads=threads)
    if key == "trt":
        return TensorRtExecutor(network)
    return TorchExecutor(network, compiled=key == "torch-compiled", threads=threads)
