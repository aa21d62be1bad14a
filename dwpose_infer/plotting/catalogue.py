"""What can be plotted, by name; without NumPy, so that the command's help is quick."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Panel = Literal["path", "position", "angles", "speeds", "presence", "scores"]
SpeedUnit = Literal["pixels", "body", "shoulders"]

PANELS: Final[Mapping[Panel, str]] = {
    "path": "where the points went in the picture, pixels",
    "position": "x and y of the points over time, pixels",
    "angles": "angles of the joints over time, degrees",
    "speeds": "speeds of the points over time",
    "presence": "share of each part's points that are there, over time",
    "scores": "median and middle 80 % of each part's scores, over time",
}
"""The rows of a plot, from top to bottom."""

SPEED_UNITS: Final[Mapping[SpeedUnit, str]] = {
    "pixels": "pixels",
    "body": "body lengths",
    "shoulders": "shoulder widths",
}
"""Unit of lengths in speeds -> what it is called beside the axis."""

ANGLES: Final[Mapping[str, tuple[str, str, str]]] = {
    f"{side}_{joint}": (f"{side}_{first}", f"{side}_{joint}", f"{side}_{last}")
    for joint, first, last in (
        ("knee", "hip", "ankle"),
        ("hip", "shoulder", "knee"),
        ("elbow", "shoulder", "wrist"),
        ("shoulder", "hip", "elbow"),
    )
    for side in ("left", "right")
}
"""Name of a joint -> the points whose angle it is: first, the joint itself, last."""

ANGLE_GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    f"{joint}s": (f"left_{joint}", f"right_{joint}")
    for joint in ("knee", "hip", "elbow", "shoulder")
}
"""Name of both sides' joints -> the two."""

DEFAULT_POINTS: Final = ("left_wrist", "right_wrist", "left_ankle", "right_ankle")
DEFAULT_MIN_SCORE: Final = 0.3
ENDINGS: Final = (".png", ".svg", ".pdf")

DEFAULT_SHEET_FRAMES: Final = 24
DEFAULT_CELL_WIDTH: Final = 320
SHEET_ENDINGS: Final = (".png", ".jpg", ".jpeg")
