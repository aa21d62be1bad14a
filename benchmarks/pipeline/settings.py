"""What `dwpose-bench pipeline` is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..benchmark import Settings, option
from ..network_options import ComparisonSettings


@dataclass(frozen=True, kw_only=True)
class OverheadSettings(Settings):
    """What is measured where the networks' outputs are constants."""

    persons: Sequence[int] | None = option(
        "--persons",
        nargs="+",
        type=int,
        metavar="N",
        help="persons on the picture (default: 1 3 10)",
    )
    repeats: int | None = option("--repeats", type=int, help="rounds (default: 60)")
    opencv_threads: int | None = option(
        "--opencv-threads",
        type=int,
        metavar="N",
        help="threads of OpenCV, for all alike (default: its own)",
    )


@dataclass(frozen=True, kw_only=True)
class OutsideSettings(OverheadSettings):
    """The same, with the name that --from had before."""

    source: Path | None = option(
        "--from",
        "--render",
        beside="result",
        type=Path,
        metavar="FILE",
        help="measure nothing: show what --json wrote to FILE",
    )


@dataclass(frozen=True, kw_only=True)
class PipelineSettings(ComparisonSettings, OverheadSettings):
    """What is measured, and on what."""

    persons: Sequence[int] | None = option(
        "--persons",
        nargs="+",
        type=int,
        metavar="N",
        help="persons on the made-up pictures, 1 to 10 (default: 1 2 5 10), with "
        "--constant-networks to 100 (default: 1 3 10)",
    )
    repeats: int | None = option(
        "--repeats", type=int, help="rounds (default: 30, with --constant-networks 60)"
    )
    pictures: Path | None = option(
        "--pictures",
        type=Path,
        metavar="DIR",
        help="folder of pictures for the last row, searched with its subfolders "
        "(default: ten made-up pictures of 1 to 10 persons)",
    )
    no_memory: bool = option(
        "--no-memory", action="store_true", help="do not measure the largest memory"
    )
    constant_networks: bool = option(
        "--constant-networks",
        action="store_true",
        help="networks whose outputs are constants: what everything outside them costs",
    )
