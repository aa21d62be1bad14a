"""Confident nonsense: points that cannot be right and yet score as if they were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from ..annotations import Annotations
from ..arrays import BoolArray, Int32Array
from ..labelled_person import VALID_FIELD_OF_PART
from .matching import Matches

DoubtfulKind = Literal["labelled_outside", "hand_outside", "predicted_outside", "part_not_valid"]

CONFIDENT_SCORE: Final = 0.3
"""Points above it are drawn and taken for seen, here as in the official DWPose demo."""


def doubtful_points(
    annotations: Annotations,
    matches: Matches,
    *,
    outside: BoolArray | None = None,
) -> dict[DoubtfulKind, BoolArray]:
    """Returns the points of persons found that should not score high, by kind.

    Args:
        annotations: P labelled persons.
        matches: What was found of them.
        outside: (P, K) bool, points known to lie outside the picture, beside those whose
            labels do; None for no others.

    Returns:
        Kind -> (P, K) bool: `labelled_outside`, points whose true place is outside the
        picture; `hand_outside`, those of them that belong to hands; `predicted_outside`, points
        placed outside it; `part_not_valid`, points of feet, face and hands that the labels mark
        as not valid.
    """
    sizes = annotations.sizes_wh[annotations.image_indices]
    found = ~np.isnan(matches.scores)
    labelled = annotations.keypoints[..., 2] > 0
    true_outside = labelled & _is_outside(annotations.keypoints[..., :2], sizes)
    if outside is not None:
        true_outside |= outside
    of_hands = np.zeros(found.shape, np.bool_)
    parts = annotations.layout.parts
    for hand in ("left_hand", "right_hand"):
        if hand in parts:
            of_hands[:, parts[hand]] = True
    not_valid = np.zeros(found.shape, np.bool_)
    for column, part in enumerate(VALID_FIELD_OF_PART):
        if part in parts:
            not_valid[:, parts[part]] = ~annotations.valid[:, column, None]
    return {
        "labelled_outside": found & true_outside,
        "hand_outside": found & true_outside & of_hands,
        "predicted_outside": found & _is_outside(matches.keypoints, sizes),
        "part_not_valid": found & not_valid,
    }


def confident_shares(
    doubtful: Mapping[DoubtfulKind, BoolArray],
    matches: Matches,
    persons: BoolArray,
    *,
    score: float = CONFIDENT_SCORE,
) -> dict[DoubtfulKind, tuple[int, float | None]]:
    """Returns, for each kind of point, their number and the share that scores above a threshold.

    Args:
        doubtful: From `doubtful_points`.
        matches: What was found.
        persons: (P,) bool, the labelled persons that count.
        score: See `CONFIDENT_SCORE`.
    """
    shares: dict[DoubtfulKind, tuple[int, float | None]] = {}
    for kind, points in doubtful.items():
        scores = matches.scores[persons][points[persons]]
        share = float((scores > score).mean()) if scores.size else None
        shares[kind] = (len(scores), share)
    return shares


def _is_outside(points: npt.NDArray[np.floating], sizes_wh: Int32Array) -> BoolArray:
    """(P, K) bool; pictures of unknown size have no outside at the right and below."""
    limits = np.where(sizes_wh > 0, sizes_wh, np.inf)[:, None]
    beyond: BoolArray = (points < 0) | (points >= limits)
    return beyond[..., 0] | beyond[..., 1]
