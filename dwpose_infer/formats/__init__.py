"""Pose files: the formats results are saved in and read from.

`save` and `load` choose a format by its name or by the ending of the path, and `load_clip` reads
the frames of a clip with their times. Each format is a module of its own that says what it can
hold, and `codecs` is the table of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from ..errors import InvalidArgumentError
from ..results import PoseResult, as_results
from .codecs import FORMATS, read, write
from .format import Format
from .pose_clip import PoseClip, load_clip

__all__ = ["FORMATS", "Format", "PoseClip", "load", "load_clip", "save"]


def save(
    results: PoseResult | Sequence[PoseResult],
    path: str | PathLike[str],
    *,
    format: str | None = None,
    **options: Any,
) -> Path:
    """Writes one or several results to one file, in one step.

    Args:
        results: What to write. "openpose" holds exactly one result, the others any number.
        path: File to write; missing folders are made, an existing file is replaced.
        format: A name of `FORMATS`; None takes it from the ending of the path, where .json
            means "json".
        **options: Options of the format: `body`, `pupils`, `confidence`, `source`, `min_score`
            and those of a canvas of `openpose.result_to_dict`, `annotations` and `bbox` of
            `coco.to_document`,
            `min_score` and `layout` of `coco_dataset.to_document`, `compress` of `npz.encode`. The
            others have none.

    Returns:
        The path written.

    Raises:
        InvalidArgumentError: The format or an option is unknown, or the format cannot hold
            these results.
        MissingDependencyError: The format needs a package that is not installed.
        OutputError: The file cannot be written.
    """
    listed = as_results(results)
    if not all(isinstance(result, PoseResult) for result in listed):
        raise InvalidArgumentError("only a PoseResult or a sequence of them can be saved")
    return write(listed, path, format=format, **options)


def load(path: str | PathLike[str], *, format: str | None = None) -> list[PoseResult]:
    """Reads the results of a pose file.

    Args:
        path: File to read.
        format: A name of `FORMATS`; None takes it from the ending of the path, and for .json
            from what the file holds.

    Returns:
        The results, one for each picture. Points the format does not carry are NaN with score
        0, and what else it does not carry is None.

    Raises:
        InputError: The file does not exist or cannot be read.
        FormatError: It does not hold what the format prescribes.
        InvalidArgumentError: The format is unknown.
        MissingDependencyError: The format needs a package that is not installed.
    """
    return [PoseResult.of(poses) for poses in read(path, format=format)]
