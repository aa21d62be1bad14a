"""Files of a whole clip, and OpenPose's files of its frames."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from ..poses import Poses
from .codecs import write, write_clip


def save_openpose_frame(
    result: Poses, folder: str | PathLike[str], *, stem: str, index: int, **options: Any
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
    return write([result], path, format="openpose", **options)


def save_clip(
    results: Sequence[Poses],
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
        format: One of `formats.codecs.CLIP_FORMATS`; None takes it from the ending of the path.

    Returns:
        The path written.

    Raises:
        InvalidArgumentError: The format is another one, or the lengths differ.
        MissingDependencyError: Parquet needs pyarrow.
        OutputError: The file cannot be written.
    """
    return write_clip(results, path, indices=indices, times_s=times_s, format=format)
