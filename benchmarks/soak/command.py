"""The command `dwpose-bench soak`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..benchmark import Benchmark, Work
from .settings import SoakSettings

if TYPE_CHECKING:
    from .soak import SoakDocument

_DESCRIPTION = """\
A long run over JPEG pictures of one to five persons, from file to drawn picture, in one process.
After the first hundred pictures the memory must not rise by 20 MB, and the last hundred must take
about as long as the first; otherwise the exit status is 1.
"""

_EPILOG = """\
examples:
  dwpose-bench soak
  dwpose-bench soak --pictures 10000 --threads 1 --json soak.json
"""


def _load() -> Work[SoakSettings, SoakDocument]:
    from .soak import SoakDocument, measure, report

    return Work(
        document=SoakDocument,
        measure=measure,
        report=report,
        table="soak",
        finish=lambda _, document: 0 if document.passed else 1,
    )


SOAK = Benchmark(
    description=_DESCRIPTION,
    epilog=_EPILOG,
    settings=SoakSettings,
    load=_load,
)
