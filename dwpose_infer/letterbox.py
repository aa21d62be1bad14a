"""Fitting a whole picture into the detector's input."""

from __future__ import annotations

import cv2
import numpy as np

from .arrays import UInt8Array

PAD_VALUE = 114
"""Grey of the padding, as YOLOX was trained with."""


LEAST_PADDING = 16
"""Pixels of grey that a canvas cut to its picture keeps at the padded side. Without them the
bundled detector loses .003 of AP on photographs of posed people, with them .001 (measured)."""


def fitting_size(
    picture_wh: tuple[int, int], *, size_wh: tuple[int, int], step: int
) -> tuple[int, int]:
    """Returns the smallest canvas that holds a picture as large as `letterbox` makes it.

    Args:
        picture_wh: (width, height) of the picture in pixels.
        size_wh: (width, height) of the whole canvas in pixels, multiples of `step`.
        step: What the sides have to be multiples of.

    Returns:
        (width, height): one side is that of the whole canvas, the other at most that.
    """
    ratio = min(size_wh[0] / picture_wh[0], size_wh[1] / picture_wh[1])
    width, height = (
        min(whole, -(-(max(1, int(side * ratio)) + LEAST_PADDING) // step) * step)
        for side, whole in zip(picture_wh, size_wh, strict=True)
    )
    return width, height


def letterbox(image_bgr: UInt8Array, *, size_wh: tuple[int, int]) -> tuple[UInt8Array, float]:
    """Shrinks or enlarges a picture into the top left corner of a grey canvas.

    Args:
        image_bgr: (H, W, 3) uint8.
        size_wh: (width, height) of the canvas in pixels.

    Returns:
        The canvas, (height, width, 3) uint8, and the ratio of canvas to picture pixels:
        a box in the picture is the box on the canvas divided by it.
    """
    picture_height, picture_width = image_bgr.shape[:2]
    width, height = size_wh
    ratio = min(height / picture_height, width / picture_width)
    # Truncated, not rounded, like the reference; a very long picture keeps at least one pixel.
    scaled_width = max(1, int(picture_width * ratio))
    scaled_height = max(1, int(picture_height * ratio))
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[scaled_height:] = PAD_VALUE
    canvas[:scaled_height, scaled_width:] = PAD_VALUE
    cv2.resize(
        image_bgr,
        (scaled_width, scaled_height),
        dst=canvas[:scaled_height, :scaled_width],
        interpolation=cv2.INTER_LINEAR,
    )
    return canvas, ratio
