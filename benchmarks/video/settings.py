"""What `dwpose-bench video` is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..benchmark import option
from ..network_options import ComparisonSettings


@dataclass(frozen=True, kw_only=True)
class VideoSettings(ComparisonSettings):
    """Which clips are worked on, and how."""

    persons: Sequence[int] = option(
        "--persons",
        nargs="+",
        type=int,
        default=[1, 4],
        metavar="N",
        help="persons in the clips, 1 to 10 (default: 1 4)",
    )
    frames: int = option(
        "--frames", type=int, default=100, metavar="N", help="frames of a clip (default: 100)"
    )
    detect_every: int = option(
        "--detect-every",
        type=int,
        default=5,
        metavar="N",
        help="the stream and rtmlib search every N frames for persons (default: 5)",
    )
    hdr: bool = option(
        "--hdr",
        action="store_true",
        help="also take the stages of the stream on a clip in HDR, 1920x1080",
    )
    repeats: int = option("--repeats", type=int, default=5, help="rounds (default: 5)")
