"""NumPy archives: everything results hold, one or many in a file, and nothing lost.

The arrays are those of `dwpose_infer.poses.PoseTable`: the persons of all R pictures
stand one after the other in `keypoints` (N, 133, 2), `scores` (N, 133), both with 17, 23 or 26 in
place of 133 for networks of so many points, as `keypoint_order` says; in `boxes_xyxy` (N, 4),
`box_scores` (N,) and `ids` (N,), and `person_counts` (R,) tells where a picture ends. Besides,
`has_boxes`, `has_box_scores`, `has_ids`, `image_sizes` (R, 2) and `sources` (R,) with
`has_source` say what is known of each picture, `schema_version` and `keypoint_order` what the
file is; `notes` (R,), a JSON list of texts for each picture, is there where one has any. With one
picture `keypoints` is simply that picture's array.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from typing import Any, Final

import numpy as np

from ..arrays import Array
from ..errors import FormatError
from ..files.json_text import decode as decode_json
from ..files.json_text import require, require_version
from ..layouts import WHOLEBODY_133
from ..poses import SCHEMA_VERSION, Poses, PoseTable, unstack
from .format import Format
from .plain_json import points_of_order

_ArrayTypes = dict[str, tuple[type[np.generic], tuple[int, ...]]]

_POINT_ARRAYS: Final = ("keypoints", "scores")
_PERSON_ARRAYS: Final[_ArrayTypes] = {
    "boxes_xyxy": (np.float32, (4,)),
    "box_scores": (np.float32, ()),
    "ids": (np.int64, ()),
}
_PICTURE_ARRAYS: Final[_ArrayTypes] = {
    "person_counts": (np.int64, ()),
    "has_boxes": (np.bool_, ()),
    "has_box_scores": (np.bool_, ()),
    "has_ids": (np.bool_, ()),
    "has_source": (np.bool_, ()),
    "image_sizes": (np.int64, (2,)),
    "sources": (np.str_, ()),
}
_SOURCES: Final = ("sources", "has_source")


def encode(table: PoseTable, *, compress: bool = True) -> bytes:
    """Returns the archive of the persons of pictures, or of frames with two arrays more.

    They are `frame_indices` (R,) int64 and `frame_times_s` (R,) float64, NaN where unknown.

    Args:
        table: The persons.
        compress: Whether to compress the arrays: an eighth smaller, ten times slower to write.
    """
    arrays: dict[str, Any] = {
        name: getattr(table, name)
        for name in (*_POINT_ARRAYS, *_PERSON_ARRAYS, *_PICTURE_ARRAYS)
        if name not in _SOURCES
    }
    sources = ["" if source is None else source for source in table.sources]
    arrays["sources"] = np.array(sources, np.str_)
    arrays["has_source"] = np.array([source is not None for source in table.sources], np.bool_)
    if any(table.notes):
        arrays["notes"] = np.array([json.dumps(notes) for notes in table.notes], np.str_)
    arrays["schema_version"] = np.int64(SCHEMA_VERSION)
    arrays["keypoint_order"] = np.str_(table.layout.name)
    file = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(file, **arrays)
    if table.frame_indices is not None and table.times_s is not None:
        frames = {"frame_indices": table.frame_indices, "frame_times_s": table.times_s}
        with zipfile.ZipFile(file, "a") as archive:  # these two have always stood uncompressed
            for name, array in frames.items():
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
    return file.getvalue()


def decode(data: bytes, *, origin: str) -> list[Poses]:
    """Returns the results an archive holds. No pickled object is ever loaded.

    Raises:
        FormatError: It is not an archive that `encode` made; the message begins with `origin`.
    """
    return unstack(_table(_arrays(data, origin), origin))


def decode_clip(data: bytes, *, origin: str) -> PoseTable:
    """Returns the frames of a clip's archive, with their indices and times.

    Raises:
        FormatError: It is not such an archive, or that of pictures.
    """
    arrays = _arrays(data, origin)
    table = _table(arrays, origin)
    frames = len(table.person_counts)
    for name, kind in (("frame_indices", np.int64), ("frame_times_s", np.float64)):
        require(name in arrays, origin, f"an archive of pictures: it has no array {name}")
        fits = arrays[name].dtype == kind and arrays[name].shape == (frames,)
        require(fits, origin, f"{name} is not one number for each frame")
    return replace(table, frame_indices=arrays["frame_indices"], times_s=arrays["frame_times_s"])


def _table(arrays: dict[str, Any], origin: str) -> PoseTable:
    require("schema_version" in arrays, origin, "not a pose archive: it has no schema_version")
    version = arrays["schema_version"]
    require(version.ndim == 0, origin, "schema_version is not one number")
    require_version(version.item(), SCHEMA_VERSION, origin)

    counts = arrays.get("person_counts")
    require(
        counts is not None and counts.ndim == 1 and counts.dtype == np.int64,
        origin,
        "person_counts is not a list of numbers",
    )
    assert counts is not None
    require(bool((counts >= 0).all()), origin, "person_counts holds a negative number")
    points = points_of_order(str(arrays.get("keypoint_order", WHOLEBODY_133.name)), origin)
    persons: _ArrayTypes = {
        "keypoints": (np.float32, (points, 2)),
        "scores": (np.float32, (points,)),
        **_PERSON_ARRAYS,
    }
    for expected, length in ((persons, int(counts.sum())), (_PICTURE_ARRAYS, len(counts))):
        for name, (kind, shape) in expected.items():
            require(name in arrays, origin, f"it has no array {name}")
            array = arrays[name]
            require(
                np.issubdtype(array.dtype, kind) and array.shape == (length, *shape),
                origin,
                f"{name} is {array.dtype} {array.shape}, expected {kind.__name__} "
                f"{(length, *shape)}",
            )
    sources = tuple(
        source if known else None
        for source, known in zip(
            arrays.pop("sources").tolist(), arrays.pop("has_source").tolist(), strict=True
        )
    )
    names = (*persons, *(name for name in _PICTURE_ARRAYS if name not in _SOURCES))
    notes = _notes(arrays["notes"], len(counts), origin) if "notes" in arrays else ()
    return PoseTable(sources=sources, notes=notes, **{name: arrays[name] for name in names})


def _notes(array: Array, pictures: int, origin: str) -> tuple[tuple[str, ...], ...]:
    fits = array.dtype.kind == "U" and array.shape == (pictures,)
    require(fits, origin, "notes is not one text for each picture")
    return tuple(tuple(decode_json(each, list[str], f"{origin}: notes")) for each in array.tolist())


def _arrays(data: bytes, origin: str) -> dict[str, Any]:
    """Reads every array of an archive."""
    try:
        archive = np.load(io.BytesIO(data), allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise FormatError(f"{origin}: a single NumPy array, not an archive of arrays")
        with archive:
            arrays = {name: archive[name] for name in archive.files}
    except FormatError:
        raise
    except MemoryError as error:
        raise FormatError(f"{origin}: an array in it does not fit into memory") from error
    except Exception as error:  # of zip, of each compression, of the parser of arrays' headers
        raise FormatError(f"{origin}: not a NumPy archive: {error}") from error
    return {name: each for name, each in arrays.items() if isinstance(each, np.ndarray)}


FORMAT: Final = Format(
    name="npz",
    ending=".npz",
    file_name="{stem}.npz",
    per="picture",
    lossless=True,
    description="everything, as NumPy arrays",
    encode=encode,
    decode=decode,
    decode_clip=decode_clip,
    of_clip="file",
    clip_name="{stem}.npz",
)
