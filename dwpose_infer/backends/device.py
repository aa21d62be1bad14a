"""Devices: their names ("cpu", "cuda", "cuda:1"), and how much of the CPU there is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ..errors import InvalidArgumentError

DeviceKind = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Device:
    """A place where a network runs.

    Attributes:
        kind: "cpu" or "cuda" (an NVIDIA GPU).
        index: Number of the GPU, as CUDA counts them; 0 for the CPU.
    """

    kind: DeviceKind
    index: int = 0

    def __str__(self) -> str:
        return "cpu" if self.kind == "cpu" else f"cuda:{self.index}"


def parse_device(name: str) -> Device:
    """Reads the name of a device.

    Raises:
        InvalidArgumentError: The name is not "cpu", "cuda" or "cuda:N".
    """
    if not isinstance(name, str):
        raise InvalidArgumentError(f"device is {name!r}, must be 'cpu', 'cuda' or 'cuda:N'")
    if name == "cpu":
        return Device("cpu")
    match = re.fullmatch(r"cuda(?::(\d+))?", name)
    if match is None:
        raise InvalidArgumentError(
            f"unknown device {name!r}; the devices are 'cpu', 'cuda' and 'cuda:N'"
        )
    return Device("cuda", int(match[1] or 0))
