"""Figures point by point for groups of labelled persons, and for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ..annotations import Annotations
from .confidence import CONFIDENT_SCORE, confident_shares, doubtful_points
from .document import ConfidentShare, GroupBy, GroupFigures, PointFigures
from .kinds import person_kinds
from .matching import Matches
from .points import PCK_THRESHOLD, PointErrors, part_errors, point_errors
from .predictions import Float64Array

FOUND_IOU: Final = 0.5
"""A person is found when the predicted box overlaps the labelled one at least this much; the
threshold of AP50."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Labelled persons, what was found of them, and how far it is off.

    Attributes:
        annotations: P labelled persons.
        matches: What was found of each.
        errors: Distances of their points.
        outside: (P, K) bool, labelled points known to lie outside the picture; None for none.
        pck_threshold: See `points.PCK_THRESHOLD`.
        confident_score: See `confidence.CONFIDENT_SCORE`.
    """

    annotations: Annotations
    matches: Matches
    errors: PointErrors
    outside: npt.NDArray[np.bool_] | None = None
    pck_threshold: float = PCK_THRESHOLD
    confident_score: float = CONFIDENT_SCORE

    @property
    def person_pck(self) -> Float64Array:
        """(P,) float64, each person's share of labelled points that is hit; NaN without any."""
        labelled = ~np.isnan(self.errors.relative)
        hits = labelled & (self.errors.relative <= self.pck_threshold)
        with np.errstate(invalid="ignore"):
            share: Float64Array = hits.sum(axis=1) / labelled.sum(axis=1)
        return share


def compare(
    annotations: Annotations,
    matches: Matches,
    *,
    outside: npt.NDArray[np.bool_] | None = None,
    pck_threshold: float = PCK_THRESHOLD,
    confident_score: float = CONFIDENT_SCORE,
) -> Comparison:
    """Returns the comparison of labelled persons with what was found of them."""
    errors = point_errors(matches.keypoints, annotations)
    return Comparison(annotations, matches, errors, outside, pck_threshold, confident_score)


def group_figures(comparison: Comparison) -> tuple[GroupFigures, ...]:
    """Returns the figures of all persons, then by field `label`, by field `source`, and by kind.

    Fields that no person or picture has, and kinds that nobody is of, make no groups.
    """
    annotations = comparison.annotations
    sources = annotations.sources[annotations.image_indices]
    doubtful = doubtful_points(annotations, comparison.matches, outside=comparison.outside)
    figures = []
    for by, name, persons in _groups(annotations, sources):
        parts = part_errors(comparison.errors.select(persons), threshold=comparison.pck_threshold)
        shares = confident_shares(
            doubtful, comparison.matches, persons, score=comparison.confident_score
        )
        figures.append(
            GroupFigures(
                by=by,
                name=name,
                persons=int(persons.sum()),
                found=int((comparison.matches.ious[persons] >= FOUND_IOU).sum()),
                parts={
                    part: PointFigures(
                        points=figure.points,
                        pck=figure.pck,
                        mean_error_px=figure.mean_error_px,
                        mean_error_relative=figure.mean_error_relative,
                    )
                    for part, figure in parts.items()
                },
                confident={
                    kind: ConfidentShare(points=points, share=share)
                    for kind, (points, share) in shares.items()
                },
            )
        )
    return tuple(figures)


def _groups(
    annotations: Annotations, sources: npt.NDArray[np.str_]
) -> Iterator[tuple[GroupBy, str, npt.NDArray[np.bool_]]]:
    labels = annotations.labels
    yield "all", "", np.ones(len(labels), np.bool_)
    for name in np.unique(labels[labels != ""]).tolist():
        yield "label", name, labels == name
    for name in np.unique(sources[sources != ""]).tolist():
        yield "source", name, sources == name
    for kind, persons in person_kinds(annotations).items():
        if persons.any():
            yield "kind", kind, persons
