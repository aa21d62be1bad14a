"""Which part of a picture a sample shows: a portrait, any part, a background without persons."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from .settings import SceneSettings

Window = tuple[int, int, int, int]
"""Left, top, right, bottom, whole pixels of the picture."""

Float32Array = npt.NDArray[np.float32]

LEAST_SIDE: Final = 40
"""Windows are at least so wide and high, in pixels: less is enlarged to mush."""

PORTRAIT_ASPECTS: Final = (0.55, 1.8)
"""Smallest and largest ratio of width and height of portraits: a phone held upright, and the
frame of a video call."""

_HEADROOM: Final = 0.35  # largest space above the head, as a share of what is shown of the person
_SIDESTEP: Final = 0.3  # farthest the person is from the middle, as a share of the window's width


def portrait_window(
    size_wh: tuple[int, int],
    boxes_xyxy: Float32Array,
    settings: SceneSettings,
    rng: np.random.Generator,
) -> Window | None:
    """Returns a window with the upper part of a person, cut off below.

    Args:
        size_wh: Width and height of the picture.
        boxes_xyxy: (n, 4) its labelled persons.
        settings: Says how much of a person is shown.
        rng: Source of randomness.

    Returns:
        The window; None where nobody is labelled or it would be too small.
    """
    if not len(boxes_xyxy):
        return None
    left, top, right, bottom = boxes_xyxy[int(rng.integers(len(boxes_xyxy)))].tolist()
    shown = (bottom - top) * rng.uniform(*settings.portrait_height_range)
    height = shown * (1 + rng.uniform(0, _HEADROOM))
    low, high = map(math.log, PORTRAIT_ASPECTS)
    width = height * math.exp(rng.uniform(low, high))
    middle = (left + right) / 2 + width * rng.uniform(-_SIDESTEP, _SIDESTEP)
    end = top + shown
    return _within(size_wh, middle - width / 2, end - height, middle + width / 2, end)


def part_window(
    size_wh: tuple[int, int], settings: SceneSettings, rng: np.random.Generator
) -> Window | None:
    """Returns any window; None where it would be too small."""
    width, height = size_wh
    wide, high = np.multiply(size_wh, rng.uniform(*settings.crop_range, 2)).tolist()
    left, top = rng.uniform(0, width - wide), rng.uniform(0, height - high)
    return _within(size_wh, left, top, left + wide, top + high)


def background_window(
    size_wh: tuple[int, int], boxes_xyxy: Float32Array, rng: np.random.Generator
) -> Window | None:
    """Returns a window beside, above or below all labelled persons; None without enough room."""
    width, height = size_wh
    if not len(boxes_xyxy):
        return 0, 0, width, height
    left, top = boxes_xyxy[:, :2].min(axis=0).tolist()
    right, bottom = boxes_xyxy[:, 2:].max(axis=0).tolist()
    strips = [
        (0, 0, math.floor(left), height),
        (0, 0, width, math.floor(top)),
        (math.ceil(right), 0, width, height),
        (0, math.ceil(bottom), width, height),
    ]
    roomy = [
        strip for strip in strips if min(strip[2] - strip[0], strip[3] - strip[1]) >= LEAST_SIDE
    ]
    return roomy[int(rng.integers(len(roomy)))] if roomy else None


def _within(
    size_wh: tuple[int, int], left: float, top: float, right: float, bottom: float
) -> Window | None:
    """Rounds a window and cuts it off at the edges of the picture."""
    width, height = size_wh
    window = (
        max(0, round(left)),
        max(0, round(top)),
        min(width, round(right)),
        min(height, round(bottom)),
    )
    small = min(window[2] - window[0], window[3] - window[1]) < LEAST_SIDE
    return None if small else window
