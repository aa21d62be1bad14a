"""From a person on a picture to one training crop with its points.

Pictures cut down to a part of the person, as in portraits and video calls, are a departure from the
official pipeline, off by default: public training sets show people whole, or at least to the hips;
networks trained on them look for a whole body in every box. Here the picture itself is cut: outside
of the cut all is black, the box is what is left of it, and points that were cut off count as
outside of the crop (see `CodecSettings.outside_weight`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from .... import geometry
from ....arrays import Array, BoolArray, Float32Array, FloatArray, Int64Array, UInt8Array
from ....keypoints import FACE, LEFT_HAND, RIGHT_HAND
from ..settings.data import AugmentSettings
from .photometric import blur, change_colours, cut_hole
from .regions import (
    Region,
    box_region,
    flip_points,
    flip_region,
    random_half_body,
    random_jitter,
)

ABSENT: Final = -1e6
"""Coordinate of points that were cut off: outside of every crop, however it is turned."""

_HEAD: Final = np.r_[0:5, FACE]
PARTS: Final = (
    (_HEAD,),
    (np.r_[5, 6, _HEAD],),
    (np.r_[5:9, 11, 12, _HEAD],),
    (np.r_[LEFT_HAND], np.r_[RIGHT_HAND]),
)
"""Points of each part that can be cut out, in the order of `AugmentSettings.portrait_shares`:
the face, head and shoulders, the upper body without the wrists, either hand."""

_REQUIRED: Final = ((), (5, 6), (5, 6, 11, 12), ())
_HAND: Final = 3
_MIN_POINTS: Final = 5
_FOREHEAD: Final = 0.6
"""Forehead and hair above the highest labelled point, as a share of the head's labelled height:
the 68 points of the face end at the eyebrows."""


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A person in a picture that was cut down.

    Attributes:
        image_bgr: (H, W, 3) uint8, a view of the picture.
        keypoints: (133, 2), x then y, pixels of the cut picture; `ABSENT` where cut off.
        box_xyxy: (4,) float32, what is left of the box, pixels of the cut picture.
    """

    image_bgr: UInt8Array
    keypoints: FloatArray
    box_xyxy: Float32Array


def random_portrait(
    image_bgr: UInt8Array,
    keypoints: FloatArray,
    labelled: BoolArray,
    box_xyxy: Float32Array,
    *,
    settings: AugmentSettings,
    rng: np.random.Generator,
) -> Portrait | None:
    """Cuts the picture down to a random part of the person with random margins.

    Args:
        image_bgr: (H, W, 3) uint8.
        keypoints: (133, 2), x then y, pixels of the picture.
        labelled: (133,) which of them are known.
        box_xyxy: (4,) the person's box.
        settings: The fields `portrait_...` count, the probability aside.
        rng: Source of randomness.

    Returns:
        The cut picture; None where too few points of the part are known or it is too small.
    """
    shares = np.asarray(settings.portrait_shares)
    kind = int(rng.choice(len(PARTS), p=shares / shares.sum()))
    choices = PARTS[kind]
    part = choices[int(rng.integers(len(choices)))]
    margins = rng.uniform(*settings.portrait_margins, 4)
    known = part[labelled[part]]
    if len(known) < _MIN_POINTS or not labelled[list(_REQUIRED[kind])].all():
        return None
    window = _window(keypoints, known, margins, has_head=kind != _HAND)
    height, width = image_bgr.shape[:2]
    left, top, right, bottom = np.clip(window, 0, [width, height, width, height]).tolist()
    if min(right - left, bottom - top) < settings.portrait_min_side:
        return None
    corner = np.array([left, top], keypoints.dtype)
    inside = np.all((keypoints >= corner) & (keypoints < [right, bottom]), axis=1)
    moved = np.where(inside[:, None], keypoints - corner, np.asarray(ABSENT, keypoints.dtype))
    return Portrait(
        image_bgr[top:bottom, left:right],
        moved,
        _remaining_box(box_xyxy, (left, top, right, bottom)),
    )


def _window(
    keypoints: FloatArray, known: Array, margins: FloatArray, *, has_head: bool
) -> Int64Array:
    """Returns left, top, right, bottom, whole pixels, not yet clipped."""
    points = keypoints[known]
    low, high = points.min(axis=0), points.max(axis=0)
    border = margins * (high - low).max()
    low, high = low - border[:2], high + border[2:]
    if has_head:
        head = keypoints[known[np.isin(known, _HEAD)], 1]
        low[1] -= _FOREHEAD * (head.max() - head.min()) if len(head) else 0
    return np.concatenate([np.floor(low), np.ceil(high)]).astype(np.int64)


def _remaining_box(box_xyxy: Float32Array, window: tuple[int, int, int, int]) -> Float32Array:
    left, top, right, bottom = window
    last = np.array([right - left - 1, bottom - top - 1] * 2, np.float32)
    box = np.clip(box_xyxy - np.array([left, top] * 2, np.float32), 0, last)
    covered = (box[2:] - box[:2]).min() >= 1
    return box if covered else np.array([0, 0, *last[:2]], np.float32)


def training_crop(
    image_bgr: UInt8Array,
    keypoints: Float32Array,
    labelled: BoolArray,
    box_xyxy: Float32Array,
    *,
    input_size_wh: tuple[int, int],
    settings: AugmentSettings,
    rng: np.random.Generator,
) -> tuple[UInt8Array, Float32Array, BoolArray]:
    """Cuts a person out of a picture with all random changes, in the official order.

    Args:
        image_bgr: (H, W, 3) uint8; it is not changed.
        keypoints: (133, 2) float32, x then y, pixels of the picture.
        labelled: (133,) bool, which of them are known.
        box_xyxy: (4,) float32, the person's box.
        input_size_wh: (width, height) of the crop.
        settings: What is changed, how much and how often.
        rng: Source of randomness.

    Returns:
        The crop (height, width, 3) uint8, BGR; keypoints (133, 2) float32, x then y, pixels of
        the crop, some outside of it; and which of them are known.
    """
    portrait = None
    if settings.portrait_probability and rng.random() < settings.portrait_probability:
        portrait = random_portrait(
            image_bgr, keypoints, labelled, box_xyxy, settings=settings, rng=rng
        )
    if portrait is not None:
        image_bgr, keypoints = portrait.image_bgr, portrait.keypoints
        box_xyxy = portrait.box_xyxy
    region = box_region(box_xyxy, padding=settings.box_padding)
    if rng.random() < settings.flip_probability:
        width = image_bgr.shape[1]
        image_bgr = np.asarray(cv2.flip(image_bgr, 1), np.uint8)
        keypoints, labelled = flip_points(keypoints, labelled, width=width)
        region = flip_region(region, width=width)
    if portrait is None:
        region = random_half_body(region, keypoints, labelled, settings=settings, rng=rng)
    region = random_jitter(region, settings=settings, rng=rng)
    crop, keypoints = cut(image_bgr, keypoints, region, input_size_wh=input_size_wh)
    if any(settings.hsv_deltas):
        crop = change_colours(crop, settings=settings, rng=rng)
    crop = blur(crop, settings=settings, rng=rng)
    cut_hole(crop, settings=settings, rng=rng)
    return crop, keypoints, labelled


def cut(
    image_bgr: UInt8Array,
    keypoints: FloatArray,
    region: Region,
    *,
    input_size_wh: tuple[int, int],
) -> tuple[UInt8Array, Float32Array]:
    """Cuts a region out of a picture (mmpose's `TopdownAffine` without UDP).

    Args:
        image_bgr: (H, W, 3) uint8.
        keypoints: (133, 2), x then y, pixels of the picture.
        region: The region; its shorter side is widened to the aspect ratio of the crop.
        input_size_wh: (width, height) of the crop.

    Returns:
        The crop (height, width, 3) uint8, bilinear, black outside of the picture; and the points
        (133, 2) float32 in pixels of the crop.
    """
    size = geometry.widen_to_aspect_ratio(
        region.size[None].astype(np.float32), input_size_wh=input_size_wh
    )[0]
    matrix = geometry.warp_matrix(
        region.center.astype(np.float32),
        size,
        output_size_wh=input_size_wh,
        rotation_deg=region.rotation_deg,
    )
    crop = np.asarray(cv2.warpAffine(image_bgr, matrix, input_size_wh), np.uint8)
    points = cv2.transform(keypoints[None].astype(np.float32), matrix)[0]
    return crop, np.asarray(points, np.float32)
