"""Options of `dwpose-infer` on what stands in files."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_format_options(group: argparse._ArgumentGroup) -> None:
    """Adds them."""
    group.add_argument(
        "--openpose-body",
        type=int,
        choices=(18, 25, 133),
        help="body points in OpenPose JSON: 18 as ControlNet draws, 25 with feet, 133 for all in "
        "one list as Pose2Sim has them (default: 18)",
    )
    group.add_argument(
        "--openpose-folder",
        choices=("keypoints", "json"),
        help="name of a video's folder of OpenPose JSON: NAME_keypoints, or NAME_json for readers "
        "that go by it (default: keypoints)",
    )
    group.add_argument(
        "--openpose-confidence",
        choices=("real", "binary"),
        help="confidences in OpenPose JSON: the scores, or 1 for every point above 0.3, for "
        "readers that drop points below 1 (default: real)",
    )
    group.add_argument(
        "--openpose-source",
        choices=("name", "path"),
        help="what OpenPose JSON says the picture is: its file name, or its whole path (default: "
        "name)",
    )
    group.add_argument(
        "--pupils",
        choices=("zero", "eyes"),
        help="the two pupils of OpenPose's face: absent, or at the body's eyes (default: zero)",
    )
    group.add_argument(
        "--coco-layout",
        choices=("wholebody", "one-list"),
        help="points in --format coco-dataset: COCO-WholeBody's five lists, or all points in one "
        "with their names, for tools that know that list alone (default: wholebody)",
    )
    group.add_argument(
        "--metres-per-pixel",
        type=_length,
        metavar="X",
        help="size of a pixel where the person moves, for --format trc (default: pixels)",
    )
    group.add_argument(
        "--annotations",
        type=Path,
        metavar="FILE",
        help="COCO annotations that give pictures their ids in --format coco (default: the numbers "
        "that are the file names, else places in the run, from 1)",
    )


def _length(text: str) -> float:
    try:
        length = float(text)
    except ValueError:
        length = 0.0
    if not 0 < length < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no length above 0")
    return length
