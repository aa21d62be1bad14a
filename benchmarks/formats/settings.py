"""What `dwpose-bench formats` is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from ..benchmark import Settings, option


@dataclass(frozen=True, kw_only=True)
class FormatSettings(Settings):
    """How much is written."""

    persons: int = option(
        "--persons", type=int, default=100_000, help="persons, four a frame (default: 100000)"
    )
    rounds: int = option(
        "--rounds", type=int, default=3, help="times that all is written (default: 3)"
    )
