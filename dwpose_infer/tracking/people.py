"""The persons of one frame as the tracker compares them, and their likeness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Float64Array
from ..keypoints import BODY
from ..results import PoseResult
from ..similarity import box_areas, box_iou, weighted_oks
from .propagation import boxes_around


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """Persons with what recognising them takes.

    Attributes:
        keypoints: (P, K, 2) float64, pixels; NaN where absent.
        weights: (P, K) float64 from 0 to 1: scores, 0 where absent.
        boxes_xyxy: (P, 4) float64, pixels.
        box_scores: (P,) float64; 1 where the detector's are not known.
    """

    keypoints: Float64Array
    weights: Float64Array
    boxes_xyxy: Float64Array
    box_scores: Float64Array

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def centers(self) -> Float64Array:
        """(P, 2) middles of the boxes."""
        return (self.boxes_xyxy[:, :2] + self.boxes_xyxy[:, 2:]) / 2

    @property
    def sizes(self) -> Float64Array:
        """(P,) longer sides of the boxes."""
        longer: Float64Array = (self.boxes_xyxy[:, 2:] - self.boxes_xyxy[:, :2]).max(axis=1)
        return longer

    @property
    def box_fits(self) -> Float64Array:
        """(P,) IoU of each box with the one around the points; 0 without points."""
        around = np.nan_to_num(boxes_around(self.keypoints, self.weights))
        return np.diagonal(box_iou(self.boxes_xyxy, around))

    def select(self, index: object) -> People:
        """Returns the persons a NumPy index of the first axis picks."""
        rows = np.asarray(index, np.intp)
        return People(
            self.keypoints[rows],
            self.weights[rows],
            self.boxes_xyxy[rows],
            self.box_scores[rows],
        )

    def moved(self, steps_px: Float64Array) -> People:
        """Returns the persons moved, each by its step (P, 2)."""
        return People(
            self.keypoints + steps_px[:, None],
            self.weights,
            self.boxes_xyxy + np.concatenate([steps_px, steps_px], axis=1),
            self.box_scores,
        )


def people_of(result: PoseResult) -> People:
    """Returns the persons of a result; where boxes are not known, those around the points."""
    known = np.isfinite(result.keypoints).all(axis=2)
    weights = np.where(known, np.clip(result.scores, 0.0, 1.0), 0.0).astype(np.float64)
    given = result.boxes_xyxy
    boxes = boxes_around(result.keypoints, weights) if given is None else given.astype(np.float64)
    scores = np.ones(len(result)) if result.box_scores is None else result.box_scores
    return People(
        keypoints=result.keypoints.astype(np.float64),
        weights=weights,
        boxes_xyxy=np.nan_to_num(boxes),
        box_scores=scores.astype(np.float64),
    )


def joined(groups: list[People]) -> People:
    """Returns the persons of several groups as one."""
    return People(
        *(
            np.concatenate([getattr(group, name) for group in groups])
            for name in ("keypoints", "weights", "boxes_xyxy", "box_scores")
        )
    )


def body_oks(first: People, second: People) -> Float64Array:
    """Returns the OKS of the 17 body points of every person with every other.

    The size in it is the mean of the two boxes' areas.

    Returns:
        (N, M) float64; NaN where two persons have no body point in common.
    """
    areas = (box_areas(first.boxes_xyxy)[:, None] + box_areas(second.boxes_xyxy)[None]) / 2
    return weighted_oks(
        first.keypoints,
        second.keypoints,
        first_weights=first.weights,
        second_weights=second.weights,
        areas=areas,
        points=BODY,
    )


def similarity(first: People, second: People) -> Float64Array:
    """Returns the mean of IoU and body OKS of every person with every other.

    Returns:
        (N, M) float64 from 0 to 1; the IoU alone where two persons share no body point.
    """
    iou = box_iou(first.boxes_xyxy, second.boxes_xyxy)
    oks = body_oks(first, second)
    return np.where(np.isnan(oks), iou, (iou + oks) / 2)


def without_duplicates(people: People, *, threshold: float) -> list[int]:
    """Returns the rows of persons that are not second detections of another one.

    Of two, the one whose box fits its points better is kept: half a person's box, or the box of
    somebody hidden behind, often gets the points of the whole person or of the one in front.

    Args:
        people: Persons of one frame.
        threshold: OKS of the body points at and above which two are the same person; at 1
            nobody is left out.
    """
    rows = list(range(len(people)))
    if threshold >= 1 or len(rows) < 2:
        return rows
    alike = np.nan_to_num(body_oks(people, people)) >= threshold
    if alike.sum() == len(rows):
        return rows
    kept: list[int] = []
    for row in np.argsort(-people.box_fits, kind="stable").tolist():
        if not alike[row, kept].any():
            kept.append(row)
    return sorted(kept)
