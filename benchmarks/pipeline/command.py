"""The commands `dwpose-bench pipeline` and `dwpose-bench outside`, which is a mode of it."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ...errors import InvalidArgumentError
from ..benchmark import Benchmark, Work
from ..network_options import RTMLIB_NOTE
from .settings import OutsideSettings, OverheadSettings, PipelineSettings

if TYPE_CHECKING:
    from .overhead import OverheadDocument
    from .result import PipelineDocument

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


def _choose(settings: PipelineSettings) -> Benchmark[Any]:
    if not settings.constant_networks:
        return PIPELINE
    used = {each.name for each in fields(OverheadSettings)} | {"constant_networks"}
    for each in fields(PipelineSettings):
        if each.name not in used and getattr(settings, each.name):
            raise InvalidArgumentError(
                f"{each.metadata['flags'][0]} does not apply to --constant-networks, whose "
                "networks, threads and picture are always the same; leave one of them out"
            )
    return OVERHEAD


def _load() -> Work[PipelineSettings, PipelineDocument]:
    from .result import PipelineDocument, readme_table, report
    from .timing import measure

    return Work(
        document=PipelineDocument,
        measure=measure,
        report=report,
        table="pipeline",
        readme_table=readme_table,
    )


def _load_overhead() -> Work[Any, OverheadDocument]:
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
    settings=PipelineSettings,
    load=_load,
    choose=_choose,
)

OVERHEAD = Benchmark(
    description="What everything outside the networks costs, beside rtmlib and the official "
    "recipe: the\nsame as `dwpose-bench pipeline --constant-networks`, whose --help says more.",
    epilog=_OUTSIDE_EPILOG,
    settings=OutsideSettings,
    load=_load_overhead,
)
