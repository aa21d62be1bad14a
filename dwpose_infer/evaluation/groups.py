"""Figures point by point for groups of labelled persons, and for each of them.

Kinds are how labelled persons appear on a picture, as far as their labels tell. A mean over all
persons hides who fails: a network may be right on those who stand and wrong on those who sit. The
kinds overlap, and many persons are of none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from ..annotations import Annotations
from ..arrays import BoolArray, Float64Array
from ..keypoints import KEYPOINT_NAMES
from ..similarity import box_iou
from .confidence import CONFIDENT_SCORE, confident_shares, doubtful_points
from .document import ConfidentShare, GroupBy, GroupFigures, PointFigures
from .matching import Matches
from .points import PCK_THRESHOLD, PointErrors, part_errors, point_errors

PersonKind = Literal["standing", "sitting", "portrait", "crowd", "from behind"]

THIGH_DROP: Final = 0.5
"""A knee this many trunk lengths or more below its hip is that of a straight leg.

An upright person's thigh is about 0.9 trunks long; a seat seen from the side or from the front
leaves less than half of that in height.
"""

CROWD_IOU: Final = 0.1
"""Of a crowd are persons whose box another labelled one overlaps more than this."""

CROWD_PERSONS: Final = 6
"""Pictures with so many labelled persons are crowds as a whole."""

EDGE_SHARE: Final = 0.97
"""A box that reaches below this share of the picture's height is cut off by its edge."""

BEHIND_WIDTH: Final = 0.1
"""Shoulders the other way round by this share of the box's longer side show a back."""


def person_kinds(annotations: Annotations) -> dict[PersonKind, BoolArray]:
    """Tells which labelled persons are of which kind.

    Args:
        annotations: P labelled persons. Who stands near whom is judged by these alone.

    Returns:
        Kind -> (P,) bool. `standing` and `sitting`: an upright trunk, and thighs that go down or
        do not; `portrait`: shoulders but neither knees nor ankles, cut off by the lower edge of
        the picture; `crowd`: see `CROWD_IOU` and `CROWD_PERSONS`; `from behind`: an upright
        trunk, shoulders the other way round, and neither nose nor eyes labelled.
    """
    upright, drop = _posture(annotations)
    found = {
        "standing": upright & (drop >= THIGH_DROP) & _any(annotations, "ankle"),
        "sitting": upright & (drop < THIGH_DROP),
        "portrait": _cut_at_the_bottom(annotations),
        "crowd": _crowded(annotations),
        "from behind": upright & _from_behind(annotations),
    }
    return {kind: found[kind] for kind in get_args(PersonKind)}


def _point(annotations: Annotations, name: str) -> Float64Array:
    """(P, 2) float64, x then y, pixels of the picture; NaN where not labelled."""
    point = annotations.keypoints[:, KEYPOINT_NAMES.index(name)].astype(np.float64)
    return np.where(point[:, 2:] > 0, point[:, :2], np.nan)


def _any(annotations: Annotations, *joints: str) -> BoolArray:
    """(P,) bool: one of these joints is labelled, on either side."""
    sides = [f"{side}_{joint}" for side in ("left", "right") for joint in joints]
    columns = [KEYPOINT_NAMES.index(name) for name in sides]
    labelled: BoolArray = np.asarray((annotations.keypoints[:, columns, 2] > 0).any(axis=1))
    return labelled


def _posture(annotations: Annotations) -> tuple[BoolArray, Float64Array]:
    """Returns whose trunk is upright, and how far the lower knee is below its hip, in trunks."""
    uprights = []
    drop = np.full(len(annotations), np.nan)
    for side in ("left", "right"):
        shoulder, hip, knee = (
            _point(annotations, f"{side}_{joint}") for joint in ("shoulder", "hip", "knee")
        )
        trunk = hip - shoulder
        uprights.append(trunk[:, 1] > np.abs(trunk[:, 0]))
        with np.errstate(divide="ignore", invalid="ignore"):
            drop = np.fmax(drop, (knee - hip)[:, 1] / np.linalg.norm(trunk, axis=1))
    upright: BoolArray = np.logical_or(*uprights)
    return upright, drop


def _cut_at_the_bottom(annotations: Annotations) -> BoolArray:
    heights = annotations.sizes_wh[annotations.image_indices, 1]
    bottoms = annotations.boxes_xywh[:, 1] + annotations.boxes_xywh[:, 3]
    cut: BoolArray = (heights > 0) & (bottoms >= EDGE_SHARE * heights)
    cut &= _any(annotations, "shoulder") & ~_any(annotations, "knee", "ankle")
    return cut


def _crowded(annotations: Annotations) -> BoolArray:
    crowded = np.zeros(len(annotations), np.bool_)
    for image in np.unique(annotations.image_indices):
        (persons,) = np.nonzero(annotations.image_indices == image)
        corners = annotations.boxes_xywh[persons].copy()
        corners[:, 2:] += corners[:, :2]
        overlaps = box_iou(corners, corners)
        np.fill_diagonal(overlaps, 0)
        several = len(persons) >= CROWD_PERSONS
        crowded[persons] = several | (overlaps.max(axis=1, initial=0) > CROWD_IOU)
    return crowded


def _from_behind(annotations: Annotations) -> BoolArray:
    left, right = (_point(annotations, f"{side}_shoulder") for side in ("left", "right"))
    width = annotations.boxes_xywh[:, 2:].max(axis=1, initial=0.0)
    hidden = ~_any(annotations, "eye")
    hidden &= annotations.keypoints[:, KEYPOINT_NAMES.index("nose"), 2] <= 0
    turned: BoolArray = hidden & (right[:, 0] - left[:, 0] > BEHIND_WIDTH * width)
    return turned


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
    outside: BoolArray | None = None
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
    outside: BoolArray | None = None,
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
) -> Iterator[tuple[GroupBy, str, BoolArray]]:
    labels = annotations.labels
    yield "all", "", np.ones(len(labels), np.bool_)
    for name in np.unique(labels[labels != ""]).tolist():
        yield "label", name, labels == name
    for name in np.unique(sources[sources != ""]).tolist():
        yield "source", name, sources == name
    for kind, persons in person_kinds(annotations).items():
        if persons.any():
            yield "kind", kind, persons
