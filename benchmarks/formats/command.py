"""The command `dwpose-bench formats`."""

from __future__ import annotations

from dataclasses import dataclass

from ..benchmark import Benchmark, Settings, option

_DESCRIPTION = """\
Writes frames of four persons each as JSON lines, COCO results and Parquet, and as JSON lines by
the plain way: Python's json of lists of numbers, by which this package wrote before. Each writer
runs in a process of its own, in turns, so that its memory is its own; what it writes of the first
frames is read back and compared.
"""

_EPILOG = """\
The frames are made before the clock starts and held in memory, 1.6 kB a person. Times contain
the file: written, forced to the disk and renamed. Memory is what the process grows by meanwhile.

examples:
  dwpose-bench formats
  dwpose-bench formats --persons 1000000 --rounds 1 --json formats.json
"""


@dataclass(frozen=True, kw_only=True)
class FormatSettings(Settings):
    """How much is written."""

    persons: int = option(
        "--persons", type=int, default=100_000, help="persons, four a frame (default: 100000)"
    )
    rounds: int = option(
        "--rounds", type=int, default=3, help="times that all is written (default: 3)"
    )


BENCHMARK = Benchmark(
    description=_DESCRIPTION,
    epilog=_EPILOG,
    settings=FormatSettings,
    module=f"{__package__}.writing",
)
