"""The command `dwpose-bench soak`."""

from __future__ import annotations

from dataclasses import dataclass

from ..benchmark import Benchmark, option
from ..network_options import NetworkSettings

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


@dataclass(frozen=True, kw_only=True)
class SoakSettings(NetworkSettings):
    """What runs, and how long."""

    pictures: int = option(
        "--pictures", type=int, default=1000, help="a multiple of 100 (default: 1000)"
    )


BENCHMARK = Benchmark(
    description=_DESCRIPTION,
    epilog=_EPILOG,
    settings=SoakSettings,
    module=f"{__package__}.soak",
)
