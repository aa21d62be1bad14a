"""The command `dwpose-bench video`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..benchmark import Benchmark, option
from ..network_options import RTMLIB_NOTE, ComparisonSettings

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


@dataclass(frozen=True, kw_only=True)
class VideoSettings(ComparisonSettings):
    """Which clips are worked on, and how."""

    persons: Sequence[int] = option(
        "--persons",
        nargs="+",
        type=int,
        default=[1, 4],
        metavar="N",
        help="persons in the clips, 1 to 10 (default: 1 4)",
    )
    frames: int = option(
        "--frames", type=int, default=100, metavar="N", help="frames of a clip (default: 100)"
    )
    detect_every: int = option(
        "--detect-every",
        type=int,
        default=5,
        metavar="N",
        help="the stream and rtmlib search every N frames for persons (default: 5)",
    )
    hdr: bool = option(
        "--hdr",
        action="store_true",
        help="also take the stages of the stream on a clip in HDR, 1920x1080",
    )
    repeats: int = option("--repeats", type=int, default=5, help="rounds (default: 5)")


BENCHMARK = Benchmark(
    description="Measure frames per second of videos, from file to drawn file, beside a plain loop "
    "and rtmlib's\ntracker.",
    epilog=_EPILOG,
    settings=VideoSettings,
    module=f"{__package__}.timing",
)
