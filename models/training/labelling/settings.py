"""When a point of a labelling network counts, and what becomes of labels that are there."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final, Literal

from ....errors import InvalidArgumentError

Treatment = Literal["keep", "fill", "check", "mean"]

TREATMENTS: Final[dict[Treatment, str]] = {
    "keep": "the labels stay as they are",
    "fill": "points without a label get one where the network is sure",
    "check": "the same, and labels that the network surely puts elsewhere are taken away",
    "mean": "the same, and labels that agree become the mean of both",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRule:
    """When a point counts. Distances are shares of the longer side of the person's box.

    The defaults are those that `dwpose-s-bundled` was trained with, see docs/bundled-models.md.

    Attributes:
        least_side_px: Persons with a smaller box (longer side, pixels) get no labels.
        least_score: Of a point on a person without labels.
        most_spread: Of a point, see `Looks.spread`.
        least_points: Sure points of the body that a person without labels has to have, two of them
            below the head; else it stays without.
        least_score_over_labels: Of a point that completes or contradicts labels.
        agree_within: Labels this near are averaged.
        differ_beyond: Labels this far are taken away.
    """

    least_side_px: float = 44.0
    least_score: float = 0.4
    most_spread: float = 0.05
    least_points: int = 5
    least_score_over_labels: float = 0.5
    agree_within: float = 0.06
    differ_beyond: float = 0.1

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0):
                raise InvalidArgumentError(f"{field.name} is {value}, must be 0 or more")
