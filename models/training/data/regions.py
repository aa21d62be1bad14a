"""Which region of a picture becomes the crop, at random: half bodies, mirror images, jitter.

Distributions, arithmetic and its order are those of mmpose 1.3's `RandomFlip`, `RandomHalfBody`
and `RandomBBoxTransform`; the functions that need no random numbers come out equal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Final

import numpy as np

from ....arrays import BoolArray, FloatArray, IndexArray
from ....keypoints import FLIP_INDICES
from ..settings.data import AugmentSettings

UPPER_BODY: Final = np.arange(0, 11)
"""Head, shoulders, elbows and wrists (mmpose's metainfo of COCO-WholeBody, type "upper")."""

LOWER_BODY: Final = np.arange(11, 23)
"""Hips, knees, ankles and feet (type "lower"); face and hands are of neither type."""

_FLIP: Final = np.array(FLIP_INDICES)
_NORMAL: Final = NormalDist()
_BELOW: Final = _NORMAL.cdf(-1.0)
_WITHIN: Final = _NORMAL.cdf(1.0) - _NORMAL.cdf(-1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A region of a picture, before it gets the aspect ratio of the input.

    Attributes:
        center: (2,) x then y, pixels of the picture.
        size: (2,) width and height, pixels of the picture.
        rotation_deg: Rotation about the centre, degrees.
    """

    center: FloatArray
    size: FloatArray
    rotation_deg: float = 0.0


def box_region(box_xyxy: FloatArray, *, padding: float) -> Region:
    """Returns a person's box with context around it.

    Args:
        box_xyxy: (4,) left, top, right, bottom, pixels.
        padding: Factor on both sides of the box.
    """
    box = box_xyxy.astype(np.float32)
    center = (box[:2] + box[2:]) * np.float32(0.5)
    return Region(center, (box[2:] - box[:2]) * np.float32(padding))


def flip_points(
    keypoints: FloatArray, labelled: BoolArray, *, width: int
) -> tuple[FloatArray, BoolArray]:
    """Returns the points in the mirrored picture, left and right exchanged.

    Args:
        keypoints: (133, 2), x then y, pixels of the picture.
        labelled: (133,) which of them are known.
        width: Width of the picture in pixels.
    """
    flipped = keypoints[_FLIP]
    flipped[:, 0] = width - 1 - flipped[:, 0]
    return flipped, labelled[_FLIP]


def flip_region(region: Region, *, width: int) -> Region:
    """Returns the region in the mirrored picture.

    Args:
        region: The region, not rotated.
        width: Width of the picture in pixels.
    """
    center = region.center.copy()
    center[0] = width - center[0] - 1
    return replace(region, center=center)


def half_body_points(
    labelled: BoolArray, *, prefer_upper: bool, settings: AugmentSettings
) -> IndexArray | None:
    """Picks the points of the upper or the lower body.

    Args:
        labelled: (133,) which points are known.
        prefer_upper: Which half to take where both have points enough.
        settings: `half_body_min_upper` and `half_body_min_lower` say how many are enough.

    Returns:
        Indices of the known points of that half; None where neither has enough.
    """
    upper, lower = UPPER_BODY[labelled[UPPER_BODY]], LOWER_BODY[labelled[LOWER_BODY]]
    enough_upper = len(upper) >= settings.half_body_min_upper
    enough_lower = len(lower) >= settings.half_body_min_lower
    if enough_upper and (prefer_upper or not enough_lower):
        return upper
    return lower if enough_lower else None


def points_region(points: FloatArray, *, padding: float) -> Region:
    """Returns the region around points: centred on their mean, as large as their extent.

    Args:
        points: (N, 2), x then y.
        padding: Factor on both sides of the extent.
    """
    size = (points.max(axis=0) - points.min(axis=0)) * padding
    return Region(points.mean(axis=0), size.astype(points.dtype))


def random_half_body(
    region: Region,
    keypoints: FloatArray,
    labelled: BoolArray,
    *,
    settings: AugmentSettings,
    rng: np.random.Generator,
) -> Region:
    """Exchanges the region, at times, for one around half of the body.

    A half whose points all coincide is left alone, for it has no extent.
    """
    if int(labelled.sum()) < settings.half_body_min_total:
        return region
    if rng.random() >= settings.half_body_probability:
        return region
    prefer_upper = rng.random() < settings.half_body_upper_probability
    picked = half_body_points(labelled, prefer_upper=prefer_upper, settings=settings)
    if picked is None:
        return region
    half = points_region(keypoints[picked], padding=settings.half_body_padding)
    return half if half.size.max() > 0 else region


def random_jitter(region: Region, *, settings: AugmentSettings, rng: np.random.Generator) -> Region:
    """Shifts, scales and rotates the region at random.

    The four random numbers follow the normal distribution cut off at one standard deviation on
    both sides; their share of the largest shift, scale or angle is what is applied.
    """
    x, y, scale, turn = (truncated_normal(u) for u in rng.random(4).tolist())
    shift_on, scale_on, turn_on = rng.random(3).tolist()
    center, size, rotation_deg = region.center, region.size, 0.0
    if shift_on < settings.shift_probability:
        offset = np.array([x, y], np.float32) * np.float32(settings.shift_factor)
        center = center + offset * size
    if scale_on < settings.scale_probability:
        low, high = settings.scale_range
        size = size * np.float32(scale * (high - low) * 0.5 + (high + low) * 0.5)
    if turn_on < settings.rotation_probability:
        rotation_deg = turn * settings.rotation_degrees
    return Region(center, size, rotation_deg)


def truncated_normal(quantile: float) -> float:
    """Returns the value below which a share of the truncated normal distribution lies.

    Args:
        quantile: The share, 0 to 1.

    Returns:
        A number from -1 to 1.
    """
    return _NORMAL.inv_cdf(_BELOW + quantile * _WITHIN)
