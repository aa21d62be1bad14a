"""The numbers that are plotted: angles, speeds, lengths of persons, presence, bands of scores.

All are of the picture's plane: a limb that points at the camera is short, and its angles are not
the anatomical ones. What is absent is NaN and stays so; nothing is interpolated.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from ..arrays import Float32Array, Float64Array, Int64Array
from ..errors import InputError, InvalidArgumentError
from ..formats import PoseClip
from ..layouts import KeypointLayout, layout_of
from .catalogue import ANGLES, SpeedUnit


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """The points of a clip by person, over time.

    Attributes:
        points: (T, P, K, 3) float32: x, y in pixels, score; NaN where a person or point is absent.
        times: (T,) float64, ascending, in `time_unit`.
        time_unit: "s", or "frame" where the times are numbers of frames.
        persons: (P,) int64, identity of each person, or place in the frame where `tracked` is
            False.
        tracked: Whether a person of the second axis is the same in all frames.
    """

    points: Float32Array
    times: Float64Array
    time_unit: str
    persons: Int64Array
    tracked: bool

    @property
    def layout(self) -> KeypointLayout:
        """The order of the points."""
        return layout_of(self.points.shape[2])

    def select(self, persons: list[int]) -> Tracks:
        """Returns the tracks of some persons, in the order given.

        Raises:
            InvalidArgumentError: One of them is not in the clip.
        """
        known = self.persons.tolist()
        strange = [person for person in persons if person not in known]
        if strange:
            kind = "ids" if self.tracked else "places"
            raise InvalidArgumentError(
                f"there is no person {strange[0]} in the clip; its {kind} are "
                f"{', '.join(map(str, known))}"
            )
        columns = [known.index(person) for person in persons]
        points = self.points[:, columns]
        return Tracks(points, self.times, self.time_unit, self.persons[columns], self.tracked)

    def most_present(self, count: int) -> list[int]:
        """Returns the persons who are there in most frames, at most so many, ascending."""
        frames = (~np.isnan(self.points[..., 2]).all(axis=2)).sum(axis=0)
        columns = np.argsort(-frames, kind="stable")[:count]
        return sorted(self.persons[columns].tolist())


def tracks_of(clip: PoseClip, *, frame_rate: float | None = None) -> Tracks:
    """Returns the points of a clip by person; by place in the frame where it was not tracked.

    Frames without points are put where frames are missing, that is where the index grows by more
    than it mostly does, so that no line and no speed leads across.

    Args:
        clip: The clip.
        frame_rate: Frames per second, for a clip without times; None counts frames there.

    Raises:
        InputError: There is nobody in the clip, or its times run backwards.
        InvalidArgumentError: One frame has an identity twice.
    """
    ids = clip.ids
    points = clip.as_array(by="place" if ids is None else "id")
    if points.shape[1] == 0:
        raise InputError("there is nobody in the clip, so there is nothing to plot")
    indices, times, unit = clip.indices, clip.times_s, "s"
    if not clip.has_times:
        times = indices / (frame_rate or 1.0)
        unit = "frame" if frame_rate is None else "s"
    if (np.diff(times) <= 0).any():
        raise InputError("the times of the clip's frames do not ascend, so nothing can be plotted")
    persons = np.arange(points.shape[1]) if ids is None else ids
    times, points = apart_where_frames_miss(indices, times, points)
    return Tracks(points, times, unit, persons.astype(np.int64), ids is not None)


def apart_where_frames_miss(
    indices: Int64Array, times: Float64Array, points: Float32Array
) -> tuple[Float64Array, Float32Array]:
    """Puts frames without points into the holes of a clip: where the first and last miss.

    Args:
        indices: (T,) int64, ascending. A hole is where they grow by more than their median step.
        times: (T,) float64.
        points: (T, ...) float32.

    Returns:
        Times and points with one more frame for each hole, two where more than one frame is
        missing; all NaN.
    """
    steps = np.diff(indices)
    if len(steps) == 0:
        return times, points
    usual = np.median(steps)
    (holes,) = np.nonzero(steps > usual)
    several = steps[holes] > 2 * usual
    frame_time = np.diff(times)[holes] * np.where(several, usual / steps[holes], 0.5)
    first = times[holes] + frame_time
    last = (times[holes + 1] - frame_time)[several]
    places = np.concatenate([holes, holes[several]]) + 1
    times = np.insert(times, places, np.concatenate([first, last]))
    return times, np.insert(points, places, np.nan, axis=0)


def without_low_scores(points: Float32Array, min_score: float) -> Float64Array:
    """Returns the places of points, NaN where the score is lower.

    Args:
        points: (..., 3): x, y in pixels, score.
        min_score: Least score of a point that is shown.

    Returns:
        (..., 2) float64, x then y in pixels.
    """
    shown = points[..., 2:] >= min_score  # NaN is not
    return np.where(shown, points[..., :2], np.nan).astype(np.float64)


def angle_deg(
    first_xy: Float64Array, joint_xy: Float64Array, last_xy: Float64Array
) -> Float64Array:
    """Returns the angle at a joint between the lines to two other points.

    Args:
        first_xy: (..., 2), pixels.
        joint_xy: (..., 2), pixels.
        last_xy: (..., 2), pixels.

    Returns:
        (...) float64, degrees from 0 (folded) to 180 (straight); NaN where a point is absent or
        lies on the joint.
    """
    first, last = first_xy - joint_xy, last_xy - joint_xy
    across = first[..., 0] * last[..., 1] - first[..., 1] * last[..., 0]
    along = (first * last).sum(axis=-1)
    angle = np.degrees(np.arctan2(np.abs(across), along))
    nowhere = (first == 0).all(axis=-1) | (last == 0).all(axis=-1)
    return np.where(nowhere, np.nan, angle)


def joint_angle_deg(keypoints: Float64Array, joint: str) -> Float64Array:
    """Returns the angle of a joint.

    Args:
        keypoints: (..., K, 2), pixels, in one of the known layouts.
        joint: A name of `catalogue.ANGLES`.

    Returns:
        (...) float64, degrees; see `angle_deg`.
    """
    first, middle, last = (_point(keypoints, name) for name in ANGLES[joint])
    return angle_deg(first, middle, last)


def speeds(positions: Float64Array, times: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Returns how fast points move between each frame and the next.

    Args:
        positions: (T, ..., 2), x then y in pixels or another length.
        times: (T,) ascending, seconds or another time.

    Returns:
        The middles between the frames' times, (T - 1,), and the speeds there, (T - 1, ...)
        float64, in lengths per time; NaN where a point is absent in one of the two frames.
    """
    middles = (times[1:] + times[:-1]) / 2
    moved = np.linalg.norm(np.diff(positions, axis=0), axis=-1)
    durations = np.diff(times).reshape(-1, *(1,) * (moved.ndim - 1))
    return middles, moved / durations


def length_px(keypoints: Float64Array, unit: SpeedUnit) -> float:
    """Returns the length of a person that speeds are given in.

    Args:
        keypoints: (T, K, 2) of one person, pixels, NaN where absent.
        unit: "body": trunk, thigh and shin along the bones, that is from the middle of the
            shoulders over that of the hips and the knees to the ankles, both legs averaged (it
            stays the same in a crouch); "shoulders": from shoulder to shoulder; "pixels": 1.

    Returns:
        Pixels, the median over the frames in which all these points are there; NaN if none is.
    """
    if unit == "pixels":
        return 1.0
    left_shoulder, right_shoulder = _pair(keypoints, "shoulder")
    if unit == "shoulders":
        length = _distance(left_shoulder, right_shoulder)
    else:
        hips, knees, ankles = (_pair(keypoints, name) for name in ("hip", "knee", "ankle"))
        length = _distance((left_shoulder + right_shoulder) / 2, (hips[0] + hips[1]) / 2)
        for side in (0, 1):
            leg = _distance(hips[side], knees[side]) + _distance(knees[side], ankles[side])
            length = length + leg / 2
    known = length[length > 0]  # NaN is not
    return float(np.median(known)) if len(known) else float("nan")


def presence(keypoints: Float64Array) -> Float64Array:
    """Returns the share of points that are there.

    Args:
        keypoints: (T, K, 2), NaN where absent.

    Returns:
        (T,) float64, from 0 to 1.
    """
    there = ~np.isnan(keypoints).any(axis=-1)
    share: Float64Array = there.mean(axis=-1)
    return share


def score_band(scores: Float32Array) -> Float64Array:
    """Returns the range of a part's scores.

    Args:
        scores: (T, K), NaN where absent.

    Returns:
        (3, T) float64: 10th percentile, median and 90th percentile of the scores that are there;
        NaN where none is.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.nanpercentile(scores.astype(np.float64), [10, 50, 90], axis=-1)


def _point(keypoints: Float64Array, name: str) -> Float64Array:
    return keypoints[..., layout_of(keypoints.shape[-2]).point_names.index(name), :]


def _pair(keypoints: Float64Array, name: str) -> tuple[Float64Array, Float64Array]:
    return _point(keypoints, f"left_{name}"), _point(keypoints, f"right_{name}")


def _distance(first_xy: Float64Array, last_xy: Float64Array) -> Float64Array:
    distance: Float64Array = np.linalg.norm(first_xy - last_xy, axis=-1)
    return distance
