"""Tiles of large pictures, in which the detector sees persons larger than in the whole."""

from __future__ import annotations

import numpy as np

from .arrays import BoolArray, Float32Array

Window = tuple[int, int, int, int]
"""Left, top, right, bottom of a part of a picture, in pixels."""

CUT_SHARE = 0.01
"""Share of a tile's side within which a box counts as cut off by its edge."""


def tile_windows(image_wh: tuple[int, int], side: int) -> list[Window]:
    """Returns the tiles of a picture, each overlapping the next by at least a half.

    Whoever is at most half as large as a tile is whole in one of them.

    Args:
        image_wh: (width, height) of the picture in pixels.
        side: Width and height of a tile in pixels; less where the picture ends before.

    Returns:
        The tiles row by row; none where the picture is no larger than one.
    """
    if max(image_wh) <= side:
        return []
    starts_x, starts_y = (_starts(whole, side) for whole in image_wh)
    width, height = (min(whole, side) for whole in image_wh)
    return [(x, y, x + width, y + height) for y in starts_y for x in starts_x]


def _starts(whole: int, side: int) -> list[int]:
    if whole <= side:
        return [0]
    steps = -(-2 * (whole - side) // side)
    return [round(step * (whole - side) / steps) for step in range(steps + 1)]


def is_whole(boxes_xyxy: Float32Array, window: Window, image_wh: tuple[int, int]) -> BoolArray:
    """Tells which boxes end before the edges of their tile, or at an edge of the picture.

    Args:
        boxes_xyxy: (P, 4) in pixels of the picture.
        window: The tile in which they were found.
        image_wh: (width, height) of the picture.

    Returns:
        (P,) bool.
    """
    left, top, right, bottom = window
    margin_x, margin_y = CUT_SHARE * (right - left), CUT_SHARE * (bottom - top)
    whole = np.ones(len(boxes_xyxy), bool)
    if left > 0:
        whole &= boxes_xyxy[:, 0] > left + margin_x
    if top > 0:
        whole &= boxes_xyxy[:, 1] > top + margin_y
    if right < image_wh[0]:
        whole &= boxes_xyxy[:, 2] < right - margin_x
    if bottom < image_wh[1]:
        whole &= boxes_xyxy[:, 3] < bottom - margin_y
    return whole
