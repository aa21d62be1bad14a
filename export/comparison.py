"""Differences between a source's results and an exported network's, measured but not judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..arrays import Array, BoolArray, Float32Array, Float64Array, IndexArray
from ..layouts import layout_of
from .limits import MAX_SECOND_PEAK, MIN_SCORE, PEAK_RADIUS_BINS

MATCH_IOU = 0.5


@dataclass(frozen=True, slots=True)
class RawDifference:
    """Difference of one raw output.

    Attributes:
        largest: Largest difference relative to max(1, largest |source|); infinite where the
            shapes differ or a value is not a number.
        rms: Root mean square of the differences relative to that of the source around its mean.
    """

    largest: float
    rms: float


@dataclass(frozen=True, slots=True)
class Distances:
    """Distances of the compared points of one part, in pixels of the crop.

    Attributes:
        compared: Number of points compared; the others are None where it is 0.
        median_px: Median.
        p99_px: 99th percentile.
        worst_px: Largest.
    """

    compared: int
    median_px: float | None = None
    p99_px: float | None = None
    worst_px: float | None = None


@dataclass(frozen=True, slots=True)
class PointDifference:
    """Differences of keypoints.

    Attributes:
        count: Points of the network.
        share: Share of all points that could be compared, 0..1.
        parts: Distances by part: all, body, feet, face, left_hand, right_hand, and fingers,
            (both hands without their roots).
        score_p99: 99th percentile of the score differences of compared points, or None.
    """

    count: int
    share: float
    parts: dict[str, Distances]
    score_p99: float | None


@dataclass(frozen=True, slots=True)
class BoxDifference:
    """Differences of a detector's persons.

    Attributes:
        source_boxes: Persons found by the source.
        matched: Of them, those found again.
        unmatched: Persons only one of the two found, however close to the threshold they score.
        clearly_unmatched: Of them, those whose score is not explained by the limit.
        worst_px: Largest shift of a box's side in pixels of the input, or None; boxes larger than
            the input count as if shrunk to it.
        worst_score: Largest difference of a score, or None.
    """

    source_boxes: int
    matched: int
    unmatched: int
    clearly_unmatched: int
    worst_px: float | None
    worst_score: float | None


def compare_raw(
    source: Mapping[str, Array], result: Mapping[str, Array]
) -> dict[str, RawDifference]:
    """Compares the networks' own outputs, by name."""
    return {name: _raw_difference(source[name], result.get(name)) for name in source}


def _raw_difference(source: Array, result: Array | None) -> RawDifference:
    broken = RawDifference(float("inf"), float("inf"))
    if result is None or source.shape != result.shape:
        return broken
    expected = source.astype(np.float64)
    difference = result.astype(np.float64) - expected
    if not np.isfinite(difference).all():
        return broken
    spread = float(expected.std()) or 1.0
    return RawDifference(
        largest=float(np.abs(difference).max() / max(1.0, np.abs(expected).max())),
        rms=float(np.sqrt(np.mean(difference**2)) / spread),
    )


def has_clear_peak(simcc: Float32Array) -> BoolArray:
    """Tells where a distribution has one peak, and no second one that could take its place.

    Networks are trained on Gaussians ten bins wide, so the bins beside the highest one are
    nearly as high as itself. They belong to the same peak as long as the values between stay
    above 0.9 of the highest; what rises above that again after a dip is a second peak.

    Args:
        simcc: (N, K, bins) float32.

    Returns:
        (N, K): no second peak, more than 2 bins away, is above 0.9 of the highest one.
    """
    bins = np.arange(simcc.shape[-1])
    highest = simcc.argmax(axis=-1)[..., None]
    high = simcc > MAX_SECOND_PEAK * simcc.max(axis=-1, keepdims=True)
    high |= np.abs(bins - highest) <= PEAK_RADIUS_BINS
    # Number of dips between each bin and the highest one: 0 where both are of one peak.
    dips = np.cumsum(~high, axis=-1)
    same = dips == np.take_along_axis(dips, highest, axis=-1)
    clear: BoolArray = ~(high & ~same).any(axis=-1)
    return clear


def compare_points(
    source_simcc: Mapping[str, Float32Array],
    source: tuple[Float32Array, Float32Array],
    result: tuple[Float32Array, Float32Array],
) -> PointDifference:
    """Compares keypoints (N, K, 2), in pixels of the crop, and scores (N, K).

    Args:
        source_simcc: `simcc_x` and `simcc_y` of the source; they tell which points count.
        source: Keypoints and scores of the source.
        result: Those of the exported network; a value that is no number is infinitely far.
    """
    usable = source[1] >= MIN_SCORE
    for simcc in source_simcc.values():
        usable &= has_clear_peak(simcc)
    distance = np.linalg.norm(result[0].astype(np.float64) - source[0], axis=-1)
    score_change = np.abs(result[1].astype(np.float64) - source[1])
    score_change[~np.isfinite(score_change)] = np.inf
    distance[~np.isfinite(distance) | ~np.isfinite(score_change)] = np.inf
    columns = _columns_by_part(usable.shape[1])
    return PointDifference(
        count=usable.shape[1],
        share=float(usable.mean()),
        parts={
            part: _distances(distance[:, chosen][usable[:, chosen]])
            for part, chosen in columns.items()
        },
        score_p99=_percentile(score_change[usable], 99),
    )


def _columns_by_part(points: int) -> dict[str, IndexArray]:
    indices = np.arange(points)
    layout = layout_of(points)
    parts = {"all": indices} | {name: indices[part] for name, part in layout.parts.items()}
    if {"left_hand", "right_hand"} <= parts.keys():
        parts["fingers"] = np.concatenate([parts["left_hand"][1:], parts["right_hand"][1:]])
    return parts


def _distances(distance: Float64Array) -> Distances:
    if not distance.size:
        return Distances(0)
    return Distances(
        compared=int(distance.size),
        median_px=float(np.median(distance)),
        p99_px=_percentile(distance, 99),
        worst_px=float(distance.max()),
    )


def _percentile(values: Float64Array, percent: float) -> float | None:
    if not values.size:
        return None
    # "higher" takes a value that occurs: among few points the worst one is not averaged away.
    return float(np.percentile(values, percent, method="higher"))


def compare_boxes(
    sources: list[tuple[Float32Array, Float32Array]],
    results: list[tuple[Float32Array, Float32Array]],
    *,
    threshold: float,
    score_tolerance: float,
    input_side: int,
) -> BoxDifference:
    """Compares the persons found on each picture, after suppression.

    Args:
        sources: For each picture boxes (P, 4), left, top, right, bottom, and scores (P,).
        results: The same of the exported network.
        threshold: Score above which boxes were kept.
        score_tolerance: A box that only one of the two has is excused when it scores no more
            than this above the threshold.
        input_side: Longer side of the input in pixels. A box that is larger still, as only
            networks with random weights give, counts as if it were shrunk to it: the network
            gives the logarithm of the size, so errors grow with the box.
    """
    shifts: list[float] = []
    score_changes: list[float] = []
    lonely: list[float] = []
    for (boxes, scores), (others, other_scores) in zip(sources, results, strict=True):
        left = list(range(len(others)))
        for box, score in zip(boxes, scores, strict=True):
            overlaps = [_iou(box, others[index]) for index in left]
            if not overlaps or max(overlaps) < MATCH_IOU:
                lonely.append(float(score))
                continue
            match = left.pop(int(np.argmax(overlaps)))
            shrunk = min(1.0, input_side / max(float((box[2:] - box[:2]).max()), 1e-9))
            shifts.append(float(np.abs(others[match] - box).max()) * shrunk)
            score_changes.append(float(abs(other_scores[match] - score)))
        lonely += [float(other_scores[index]) for index in left]
    return BoxDifference(
        source_boxes=sum(len(scores) for _, scores in sources),
        matched=len(shifts),
        unmatched=len(lonely),
        clearly_unmatched=sum(score > threshold + score_tolerance for score in lonely),
        worst_px=max(shifts, default=None),
        worst_score=max(score_changes, default=None),
    )


def _iou(box: Float32Array, other: Float32Array) -> float:
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    overlap = max(float(width), 0.0) * max(float(height), 0.0)
    areas = [float((b[2] - b[0]) * (b[3] - b[1])) for b in (box, other)]
    return overlap / max(sum(areas) - overlap, 1e-9)
