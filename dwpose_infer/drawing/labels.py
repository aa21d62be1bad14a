"""Boxes with their scores, and the identities of persons, over a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from ..arrays import Float64Array, Int32Array
from . import strokes

if TYPE_CHECKING:
    from ..poses import Person, Poses

_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_FONT_HEIGHT_PX: Final = 21.0
"""Height of a capital letter of the font at scale 1."""
_MIN_LETTER_PX: Final = 7.0
_TEXT_COLOR: Final = (255, 255, 255)
_UNKNOWN_COLOR: Final = (110, 110, 110)

_GOLDEN_RATIO: Final = 0.618034
"""Step on the circle of hues that keeps the colours of successive identities far apart."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a label goes: its left end or its middle, and its lower edge, in pixels."""

    x: int
    bottom: int
    centered: bool


def draw_labels(
    canvas: strokes.Picture,
    result: Poses,
    points: Float64Array,
    *,
    boxes: bool,
    ids: bool,
    line_scale: float,
) -> None:
    """Draws boxes and one label per person, as far as the result knows them.

    Args:
        canvas: (H, W, 3) uint8, drawn on in place.
        result: The persons, with boxes in pixels of the input picture.
        points: (P, 136, 2) float64, the points that show, in pixels of the canvas.
        boxes: Whether to draw boxes, with the box score in the label.
        ids: Whether the label tells the identity.
        line_scale: Factor on line width and letter size.
    """
    height, width = canvas.shape[:2]
    factor = line_scale * min(width, height)
    scale = (
        np.ones(2) if result.image_size is None else (width, height) / np.array(result.image_size)
    )
    for person, shown in zip(result.persons, points, strict=True):
        color = _UNKNOWN_COLOR if person.id is None else _id_color(person.id)
        corners = _corners(person, scale, (width, height))
        if boxes and corners is not None:
            (left, top), (right, bottom) = corners.tolist()
            line = max(1, round(factor / 360))
            cv2.rectangle(canvas, (left, top), (right, bottom), color, line, cv2.LINE_8)
        text = _text(person, boxes=boxes, ids=ids)
        label = _place(corners, shown, at_corner=boxes)
        if text and label is not None:
            letter_px = max(_MIN_LETTER_PX, factor / 55)
            _draw_text(canvas, text, label, color, letter_px=letter_px)


def _id_color(identity: int) -> strokes.Color:
    hue = strokes.hue_color(identity * _GOLDEN_RATIO, saturation=0.8)
    return strokes.scaled_color(hue, 0.75)


def _text(person: Person, *, boxes: bool, ids: bool) -> str:
    identity = f"id {person.id}" if ids and person.id is not None else ""
    score = f"{person.box_score:.2f}" if boxes and person.box_score is not None else ""
    return f"{identity} {score}".strip()


def _corners(person: Person, scale: Float64Array, canvas_wh: tuple[int, int]) -> Int32Array | None:
    """Returns the box's (2, 2) corners in pixels of the canvas, or None without a usable box."""
    if person.box_xyxy is None or np.isnan(person.box_xyxy).any():
        return None
    box = person.box_xyxy.astype(np.float64).reshape(2, 2) * scale
    # One canvas size outside is out of sight, and no coordinate OpenCV cannot hold.
    limit = np.array(canvas_wh, np.float64)
    return np.rint(np.clip(box, -limit, 2 * limit)).astype(np.int32)


def _place(corners: Int32Array | None, points: Float64Array, *, at_corner: bool) -> _Place | None:
    """Returns where a label goes: on the box's corner, or above the middle of the points."""
    if corners is not None and at_corner:
        return _Place(x=int(corners[0, 0]), bottom=int(corners[0, 1]), centered=False)
    shown = points[~np.isnan(points[:, 0])]
    if not len(shown):
        return None
    least, most = shown.min(axis=0), shown.max(axis=0)
    top = least[1] if corners is None else corners[0, 1]  # the box begins above the hair
    return _Place(x=round((least[0] + most[0]) / 2), bottom=round(top), centered=True)


def _draw_text(
    canvas: strokes.Picture, text: str, place: _Place, color: strokes.Color, *, letter_px: float
) -> None:
    """Draws text on a coloured ground, moved to lie inside the picture."""
    font_scale = letter_px / _FONT_HEIGHT_PX
    thickness = max(1, round(letter_px / 9))
    (text_width, text_height), _ = cv2.getTextSize(text, _FONT, font_scale, thickness)
    pad = max(2, round(letter_px / 3))
    width, height = text_width + 2 * pad, text_height + 2 * pad
    left = place.x - width // 2 if place.centered else place.x
    left = max(0, min(left, canvas.shape[1] - width))
    top = max(0, min(place.bottom - height, canvas.shape[0] - height))
    canvas[top : top + height, left : left + width] = color
    origin = (left + pad, top + pad + text_height)
    cv2.putText(canvas, text, origin, _FONT, font_scale, _TEXT_COLOR, thickness, cv2.LINE_AA)
