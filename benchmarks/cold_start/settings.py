"""What `dwpose-bench cold-start` is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from ..benchmark import option
from ..network_options import DeviceSettings, NetworkSettings


@dataclass(frozen=True, kw_only=True)
class ColdStartSettings(NetworkSettings, DeviceSettings):
    """What is started, and how often."""

    runs: int = option("--runs", type=int, default=9, help="starts that count (default: 9)")
