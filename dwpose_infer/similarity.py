"""How alike two persons are: overlap of their boxes (IoU) and of their keypoints (OKS)."""

from __future__ import annotations

import numpy as np

from .arrays import Float64Array, FloatArray
from .layouts import layout_of


def box_iou(first_xyxy: FloatArray, second_xyxy: FloatArray) -> Float64Array:
    """Returns the IoU of every box with every other, in continuous coordinates.

    Args:
        first_xyxy: (N, 4), left, top, right, bottom.
        second_xyxy: (M, 4).

    Returns:
        (N, M) float64.
    """
    first = np.asarray(first_xyxy, np.float64)[:, None]
    second = np.asarray(second_xyxy, np.float64)[None]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(
        first[..., :2], second[..., :2]
    )
    overlap = np.maximum(sides, 0).prod(axis=2)
    union = box_areas(first) + box_areas(second) - overlap
    iou: Float64Array = np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
    return iou


def box_areas(boxes_xyxy: FloatArray) -> Float64Array:
    """Returns the areas of boxes (..., 4) in square pixels, 0 for boxes turned inside out."""
    areas: Float64Array = np.maximum(boxes_xyxy[..., 2:] - boxes_xyxy[..., :2], 0).prod(axis=-1)
    return areas


def weighted_oks(
    first: FloatArray,
    second: FloatArray,
    *,
    first_weights: FloatArray,
    second_weights: FloatArray,
    areas: FloatArray,
    points: slice = slice(None),
) -> Float64Array:
    """Returns the object keypoint similarity of every person with every other.

    COCO's OKS with a weight on each point: the square root of the product of its weights in the
    two persons. COCO itself knows 0 and 1 only, labelled or not.

    Args:
        first: (N, K, 2), x then y, pixels; K is 133, or as many as another layout has.
        second: (M, K, 2).
        first_weights: (N, K), at least 0; 0 where a point is absent, whose coordinates may
            then be anything, also NaN.
        second_weights: (M, K).
        areas: (N, M) square pixels, the size of the persons compared.
        points: Range of the points to look at.

    Returns:
        (N, M) float64 from 0 to 1; NaN where no point has weight in both persons.
    """
    step_px = np.nan_to_num(first[:, None, points]) - np.nan_to_num(second[None, :, points])
    squared_px = np.square(step_px, dtype=np.float64).sum(axis=-1)
    weights = np.sqrt(first_weights[:, None, points] * second_weights[None, :, points])
    sigmas = np.array(layout_of(first.shape[1]).sigmas)[points]
    variances = (2 * sigmas) ** 2  # COCO's evaluation takes twice the sigma
    spread = 2 * np.maximum(areas, np.finfo(np.float64).tiny)[..., None] * variances
    likeness = np.exp(-squared_px / spread)
    total = weights.sum(axis=-1)
    oks = np.full(total.shape, np.nan)
    np.divide((likeness * weights).sum(axis=-1), total, out=oks, where=total > 0)
    return oks
