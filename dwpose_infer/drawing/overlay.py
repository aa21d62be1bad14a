"""The overlay: skeletons over the picture, left and right told apart by colour.

The person's own left is green, the right orange, and what joins the two is blue.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from .. import keypoints as kp
from ..arrays import Float64Array, IndexArray
from ..errors import InvalidArgumentError
from . import strokes
from .labels import draw_labels

if TYPE_CHECKING:
    from ..poses import Poses

_LEFT: Final = (90, 205, 60)
_RIGHT: Final = (20, 140, 255)
_MIDDLE: Final = (255, 165, 60)
_FACE: Final = (250, 250, 250)
_FINGERS: Final = (  # thumb to pinky
    (60, 90, 255),
    (40, 200, 255),
    (110, 220, 80),
    (255, 180, 50),
    (255, 90, 200),
)


def _point_color(index: int) -> strokes.Color:
    """Returns the colour of a keypoint: that of its finger, the face, or its side."""
    for hand in (kp.LEFT_HAND, kp.RIGHT_HAND):
        if hand.start < index < hand.stop:
            return _FINGERS[(index - hand.start - 1) // 4]
    if kp.FACE.start <= index < kp.FACE.stop:
        return _FACE
    name = strokes.DRAWN_NAMES[index]
    return _LEFT if name.startswith("left") else _RIGHT if name.startswith("right") else _MIDDLE


_POINT_COLORS: Final = tuple(_point_color(index) for index in range(len(strokes.DRAWN_NAMES)))


def _link_color(start: int, end: int) -> strokes.Color:
    """Returns the colour of a bone: that of its outer end, unless it joins the two sides."""
    sides = {_POINT_COLORS[start], _POINT_COLORS[end]}
    return _MIDDLE if sides == {_LEFT, _RIGHT} else _POINT_COLORS[end]


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Keypoints drawn alike, and their bones.

    Attributes:
        span: Range of the keypoints in `strokes.DRAWN_NAMES`.
        links: (L, 2) pairs of keypoint indices.
        link_colors: Colour of each of the pairs.
        width: Width of a bone, a share of the person's extent.
        radius: Radius of a point, a share of the person's extent.
        own_share: Largest width and radius, a share of the group's own extent: without it,
            hands and faces seen from the side would be blobs.
    """

    span: slice
    links: IndexArray
    link_colors: tuple[strokes.Color, ...]
    width: float
    radius: float
    own_share: float = np.inf


def _group(
    span: slice,
    links: Sequence[tuple[int, int]],
    *,
    width: float,
    radius: float,
    own_share: float = np.inf,
) -> _Group:
    colors = tuple(_link_color(start, end) for start, end in links)
    pairs = np.array(links, np.intp).reshape(-1, 2)
    return _Group(span, pairs, colors, width, radius, own_share)


_HEAD: Final = slice(0, 5)
_LIMBS: Final = slice(5, 17)
_HEAD_LINKS: Final = [link for link in kp.BODY_LINKS if min(link) < _HEAD.stop]
_LIMB_LINKS: Final = [link for link in kp.BODY_LINKS if min(link) >= _HEAD.stop]

_MIDLINE: Final = slice(kp.NUM_KEYPOINTS, len(strokes.DRAWN_NAMES))
_MIDLINE_LINKS: Final = [
    (strokes.DRAWN_NAMES.index(first), strokes.DRAWN_NAMES.index(last))
    for first, last in (("head", "neck"), ("neck", "hip"))
]

# Shares found by looking, at persons from 60 to 1500 pixels.
_GROUPS: Final = (
    _group(_LIMBS, _LIMB_LINKS, width=1 / 140, radius=1 / 130),
    _group(_MIDLINE, _MIDLINE_LINKS, width=1 / 140, radius=1 / 130),
    _group(_HEAD, _HEAD_LINKS, width=1 / 250, radius=1 / 220),
    _group(kp.FEET, kp.FEET_LINKS, width=1 / 250, radius=1 / 220),
    _group(kp.FACE, (), width=0.0, radius=1 / 400, own_share=1 / 80),
    _group(kp.LEFT_HAND, kp.LEFT_HAND_LINKS, width=1 / 250, radius=1 / 300, own_share=1 / 25),
    _group(kp.RIGHT_HAND, kp.RIGHT_HAND_LINKS, width=1 / 250, radius=1 / 300, own_share=1 / 25),
)
_MIN_DOT_PX: Final = 0.25

_MAX_ASPECT_CHANGE: Final = 1.15
"""Copies whose sides were rounded, if need be to multiples of 64, stay below."""


def draw_overlay(
    image_bgr: strokes.Picture,
    result: Poses,
    *,
    parts: Iterable[str] | None = None,
    min_score: strokes.MinScore = strokes.DEFAULT_MIN_SCORE,
    boxes: bool = False,
    ids: bool = True,
    alpha: float = 1.0,
    line_scale: float = 1.0,
    outside: bool = True,
) -> strokes.Picture:
    """Draws the skeletons over a copy of the picture.

    Widths grow with each person's extent in the picture, so that small persons stay visible
    beneath their skeletons. Persons of a better box score lie on top.

    Args:
        image_bgr: (H, W, 3) uint8, blue, green, red. Where its size is not that of
            `result.image_size`, the points are scaled to it.
        result: The persons of that picture.
        parts: Parts to draw, keys of `result.layout.parts`; None draws all.
        min_score: Points of a lower score are not drawn; a line needs both of its ends. One for
            all, or part -> least score, where "other" stands for the parts not named; without it
            they have 0.3.
        boxes: Whether to draw the persons' boxes and box scores, where known.
        ids: Whether to draw the persons' identities, where known.
        alpha: Opacity of what is drawn, 0 to 1.
        line_scale: Factor on all widths and radii.
        outside: Whether points outside the picture count, so that limbs run to its edge. False
            leaves them out with their limbs.

    Returns:
        (H, W, 3) uint8, blue, green, red; a new array.

    Raises:
        InvalidArgumentError: A value cannot be used, or the aspect ratio of the picture tells
            that the points were found in another one.
    """
    image_wh, canvas_wh = _sizes(image_bgr, result)
    strokes.checked_line_scale(line_scale)
    if not 0.0 <= alpha <= 1.0:
        raise InvalidArgumentError(f"alpha is {alpha!r}, expected 0 to 1")
    everything = strokes.visible_points(
        result, min_score=min_score, image_wh=image_wh, canvas_wh=canvas_wh
    )
    if not outside:
        everything = strokes.without_outside(everything, canvas_wh)
    wanted = result.layout.parts if parts is None else parts
    points = strokes.only_parts(everything, wanted, result.layout)
    canvas: strokes.Picture = image_bgr.copy()
    for index in reversed(range(len(points))):
        # Inside the picture: a stray point far outside must not make the lines fat.
        person_px = strokes.extent(np.clip(everything[index], 0.0, canvas_wh))
        _draw_person(canvas, points[index], person_px=person_px, line_scale=line_scale)
    if boxes or ids:
        draw_labels(canvas, result, points, boxes=boxes, ids=ids, line_scale=line_scale)
    if alpha < 1.0:
        cv2.addWeighted(canvas, alpha, image_bgr, 1.0 - alpha, 0.0, dst=canvas)
    return canvas


def _sizes(image_bgr: strokes.Picture, result: Poses) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns (width, height) of the picture the points belong to and of the one given."""
    shape = image_bgr.shape
    if len(shape) != 3 or shape[2] != 3 or 0 in shape or image_bgr.dtype != np.uint8:
        raise InvalidArgumentError(
            f"the picture is {image_bgr.dtype} of shape {shape}, "
            "expected uint8 of shape (height, width, 3)"
        )
    canvas_wh = shape[1], shape[0]
    if result.image_size is None:
        return canvas_wh, canvas_wh
    image_wh = strokes.checked_size(result.image_size, "image_size")
    change = (canvas_wh[0] * image_wh[1]) / (canvas_wh[1] * image_wh[0])
    if max(change, 1.0 / change) > _MAX_ASPECT_CHANGE:
        raise InvalidArgumentError(
            f"the picture is {canvas_wh[0]}x{canvas_wh[1]}, but the points were found in one of "
            f"{image_wh[0]}x{image_wh[1]}: that is another picture, or one turned or cropped"
        )
    return image_wh, canvas_wh


def _draw_person(
    canvas: strokes.Picture, points: Float64Array, *, person_px: float, line_scale: float
) -> None:
    """Draws bones, then points, of one group after the other."""
    for group in _GROUPS:
        own = points[group.span]
        limit_px = group.own_share * strokes.extent(own) if np.isfinite(group.own_share) else np.inf
        strokes.draw_lines(
            canvas,
            points,
            group.links,
            group.link_colors,
            width_px=line_scale * min(group.width * person_px, limit_px),
            line_type=cv2.LINE_AA,
        )
        strokes.draw_dots(
            canvas,
            own,
            _POINT_COLORS[group.span],
            radius_px=max(_MIN_DOT_PX, line_scale * min(group.radius * person_px, limit_px)),
            line_type=cv2.LINE_AA,
        )
