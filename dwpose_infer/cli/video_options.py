"""The options of `dwpose-infer` for videos and cameras."""

from __future__ import annotations

import argparse

from .argument_values import positive_number


def add_video_options(group: argparse._ArgumentGroup) -> None:
    """Adds the options for videos and cameras."""
    _add_sources(group)
    group.add_argument(
        "--detect-every",
        type=positive_number,
        default=1,
        metavar="N",
        help="search every N frames for persons and follow them in between (default: 1)",
    )
    group.add_argument("--track", action="store_true", help="give persons ids that stay")
    group.add_argument(
        "--smooth", action="store_true", help="take the jitter out of keypoints; tracks too"
    )
    group.add_argument(
        "--prefer",
        choices=("score", "largest", "center"),
        default="score",
        help="whom --max-persons keeps with --track: the best scores, the largest or those "
        "nearest to the middle (default: score)",
    )
    group.add_argument(
        "--preview",
        action="store_true",
        help="show the frames in a window; q ends it; needs an OpenCV with windows",
    )


def _add_sources(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--camera",
        action="append",
        type=_camera_number,
        default=[],
        metavar="N",
        help="a camera, the first one is 0; may be given several times; Ctrl-C ends it",
    )
    group.add_argument(
        "--start",
        metavar="TIME",
        help="begin there: seconds (12.5), 1:30, 1:02:03.5, or a frame (300f)",
    )
    group.add_argument("--end", metavar="TIME", help="stop there, the same way")
    group.add_argument(
        "--stride",
        type=positive_number,
        default=1,
        metavar="N",
        help="take every N frames (default: 1)",
    )
    group.add_argument(
        "--sequence",
        action="store_true",
        help="take each folder or pattern for one video, whose frames are the pictures in it",
    )
    group.add_argument(
        "--frame-rate",
        type=_frame_rate,
        metavar="FPS",
        help="frames per second of --sequence (default: 25)",
    )


def _camera_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a camera")
    return int(text)


def _frame_rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of frames per second")
    return rate
