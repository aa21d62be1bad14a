"""A clip as one array of points, and its times: what formats with a row for each frame need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from ..arrays import Float32Array, Float64Array, Int64Array
from ..errors import InvalidArgumentError
from ..layouts import WHOLEBODY_133
from ..poses import Poses, PoseTable, common_layout, stack, unstack

By = Literal["id", "place"]

USUAL_FRAME_RATE: Final = 25.0
"""Frames per second that are written where a clip's one frame leaves them open."""


def identities(results: Sequence[Poses | None]) -> Int64Array | None:
    """Returns (P,) int64, all identities in ascending order; None where people have none."""
    found = [result for result in results if result]
    if any(result.ids is None for result in found):
        return None
    known = [result.ids for result in found if result.ids is not None]
    return np.unique(np.concatenate([np.zeros(0, np.int64), *known]))


def dense_points(
    results: Sequence[Poses | None], indices: Int64Array, *, by: By = "id"
) -> Float32Array:
    """Returns all points of a clip as one array: x, y, score.

    Args:
        results: One for each frame, None where it was damaged.
        indices: (T,) int64, the frames' indices, for messages.
        by: What the second axis stands for: "id" an identity each, in the order of `identities`;
            "place" the first person of each frame, the second and so on.

    Returns:
        (T, P, K, 3) float32, K points as the network gives, 133 of DWPose; NaN where a person or
        a point is absent.

    Raises:
        InvalidArgumentError: People have no identities and `by` is "id", a frame has one
            identity twice, or `by` is another word.
    """
    if by not in ("id", "place"):
        raise InvalidArgumentError(f'by is {by!r}, expected "id" or "place"')
    ids = identities(results)
    if by == "id" and ids is None:
        raise InvalidArgumentError(
            "people of this clip have no identities: track them (--track, track=True), or "
            'take as_array(by="place")'
        )
    most = max((len(result) for result in results if result), default=0)
    persons = most if by == "place" or ids is None else len(ids)
    layout = common_layout([result for result in results if result is not None])
    points = np.full((len(results), persons, len(layout), 3), np.nan, np.float32)
    for row, index, result in zip(points, indices.tolist(), results, strict=True):
        if result is None:
            continue
        columns = np.arange(len(result))
        if by == "id" and ids is not None and result.ids is not None:
            columns = np.searchsorted(ids, result.ids)
            if len(set(columns.tolist())) < len(columns):
                raise InvalidArgumentError(f"frame {index} has an identity twice")
        row[columns, :, :2] = result.keypoints
        row[columns, :, 2] = result.scores
    points[np.isnan(points).any(axis=3)] = np.nan
    return points


def points_of(table: PoseTable, what: str) -> tuple[Float32Array, Int64Array | None]:
    """Returns all 133 points of a clip's frames, and its identities; by place without any.

    Args:
        table: The frames.
        what: What it is for, which messages begin with.

    Raises:
        InvalidArgumentError: The table is of pictures, or has no frame.
    """
    if table.frame_indices is None:
        raise InvalidArgumentError(
            f"{what} holds a clip: write it with dwpose_infer.formats.clip_files, which knows "
            "the frames' indices and times"
        )
    if not len(table.frame_indices):
        raise InvalidArgumentError(f"{what} of a clip without frames cannot be written")
    frames = [frame.in_layout(WHOLEBODY_133) for frame in unstack(table)]
    ids = identities(frames)
    by: By = "place" if ids is None else "id"
    return dense_points(frames, table.frame_indices, by=by), ids


def from_points(
    points: Float32Array,
    ids: Int64Array | None,
    indices: Sequence[int],
    times_s: Sequence[float | None],
    *,
    image_size: tuple[int, int] | None = None,
    source: str | None = None,
) -> PoseTable:
    """Returns the frames of such an array; nobody is there of whom no point is.

    Args:
        points: (T, P, 133, 3) float32, x, y, score, NaN where absent.
        ids: (P,) int64, or None.
        indices: Index of each frame.
        times_s: Time of each, or None.
        image_size: (width, height) of the frames.
        source: Where they came from.
    """
    present = np.asarray(~np.isnan(points[..., :2]).any(axis=3))
    frames = []
    for row, shown in zip(points, present, strict=True):
        there = shown.any(axis=1)
        frames.append(
            Poses(
                keypoints=np.where(
                    shown[there][..., None], row[there][..., :2], np.float32(np.nan)
                ),
                scores=np.where(shown[there], row[there][..., 2], np.float32(0)),
                ids=None if ids is None else ids[there],
                image_size=image_size,
                source=source,
            )
        )
    return stack(frames).at(indices, times_s)


def seconds_of(table: PoseTable, frame_rate: float | None) -> Float64Array:
    """Returns (T,) float64, the frames' times in seconds.

    Args:
        table: The frames.
        frame_rate: Frames per second, for clips that do not know their times; the times that are
            known win.

    Raises:
        InvalidArgumentError: A time is not known, and no frame rate given; or it is not above 0.
    """
    indices, times_s = table.frame_indices, table.times_s
    assert indices is not None and times_s is not None
    if frame_rate is not None and not frame_rate > 0:
        raise InvalidArgumentError(f"frame_rate is {frame_rate!r}, expected a number above 0")
    unknown = np.isnan(times_s)
    if not unknown.any():
        return times_s
    if frame_rate is None:
        raise InvalidArgumentError(
            "the times of this clip's frames are not known: give frame_rate= in frames per second"
        )
    return np.where(unknown, indices / frame_rate, times_s)


def even_rows(indices: Int64Array, times_s: Float64Array) -> tuple[Int64Array, float]:
    """Returns the rows of frames in a file that knows a frame rate alone, and that rate.

    Args:
        indices: (T,) int64 indices of the frames, ascending.
        times_s: (T,) float64, their times.

    Returns:
        (T,) int64 rows from 0, with gaps where frames are missing, and rows per second.
    """
    step = int(np.gcd.reduce(np.diff(indices))) or 1
    rows = (indices - indices[0]) // step
    length_s = float(times_s[-1] - times_s[0])
    return rows, float(rows[-1]) / length_s if length_s > 0 else USUAL_FRAME_RATE
