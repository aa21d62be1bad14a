"""The command `dwpose-bench video`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..benchmark import Benchmark, Work
from ..network_options import RTMLIB_NOTE
from .settings import VideoSettings

if TYPE_CHECKING:
    from .result import VideoDocument

_EPILOG = f"""\
From clip to drawn clip: `Predictor.stream`, a plain loop (OpenCV reads, `Predictor` is called frame
by frame) and rtmlib's PoseTracker, with ONNX Runtime and, where it is installed, with OpenVINO. All
run the same two networks and have the same drawing and the same encoder, each in a process of its
own; they take turns, clip by clip, with a rest before each. The clips are made here: persons that
move over a background, 1280x720.

{RTMLIB_NOTE}

examples:
  dwpose-bench video
  dwpose-bench video --persons 1 4 --repeats 9 --json video.json
  dwpose-bench video --detect-every 1 --persons 1
  dwpose-bench video --from video.json
"""


def _load() -> Work[VideoSettings, VideoDocument]:
    from .result import VideoDocument, readme_table, report
    from .timing import measure

    return Work(
        document=VideoDocument,
        measure=measure,
        report=report,
        table="video",
        readme_table=readme_table,
    )


VIDEO = Benchmark(
    description="Measure frames per second of videos, from file to drawn file, beside a plain loop "
    "and rtmlib's\ntracker.",
    epilog=_EPILOG,
    settings=VideoSettings,
    load=_load,
)
