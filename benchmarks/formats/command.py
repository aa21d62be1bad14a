"""The command `dwpose-bench formats`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..benchmark import Benchmark, Work
from .settings import FormatSettings

if TYPE_CHECKING:
    from .writing import FormatsDocument

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


def _load() -> Work[FormatSettings, FormatsDocument]:
    from .writing import FormatsDocument, measure, report

    return Work(document=FormatsDocument, measure=measure, report=report, table="formats")


FORMATS = Benchmark(description=_DESCRIPTION, epilog=_EPILOG, settings=FormatSettings, load=_load)
