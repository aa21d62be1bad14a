"""Which person of a frame is which one seen before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..arrays import Float64Array
from ..errors import needs_extra
from .people import People, similarity
from .settings import TrackerSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

Pairs = list[tuple[int, int]]

_HIDDEN_HANDICAP = 0.03
# Taken off the similarity with persons not seen in the last frame: where two stand behind one
# another, the one in sight is the one that was in sight. In 84 hard synthetic scenes 0, 0.03,
# 0.06 and 0.1 gave 18, 14, 30 and 46 wrong identities: more, and a person missed for a frame
# lends its id to the one behind.

_MAX_SIZE_RATIO = 1.5
# A person hidden for up to a second does not come back larger or smaller by more than this: at
# walking speed towards the camera that takes a start from 4 m away.


def associate(
    expected: People,
    found: People,
    *,
    hidden_s: Float64Array,
    step_s: float,
    settings: TrackerSettings,
) -> Pairs:
    """Pairs persons seen before with those found in a frame.

    First by likeness to where they were expected, then, of those left, by the distance they
    could have walked unseen.

    Args:
        expected: Persons seen before, moved to where they should be by now.
        found: Persons of the frame.
        hidden_s: (P,) seconds since each expected person was last seen.
        step_s: Seconds since the last frame.
        settings: Thresholds.

    Returns:
        (index of expected, index of found) of each pair; nobody occurs twice.

    Raises:
        MissingDependencyError: SciPy is not installed.
    """
    if not len(expected) or not len(found):
        return []
    likeness = similarity(expected, found)
    in_sight = hidden_s <= step_s
    gain = likeness - np.where(in_sight, 0.0, _HIDDEN_HANDICAP)[:, None]
    pairs = _best_pairs(gain, allowed=likeness >= settings.min_similarity)
    rows = _others(len(expected), [row for row, _ in pairs])
    columns = _others(len(found), [column for _, column in pairs])
    nearness = _nearness(
        expected.select(rows),
        found.select(columns),
        reach=settings.max_speed_sizes_per_s * hidden_s[rows],
    )
    for row, column in _best_pairs(nearness, allowed=nearness > 0):
        pairs.append((rows[row], columns[column]))
    return pairs


def _others(count: int, taken: Sequence[int]) -> list[int]:
    return sorted(set(range(count)) - set(taken))


def _nearness(expected: People, found: People, *, reach: Float64Array) -> Float64Array:
    """1 for the same place, 0 at the end of each expected person's reach and for other sizes."""
    sizes = np.sqrt(expected.sizes[:, None] * found.sizes[None])
    ratio = expected.sizes[:, None] / found.sizes[None]
    distance = np.linalg.norm(expected.centers[:, None] - found.centers[None], axis=2) / sizes
    nearness = 1 - distance / np.maximum(reach, np.finfo(np.float64).tiny)[:, None]
    fits = (ratio < _MAX_SIZE_RATIO) & (ratio > 1 / _MAX_SIZE_RATIO)
    return np.where(fits, np.maximum(nearness, 0.0), 0.0)


def _best_pairs(gain: Float64Array, *, allowed: np.typing.NDArray[np.bool_]) -> Pairs:
    """The pairs of the largest total gain (Hungarian method), without those not allowed."""
    if not allowed.any():
        return []
    with needs_extra("tracking needs SciPy", "video"):
        from scipy.optimize import linear_sum_assignment
    rows, columns = linear_sum_assignment(np.where(allowed, gain, 0.0), maximize=True)
    return [
        (int(row), int(column))
        for row, column in zip(rows, columns, strict=True)
        if allowed[row, column]
    ]
