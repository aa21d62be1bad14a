"""The command `dwpose-bench video`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InvalidArgumentError
from ..pipeline.command import add_network_options, models_of, name_of, threads_of, threshold_of
from ..result_options import add_result_options, show_result

if TYPE_CHECKING:
    from .document import VideoDocument

_EPILOG = """\
From clip to drawn clip, in turns in one process: `Predictor.stream`, a plain loop (OpenCV reads,
`Predictor` is called frame by frame) and rtmlib's PoseTracker. All run the same two sessions of
ONNX Runtime and have the same drawing and the same encoder. The clips are made here: persons that
move over a background, 1280x720.

For rtmlib among the contenders: pip install --no-deps rtmlib==0.0.16 (with its dependencies it
would replace cv2).

examples:
  dwpose-bench video
  dwpose-bench video --persons 1 4 --repeats 9 --json video.json
  dwpose-bench video --detect-every 1 --persons 1
  dwpose-bench video --from video.json
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand `video`."""
    parser = commands.add_parser(
        "video",
        help="frames per second of videos, beside a plain loop and rtmlib",
        description="Measure frames per second of videos, from file to drawn file, beside a plain "
        "loop and rtmlib's tracker.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_network_options(parser)
    parser.add_argument(
        "--persons",
        nargs="+",
        type=int,
        default=[1, 4],
        metavar="N",
        help="persons in the clips, 1 to 10 (default: 1 4)",
    )
    parser.add_argument(
        "--frames", type=int, default=100, metavar="N", help="frames of a clip (default: 100)"
    )
    parser.add_argument(
        "--detect-every",
        type=int,
        default=5,
        metavar="N",
        help="the stream and rtmlib search every N frames for persons (default: 5)",
    )
    parser.add_argument("--repeats", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument(
        "--score-threshold",
        type=float,
        metavar="S",
        help="persons score above this, with every contender (default: the detector's own)",
    )
    add_result_options(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from .document import VideoDocument
    from .tables import report

    show_result(arguments, VideoDocument, measure=measure_all, report=report)
    return 0


def measure_all(arguments: argparse.Namespace) -> VideoDocument:
    """Returns all that is measured, as the parsed arguments say.

    Raises:
        DwposeError: Networks cannot be had, or a package is missing.
    """
    from ..machine import capture_environment
    from ..peers.montage import PICTURE_WH
    from ..peers.networks import official_files
    from .document import VideoDocument
    from .scene import write_clip
    from .timing import measure_clip

    for name in ("repeats", "frames", "detect_every"):
        value = getattr(arguments, name)
        if value < 1:
            raise InvalidArgumentError(f"--{name.replace('_', '-')} is {value}, must be at least 1")
    threads = threads_of(arguments)
    environment = capture_environment(threads={"onnxruntime_intra_op": threads})
    with tempfile.TemporaryDirectory(prefix="dwpose-bench-") as temporary:
        folder = Path(temporary)
        clips = {
            persons: write_clip(folder / f"{persons}.mp4", persons=persons, frames=arguments.frames)
            for persons in arguments.persons
        }
        pose, detector = models_of(arguments, folder)
        score_threshold = threshold_of(arguments, detector)
        files = official_files(folder, pose=pose, detector=detector)
        rows = tuple(
            measure_clip(
                files,
                clip,
                persons=persons,
                detect_every=arguments.detect_every,
                score_threshold=score_threshold,
                threads=threads,
                repeats=arguments.repeats,
            )
            for persons, clip in clips.items()
        )
    return VideoDocument(
        environment=environment,
        pose=arguments.random_weights or name_of(pose),
        detector=name_of(detector),
        random_weights=arguments.random_weights is not None,
        picture_wh=PICTURE_WH,
        frames=arguments.frames,
        detect_every=arguments.detect_every,
        score_threshold=score_threshold,
        threads=threads,
        repeats=arguments.repeats,
        rows=rows,
    )
