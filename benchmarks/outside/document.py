"""The result of `dwpose-bench outside` as a typed document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from ..document import Document
from ..peers.baselines import OURS, ContenderName

TARGET_RATIO = 1 / 3
"""Ours must cost at most so much of what rtmlib costs."""


class Cost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Medians of one contender, milliseconds per picture.

    Attributes:
        outside_ms: Everything outside `InferenceSession.run`.
        networks_ms: Time inside `InferenceSession.run`, not part of the other.
    """

    outside_ms: float
    networks_ms: float


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was measured on the picture with one number of persons.

    Attributes:
        persons: Number of persons found.
        costs: Contender -> its medians.
        stages_ms: Stage of ours -> median in milliseconds per picture.
        ratios: Other contender -> our cost outside the networks as a share of its cost.
    """

    persons: int
    costs: dict[ContenderName, Cost]
    stages_ms: dict[str, float]
    ratios: dict[ContenderName, float]

    @classmethod
    def of(
        cls, persons: int, costs: Mapping[ContenderName, Cost], stages_ms: Mapping[str, float]
    ) -> Row:
        """Returns a row with the ratios that follow from the costs."""
        ours = costs[OURS].outside_ms
        ratios = {name: ours / cost.outside_ms for name, cost in costs.items() if name != OURS}
        return cls(persons=persons, costs=dict(costs), stages_ms=dict(stages_ms), ratios=ratios)

    def __post_init__(self) -> None:
        """Checks what the types do not say; msgspec names the place in its message."""
        if self.persons < 1:
            raise ValueError(f"persons is {self.persons}, must be at least 1")
        if OURS not in self.costs or set(self.ratios) != set(self.costs) - {OURS}:
            raise ValueError(f"costs must name {OURS}, and ratios every other contender of costs")


class OutsideDocument(Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the work outside the networks costs.

    Attributes:
        repeats: Rounds.
        picture_wh: Width and height of the picture in pixels.
        letterbox_wh: Those of the detector's input.
        crop_wh: Those of the pose network's input.
        target_ratio_to_rtmlib: The ratio to rtmlib that ours is held against.
        rows: One for each number of persons.
    """

    schema_version: Literal[2] = 2
    benchmark: Literal["outside_networks"] = "outside_networks"
    repeats: int
    picture_wh: tuple[int, int]
    letterbox_wh: tuple[int, int]
    crop_wh: tuple[int, int]
    target_ratio_to_rtmlib: float
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        """Checks what the types do not say."""
        if not self.rows:
            raise ValueError("rows is empty")
