"""The commands `dwpose-bench pipeline` and `dwpose-bench outside`, which is a mode of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ...errors import InvalidArgumentError
from ..benchmark import Benchmark, Settings, option
from ..network_options import RTMLIB_NOTE, ComparisonSettings

_DESCRIPTION = """\
Measure the whole pipeline, stage by stage, with memory, and beside rtmlib and the official recipe;
with --constant-networks, what everything outside the networks costs.
"""

_EPILOG = f"""\
From decoded picture to keypoints, with real networks, for this package, rtmlib and the official
ONNX recipe: the same two files, each method in a process of its own, in blocks of calls that take
turns, with a rest before each; this package and rtmlib with OpenVINO too, where it is installed,
and in bf16 where the CPU has it. Before anything is timed, all in fp32 must find the same persons
and the same points. CPU time of a call is that of all threads of its process. Then every stage of
this package, from picture file to drawn picture, and the largest memory of each process.

The pictures are made of the public-domain crops that come with the package; --pictures takes a
folder of your own for the last row.

With --constant-networks: letterbox, detector input, decoding and suppression of boxes, crops,
normalisation, decoding of SimCC and mapping back, on a picture of 1280x720, a letterbox of 640 and
crops of 384x288. The networks are ONNX files made here whose outputs are constants, on one thread,
so that every method finds the same persons and the same keypoints; the methods take turns in one
process, in the same two sessions, and the time of InferenceSession.run is taken off all the same.

{RTMLIB_NOTE}

examples:
  dwpose-bench pipeline --json pipeline.json
  dwpose-bench pipeline --pose dwpose-l-384 --det yolox-l
  dwpose-bench pipeline --random-weights dwpose-l-384 --repeats 10
  dwpose-bench pipeline --persons 1 --pictures photos/
  dwpose-bench pipeline --from pipeline.json
  dwpose-bench pipeline --constant-networks --persons 1 3 10 --repeats 200 --json overhead.json
"""

_OUTSIDE_EPILOG = """\
examples:
  dwpose-bench outside
  dwpose-bench outside --persons 1 3 10 --repeats 200 --json outside.json
  dwpose-bench outside --from outside.json
"""


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


def _choose(settings: PipelineSettings) -> Benchmark[Any]:
    if not settings.constant_networks:
        return BENCHMARK
    used = {each.name for each in fields(OverheadSettings)} | {"constant_networks"}
    for each in fields(PipelineSettings):
        if each.name not in used and getattr(settings, each.name):
            raise InvalidArgumentError(
                f"{each.metadata['flags'][0]} does not apply to --constant-networks, whose "
                "networks, threads and picture are always the same; leave one of them out"
            )
    return OUTSIDE


BENCHMARK = Benchmark(
    description=_DESCRIPTION,
    epilog=_EPILOG,
    settings=PipelineSettings,
    module=f"{__package__}.timing",
    choose=_choose,
)

OUTSIDE = Benchmark(
    description="What everything outside the networks costs, beside rtmlib and the official "
    "recipe: the\nsame as `dwpose-bench pipeline --constant-networks`, whose --help says more.",
    epilog=_OUTSIDE_EPILOG,
    settings=OutsideSettings,
    module=f"{__package__}.overhead",
)
