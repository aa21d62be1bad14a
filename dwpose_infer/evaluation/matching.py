"""Which predicted person stands for which labelled one, for figures point by point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..annotations import Annotations
from ..arrays import Float64Array, IndexArray
from ..formats.coco import KEYPOINT_SCORE_THRESHOLD
from ..similarity import box_iou
from .predictions import Predictions, RankedPredictions
from .selection import labelled_boxes_xyxy


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """One predicted person, or none, for each labelled one.

    Attributes:
        keypoints: (P, K, 2) float64, pixels of the picture; NaN where there is none.
        scores: (P, K) float64; NaN where there is none.
        ious: (P,) float64, IoU of the predicted and the labelled box; 0 where there is none.
    """

    keypoints: Float64Array
    scores: Float64Array
    ious: Float64Array


def match(annotations: Annotations, persons: Predictions | RankedPredictions) -> Matches:
    """Gives labelled persons the predicted ones whose boxes overlap theirs most.

    In each picture the pair with the largest IoU is taken first; nobody is taken twice, and
    pairs that do not overlap are none. Where boxes are not known, the box around the person's
    points takes their place: those that score above 0.2, or all if none does.

    Args:
        annotations: Labelled persons.
        persons: Predicted persons.
    """
    labelled = labelled_boxes_xyxy(annotations)
    predicted = _boxes_around(persons) if persons.boxes_xyxy is None else persons.boxes_xyxy
    count = len(annotations)
    partner = np.full(count, -1)
    ious = np.zeros(count)
    image_ids = annotations.image_ids[annotations.image_indices]
    for image_id in np.intersect1d(image_ids, persons.image_ids):
        rows = np.flatnonzero(image_ids == image_id)
        columns = np.flatnonzero(persons.image_ids == image_id)
        overlaps = box_iou(labelled[rows], predicted[columns])
        for row, column in _best_pairs(overlaps):
            partner[rows[row]] = columns[column]
            ious[rows[row]] = overlaps[row, column]
    return _matches(persons, partner, ious)


def match_by_id(annotations: Annotations, predictions: Predictions) -> Matches:
    """Gives each labelled person the prediction made on its box, known by its id.

    Args:
        annotations: Labelled persons.
        predictions: Predictions whose `ids` are ids of annotations.
    """
    ids = np.zeros(0, np.int64) if predictions.ids is None else predictions.ids
    row_of_id = {int(person): row for row, person in enumerate(ids)}
    partner = np.array([row_of_id.get(int(person), -1) for person in annotations.ids], np.intp)
    return _matches(predictions, partner, (partner >= 0).astype(np.float64))


def _best_pairs(overlaps: Float64Array) -> list[tuple[int, int]]:
    left = overlaps.copy()
    pairs = []
    while left.size and left.max() > 0:
        row, column = (int(index) for index in np.unravel_index(left.argmax(), left.shape))
        pairs.append((row, column))
        left[row], left[:, column] = 0, 0
    return pairs


def _boxes_around(persons: Predictions | RankedPredictions) -> Float64Array:
    sure = persons.scores > KEYPOINT_SCORE_THRESHOLD
    sure |= ~sure.any(axis=1, keepdims=True)
    points = persons.keypoints.astype(np.float64)
    low = np.where(sure[..., None], points, np.inf).min(axis=1, initial=np.inf)
    high = np.where(sure[..., None], points, -np.inf).max(axis=1, initial=-np.inf)
    return np.concatenate([low, high], axis=1)


def _matches(
    persons: Predictions | RankedPredictions, partner: IndexArray, ious: Float64Array
) -> Matches:
    keypoints = np.full((len(partner), *persons.keypoints.shape[1:]), np.nan)
    scores = np.full(keypoints.shape[:2], np.nan)
    has = partner >= 0
    keypoints[has] = persons.keypoints[partner[has]]
    scores[has] = persons.scores[partner[has]]
    return Matches(keypoints, scores, ious)
