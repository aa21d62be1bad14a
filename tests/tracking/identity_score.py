"""Counts what a tracker got wrong on a scene of known truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dwpose_infer.results import PoseResult
from synthetic_walkers import Frame


@dataclass(frozen=True)
class IdentityScore:
    """Errors of a tracker.

    Attributes:
        switches: Times a walker had another id than when it was last returned, plus times an
            id went to another walker.
        ids: Different ids given.
        returned: Share of the walkers seen that were returned.
        doubled: Walkers returned twice in one frame.
    """

    switches: int
    ids: int
    returned: float
    doubled: int


def score_identities(frames: Sequence[Frame], tracked: Sequence[PoseResult]) -> IdentityScore:
    """Compares tracked results with the truth; rows are told by their boxes."""
    id_of: dict[int, int] = {}
    walker_of: dict[int, int] = {}
    switches = seen = returned = doubled = 0
    for frame, result in zip(frames, tracked, strict=True):
        assert result.ids is not None
        walkers = [_walker(frame, box) for box in result.boxes_xyxy]
        doubled += len(walkers) - len(set(walkers))
        seen += len(set(frame.truth))
        returned += len(set(walkers))
        for walker, person in zip(walkers, result.ids.tolist(), strict=True):
            switches += id_of.get(walker, person) != person
            switches += walker_of.get(person, walker) != walker
            id_of[walker], walker_of[person] = person, walker
    return IdentityScore(switches, len(walker_of), returned / max(seen, 1), doubled)


def _walker(frame: Frame, box: np.ndarray) -> int:
    (row,) = np.flatnonzero((frame.result.boxes_xyxy == box).all(axis=1))
    return frame.truth[row]
