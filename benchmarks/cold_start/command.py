"""The command `dwpose-bench cold-start`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..benchmark import Benchmark, Work
from .settings import ColdStartSettings

if TYPE_CHECKING:
    from .cold_start import ColdStartDocument

_DESCRIPTION = """\
How long it takes from nothing to the first result: fresh processes import the package, load both
networks and work on one picture (a JPEG of 1280 x 720 pixels with one person). The first start is
lost: it brings the files into the system's cache.
"""

_EPILOG = """\
examples:
  dwpose-bench cold-start
  dwpose-bench cold-start --runs 15 --threads 1 --json cold_start.json
  dwpose-bench cold-start --pose dwpose-l-384 --det yolox-l
"""


def _load() -> Work[ColdStartSettings, ColdStartDocument]:
    from .cold_start import ColdStartDocument, measure, report

    return Work(document=ColdStartDocument, measure=measure, report=report, table="cold-start")


COLD_START = Benchmark(
    description=_DESCRIPTION,
    epilog=_EPILOG,
    settings=ColdStartSettings,
    load=_load,
)
