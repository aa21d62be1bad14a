"""Random changes of a crop's pixels: colours, blur, holes.

Distributions and arithmetic are those of the official pipeline: mmdet's `YOLOXHSVRandomAug`, and
`Blur`, `MedianBlur` and `CoarseDropout` of albumentations 1.3, here made of OpenCV alone.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from ....arrays import UInt8Array
from ..settings.data import AugmentSettings

_BYTES: Final = np.arange(256)
_HUES: Final = 180  # OpenCV's 8-bit hue counts 2 degrees


def change_colours(
    image_bgr: UInt8Array, *, settings: AugmentSettings, rng: np.random.Generator
) -> UInt8Array:
    """Shifts hue, saturation and value, each with a chance of a half."""
    shifts = rng.uniform(-1, 1, 3) * settings.hsv_deltas * rng.integers(0, 2, 3)
    hue, saturation, value = shifts.astype(np.int16).tolist()  # rounds towards 0
    return shift_hsv(image_bgr, hue, saturation, value)


def shift_hsv(image_bgr: UInt8Array, hue: int, saturation: int, value: int) -> UInt8Array:
    """Adds to hue (round the circle), saturation and value (clipped).

    A byte has 256 values, so a table per channel replaces the arithmetic, exactly. Shifts of 0
    still pass through HSV and lose what that loses, as in the official pipeline.

    Args:
        image_bgr: (H, W, 3) uint8.
        hue: Shift in steps of 2 degrees.
        saturation: Shift of the byte.
        value: Shift of the byte.

    Returns:
        (H, W, 3) uint8, a new array.
    """
    table = np.empty((1, 256, 3), np.uint8)
    table[0, :, 0] = (_BYTES + hue) % _HUES
    table[0, :, 1] = np.clip(_BYTES + saturation, 0, 255)
    table[0, :, 2] = np.clip(_BYTES + value, 0, 255)
    hsv = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2HSV)
    cv2.LUT(hsv, table, dst=hsv)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR, dst=hsv), np.uint8)


def blur(image: UInt8Array, *, settings: AugmentSettings, rng: np.random.Generator) -> UInt8Array:
    """Takes the mean, and then the median, over a window of random odd size, each at times."""
    if rng.random() < settings.blur_probability:
        side = _kernel_side(settings, rng)
        image = np.asarray(cv2.blur(image, (side, side)), np.uint8)
    if rng.random() < settings.median_blur_probability:
        image = np.asarray(cv2.medianBlur(image, _kernel_side(settings, rng)), np.uint8)
    return image


def _kernel_side(settings: AugmentSettings, rng: np.random.Generator) -> int:
    return 3 + 2 * int(rng.integers((settings.blur_max_kernel - 3) // 2 + 1))


def cut_hole(image: UInt8Array, *, settings: AugmentSettings, rng: np.random.Generator) -> None:
    """Blackens a rectangle that lies wholly in the picture, at times, in place."""
    if rng.random() >= settings.hole_probability:
        return
    height, width = image.shape[:2]
    hole_height = int(height * rng.uniform(*settings.hole_height_range))
    hole_width = int(width * rng.uniform(*settings.hole_width_range))
    top = int(rng.integers(max(height - hole_height, 0) + 1))
    left = int(rng.integers(max(width - hole_width, 0) + 1))
    image[top : top + hole_height, left : left + hole_width] = 0
