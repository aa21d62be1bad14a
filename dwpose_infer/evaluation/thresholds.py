"""What a threshold on scores shows and how much of it is right: figures to choose one by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from .document import BoxThreshold, PointThreshold, ShownPoints
from .groups import Comparison
from .points import PointPart, point_parts

SCORE_THRESHOLDS: Final = tuple(step / 20 for step in range(1, 19))
"""Thresholds that are tried: 0.05 to 0.9 in steps of 0.05."""

_IOU_ROW: Final = 0  # 0.5, that of AP50, is the first of COCO's ten


def point_thresholds(comparison: Comparison) -> tuple[PointThreshold, ...]:
    """Returns what each threshold shows of the labelled points of all persons, part by part.

    Points of persons that were not found are not shown.
    """
    scores = np.nan_to_num(comparison.matches.scores, nan=-np.inf)
    errors = comparison.errors.relative
    labelled, hit = ~np.isnan(errors), errors <= comparison.pck_threshold
    figures = []
    for threshold in SCORE_THRESHOLDS:
        shown = labelled & (scores > threshold)
        parts: dict[PointPart, ShownPoints] = {}
        for part, columns in point_parts(comparison.annotations.layout).items():
            known, visible = int(labelled[:, columns].sum()), int(shown[:, columns].sum())
            right = int((shown & hit)[:, columns].sum())
            parts[part] = ShownPoints(shown=_share(visible, known), right=_share(right, visible))
        figures.append(PointThreshold(score=threshold, parts=parts))
    return tuple(figures)


def box_thresholds(evaluator: Any) -> tuple[BoxThreshold, ...]:
    """Returns recall and precision of boxes above each threshold, from pycocotools' matches.

    Args:
        evaluator: A `COCOeval` of boxes after `evaluate`; labels that do not count and boxes
            matched with them are left out.
    """
    # Entries are in the order category, area, picture; the first area is that of all sizes.
    pictures = evaluator.evalImgs[: len(evaluator.params.imgIds)]
    counted = [_counted(picture) for picture in pictures if picture is not None]
    scores = np.concatenate([scores for scores, _, _ in counted] or [np.zeros(0)])
    right = np.concatenate([right for _, right, _ in counted] or [np.zeros(0, np.bool_)])
    labels = sum(number for _, _, number in counted)
    figures = []
    for threshold in SCORE_THRESHOLDS:
        shown = scores > threshold
        hits = int((right & shown).sum())
        recall, precision = _share(hits, labels), _share(hits, int(shown.sum()))
        figures.append(BoxThreshold(score=threshold, recall=recall, precision=precision))
    return tuple(figures)


def _counted(picture: Mapping[str, Any]) -> tuple[Any, Any, int]:
    """Returns scores of boxes, whether each is right, and the number of labels."""
    counts = ~np.asarray(picture["dtIgnore"][_IOU_ROW], np.bool_)
    scores = np.asarray(picture["dtScores"], np.float64)[counts]
    right = np.asarray(picture["dtMatches"][_IOU_ROW] > 0, np.bool_)[counts]
    return scores, right, int((~np.asarray(picture["gtIgnore"], np.bool_)).sum())


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
