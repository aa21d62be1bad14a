"""The command `dwpose-bench sweep`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..benchmark import Benchmark, Work
from .settings import SweepSettings

if TYPE_CHECKING:
    from .sweep import SweepDocument

_DESCRIPTION = """\
Latency and throughput of networks by themselves, on noise, for every number of threads with every
size of batch. The sizes of batch take turns; one session lives at a time. Which number is best
depends on the machine: `dwpose-infer --threads` and `--max-batch` take it.
"""

_EPILOG = """\
examples:
  dwpose-bench sweep                                  the bundled models
  dwpose-bench sweep dwpose-m dwpose-l-384 --threads 1 2 4 8 --batches 1 4 16 --json sweep.json
  dwpose-bench sweep --random-weights dwpose-m dwpose-l-384
  dwpose-bench sweep --backend openvino
  dwpose-bench sweep --random-weights dwpose-m --deploy fp16 --device cuda --batches 1 8 64
"""


def _load() -> Work[SweepSettings, SweepDocument]:
    from .sweep import SweepDocument, measure, report

    return Work(document=SweepDocument, measure=measure, report=report, table="sweep")


SWEEP = Benchmark(
    description=_DESCRIPTION,
    epilog=_EPILOG,
    settings=SweepSettings,
    load=_load,
)
