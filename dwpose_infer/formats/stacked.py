"""Several results as one set of arrays, for the formats that hold many pictures in one file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .. import keypoints as kp
from ..results import Float32Array, Int64Array, PoseResult


@dataclass(frozen=True, slots=True, eq=False)
class Stacked:
    """The persons of R results, one after the other: N in all.

    Attributes:
        person_counts: (R,) int64, number of persons of each result; their sum is N.
        keypoints: (N, 133, 2) float32, x then y, pixels; NaN where absent.
        scores: (N, 133) float32.
        boxes_xyxy: (N, 4) float32, left, top, right, bottom in pixels; NaN where unknown.
        box_scores: (N,) float32; NaN where unknown.
        ids: (N,) int64; -1 where unknown.
        has_boxes: (R,) bool, whether a result knows its boxes.
        has_box_scores: (R,) bool, whether a result knows the scores of its boxes.
        has_ids: (R,) bool, whether a result knows identities.
        image_sizes: (R, 2) int64, width then height in pixels; -1 where unknown.
        sources: R paths or URLs; None where unknown.
    """

    person_counts: Int64Array
    keypoints: Float32Array
    scores: Float32Array
    boxes_xyxy: Float32Array
    box_scores: Float32Array
    ids: Int64Array
    has_boxes: npt.NDArray[np.bool_]
    has_box_scores: npt.NDArray[np.bool_]
    has_ids: npt.NDArray[np.bool_]
    image_sizes: Int64Array
    sources: tuple[str | None, ...]


def stack(results: Sequence[PoseResult]) -> Stacked:
    """Returns results as one set of arrays."""
    counts = [len(result) for result in results]
    points = (kp.NUM_KEYPOINTS, 2)
    keypoints = [result.keypoints for result in results]
    scores = [result.scores for result in results]
    boxes = [
        np.full((len(result), 4), np.nan) if result.boxes_xyxy is None else result.boxes_xyxy
        for result in results
    ]
    box_scores = [
        np.full((len(result),), np.nan) if result.box_scores is None else result.box_scores
        for result in results
    ]
    ids = [np.full((len(result),), -1) if result.ids is None else result.ids for result in results]
    return Stacked(
        person_counts=np.array(counts, np.int64),
        keypoints=np.concatenate([np.zeros((0, *points)), *keypoints]).astype(np.float32),
        scores=np.concatenate([np.zeros((0, points[0])), *scores]).astype(np.float32),
        boxes_xyxy=np.concatenate([np.zeros((0, 4)), *boxes]).astype(np.float32),
        box_scores=np.concatenate([np.zeros(0), *box_scores]).astype(np.float32),
        ids=np.concatenate([np.zeros(0, np.int64), *ids]),
        has_boxes=_flags(result.boxes_xyxy is not None for result in results),
        has_box_scores=_flags(result.box_scores is not None for result in results),
        has_ids=_flags(result.ids is not None for result in results),
        image_sizes=np.array(
            [result.image_size or (-1, -1) for result in results], np.int64
        ).reshape(-1, 2),
        sources=tuple(result.source for result in results),
    )


def unstack(stacked: Stacked) -> list[PoseResult]:
    """Returns the results that `stack` put together; their arrays are views."""
    ends = np.cumsum(stacked.person_counts)
    results = []
    for index, (count, end) in enumerate(zip(stacked.person_counts, ends, strict=True)):
        span = slice(int(end - count), int(end))
        width, height = stacked.image_sizes[index].tolist()
        results.append(
            PoseResult(
                keypoints=stacked.keypoints[span],
                scores=stacked.scores[span],
                boxes_xyxy=stacked.boxes_xyxy[span] if stacked.has_boxes[index] else None,
                box_scores=stacked.box_scores[span] if stacked.has_box_scores[index] else None,
                ids=stacked.ids[span] if stacked.has_ids[index] else None,
                image_size=None if (width, height) == (-1, -1) else (width, height),
                source=stacked.sources[index],
            )
        )
    return results


def _flags(values: Iterable[bool]) -> npt.NDArray[np.bool_]:
    return np.array(list(values), np.bool_)
