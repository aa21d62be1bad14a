"""Files of a whole clip, and OpenPose's files of its frames."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..errors import InvalidArgumentError
from ..files.atomic import write_bytes
from ..formats import save
from ..formats.npz import encode as encode_npz
from ..formats.table import encode_csv, encode_parquet, import_pyarrow
from ..results import PoseResult

CLIP_FORMATS: Final = ("npz", "csv", "parquet")
"""Formats of `save_clip`."""


def save_openpose_frame(
    result: PoseResult, folder: str | PathLike[str], *, stem: str, index: int, **options: Any
) -> Path:
    """Writes one frame as OpenPose itself does for videos: `<stem>_000000000012_keypoints.json`.

    Args:
        result: What was found in the frame.
        folder: Folder of the files.
        stem: Name of the clip without its ending.
        index: Index of the frame in the clip, from 0.
        **options: Options of the format "openpose", see `dwpose_infer.formats.openpose`.

    Returns:
        The path written.

    Raises:
        OutputError: The file cannot be written.
        InvalidArgumentError: An option is unknown.
    """
    path = Path(folder) / f"{stem}_{index:012d}_keypoints.json"
    return save(result, path, format="openpose", **options)


def save_clip(
    results: Sequence[PoseResult],
    path: str | PathLike[str],
    *,
    indices: Sequence[int],
    times_s: Sequence[float | None],
    format: str | None = None,
) -> Path:
    """Writes all frames of a clip to one file, in one step.

    The file is that of `dwpose_infer.formats` with more in it, and is read back by its `load`:
    in npz the arrays `frame_indices` (R,) int64 and `frame_times_s` (R,) float64, NaN where
    unknown; in tables the columns `frame` and `time_s` after the others.

    Args:
        results: One result a frame.
        path: File to write.
        indices: Index of each frame in the clip.
        times_s: Time of each in seconds, or None.
        format: One of `CLIP_FORMATS`; None takes it from the ending of the path.

    Returns:
        The path written.

    Raises:
        InvalidArgumentError: The format is another one, or the lengths differ.
        MissingDependencyError: Parquet needs pyarrow.
        OutputError: The file cannot be written.
    """
    name = format or Path(path).suffix.lower().lstrip(".")
    if name not in CLIP_FORMATS:
        raise InvalidArgumentError(
            f"{path}: a clip is saved as {', '.join(CLIP_FORMATS)}, not as {name or 'this'}"
        )
    if not len(results) == len(indices) == len(times_s):
        raise InvalidArgumentError(
            f"{len(results)} results, {len(indices)} indices and {len(times_s)} times do not fit"
        )
    frames = np.array(indices, np.int64)
    times = np.array([np.nan if time is None else time for time in times_s], np.float64)
    if name == "npz":
        return write_bytes(path, _npz(results, frames, times))
    picture = np.repeat(np.arange(len(results)), [len(result) for result in results])
    columns = {"frame": frames[picture], "time_s": times[picture]}
    if name == "csv":
        return write_bytes(path, _csv(encode_csv(results), columns))
    return write_bytes(path, _parquet(encode_parquet(results), columns))


def _npz(results: Sequence[PoseResult], frames: Any, times: Any) -> bytes:
    file = io.BytesIO(encode_npz(results))
    with zipfile.ZipFile(file, "a") as archive:
        for name, array in (("frame_indices", frames), ("frame_times_s", times)):
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return file.getvalue()


def _csv(data: bytes, columns: dict[str, Any]) -> bytes:
    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*rows[0], *columns])
    cells = zip(*(column.tolist() for column in columns.values()), strict=True)
    for row, added in zip(rows[1:], cells, strict=True):
        writer.writerow([*row, *("" if np.isnan(value) else value for value in added)])
    return file.getvalue().encode()


def _parquet(data: bytes, columns: dict[str, Any]) -> bytes:
    pyarrow, parquet = import_pyarrow()
    table = parquet.read_table(pyarrow.BufferReader(data))
    for name, column in columns.items():
        array = pyarrow.array(column, mask=np.isnan(column.astype(np.float64)))
        table = table.append_column(name, array)
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())
