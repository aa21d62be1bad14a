"""Non-maximum suppression as the YOLOX demo computes it."""

from __future__ import annotations

import numpy as np

from .arrays import Float32Array, IndexArray


def nms(
    boxes_xyxy: Float32Array,
    scores: Float32Array,
    *,
    iou_threshold: float,
) -> IndexArray:
    """Keeps the best box of every group of overlapping ones.

    Widths and heights count one pixel more than the difference of the coordinates, the legacy
    convention of Fast R-CNN that YOLOX kept.

    Args:
        boxes_xyxy: (N, 4) float32, left, top, right, bottom in pixels.
        scores: (N,) float32.
        iou_threshold: A box is dropped when its IoU with a kept, better one is above this.

    Returns:
        Indices of the kept boxes, best score first.
    """
    left, top, right, bottom = boxes_xyxy.T
    areas = (right - left + 1) * (bottom - top + 1)
    order = scores.argsort()[::-1]
    kept: list[int] = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        width = np.minimum(right[best], right[rest]) - np.maximum(left[best], left[rest]) + 1
        height = np.minimum(bottom[best], bottom[rest]) - np.maximum(top[best], top[rest]) + 1
        overlap = np.maximum(width, 0) * np.maximum(height, 0)
        iou = overlap / (areas[best] + areas[rest] - overlap)
        order = rest[iou <= iou_threshold]
    return np.asarray(kept, np.intp)
