"""The command `dwpose-bench cold-start`."""

from __future__ import annotations

from dataclasses import dataclass

from ..benchmark import Benchmark, option
from ..network_options import DeviceSettings, NetworkSettings

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


@dataclass(frozen=True, kw_only=True)
class ColdStartSettings(NetworkSettings, DeviceSettings):
    """What is started, and how often."""

    runs: int = option("--runs", type=int, default=9, help="starts that count (default: 9)")


BENCHMARK = Benchmark(
    description=_DESCRIPTION,
    epilog=_EPILOG,
    settings=ColdStartSettings,
    module=f"{__package__}.cold_start",
)
