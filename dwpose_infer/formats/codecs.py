"""The table of formats, and files of poses written and read by it.

To add a format, write its module with a `Format` and add that to the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final

from ..errors import FormatError, InvalidArgumentError
from ..files.atomic import new_file, read_bytes, write_bytes
from ..files.json_text import dump, parse
from ..poses import Poses, stack
from . import (
    coco,
    coco_dataset,
    npz,
    nwb,
    openpose,
    parquet,
    plain_json,
    pose_file,
    sleap,
    table,
    trc,
)
from .format import Format

FORMATS: Final[dict[str, Format]] = {
    item.name: item
    for item in (
        *(plain_json.FORMAT, openpose.FORMAT, coco.FORMAT, coco_dataset.FORMAT),
        *(npz.FORMAT, table.CSV, parquet.PARQUET),
        *(pose_file.FORMAT, trc.FORMAT, nwb.FORMAT, sleap.FORMAT),
    )
}
"""The formats, by name. Of those with one ending the first is what the ending stands for."""


def write(
    poses: Sequence[Poses], path: str | PathLike[str], *, format: str | None = None, **options: Any
) -> Path:
    """Writes poses to one file, in one step; see `dwpose_infer.formats.save`."""
    chosen = _chosen(path, format)
    chosen.require_options(options)
    if chosen.write_pictures is None:
        return write_bytes(path, encode(poses, chosen, **options))
    with new_file(path) as file:
        chosen.write_pictures(file, poses, **options)
    return Path(path)


def encode(poses: Sequence[Poses], format: Format, **options: Any) -> bytes:
    """Returns the bytes of a file of poses."""
    data = format.encode(stack(poses) if format.takes_table else poses, **options)
    return data if isinstance(data, bytes) else dump(data)


def read(path: str | PathLike[str], *, format: str | None = None) -> list[Poses]:
    """Reads the poses of a file; see `dwpose_infer.formats.load`."""
    chosen = _chosen(path, format)
    data, origin = read_bytes(path), fspath(path)
    if chosen.ending != ".json":
        return chosen.decode(data, origin=origin)
    document = parse(data, origin)
    chosen = _recognised(document, origin) if format is None else chosen
    return chosen.decode(document, origin=origin)


def _chosen(path: str | PathLike[str], format: str | None) -> Format:
    """The format that is named, or else the first with the path's ending."""
    if format is not None and format not in FORMATS:
        raise InvalidArgumentError(
            f"unknown format {format!r}; the formats are {', '.join(FORMATS)}"
        )
    if format is not None:
        return FORMATS[format]
    ending = Path(path).suffix.lower()
    for item in FORMATS.values():
        if item.ending == ending:
            return item
    logs = [item for item in FORMATS.values() if item.of_clip == "log"]
    if any(ending == Path(item.clip_name).suffix for item in logs):
        raise InvalidArgumentError(
            f"{fspath(path)} holds the frames of a clip: read it with load_clip, write it with "
            "dwpose_infer.formats.clip_files.open_clip"
        )
    endings = dict.fromkeys(item.ending for item in FORMATS.values())
    raise InvalidArgumentError(
        f"the ending of {fspath(path)} names no format: use {', '.join(endings)}, "
        f"or pass format=, one of {', '.join(FORMATS)}"
    )


def _recognised(document: Any, origin: str) -> Format:
    """The format that a JSON document is in, told by what it holds."""
    for item in FORMATS.values():
        if item.recognises is not None and item.recognises(document):
            return item
    raise FormatError(f"{origin}: neither this package's JSON, OpenPose's nor COCO's")
