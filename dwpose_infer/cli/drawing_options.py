"""Options of what is drawn and how, and the checks that each of them changes something."""

from __future__ import annotations

import argparse
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from ..errors import InvalidArgumentError
from .argument_values import positive_number, size_wh

_PARTS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "body": ("body",),
    "feet": ("feet",),
    "face": ("face",),
    "hands": ("left_hand", "right_hand"),
    "left_hand": ("left_hand",),
    "right_hand": ("right_hand",),
    "midline": ("midline",),
}
"""Name on the command line -> the parts it stands for."""

_OTHER: Final = "other"
"""`dwpose_infer.drawing.strokes.OTHER_PARTS`, which is not imported here: --help needs no NumPy."""

_OF_ANY_DRAWING: Final = ("line_scale", "draw_threshold", "draw_outside")


def add_drawing_options(group: argparse._ArgumentGroup) -> None:
    """Adds them."""
    group.add_argument(
        "--canvas-size",
        type=size_wh,
        metavar="N|WxH",
        help="size of the openpose drawing in pixels: its shorter side, or width x height "
        "(default: the picture's); OpenPose JSON is written in pixels of it",
    )
    group.add_argument(
        "--canvas-multiple",
        type=positive_number,
        metavar="N",
        help="round both sides of that drawing to multiples of N: 8 or 64 for diffusion models",
    )
    group.add_argument(
        "--canvas-fit",
        choices=("margins", "stretch"),
        help="where it has another aspect ratio than the picture: keep the shape of persons, with "
        "margins, or fill it (default: margins)",
    )
    group.add_argument(
        "--draw-threshold",
        type=_thresholds,
        metavar="X|PART=X[,PART=X]",
        help="least score of a point that is drawn, files are left alone: of all points, or of "
        f"parts ({', '.join(_PARTS_OF)}), as hands=0.5,face=0.4; a number beside them is for the "
        "others, as 0.2,hands=0.5 (default: --keypoint-threshold, else 0.3)",
    )
    group.add_argument(
        "--draw-outside",
        choices=("cut", "drop"),
        help="where a limb leaves the drawing: draw it up to the edge, or drop the points that lie "
        "outside with their limbs, as animation models are trained (default: cut)",
    )
    group.add_argument(
        "--line-scale", type=float, metavar="X", help="factor on all drawn widths (default: 1)"
    )
    group.add_argument(
        "--line-widths",
        choices=("scaled", "fixed"),
        help="strokes of the openpose drawing: grow with its shorter side, or those of 512 pixels "
        "at any size, as controlnet_aux draws (default: scaled)",
    )
    group.add_argument(
        "--small-parts",
        choices=("thin", "full"),
        help="strokes of hands and faces which they would fill, in the openpose drawing: thinner, "
        "or as wide as elsewhere, as the original draws (default: thin)",
    )


def add_face_options(group: argparse._ArgumentGroup) -> None:
    """Adds those of a video of one person's face."""
    group.add_argument(
        "--face-clip",
        action="store_true",
        help="also write NAME_face.mp4: the face of one person, a steady square of each frame, "
        "for animation models; the clip is read a second time",
    )
    group.add_argument(
        "--face-size", type=positive_number, metavar="N", help="its side in pixels (default: 512)"
    )
    group.add_argument(
        "--face-person",
        type=positive_number,
        metavar="ID",
        help="whose face, by id (default: the one whose face is there in most frames)",
    )
    group.add_argument(
        "--face-missing",
        choices=("hold", "black"),
        help="where the face was not found, show the place where it would be, or nothing (default: "
        "hold)",
    )


def check_drawings(
    stated: Collection[str],
    *,
    styles: Sequence[str],
    parts: Sequence[str] | None,
    thresholds: Mapping[str, float] | None,
    keypoint_threshold: float | None,
) -> None:
    """Checks that options of drawings change one that is made.

    Args:
        stated: Names of the options that stand on the command line.
        styles: The drawings.
        parts: The parts kept by --parts; None keeps all.
        thresholds: --draw-threshold as read.
        keypoint_threshold: --keypoint-threshold, below which points are taken out altogether.

    Raises:
        InvalidArgumentError: One does not.
    """
    for name in _OF_ANY_DRAWING:
        if name in stated and not styles:
            flag = f"--{name.replace('_', '-')}"
            raise InvalidArgumentError(f"{flag} is for drawings, and none is asked for (--draw)")
    for part, least in (thresholds or {}).items():
        if keypoint_threshold is not None and least < keypoint_threshold:
            raise InvalidArgumentError(
                f"--draw-threshold {least:g} ({part}) is below --keypoint-threshold "
                f"{keypoint_threshold:g}, which takes such points out of files and drawings alike"
            )
        if part != _OTHER and parts is not None and part not in parts:
            raise InvalidArgumentError(
                f"--draw-threshold names {part}, which --parts {','.join(parts)} leaves out"
            )
    if "feet" in named_parts(thresholds) and parts is None and "overlay" not in styles:
        raise InvalidArgumentError(
            "--draw-threshold names feet, which ControlNet's canvas does not have; draw them with "
            "--parts body,feet,face,left_hand,right_hand"
        )


def named_parts(thresholds: Mapping[str, float] | None) -> list[str]:
    """Returns the parts that --draw-threshold names."""
    return [part for part in thresholds or {} if part != _OTHER]


def min_score_of(
    thresholds: Mapping[str, float] | None, keypoint_threshold: float | None
) -> dict[str, float]:
    """Returns the `min_score` of the drawings."""
    least = {} if keypoint_threshold is None else {_OTHER: keypoint_threshold}
    return {**least, **(thresholds or {})}


def _thresholds(text: str) -> dict[str, float]:
    """Reads numbers, each for a part or without a name for the others."""
    found: dict[str, float] = {}
    for item in text.split(","):
        name, equals, number = item.strip().rpartition("=")
        if equals and name not in _PARTS_OF:
            raise argparse.ArgumentTypeError(
                f"there is no part {name!r}; the parts are {', '.join(_PARTS_OF)}"
            )
        for part in _PARTS_OF[name] if equals else (_OTHER,):
            if part in found:
                raise argparse.ArgumentTypeError(f"{text!r} says twice what {part} needs")
            found[part] = _score(number)
    return found


def _score(text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise argparse.ArgumentTypeError(f"{text!r} is no score, nor PART=SCORE as hands=0.5")
    return score
