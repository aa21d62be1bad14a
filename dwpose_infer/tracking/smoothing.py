"""Steady keypoints: a one-euro filter for each point of each person, weighted by score."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from ..arrays import Float64Array, Int64Array
from ..errors import InvalidArgumentError
from ..keypoints import NUM_KEYPOINTS
from ..results import PoseResult
from .motion import FrameClock, common_steps, low_pass_share
from .people import People, people_of
from .settings import DEFAULT_FRAME_RATE, require_frame_rate

_LEAST_WEIGHT: Final = 1e-3  # scores are not below 0.001 for the weights, so that some always count


@dataclass(frozen=True, slots=True)
class SmootherSettings:
    """Settings of the one-euro filter (Casiez, Roussel, Vogel, CHI 2012).

    Speeds are in person sizes (the longer side of the box) per second, so the settings hold for
    any picture size, distance and frame rate. Walking is about 0.8 sizes per second.

    The defaults were chosen on synthetic walkers at 30 frames per second whose points jitter by
    0.8 % of the height: second differences shrink to 0.36 at 0.1 frames of lag (0.3 frames for
    the joint that lags most), those of persons standing to 0.19.

    Attributes:
        min_cutoff_hz: Cut-off frequency for points at rest. Lower is steadier.
        beta: Rise of the cut-off frequency with the speed, in Hz per size per second. Higher
            lags less behind fast movements.
        d_cutoff_hz: Cut-off frequency for the speeds themselves; 1 in the paper.
        score_power: A value counts with its score to this power, so that an uncertain one moves
            a point seen well before only a little. 0 lets all count the same, as in the paper.
        follow_person: Filter each point's way against the person's own movement, which is taken
            from the trunk. A person walking past is smoothed like one standing still, without
            lagging behind. False filters the way in the picture, as in the paper.
        max_gap_s: A point absent for longer starts afresh.
        frame_rate: Frames per second, where frames come without time stamps.
    """

    min_cutoff_hz: float = 1.0
    beta: float = 12.0
    d_cutoff_hz: float = 1.0
    score_power: float = 2.0
    follow_person: bool = True
    max_gap_s: float = 0.5
    frame_rate: float = DEFAULT_FRAME_RATE

    def __post_init__(self) -> None:
        for name in ("min_cutoff_hz", "d_cutoff_hz"):
            if not getattr(self, name) > 0:
                raise InvalidArgumentError(f"{name} is {getattr(self, name)}, must be above 0")
        for name in ("beta", "score_power", "max_gap_s"):
            if not getattr(self, name) >= 0:
                raise InvalidArgumentError(f"{name} is {getattr(self, name)}, must be at least 0")
        require_frame_rate(self.frame_rate)


@dataclass(frozen=True, slots=True, eq=False)
class _Memory:
    """What the filters of P persons remember; every field is one array.

    Attributes:
        raw: (P, K, 2) points as they last came in, pixels; NaN where absent.
        raw_weights: (P, K) their scores from 0 to 1, 0 where absent.
        smooth: (P, K, 2) filtered points, pixels; NaN where there is none.
        speeds: (P, K, 2) filtered speeds, pixels per second, against the person's own where
            that is followed.
        trust: (P, K) filtered weights, see `KeypointSmoother`.
        seen_s: (P, K) time when each point was last present; -inf for never.
        velocity: (P, 2) of the person, pixels per second.
        time_s: (P,) time of the last frame with this person.
    """

    raw: Float64Array
    raw_weights: Float64Array
    smooth: Float64Array
    speeds: Float64Array
    trust: Float64Array
    seen_s: Float64Array
    velocity: Float64Array
    time_s: Float64Array

    def select(self, rows: npt.ArrayLike) -> _Memory:
        picked = np.asarray(rows, np.intp)
        return _Memory(*(getattr(self, name)[picked] for name in _FIELDS))

    def joined(self, other: _Memory) -> _Memory:
        return _Memory(
            *(np.concatenate([getattr(self, name), getattr(other, name)]) for name in _FIELDS)
        )


_FIELDS: Final = tuple(field.name for field in fields(_Memory))


def _blank(persons: int, points_each: int, now_s: float) -> _Memory:
    points = (persons, points_each)
    return _Memory(
        raw=np.full((*points, 2), np.nan),
        raw_weights=np.zeros(points),
        smooth=np.full((*points, 2), np.nan),
        speeds=np.zeros((*points, 2)),
        trust=np.zeros(points),
        seen_s=np.full(points, -np.inf),
        velocity=np.zeros((persons, 2)),
        time_s=np.full(persons, now_s),
    )


class KeypointSmoother:
    """Takes the jitter out of keypoints, with little lag where they move.

    Each point runs through a one-euro filter of its own: a low-pass filter whose cut-off
    frequency rises with the point's speed. It is an average of the past in which each value
    counts by its age and by its score. Absent points stay absent, scores and boxes stay as they
    are, and a person with a new id starts afresh. Not for several threads at once; use one
    smoother per video, or `reset` between videos.

    Example:
        >>> tracker, smoother = Tracker(), KeypointSmoother()
        >>> for time_s, result in results:
        ...     result = smoother.update(tracker.update(result, time_s=time_s), time_s=time_s)

    Attributes:
        settings: Of the filters.
    """

    def __init__(self, settings: SmootherSettings | None = None) -> None:
        """Starts before the first frame of a video.

        Args:
            settings: None takes the defaults.
        """
        self.settings = settings or SmootherSettings()
        self.reset()

    def reset(self) -> None:
        """Forgets everything, as before the first frame."""
        self._clock = FrameClock(self.settings.frame_rate)
        self._memory = _blank(0, NUM_KEYPOINTS, 0.0)
        self._ids = np.zeros(0, np.int64)

    def update(self, result: PoseResult, *, time_s: float | None = None) -> PoseResult:
        """Smooths the keypoints of the next frame.

        Args:
            result: Persons of the frame with `ids`, as `Tracker.update` returns them.
            time_s: Time stamp of the frame in seconds, not before the last one's; None counts
                on at the settings' frame rate.

        Returns:
            The result with other keypoints, float32.

        Raises:
            InvalidArgumentError: The result has no ids or the same id twice, or the time runs
                backwards.
        """
        if result.ids is None:
            raise InvalidArgumentError(
                "smoothing needs to know who is who, and the result has no ids: pass it through "
                "Tracker.update first"
            )
        if len(np.unique(result.ids)) < len(result):
            raise InvalidArgumentError(f"two persons of one frame share an id: {result.ids}")
        now_s = self._clock.advance(time_s)
        people = people_of(result)
        remembered = self._recall(result.ids, result.keypoints.shape[1], now_s)
        memory = _filtered(remembered, people, now_s, self.settings)
        self._keep(result.ids, memory, now_s)
        present = np.isfinite(people.keypoints).all(axis=2, keepdims=True)
        smooth = np.where(present, memory.smooth, np.nan)
        return replace(result, keypoints=smooth.astype(np.float32))

    def _recall(self, ids: Int64Array, points: int, now_s: float) -> _Memory:
        """Returns what is remembered of persons, blank for those who are new."""
        if self._memory.raw.shape[1] != points:  # of another network, or nothing yet
            self._memory, self._ids = _blank(0, points, now_s), np.zeros(0, np.int64)
        row_of_id = {int(person): row for row, person in enumerate(self._ids)}
        rows = [row_of_id.get(int(person), len(row_of_id)) for person in ids]
        return self._memory.joined(_blank(1, points, now_s)).select(rows)

    def _keep(self, ids: Int64Array, memory: _Memory, now_s: float) -> None:
        """Remembers persons of this frame, and those of earlier ones not gone for too long."""
        stays = now_s - self._memory.time_s <= self.settings.max_gap_s
        others = np.flatnonzero(stays & ~np.isin(self._ids, ids))
        self._ids = np.concatenate([self._ids[others], ids])
        self._memory = self._memory.select(others).joined(memory)


def _filtered(memory: _Memory, people: People, now_s: float, settings: SmootherSettings) -> _Memory:
    """Returns the memory after one more frame; `smooth` is the filters' output."""
    present = np.isfinite(people.keypoints).all(axis=2)
    step_s = now_s - memory.time_s[:, None]
    velocity = memory.velocity
    if settings.follow_person:
        velocity = _velocities(memory, people, step_s, settings.d_cutoff_hz)
    expected = memory.smooth + (velocity * step_s)[:, None]

    since_s = now_s - memory.seen_s
    fresh = present & ~(since_s <= settings.max_gap_s)
    goes_on = (present & ~fresh)[..., None]
    since_s = np.where(goes_on[..., 0], since_s, 0.0)[..., None]
    error = np.where(goes_on, people.keypoints - expected, 0.0)
    weight = np.maximum(people.weights, _LEAST_WEIGHT)[..., None] ** settings.score_power
    trust = memory.trust[..., None]

    share = low_pass_share(settings.d_cutoff_hz, since_s)
    gain = _weighted_share(share, weight, trust)
    speed_now = np.divide(error, since_s, out=np.zeros_like(error), where=since_s > 0)
    speeds = memory.speeds + gain * (speed_now - memory.speeds)

    sizes = np.maximum(people.sizes, np.finfo(np.float64).tiny)[:, None, None]
    speed_sizes = np.linalg.norm(speeds, axis=2, keepdims=True) / sizes
    share = low_pass_share(settings.min_cutoff_hz + settings.beta * speed_sizes, since_s)
    smooth = expected + _weighted_share(share, weight, trust) * error
    trust = np.where(goes_on, (1 - share) * trust + share * weight, trust)
    start = fresh[..., None]
    return _Memory(
        raw=people.keypoints,
        raw_weights=people.weights,
        smooth=np.where(start, people.keypoints, smooth),
        speeds=np.where(start, 0.0, speeds),
        trust=np.where(start, weight, trust)[..., 0],
        seen_s=np.where(present, now_s, memory.seen_s),
        velocity=velocity,
        time_s=np.full(len(people), now_s),
    )


def _weighted_share(share: Float64Array, weight: Float64Array, trust: Float64Array) -> Float64Array:
    """The share of a new value in an average of values of different weights.

    `trust` is the same average of the weights so far; where all weights are equal, the share
    stays what it is.
    """
    total = (1 - share) * trust + share * weight
    weighted = np.zeros_like(total)
    return np.divide(share * weight, total, out=weighted, where=total > 0)


def _velocities(
    memory: _Memory, people: People, step_s: Float64Array, cutoff_hz: float
) -> Float64Array:
    """Returns the persons' own velocities (P, 2), low-passed, in pixels per second."""
    steps = common_steps(
        memory.raw,
        people.keypoints,
        before_weights=memory.raw_weights,
        after_weights=people.weights,
    )
    known = np.isfinite(steps) & (step_s > 0)
    velocities_now = np.divide(steps, step_s, out=memory.velocity.copy(), where=known)
    change: Float64Array = velocities_now - memory.velocity
    return memory.velocity + low_pass_share(cutoff_hz, step_s) * change
