"""What both styles draw with: which points show, dots, lines and limbs at parts of a pixel.

OpenCV takes coordinates as integers with `_FRACTION_BITS` binary places; pixel centres lie at
whole numbers. Every function skips what has a NaN coordinate.
"""

from __future__ import annotations

import colorsys
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from .. import keypoints as kp
from ..arrays import Float64Array, IndexArray, Int32Array, UInt8Array
from ..errors import InvalidArgumentError
from ..layouts import MIDLINE, POINTS_OF_PART, KeypointLayout

if TYPE_CHECKING:
    from ..poses import Poses

Picture = UInt8Array
Color = tuple[int, int, int]
"""Blue, green, red, 0 to 255."""

DRAWN_NAMES: Final[tuple[str, ...]] = (*kp.KEYPOINT_NAMES, *POINTS_OF_PART[MIDLINE])
"""The points that can be drawn, in the order in which they are: the 133, then Halpe's own three."""

MinScore = float | Mapping[str, float]
"""Least score of a point that is drawn: of all, or by part, where "other" stands for the parts not
named; without it they have 0.3."""

DEFAULT_MIN_SCORE: Final = 0.3

OTHER_PARTS: Final = "other"
"""Stands in `MinScore` for the parts not named there."""

OUTSIDE_LIMIT_PX: Final = 2.0**15
"""Points farther outside the canvas are not drawn: OpenCV's 32-bit coordinates would wrap."""

MAX_LINE_SCALE: Final = 100.0
"""OpenCV refuses lines of more than 32767 pixels."""

_PLACE: Final = {name: place for place, name in enumerate(DRAWN_NAMES)}

_FRACTION_BITS: Final = 4
_ONE: Final = 1 << _FRACTION_BITS


def _unit_circle(vertices: int) -> Float64Array:
    angles = np.arange(vertices) * (2.0 * np.pi / vertices)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


_DOT_OUTLINE: Final = _unit_circle(24)
_LIMB_OUTLINE: Final = _unit_circle(72)


def rainbow(count: int) -> tuple[Color, ...]:
    """Returns `count` pure hues, evenly spaced and starting with red."""
    return tuple(hue_color(index / count) for index in range(count))


def hue_color(hue: float, *, saturation: float = 1.0) -> Color:
    """Returns the brightest colour of a hue, 0 to 1 around the circle from red over green."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, 1.0)
    return round(255 * blue), round(255 * green), round(255 * red)


def scaled_color(color: Color, brightness: float) -> Color:
    """Returns the colour at a fraction of its brightness."""
    blue, green, red = color
    return round(blue * brightness), round(green * brightness), round(red * brightness)


def checked_size(size_wh: Sequence[int], name: str) -> tuple[int, int]:
    """Returns a (width, height) as two plain ints.

    Raises:
        InvalidArgumentError: It is not two whole numbers of at least 1.
    """
    try:
        width, height = (operator.index(side) for side in size_wh)
    except (TypeError, ValueError):
        width = height = 0
    if min(width, height) < 1:
        raise InvalidArgumentError(f"{name} is {size_wh!r}, expected (width, height) in pixels")
    return width, height


def checked_line_scale(line_scale: float) -> float:
    """Returns the factor on all line widths.

    Raises:
        InvalidArgumentError: It is not above 0 and at most `MAX_LINE_SCALE`.
    """
    if not 0.0 < line_scale <= MAX_LINE_SCALE:
        raise InvalidArgumentError(
            f"line_scale is {line_scale!r}, expected a number above 0, at most {MAX_LINE_SCALE:g}"
        )
    return float(line_scale)


def visible_points(
    result: Poses,
    *,
    min_score: MinScore,
    image_wh: tuple[int, int],
    canvas_wh: tuple[int, int],
) -> Float64Array:
    """Returns the points that show, in pixels of the canvas, and NaN in place of all others.

    They are in the order of `DRAWN_NAMES`, whatever that of the result is. A point shows when its
    score reaches `min_score`, its coordinates are numbers, and it lies within `OUTSIDE_LIMIT_PX`
    of the canvas.

    Args:
        result: The persons, in pixels of the input picture.
        min_score: Least score, or that of single parts.
        image_wh: (width, height) of the input picture.
        canvas_wh: (width, height) of the canvas; coordinates grow by their ratio.

    Returns:
        (P, 136, 2) float64, x then y.
    """
    canvas = np.asarray(canvas_wh, np.float64)
    points = result.keypoints.astype(np.float64) * (canvas / np.asarray(image_wh))
    near = (points >= -OUTSIDE_LIMIT_PX) & (points <= canvas + OUTSIDE_LIMIT_PX)
    shown = near.all(axis=-1) & (result.scores >= _thresholds(result, min_score))
    drawn = np.full((len(points), len(DRAWN_NAMES), 2), np.nan)
    drawn[:, [_PLACE[name] for name in result.layout.point_names]] = np.where(
        shown[..., None], points, np.nan
    )
    return drawn


def _thresholds(result: Poses, min_score: MinScore) -> Float64Array:
    """The least score of each point, (K,)."""
    if not isinstance(min_score, Mapping):
        return np.full(len(result.layout), min_score, np.float64)
    thresholds = np.full(len(result.layout), min_score.get(OTHER_PARTS, DEFAULT_MIN_SCORE))
    for part, least in min_score.items():
        if part != OTHER_PARTS:
            thresholds[result.layout.part(part)] = least
    return thresholds


def without_outside(points: Float64Array, canvas_wh: tuple[int, int]) -> Float64Array:
    """Returns (P, N, 2) points with NaN in place of those that lie on no pixel of the canvas."""
    inside = ((points >= 0) & (points <= np.array(canvas_wh) - 1)).all(axis=2, keepdims=True)
    return np.where(inside, points, np.nan)


def only_parts(points: Float64Array, parts: Iterable[str], layout: KeypointLayout) -> Float64Array:
    """Returns (P, 136, 2) points with NaN in place of those of other parts.

    Args:
        points: (P, 136, 2) float64, see `visible_points`.
        parts: Parts of the layout; a single name will do.
        layout: That of the result.

    Raises:
        InvalidArgumentError: It has no such part.
    """
    wanted = np.zeros((len(DRAWN_NAMES), 1), bool)
    for name in (parts,) if isinstance(parts, str) else parts:
        layout.part(name)
        wanted[[_PLACE[point] for point in POINTS_OF_PART[name]]] = True
    return np.where(wanted, points, np.nan)


def extent(points: Float64Array) -> float:
    """Returns the longer side of the box around the (N, 2) points that show; 0 for none."""
    shown = points[~np.isnan(points[:, 0])]
    return float(np.ptp(shown, axis=0).max()) if len(shown) else 0.0


def draw_dots(
    canvas: Picture,
    points: Float64Array,
    colors: Sequence[Color],
    *,
    radius_px: float,
    line_type: int,
) -> None:
    """Draws a filled circle at each of the (N, 2) points.

    The circles are polygons: those of OpenCV itself are diamonds where they are small.
    """
    shown = np.flatnonzero(~np.isnan(points[:, 0])).tolist()
    outlines = _fixed(points[shown, None] + radius_px * _DOT_OUTLINE)
    for index, outline in zip(shown, outlines, strict=True):
        cv2.fillConvexPoly(canvas, outline, colors[index], line_type, _FRACTION_BITS)


def draw_lines(
    canvas: Picture,
    points: Float64Array,
    links: IndexArray,
    colors: Sequence[Color],
    *,
    width_px: float,
    line_type: int,
) -> None:
    """Draws a line of even width along each of the (L, 2) pairs of indices into (N, 2) points."""
    width = max(1, round(width_px))
    ends = points[links]
    shown = _both_ends(ends)
    for index, (start, end) in zip(shown, _fixed(ends[shown]).tolist(), strict=True):
        cv2.line(canvas, start, end, colors[index], width, line_type, _FRACTION_BITS)


def draw_limbs(
    canvas: Picture,
    points: Float64Array,
    links: IndexArray,
    colors: Sequence[Color],
    *,
    half_width_px: float,
) -> None:
    """Draws a hard-edged ellipse along each of the (L, 2) pairs of indices into (N, 2) points."""
    ends = points[links]
    shown = _both_ends(ends)
    starts, stops = ends[shown, 0], ends[shown, 1]
    half_axes = 0.5 * (stops - starts)
    lengths = np.maximum(np.linalg.norm(half_axes, axis=1, keepdims=True), 1e-9)
    across = half_axes[:, ::-1] * (-1.0, 1.0) * (half_width_px / lengths)
    outlines = (
        (0.5 * (starts + stops))[:, None]
        + half_axes[:, None] * _LIMB_OUTLINE[:, :1]
        + across[:, None] * _LIMB_OUTLINE[:, 1:]
    )
    for index, outline in zip(shown, _fixed(outlines), strict=True):
        cv2.fillConvexPoly(canvas, outline, colors[index], cv2.LINE_8, _FRACTION_BITS)


def _both_ends(ends: Float64Array) -> list[int]:
    shown: list[int] = np.flatnonzero(~np.isnan(ends).any(axis=(1, 2))).tolist()
    return shown


def _fixed(points: Float64Array) -> Int32Array:
    return np.rint(points * _ONE).astype(np.int32)
