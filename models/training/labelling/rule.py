"""Which points of a labelling network become labels.

A point counts where the network is sure of it: its score is high, and looks at several scales, each
mirrored too, put it in one place. Labels that are there already can be left, completed, checked, or
averaged with what the network says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ....arrays import BoolArray, Float32Array, Float64Array
from ....keypoints import BODY_NAMES, PARTS
from .settings import LabelRule, Treatment

_BELOW_HEAD: Final = slice(5, len(BODY_NAMES))
"""Shoulders to ankles, among the body's 17."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a labelling network sees of one person.

    Attributes:
        points: (133, 2) float64, x then y, pixels of the picture.
        scores: (133,) float32; 0 for points that the network does not have.
        spread: (133,) float32, see `Looks.spread`.
        longer_side_px: Of the person's box.
        size_wh: Width and height of the picture in pixels.
    """

    points: Float64Array
    scores: Float32Array
    spread: Float32Array
    longer_side_px: float
    size_wh: tuple[int, int]

    def sure(self, rule: LabelRule, least_score: float) -> BoolArray:
        """Tells which points are sure, and in the picture: (133,) bool."""
        inside = ((self.points >= 0) & (self.points < np.asarray(self.size_wh))).all(axis=1)
        found: BoolArray = (self.scores > least_score) & (self.spread < rule.most_spread) & inside
        return found


def new_labels(seen: Seen, rule: LabelRule) -> Float64Array | None:
    """Returns the labels of a person that has none, or None where too little is sure.

    Returns:
        (133, 3) float64: x, y in pixels, and v: 2, or 0 with x and y 0 where nothing is sure.
    """
    sure = seen.sure(rule, rule.least_score)
    body = sure[PARTS["body"]]
    too_small = seen.longer_side_px < rule.least_side_px
    if too_small or body.sum() < rule.least_points or body[_BELOW_HEAD].sum() < 2:
        return None
    labels = np.zeros((len(sure), 3))
    labels[sure, :2] = seen.points[sure]
    labels[sure, 2] = 2
    return labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """How many points of a person, or of many, were changed.

    Attributes:
        added: Points that had no label.
        removed: Labels taken away.
        averaged: Labels that are a mean now.
    """

    added: int = 0
    removed: int = 0
    averaged: int = 0

    def __add__(self, other: Changes) -> Changes:
        return Changes(
            added=self.added + other.added,
            removed=self.removed + other.removed,
            averaged=self.averaged + other.averaged,
        )


def treated_labels(
    labels: Float64Array, seen: Seen, rule: LabelRule, treatment: Treatment
) -> tuple[Float64Array, Changes]:
    """Returns the labels of a person that has some, as a treatment leaves them.

    Args:
        labels: (133, 3) float64: x, y in pixels, v.
        seen: What the network sees.
        rule: When its points count.
        treatment: What is done, see `TREATMENTS`.
    """
    if treatment == "keep":
        return labels, Changes()
    given = labels[:, 2] > 0
    sure = seen.sure(rule, rule.least_score_over_labels)
    distance = np.linalg.norm(seen.points - labels[:, :2], axis=1) / seen.longer_side_px
    changed = labels.copy()
    missing = sure & ~given
    changed[missing, :2], changed[missing, 2] = seen.points[missing], 2
    removed = averaged = np.zeros(len(labels), np.bool_)
    if treatment in ("check", "mean"):
        removed = sure & given & (distance > rule.differ_beyond)
        changed[removed] = 0
    if treatment == "mean":
        averaged = given & seen.sure(rule, rule.least_score) & (distance < rule.agree_within)
        changed[averaged, :2] = (labels[averaged, :2] + seen.points[averaged]) / 2
    counts = Changes(
        added=int(missing.sum()), removed=int(removed.sum()), averaged=int(averaged.sum())
    )
    return changed, counts
