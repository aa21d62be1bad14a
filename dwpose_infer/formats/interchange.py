"""Results as objects of other libraries: data frames, and the key points of supervision."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final, Literal

import numpy as np

from ..errors import InvalidArgumentError, MissingDependencyError
from ..layouts import POINTS_OF_PART, WHOLEBODY_133, KeypointLayout
from ..poses import Poses, PoseTable

Library = Literal["pandas", "polars"]

LIBRARIES: Final = ("pandas", "polars")
"""Libraries of data frames, in the order in which they are looked for."""


def supervision_edges(layout: KeypointLayout) -> tuple[tuple[int, int], ...]:
    """Returns a layout's bones for supervision's `EdgeAnnotator`, which counts points from 1."""
    return tuple((first + 1, second + 1) for first, second in layout.links)


SUPERVISION_EDGES: Final = supervision_edges(WHOLEBODY_133)
"""Those of the 133 points."""

_PART_OF_POINT: Final = {name: part for part, names in POINTS_OF_PART.items() for name in names}


def to_dataframe(table: PoseTable, *, library: Library | None = None) -> Any:
    """Returns a row for each point of each person.

    Args:
        table: The persons of pictures or of a clip's frames.
        library: "pandas" or "polars"; None takes the first one installed.

    Returns:
        A pandas or polars DataFrame with the columns `frame` and `time_s` where the persons are a
        clip's, `person` (its place in the picture, from 0), `id` (missing where not tracked),
        `part`, `keypoint` (its name), `x` and `y` (float32, pixels, missing where absent) and
        `score` (float32).

    Raises:
        MissingDependencyError: The library is not installed, or neither is.
        InvalidArgumentError: The library is another one.
    """
    frames = _import(library)
    names, persons = table.layout.point_names, len(table.keypoints)
    points = len(names)
    rows = table.rows()
    first = np.cumsum(table.person_counts) - table.person_counts
    columns: dict[str, Any] = {}
    if table.frame_indices is not None and table.times_s is not None:
        columns["frame"] = np.repeat(table.frame_indices[rows], points)
        columns["time_s"] = np.repeat(table.times_s[rows], points)
    columns["person"] = np.repeat(np.arange(persons) - first[rows], points)
    columns["id"] = np.repeat(table.ids, points)
    columns["part"] = np.tile(np.array([_PART_OF_POINT[name] for name in names]), persons)
    columns["keypoint"] = np.tile(np.array(names), persons)
    columns["x"], columns["y"] = table.keypoints.reshape(-1, 2).T
    columns["score"] = table.scores.reshape(-1)
    untracked = ~np.repeat(table.has_ids[rows], points)
    if frames.__name__ == "pandas":
        columns["id"] = frames.arrays.IntegerArray(columns["id"], untracked)
        return frames.DataFrame(columns)
    frame = frames.DataFrame(columns, nan_to_null=True)
    hidden = frames.Series("untracked", untracked)
    ids = frames.when(hidden).then(None).otherwise(frames.col("id"))
    return frame.with_columns(ids.cast(frames.Int64).alias("id"))


def to_supervision(result: Poses, *, min_score: float = 0.3) -> Any:
    """Returns the persons of a picture as supervision's key points.

    Args:
        result: The persons.
        min_score: Points that score less are marked as not visible, so that its annotators leave
            them out; all have their scores in `keypoint_confidence`.

    Returns:
        `supervision.KeyPoints` with class 0 for everybody, the boxes' scores in
        `detection_confidence` and, of tracked persons, `data["tracker_id"]`. Absent points stand
        at (0, 0), as supervision has it. Its edges are
        `supervision_edges(result.layout)`, `SUPERVISION_EDGES` for the 133 points.

    Raises:
        MissingDependencyError: supervision is not installed, or older than 0.31.
    """
    try:
        from supervision import KeyPoints
    except ImportError as error:
        raise MissingDependencyError(
            "to_supervision needs supervision: pip install supervision"
        ) from error
    absent = np.asarray(np.isnan(result.keypoints).any(axis=2), np.bool_)
    try:
        return KeyPoints(
            xy=np.where(absent[..., None], np.float32(0), result.keypoints),
            class_id=np.zeros(len(result), np.int64),
            keypoint_confidence=result.scores,
            detection_confidence=result.box_scores,
            visible=~absent & (result.scores >= min_score),
            data={} if result.ids is None else {"tracker_id": result.ids},
        )
    except TypeError as error:
        raise MissingDependencyError(
            'this supervision is too old: pip install "supervision>=0.31"'
        ) from error


def _import(library: Library | None) -> Any:
    if library is not None and library not in LIBRARIES:
        raise InvalidArgumentError(
            f"library is {library!r}, expected one of {', '.join(LIBRARIES)}, or None"
        )
    for name in LIBRARIES if library is None else (library,):
        try:
            return import_module(name)
        except ImportError:
            continue
    wanted = library or " or ".join(LIBRARIES)
    raise MissingDependencyError(
        f"to_dataframe needs {wanted}: pip install {library or LIBRARIES[0]}"
    )
