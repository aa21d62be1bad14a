"""Persons that are nobody, or somebody who is there already.

A detector gives a box to a dog or a coat, and sometimes two to one person; the pose network places
a skeleton in each. Its scores and points tell.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from .arrays import BoolArray
from .keypoints import BODY
from .poses import Poses
from .similarity import box_areas, weighted_oks

LEAST_BODY_SCORE: Final = 0.1
"""Least mean score of the body's 17 points. Below it lay 12 of 710 boxes that were on a labelled
person, and 37 of 393 others (two sets of 569 photographs, default networks, boxes above 0.3)."""

TWIN_OKS: Final = 0.9
"""OKS of the body's points from which two skeletons are one. Above it lay 11 of these 1,103, 8 of
them with no labelled person of their own."""


def somebody(poses: Poses) -> BoolArray:
    """Tells of which persons the points say that somebody is there, (P,) bool."""
    enough: BoolArray = poses.scores[:, BODY].mean(axis=1) >= LEAST_BODY_SCORE
    return enough


def believable(poses: Poses, *, person_threshold: float = 0.0) -> BoolArray:
    """Tells which persons are somebody, and not a better one over again.

    Args:
        poses: The persons of one picture, best first.
        person_threshold: Least product of a person's box score and mean body score, see
            `DetectorOptions`.

    Returns:
        (P,) bool.
    """
    body_scores = poses.scores[:, BODY].mean(axis=1)
    kept = somebody(poses)
    if poses.box_scores is not None:
        kept &= poses.box_scores * body_scores >= person_threshold
    if poses.boxes_xyxy is None or kept.sum() < 2:
        return kept
    areas = box_areas(poses.boxes_xyxy)
    oks = weighted_oks(
        poses.keypoints,
        poses.keypoints,
        first_weights=poses.scores,
        second_weights=poses.scores,
        areas=np.maximum(areas[:, None], areas[None]),
        points=BODY,
    )
    for index in range(1, len(poses)):
        if (oks[index, :index][kept[:index]] >= TWIN_OKS).any():
            kept[index] = False
    return kept
