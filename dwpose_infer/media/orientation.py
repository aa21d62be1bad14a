"""Turning frames upright as the clip's display matrix says; telephones film lying and note it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np

from ..arrays import UInt8Array

_DISPLAY_MATRIX: Final = "DISPLAYMATRIX"
"""Name of this side data in PyAV, from AV_FRAME_DATA_DISPLAYMATRIX of libavutil."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """What makes a stored picture upright, in this order.

    Attributes:
        transposed: Swap rows and columns.
        flipped_x: Then mirror left and right.
        flipped_y: Then mirror top and bottom.
    """

    transposed: bool = False
    flipped_x: bool = False
    flipped_y: bool = False


def from_display_matrix(matrix: bytes) -> Orientation:
    """Returns the orientation that a display matrix means, to the nearest right angle.

    Args:
        matrix: Nine int32 in the machine's byte order, row by row, as libavutil's display.h lays
            them out: a stored point (x, y, 1) times the matrix is where it is shown, y downwards.
    """
    a, b, _, c, d = np.frombuffer(matrix, np.int32, count=5).astype(np.int64).tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)


def orientation_of(frame: Any) -> Orientation:
    """Returns the orientation of a PyAV frame."""
    data = frame.side_data.get(_DISPLAY_MATRIX)
    return Orientation() if data is None else from_display_matrix(bytes(data))


def oriented_size(size_wh: tuple[int, int], orientation: Orientation) -> tuple[int, int]:
    """Returns the width and height of an upright picture."""
    width, height = size_wh
    return (height, width) if orientation.transposed else (width, height)


def turn_upright(image: UInt8Array, orientation: Orientation) -> UInt8Array:
    """Returns a picture (H, W, 3) upright; the one given itself where it is so already."""
    if orientation.transposed:
        image = np.asarray(cv2.transpose(image), np.uint8)
    if orientation.flipped_x or orientation.flipped_y:
        axis = {(True, False): 1, (False, True): 0, (True, True): -1}
        code = axis[(orientation.flipped_x, orientation.flipped_y)]
        image = np.asarray(cv2.flip(image, code), np.uint8)
    return image
