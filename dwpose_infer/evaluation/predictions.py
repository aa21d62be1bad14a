"""Persons found in pictures, as arrays, and what the COCO-WholeBody protocol does to them first.

Before anything is compared, mmpose's `CocoMetric` gives every person a score, and removes from
each picture the persons that are all but equal to a better one (OKS-NMS). Both are here; the
comparison itself is in `wholebody`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final, TypeVar

import numpy as np

from ..arrays import Float32Array, FloatArray, IndexArray, Int64Array
from ..errors import InvalidArgumentError
from ..formats.coco import KEYPOINT_SCORE_THRESHOLD
from ..keypoints import NUM_KEYPOINTS
from ..layouts import LAYOUTS, KeypointLayout, layout_of

OKS_NMS_THRESHOLD: Final = 0.9
"""Of two persons whose OKS is above this the better one stays; mmpose's CocoMetric, nms_thr."""


@dataclass(frozen=True, slots=True, eq=False)
class _Persons:
    """What predictions of both kinds have; see there."""

    image_ids: Int64Array
    keypoints: FloatArray
    scores: FloatArray

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def layout(self) -> KeypointLayout:
        """Names, parts and order of the K points."""
        return layout_of(self.keypoints.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Predictions(_Persons):
    """Persons as networks give them, of any number of pictures, in any order.

    Attributes:
        image_ids: (N,) int64, id of the picture that each person is in.
        keypoints: (N, K, 2) float, x then y, pixels of the picture; no NaN.
        scores: (N, K) float, score of each keypoint.
        box_scores: (N,) float; 1 for boxes of the ground truth.
        areas: (N,) float, square pixels: the product of the sides of the padded region that was
            cropped (`geometry.box_to_center_scale`), which is what mmpose's OKS-NMS takes.
        ids: (N,) int64, a number for each person, unique within a picture; of several with the
            same one the first counts, as runs over several machines repeat samples. None: all
            are different.
        boxes_xyxy: (N, 4) float, left, top, right, bottom in pixels of the picture; None where
            unknown.
    """

    box_scores: FloatArray
    areas: FloatArray
    ids: Int64Array | None = None
    boxes_xyxy: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RankedPredictions(_Persons):
    """Persons with the scores by which the protocol ranks them, after suppression.

    Attributes:
        image_ids: (N,) int64, id of the picture that each person is in.
        keypoints: (N, K, 2) float, x then y, pixels of the picture; no NaN.
        scores: (N, K) float, score of each keypoint; plays no part in the comparison.
        instance_scores: (N,) float.
        boxes_xyxy: (N, 4) float, left, top, right, bottom in pixels of the picture; None where
            unknown.
    """

    instance_scores: FloatArray
    boxes_xyxy: FloatArray | None = None


AnyPredictions = TypeVar("AnyPredictions", bound=Predictions | RankedPredictions)


def rank(
    predictions: Predictions,
    *,
    keypoint_threshold: float = KEYPOINT_SCORE_THRESHOLD,
    nms_threshold: float = OKS_NMS_THRESHOLD,
) -> RankedPredictions:
    """Returns the persons that take part in the comparison, with their scores.

    A person's score is the box's times the mean score of the keypoints above a threshold, 0
    where none is above it. As in mmpose's `CocoMetric` (score_mode bbox_keypoint, nms_mode
    oks_nms).

    Args:
        predictions: Persons as networks give them.
        keypoint_threshold: Keypoints must score above it to count in the mean.
        nms_threshold: See `OKS_NMS_THRESHOLD`.

    Returns:
        The persons left, picture by picture in the order of their ids, best first in each.
    """
    counted = predictions.scores > keypoint_threshold
    total = np.where(counted, predictions.scores, 0).sum(axis=1, dtype=np.float64)
    mean = total / np.maximum(counted.sum(axis=1), 1)
    instance_scores = predictions.box_scores.astype(np.float64) * mean
    kept: list[IndexArray] = []
    for persons in _by_image(predictions):
        chosen = oks_nms(
            predictions.keypoints[persons],
            instance_scores[persons],
            predictions.areas[persons],
            threshold=nms_threshold,
        )
        kept.append(persons[chosen])
    index = np.concatenate(kept) if kept else np.zeros(0, np.intp)
    return RankedPredictions(
        image_ids=predictions.image_ids[index],
        keypoints=predictions.keypoints[index],
        scores=predictions.scores[index],
        instance_scores=instance_scores[index],
        boxes_xyxy=None if predictions.boxes_xyxy is None else predictions.boxes_xyxy[index],
    )


def oks_nms(
    keypoints: FloatArray,
    instance_scores: FloatArray,
    areas: FloatArray,
    *,
    threshold: float = OKS_NMS_THRESHOLD,
) -> IndexArray:
    """Finds the persons of one picture that stay when near duplicates of better ones go.

    The similarity of two persons is OKS over all points with the mean of their two areas;
    scores of keypoints play no part. Of equal scores the later person is tried first, and
    similarities are compared in float32: both as in mmpose's `oks_nms`.

    Args:
        keypoints: (N, K, 2), pixels.
        instance_scores: (N,).
        areas: (N,), square pixels.
        threshold: See `OKS_NMS_THRESHOLD`.

    Returns:
        (M,) indices of those that stay, best first.
    """
    variances = (oks_sigmas(layout_of(keypoints.shape[1])) * 2) ** 2
    order = np.argsort(instance_scores, kind="stable")[::-1]
    kept = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(best)
        squared_px = ((keypoints[rest] - keypoints[best]) ** 2).sum(axis=2)
        area = (areas[best] + areas[rest]) / 2 + np.spacing(1)
        oks = np.exp(-(squared_px / variances / area[:, None] / 2)).mean(axis=1)
        order = rest[oks.astype(np.float32) <= np.float32(threshold)]
    return np.array(kept, np.intp)


def of_images(persons: AnyPredictions, image_ids: Int64Array) -> AnyPredictions:
    """Returns the persons that are in some pictures."""
    kept = np.isin(persons.image_ids, image_ids)
    arrays = {field.name: getattr(persons, field.name) for field in fields(persons)}
    return replace(
        persons, **{name: array[kept] for name, array in arrays.items() if array is not None}
    )


def in_layout(persons: AnyPredictions, layout: KeypointLayout) -> AnyPredictions:
    """Returns the persons with the points of another layout, of which they have all."""
    if layout is persons.layout:
        return persons
    places = [place for place in persons.layout.places_of(layout) if place is not None]
    return replace(
        persons, keypoints=persons.keypoints[:, places], scores=persons.scores[:, places]
    )


def oks_sigmas(layout: KeypointLayout) -> Float32Array:
    """Returns the spread of each keypoint; float32, as mmpose hands them to its evaluation."""
    return np.array(layout.sigmas, np.float32)


def nobody(points: int = NUM_KEYPOINTS) -> Predictions:
    """Returns predictions without any person, by a network of so many points."""
    return Predictions(
        image_ids=np.zeros(0, np.int64),
        keypoints=np.zeros((0, points, 2)),
        scores=np.zeros((0, points)),
        box_scores=np.zeros(0),
        areas=np.zeros(0),
        boxes_xyxy=np.zeros((0, 4)),
    )


def _by_image(predictions: Predictions) -> list[IndexArray]:
    """Indices of each picture's persons; where there are ids, in their order and each once."""
    persons = np.arange(len(predictions))
    if predictions.ids is not None:
        order = np.lexsort((persons, predictions.ids, predictions.image_ids))
        keys = np.stack([predictions.image_ids[order], predictions.ids[order]])
        first = np.ones(len(order), np.bool_)
        first[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
        persons = order[first]
    images = predictions.image_ids[persons]
    order = np.argsort(images, kind="stable")
    starts = np.flatnonzero(np.diff(images[order])) + 1
    return [group for group in np.split(persons[order], starts) if group.size]


def _check(persons: _Persons) -> None:
    count = len(persons.image_ids)
    points = persons.keypoints.shape[1] if persons.keypoints.ndim == 3 else 0
    points = points if points in LAYOUTS else NUM_KEYPOINTS
    shapes: dict[str, tuple[int, ...]] = {
        "keypoints": (points, 2),
        "scores": (points,),
        "boxes_xyxy": (4,),
    }
    for field in fields(persons):
        array = getattr(persons, field.name)
        if array is None:
            continue
        expected = (count, *shapes.get(field.name, ()))
        if array.shape != expected:
            raise InvalidArgumentError(
                f"{field.name} has the shape {array.shape}, expected {expected}"
            )
        if not np.isfinite(array).all():
            raise InvalidArgumentError(f"{field.name} holds numbers that are not finite")
