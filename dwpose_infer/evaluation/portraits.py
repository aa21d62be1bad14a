"""Pictures cut above the waist: portraits, of which it is known where the missing points are.

The bundled networks are used on portraits a lot, where half of the 133 points are outside the
picture. Cutting labelled pictures makes such portraits with labels, and tells how often points
that cannot be seen still score high.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ..annotations import Annotations
from ..arrays import BoolArray, Float64Array, FloatArray, Int32Array
from ..errors import InvalidArgumentError
from ..keypoints import BODY, KEYPOINT_INDEX
from .selection import keep_images, labelled_boxes_xyxy

CUT_PLACE: Final = 0.6
"""Place of the cut on the way from the shoulders (0) to the hips (1): near the elbows of arms
that hang, so that the picture is a bust with parts of the arms."""

LEAST_TRUNK: Final = 0.15
"""Persons whose shoulders are not this share of the box's height above the hips (who lie, bend
or stand on their heads) are left out."""

SIDE_MARGIN: Final = 0.15
"""How far the box of what is left may reach beyond its labelled points at the sides, in heights
of that box: the flesh around shoulders and elbows."""

_SHOULDERS: Final = [KEYPOINT_INDEX["left_shoulder"], KEYPOINT_INDEX["right_shoulder"]]
_HIPS: Final = [KEYPOINT_INDEX["left_hip"], KEYPOINT_INDEX["right_hip"]]


@dataclass(frozen=True, slots=True, eq=False)
class Portraits:
    """A part of an annotation file, cut.

    Attributes:
        annotations: Pictures with one upright person each; sizes and boxes end at the cut, boxes
            are as wide as what is left of the person, and points below the cut are not labelled
            any more.
        outside: (P, K) bool, the labelled points below the cut.
        heights: Image id -> height of the picture after the cut, in pixels.
    """

    annotations: Annotations
    outside: BoolArray
    heights: Mapping[int, int]


def cut_portraits(annotations: Annotations) -> Portraits:
    """Cuts the pictures of single upright persons between shoulders and hips.

    Raises:
        InvalidArgumentError: There is no such picture, or the file does not say its size.
    """
    cuts = _cuts(annotations)
    images = annotations.image_indices
    alone = np.bincount(images, minlength=len(annotations.image_ids)) == 1
    usable = alone[images] & ~np.isnan(cuts) & (annotations.sizes_wh[images, 1] > cuts)
    if not usable.any():
        raise InvalidArgumentError(
            f"{annotations.path.name} has no picture to cut: with its size, and with one upright "
            "person whose shoulders and hips are labelled"
        )
    kept = np.zeros(len(annotations.image_ids), np.bool_)
    kept[images[usable]] = True
    chosen = keep_images(annotations, kept)
    heights = cuts[usable].astype(np.int32)
    sizes = chosen.sizes_wh.copy()
    sizes[chosen.image_indices, 1] = heights
    keypoints = chosen.keypoints.copy()
    outside = (keypoints[..., 2] > 0) & (keypoints[..., 1] >= heights[:, None])
    keypoints[outside, 2] = 0
    boxes = _cut_boxes(chosen, keypoints, heights)
    cut = replace(
        chosen,
        sizes_wh=sizes,
        boxes_xywh=boxes,
        keypoints=keypoints,
        areas=chosen.areas * boxes[:, 2:].prod(axis=1) / chosen.boxes_xywh[:, 2:].prod(axis=1),
        num_keypoints=(keypoints[:, BODY, 2] > 0).sum(axis=1).astype(np.int32),
    )
    image_ids = cut.image_ids[cut.image_indices].tolist()
    return Portraits(cut, outside, dict(zip(image_ids, heights.tolist(), strict=True)))


def _cut_boxes(
    annotations: Annotations, keypoints: FloatArray, heights: Int32Array
) -> Float64Array:
    """(P, 4) float64, left, top, width, height of the boxes of what is left of the persons."""
    labelled = keypoints[..., 2] > 0
    left = np.where(labelled, keypoints[..., 0], np.inf).min(axis=1)
    right = np.where(labelled, keypoints[..., 0], -np.inf).max(axis=1)
    boxes = labelled_boxes_xyxy(annotations)
    margin = SIDE_MARGIN * (heights - boxes[:, 1])
    boxes[:, 0] = np.maximum(boxes[:, 0], left - margin)
    boxes[:, 2] = np.minimum(boxes[:, 2], right + margin)
    boxes[:, 3] = np.minimum(boxes[:, 3], heights)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def _cuts(annotations: Annotations) -> Float64Array:
    """(P,) float64, row of each person's cut; NaN for persons that cannot be cut."""
    points = annotations.keypoints.astype(np.float64)
    labelled = (points[:, _SHOULDERS + _HIPS, 2] > 0).all(axis=1)
    shoulders = points[:, _SHOULDERS, 1].mean(axis=1)
    hips = points[:, _HIPS, 1].mean(axis=1)
    top, height = annotations.boxes_xywh[:, 1], annotations.boxes_xywh[:, 3]
    cuts = np.floor(shoulders + CUT_PLACE * (hips - shoulders))
    upright = (hips - shoulders > LEAST_TRUNK * height) & (shoulders > top)
    return np.where(labelled & upright & ~annotations.is_crowd & (cuts > top + 1), cuts, np.nan)
