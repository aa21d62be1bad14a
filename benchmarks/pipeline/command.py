"""The commands `dwpose-bench pipeline` and `dwpose-bench outside`, which is a mode of it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InvalidArgumentError
from ..benchmark import Benchmark, Work
from ..network_options import RTMLIB_NOTE, ComparisonSettings, add_comparison_options

if TYPE_CHECKING:
    from .document import PipelineDocument
    from .overhead import OverheadDocument

_DESCRIPTION = """\
Measure the whole pipeline, stage by stage, with memory, and beside rtmlib and the official recipe;
with --constant-networks, what everything outside the networks costs.
"""

_EPILOG = f"""\
From decoded picture to keypoints, with real networks, for this package, rtmlib and the official
ONNX recipe: the same two sessions of ONNX Runtime, taking turns in one process; before anything is
timed, all must find the same persons and the same points. Then every stage of this package, from
picture file to drawn picture, and the largest memory of each method in a process of its own.

The pictures are made of the public-domain crops that come with the package; --pictures takes a
folder of your own for the last row.

With --constant-networks: letterbox, detector input, decoding and suppression of boxes, crops,
normalisation, decoding of SimCC and mapping back, on a picture of 1280x720, a letterbox of 640 and
crops of 384x288. The networks are ONNX files made here whose outputs are constants, on one thread,
so that every method finds the same persons and the same keypoints; the time of
InferenceSession.run is taken off all the same.

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
class PipelineSettings(ComparisonSettings):
    """What is measured, and on what.

    Attributes:
        constant_networks: Whether the networks' outputs are constants.
        pictures: Folder of pictures for the last row; None takes made-up ones.
        no_memory: Whether the processes that measure memory are left out.
        opencv_threads: Threads of OpenCV; None takes its own number.
    """

    constant_networks: bool
    pictures: Path | None
    no_memory: bool
    opencv_threads: int | None


_OF_REAL_NETWORKS = (
    "pose",
    "random_weights",
    "det",
    "threads",
    "score_threshold",
    "pictures",
    "no_memory",
)
"""Settings that say nothing where the networks' outputs are constants."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--constant-networks",
        action="store_true",
        help="networks whose outputs are constants: what everything outside them costs",
    )
    add_comparison_options(
        parser,
        persons="on the made-up pictures, 1 to 10, with --constant-networks to 100",
        persons_default="1 2 5 10; 1 3 10",
        repeats_default="30; 60",
    )
    parser.add_argument(
        "--pictures",
        type=Path,
        metavar="DIR",
        help="folder of pictures for the last row, searched with its subfolders "
        "(default: ten made-up pictures of 1 to 10 persons)",
    )
    parser.add_argument(
        "--no-memory", action="store_true", help="leave out the processes that measure memory"
    )
    _add_opencv_threads(parser)


def _add_opencv_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--opencv-threads",
        type=int,
        metavar="N",
        help="threads of OpenCV, for all alike (default: its own)",
    )


def _add_outside_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--persons",
        nargs="+",
        type=int,
        metavar="N",
        help="persons on the picture (default: 1 3 10)",
    )
    parser.add_argument("--repeats", type=int, help="rounds (default: 60)")
    _add_opencv_threads(parser)
    unused = dict.fromkeys(_OF_REAL_NETWORKS)
    parser.set_defaults(**{**unused, "constant_networks": True, "no_memory": False})


def _choose(settings: PipelineSettings) -> Benchmark[PipelineSettings]:
    if not settings.constant_networks:
        return PIPELINE
    for name in _OF_REAL_NETWORKS:
        if getattr(settings, name) not in (None, False):
            raise InvalidArgumentError(
                f"--{name.replace('_', '-')} does not apply to --constant-networks, whose "
                "networks, threads and picture are always the same; leave one of them out"
            )
    return OVERHEAD


def _load() -> Work[PipelineSettings, PipelineDocument]:
    from . import tables
    from .document import PipelineDocument
    from .timing import measure

    return Work(
        document=PipelineDocument,
        measure=measure,
        report=tables.report,
        table="pipeline",
        readme_table=tables.readme_table,
    )


def _load_overhead() -> Work[PipelineSettings, OverheadDocument]:
    from . import overhead

    return Work(
        document=overhead.OverheadDocument,
        measure=overhead.measure,
        report=overhead.report,
        table="outside",
        readme_table=overhead.readme_table,
    )


PIPELINE = Benchmark(
    description=_DESCRIPTION,
    epilog=_EPILOG,
    add_options=_add_options,
    settings=PipelineSettings,
    load=_load,
    choose=_choose,
)

OVERHEAD = Benchmark(
    description="What everything outside the networks costs, beside rtmlib and the official "
    "recipe: the\nsame as `dwpose-bench pipeline --constant-networks`, whose --help says more.",
    epilog=_OUTSIDE_EPILOG,
    add_options=_add_outside_options,
    settings=PipelineSettings,
    load=_load_overhead,
    former_from="--render",
)
