"""Parquet: the table of `table` with one row a person, or one row a picture for data sets.

With one row a picture the columns are `schema_version`, `source`, `width`, `height`; `persons`, a
list with the person's columns of the table (`person`, `id`, `box_x1`, ... `nose_x`, ...), empty
where nobody was found; `notes`, what was altered or assumed; and `error`, why a picture could not
be read, null for all others. Unnesting `persons` gives the table, and reading the file gives every
picture that has no error.

Needs pyarrow; pandas reads the files, but is not needed to write or read them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, BinaryIO, Final, TypeVar

import numpy as np

from ..errors import FormatError, needs_extra
from ..files.json_text import require, require_version
from ..layouts import KeypointLayout
from ..poses import SCHEMA_VERSION, Poses, PoseTable, stack, unstack
from .format import Format
from .table import (
    INTEGER_COLUMNS,
    UNKNOWN,
    Rows,
    clip_of,
    columns_of,
    frame_columns,
    is_clip,
    layout_of_columns,
    number_columns,
    results_of,
    rows_of,
    tables_of,
    unicode_sources,
)

METADATA: Final = {b"dwpose_infer.schema_version": str(SCHEMA_VERSION).encode("ascii")}
"""What the metadata of a file holds."""

PICTURE_COLUMNS: Final = (
    *("schema_version", "source", "width", "height", "persons", "notes", "error"),
)
"""Columns of a picture, in order."""

_REPEATED: Final = ["source"]
"""Columns that get dictionaries: numbers hardly ever repeat, and theirs cost time and room."""

_Read = TypeVar("_Read")


def encode_parquet(table: PoseTable) -> bytes:
    """Returns the Parquet table of pictures, or of frames, as `table.encode_csv` has it.

    Its metadata holds `dwpose_infer.schema_version`.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """
    file = io.BytesIO()
    part = _arrow_table(rows_of(table), frame_columns(table))
    import_pyarrow()[1].write_table(part, file, use_dictionary=_REPEATED)
    return file.getvalue()


def write_parquet(file: BinaryIO, pictures: Iterable[Poses]) -> None:
    """Writes the table of `encode_parquet` of any number of pictures, a few in memory at a time.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """
    first_picture, writer = 0, None
    for table in tables_of(pictures):
        part = _arrow_table(rows_of(table, first_picture=first_picture), {})
        writer = writer or import_pyarrow()[1].ParquetWriter(
            file, part.schema, use_dictionary=_REPEATED
        )
        writer.write_table(part)
        first_picture += len(table.person_counts)
    if writer is not None:
        writer.close()


def _arrow_table(rows: Rows, frames: Mapping[str, Any]) -> Any:
    pyarrow, _ = import_pyarrow()
    arrays = {**_integers(rows, INTEGER_COLUMNS), **_numbers(rows)}
    arrays["source"] = pyarrow.array(rows.sources, pyarrow.string())
    columns = {name: arrays[name] for name in columns_of(rows.layout)}
    for name, values in frames.items():
        columns[name] = pyarrow.array(values, mask=np.isnan(values))
    return pyarrow.table(columns, metadata=METADATA)


def picture_rows(pictures: Sequence[Poses], errors: Sequence[str | None]) -> Any:
    """Returns a `pyarrow.Table` with one row a picture.

    Args:
        pictures: The results; of a picture that could not be read nobody, with its source.
        errors: For each, why it could not be read, or None.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """
    pyarrow, _ = import_pyarrow()
    stacked = stack(pictures)
    rows = rows_of(stacked).of_persons()
    people = {**_integers(rows, ("person", "id")), **_numbers(rows)}
    offsets = np.concatenate([[0], np.cumsum(stacked.person_counts)])
    failed = np.array([error is not None for error in errors], bool)
    absent = np.append(failed, False)  # an offset that is null makes its list null
    sizes = [pyarrow.array(side, mask=side < 0) for side in stacked.image_sizes.T]
    columns = (
        pyarrow.array(np.full(len(pictures), SCHEMA_VERSION, np.int64)),
        pyarrow.array(unicode_sources(stacked), pyarrow.string()),
        *sizes,
        pyarrow.ListArray.from_arrays(
            pyarrow.array(offsets.astype(np.int32), mask=absent),
            pyarrow.StructArray.from_arrays(list(people.values()), names=list(people)),
        ),
        pyarrow.array([list(notes) for notes in stacked.notes], pyarrow.list_(pyarrow.string())),
        pyarrow.array(list(errors), pyarrow.string()),
    )
    return pyarrow.table(dict(zip(PICTURE_COLUMNS, columns, strict=True)), metadata=METADATA)


def _integers(rows: Rows, names: Sequence[str]) -> dict[str, Any]:
    pyarrow, _ = import_pyarrow()
    columns = {name: rows.integers[name] for name in names}
    return {name: pyarrow.array(each, mask=each == UNKNOWN) for name, each in columns.items()}


def _numbers(rows: Rows) -> dict[str, Any]:
    pyarrow, _ = import_pyarrow()
    columns = zip(number_columns(rows.layout), np.ascontiguousarray(rows.numbers.T), strict=True)
    return {name: pyarrow.array(each, mask=np.isnan(each)) for name, each in columns}


def decode_parquet(data: bytes, *, origin: str) -> list[Poses]:
    """Returns the results of a Parquet table.

    Of a table with one row a person, every picture; with one row a picture, each that has no
    error.

    Raises:
        FormatError: It is not such a table; the message begins with `origin`.
        MissingDependencyError: pyarrow is not installed.
    """

    def read(table: Any) -> list[Poses]:
        if "persons" in table.column_names:
            return _pictures_of(table, origin)
        return results_of(_rows_of_persons(table, origin), origin)

    return _read_parquet(data, origin, read)


def decode_parquet_clip(data: bytes, *, origin: str) -> PoseTable:
    """Returns the frames of a clip's Parquet table, with their indices and times.

    Raises:
        FormatError: It is not such a table, or that of pictures.
        MissingDependencyError: pyarrow is not installed.
    """
    return _read_parquet(
        data, origin, lambda table: clip_of(_rows_of_persons(table, origin), origin)
    )


def _read_parquet(data: bytes, origin: str, read: Callable[[Any], _Read]) -> _Read:
    pyarrow, parquet = import_pyarrow()
    try:
        return read(parquet.read_table(pyarrow.BufferReader(data)))
    except FormatError:
        raise
    except Exception as error:  # Arrow's own, and UnicodeDecodeError, MemoryError and others
        raise FormatError(f"{origin}: not a Parquet table of poses: {error}") from error


def _rows_of_persons(table: Any, origin: str) -> Rows:
    pyarrow, _ = import_pyarrow()
    layout = layout_of_columns(table.column_names, origin, columns=columns_of)
    integers = {name: _whole(table[name]) for name in INTEGER_COLUMNS}
    numbers = [table[name].cast(pyarrow.float32()).to_numpy() for name in number_columns(layout)]
    sources = table["source"].cast(pyarrow.string()).to_pylist()
    frames = times_s = None
    if is_clip(table.column_names):
        frames = _whole(table["frame"])
        times_s = table["time_s"].cast(pyarrow.float64()).to_numpy()
    return Rows(integers, sources, np.stack(numbers, axis=1), layout, frames, times_s)


def _whole(column: Any, unknown: int = UNKNOWN) -> Any:
    pyarrow, _ = import_pyarrow()
    return column.cast(pyarrow.int64()).fill_null(unknown).to_numpy(zero_copy_only=False)


def _pictures_of(table: Any, origin: str) -> list[Poses]:
    """The pictures of a table that has a row for each."""
    pyarrow, _ = import_pyarrow()
    missing = [name for name in PICTURE_COLUMNS if name not in table.column_names]
    require(not missing, origin, f"not a table of pictures: it lacks {', '.join(missing)}")
    table = table.filter(table["error"].is_null())
    for version in np.unique(_whole(table["schema_version"])).tolist():
        require_version(version, SCHEMA_VERSION, origin)
    lists = table["persons"].combine_chunks()
    people = lists.flatten()
    counts = np.asarray(lists.value_lengths().fill_null(0), np.int64)
    names = [each.name for each in people.type]
    layout = layout_of_columns(names, f"{origin}: persons", columns=_person_columns)
    numbers = np.stack(
        [
            people.field(name).cast(pyarrow.float32()).to_numpy(zero_copy_only=False)
            for name in number_columns(layout)
        ],
        axis=1,
    )
    boxes, box_scores, points = np.split(numbers, [4, 5], axis=1)
    points = points.reshape(-1, len(layout), 3)
    ids = _whole(people.field("id"), -1)
    picture = np.repeat(np.arange(len(counts)), counts)
    stacked = PoseTable(
        person_counts=counts,
        keypoints=np.ascontiguousarray(points[..., :2]),
        scores=np.ascontiguousarray(points[..., 2]),
        boxes_xyxy=boxes,
        box_scores=box_scores[:, 0],
        ids=ids,
        # Of nobody no column can be unknown.
        has_boxes=_all_of_picture(~np.isnan(boxes).any(axis=1), picture, counts),
        has_box_scores=_all_of_picture(~np.isnan(box_scores[:, 0]), picture, counts),
        has_ids=_all_of_picture(ids >= 0, picture, counts) & (counts > 0),
        image_sizes=np.stack([_whole(table[side], -1) for side in ("width", "height")], axis=1),
        sources=tuple(table["source"].cast(pyarrow.string()).to_pylist()),
        notes=tuple(tuple(notes or ()) for notes in table["notes"].to_pylist()),
    )
    return unstack(stacked)


def _person_columns(layout: KeypointLayout) -> list[str]:
    """Columns of a person in a row that is a picture's."""
    return ["person", "id", *number_columns(layout)]


def _all_of_picture(known: Any, picture: Any, counts: Any) -> Any:
    """Whether something is known of all persons of each picture, (R,) bool."""
    return np.bincount(picture, weights=~known, minlength=len(counts)) == 0


def import_pyarrow() -> tuple[ModuleType, ModuleType]:
    """Returns pyarrow and its Parquet module.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """
    with needs_extra("Parquet files need pyarrow", "table"):
        import pyarrow
        import pyarrow.parquet
    return pyarrow, pyarrow.parquet


def _check_pyarrow(sources: Sequence[str]) -> None:
    """Finds out whether Parquet can be written at all."""
    import_pyarrow()


PARQUET: Final = Format(
    name="parquet",
    ending=".parquet",
    file_name="poses.parquet",
    per="run",
    lossless=False,
    description="the same table as Parquet; needs pyarrow",
    encode=encode_parquet,
    write_pictures=write_parquet,
    decode=decode_parquet,
    decode_clip=decode_parquet_clip,
    of_clip="file",
    clip_name="{stem}.parquet",
    check=_check_pyarrow,
)
