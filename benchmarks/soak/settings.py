"""What `dwpose-bench soak` is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from ..benchmark import option
from ..network_options import NetworkSettings


@dataclass(frozen=True, kw_only=True)
class SoakSettings(NetworkSettings):
    """What runs, and how long."""

    pictures: int = option(
        "--pictures", type=int, default=1000, help="a multiple of 100 (default: 1000)"
    )
