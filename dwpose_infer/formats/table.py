"""Tables: one row a person, and one a picture with nobody, as CSV; `parquet` writes the same.

Columns, in this order: `schema_version`; `picture`, the place of the picture among those saved,
from 0; `source`, `width`, `height`; `person`, the place of the person in the picture, from 0;
`id`; `box_x1`, `box_y1`, `box_x2`, `box_y2`, `box_score`; then `<name>_x`, `<name>_y` and
`<name>_score` of each of the names of the poses' layout, which are the 133 of
`dwpose_infer.keypoints.KEYPOINT_NAMES`, or the 17, 23 or 26 of another network. Coordinates are
pixels of the picture.

What is unknown, and the coordinates of an absent point, are empty cells in CSV and nulls in
Parquet. Every float32 comes back exactly. A picture with nobody on it has one row, in which
`person` and everything after it are empty.

A source that begins as a formula does in spreadsheets (=, +, -, @) has an apostrophe before it in
CSV, which reading takes away again.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, BinaryIO, Final

import numpy as np

from ..arrays import Array, Float32Array, Float64Array, Int64Array
from ..errors import FormatError
from ..files.json_text import require, require_version, shortest_decimals
from ..layouts import LAYOUTS, WHOLEBODY_133, KeypointLayout
from ..poses import SCHEMA_VERSION, Poses, PoseTable, stack
from .format import Format

_FORMULA_BEGINS: Final = "=+-@\t\r"
"""First characters by which spreadsheets take a cell for a formula."""

PICTURES_TOGETHER: Final = 1024
"""Pictures in memory at a time while a table of many is written."""

UNKNOWN: Final = int(np.iinfo(np.int64).min)
"""Stands in the arrays of whole numbers for an empty cell."""

INTEGER_COLUMNS: Final = ("schema_version", "picture", "width", "height", "person", "id")
"""Columns of whole numbers."""

_BOX_COLUMNS: Final = ("box_x1", "box_y1", "box_x2", "box_y2", "box_score")


def number_columns(layout: KeypointLayout) -> list[str]:
    """Returns the columns of float32 numbers, in order."""
    points = [f"{name}_{value}" for name in layout.point_names for value in ("x", "y", "score")]
    return [*_BOX_COLUMNS, *points]


def columns_of(layout: KeypointLayout) -> list[str]:
    """Returns all columns of a table, in order."""
    first = ("schema_version", "picture", "source", "width", "height", "person", "id")
    return [*first, *number_columns(layout)]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """N rows: whole numbers (N,) int64 by column, sources, and numbers (N, 5 + 3 K) float32.

    The numbers are the columns of `number_columns(layout)`, with K points. In the row of a picture
    with nobody `person` is UNKNOWN, and so is all that is a person's. Those of a clip have the
    index of the frame (N,) int64 and its time (N,) float64, too.
    """

    integers: dict[str, Int64Array]
    sources: list[str | None]
    numbers: Float32Array
    layout: KeypointLayout
    frames: Int64Array | None = None
    times_s: Float64Array | None = None

    def of_persons(self) -> Rows:
        """Returns the rows that are a person's; of a clip's, without the frames."""
        (wanted,) = np.nonzero(self.integers["person"] != UNKNOWN)
        return Rows(
            {name: column[wanted] for name, column in self.integers.items()},
            [self.sources[index] for index in wanted.tolist()],
            self.numbers[wanted],
            self.layout,
        )


def encode_csv(table: PoseTable) -> bytes:
    """Returns the CSV table of pictures, or of frames with the columns `frame` and `time_s`.

    It is UTF-8 with commas, a header line and line feeds.
    """
    return _csv_text(table, header=True, first_picture=0)


def write_csv(file: BinaryIO, pictures: Iterable[Poses]) -> None:
    """Writes the table of `encode_csv` of any number of pictures, a few in memory at a time."""
    first_picture = 0
    for table in tables_of(pictures):
        file.write(_csv_text(table, header=first_picture == 0, first_picture=first_picture))
        first_picture += len(table.person_counts)


def tables_of(pictures: Iterable[Poses]) -> Iterator[PoseTable]:
    """Yields the pictures, some in a table; a table of none where there is none."""
    waiting = iter(pictures)
    part = list(islice(waiting, PICTURES_TOGETHER))
    yield stack(part)
    while part := list(islice(waiting, PICTURES_TOGETHER)):
        yield stack(part)


def _csv_text(table: PoseTable, *, header: bool, first_picture: int) -> bytes:
    rows, frames = rows_of(table, first_picture=first_picture), frame_columns(table)
    integers = {
        name: ["" if value == UNKNOWN else value for value in column.tolist()]
        for name, column in rows.integers.items()
    }
    added = [_blank_nan(column.tolist()) for column in frames.values()]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    columns = columns_of(table.layout)
    if header:
        writer.writerow([*columns, *frames])
    for index, numbers in enumerate(shortest_decimals(rows.numbers).tolist()):
        cells = {name: column[index] for name, column in integers.items()}
        cells["source"] = _as_text(rows.sources[index] or "")
        head = [cells[name] for name in columns if name in cells]
        writer.writerow([*head, *_blank_nan(numbers), *(column[index] for column in added)])
    return file.getvalue().encode()


def _blank_nan(values: list[Any]) -> list[Any]:
    return ["" if math.isnan(value) else value for value in values]


def decode_csv(data: bytes, *, origin: str) -> list[Poses]:
    """Returns the results of a CSV table, one for each picture.

    Columns may stand in any order and others beside them; rows may be missing or sorted anew.

    Raises:
        FormatError: It is not such a table; the message begins with `origin`.
    """
    return results_of(_read_csv(data, origin), origin)


def decode_csv_clip(data: bytes, *, origin: str) -> PoseTable:
    """Returns the frames of a clip's CSV table, with their indices and times.

    Raises:
        FormatError: It is not such a table, or that of pictures; the message begins with `origin`.
    """
    return clip_of(_read_csv(data, origin), origin)


def _read_csv(data: bytes, origin: str) -> Rows:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{origin}: not a table in UTF-8: {error}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    integers: list[list[int]] = []
    sources: list[str | None] = []
    numbers: list[Float32Array] = []
    frames: list[tuple[int, float]] = []
    try:
        header = next(reader, [])
        layout = layout_of_columns(header, origin, columns=columns_of)
        numbered = number_columns(layout)
        place = {name: index for index, name in enumerate(header)}
        for row in reader:
            if len(row) != len(header):
                raise ValueError(f"{len(row)} cells, expected {len(header)}")
            integers.append([_whole(row[place[name]]) for name in INTEGER_COLUMNS])
            sources.append(_from_text(row[place["source"]]) or None)
            cells = [row[place[name]] or "nan" for name in numbered]
            with np.errstate(over="ignore"):
                numbers.append(np.array(cells, np.float64).astype(np.float32))
            if is_clip(header):
                frames.append((_whole(row[place["frame"]]), float(row[place["time_s"]] or "nan")))
    except (ValueError, OverflowError, csv.Error) as error:
        raise FormatError(f"{origin}, line {reader.line_num}: {error}") from error
    columns = np.array(integers, np.int64).reshape(-1, len(INTEGER_COLUMNS)).T
    stacked = np.array(numbers, np.float32).reshape(-1, len(numbered))
    rows = Rows(dict(zip(INTEGER_COLUMNS, columns, strict=True)), sources, stacked, layout)
    if not is_clip(header):
        return rows
    return replace(
        rows,
        frames=np.array([index for index, _ in frames], np.int64),
        times_s=np.array([time_s for _, time_s in frames], np.float64),
    )


def frame_columns(table: PoseTable) -> dict[str, Array]:
    """Name -> (N,) values of the columns that the rows of a clip have besides."""
    if table.frame_indices is None or table.times_s is None:
        return {}
    picture = _picture_of_rows(table)
    return {"frame": table.frame_indices[picture], "time_s": table.times_s[picture]}


def _picture_of_rows(table: PoseTable) -> Int64Array:
    """(N,) int64: every picture as often as it has persons, once where it has none."""
    return np.repeat(np.arange(len(table.person_counts)), np.maximum(table.person_counts, 1))


def rows_of(stacked: PoseTable, *, first_picture: int = 0) -> Rows:
    """Returns the rows of all pictures, of which the first has the number given."""
    picture = _picture_of_rows(stacked)
    somebody = stacked.person_counts[picture] > 0
    first_row = np.searchsorted(picture, picture)
    sizes = np.where(stacked.image_sizes < 0, UNKNOWN, stacked.image_sizes)[picture]
    ids = np.full(len(picture), UNKNOWN)
    ids[somebody] = np.where(stacked.has_ids[stacked.rows()], stacked.ids, UNKNOWN)
    sources = unicode_sources(stacked)
    integers = {
        "schema_version": np.full(len(picture), SCHEMA_VERSION, np.int64),
        "picture": first_picture + picture,
        "width": sizes[:, 0],
        "height": sizes[:, 1],
        "person": np.where(somebody, np.arange(len(picture)) - first_row, UNKNOWN),
        "id": ids,
    }
    numbers = np.full((len(picture), len(number_columns(stacked.layout))), np.nan, np.float32)
    points = np.concatenate([stacked.keypoints, stacked.scores[..., None]], axis=2)
    flat = points.reshape(len(points), 3 * len(stacked.layout))
    parts = [stacked.boxes_xyxy, stacked.box_scores[:, None], flat]
    numbers[somebody] = np.concatenate(parts, axis=1)
    return Rows(
        integers=integers,
        sources=[sources[index] for index in picture.tolist()],
        numbers=numbers,
        layout=stacked.layout,
    )


def unicode_sources(stacked: PoseTable) -> list[str | None]:
    """The sources, of which those that are no valid Unicode, as Linux allows, get escapes."""
    return [
        None if source is None else source.encode("utf-8", "backslashreplace").decode()
        for source in stacked.sources
    ]


def results_of(rows: Rows, origin: str) -> list[Poses]:
    """Returns the pictures; raises `FormatError` where there is none to be made of the rows."""
    return [_picture(rows, indices) for indices in _pictures(rows, origin)]


def clip_of(rows: Rows, origin: str) -> PoseTable:
    """Returns the frames; raises `FormatError` where it is no table of a clip."""
    if rows.frames is None or rows.times_s is None:
        raise FormatError(f"{origin}: a table of pictures: it lacks the columns frame and time_s")
    require(bool((rows.frames >= 0).all()), origin, "frame is not a whole number from 0")
    pictures = _pictures(rows, origin)
    results = [_picture(rows, indices) for indices in pictures]
    first = [indices[0] for indices in pictures]
    return stack(results).at(rows.frames[first].tolist(), rows.times_s[first].tolist())


def _pictures(rows: Rows, origin: str) -> list[list[int]]:
    """The rows of each picture, in order."""
    for version in np.unique(rows.integers["schema_version"]).tolist():
        require_version(version, SCHEMA_VERSION, origin)
    complete = bool((rows.integers["picture"] != UNKNOWN).all())
    require(complete, origin, "the column picture has an empty cell")
    nobody = rows.integers["person"] == UNKNOWN
    empty = bool(np.isnan(rows.numbers[nobody]).all())
    require(empty, origin, "the column person has an empty cell in a row with points")
    pictures: dict[tuple[int, str | None], list[int]] = {}
    for index in np.lexsort((rows.integers["person"], rows.integers["picture"])).tolist():
        key = (int(rows.integers["picture"][index]), rows.sources[index])
        pictures.setdefault(key, []).append(index)
    return list(pictures.values())


def _picture(rows: Rows, row_indices: list[int]) -> Poses:
    persons = rows.integers["person"][row_indices] != UNKNOWN
    indices = np.array(row_indices, np.int64)[persons]
    boxes, box_scores, points = np.split(rows.numbers[indices], [4, 5], axis=1)
    points = points.reshape(-1, len(rows.layout), 3)
    ids = rows.integers["id"][indices]
    width, height = (int(rows.integers[side][row_indices[0]]) for side in ("width", "height"))
    return Poses(
        keypoints=np.ascontiguousarray(points[..., :2]),
        scores=np.ascontiguousarray(points[..., 2]),
        # Of nobody no column can be unknown, except identities, which few have.
        boxes_xyxy=None if len(boxes) and np.isnan(boxes).all() else boxes,
        box_scores=None if len(boxes) and np.isnan(box_scores).all() else box_scores[:, 0],
        ids=None if not len(ids) or (ids == UNKNOWN).any() else ids,
        image_size=None if UNKNOWN in (width, height) else (width, height),
        source=rows.sources[row_indices[0]],
    )


def is_clip(names: Sequence[str]) -> bool:
    """Tells whether columns are those of a clip."""
    return {"frame", "time_s"} <= set(names)


def layout_of_columns(
    names: Sequence[str], origin: str, *, columns: Callable[[KeypointLayout], list[str]]
) -> KeypointLayout:
    """Returns the smallest layout that has all points of which there are columns.

    Args:
        names: Columns of a table.
        origin: What errors call it.
        columns: Gives the columns that a table of a layout has.

    Raises:
        FormatError: Columns are missing.
    """
    given = set(names)
    by_size = sorted(LAYOUTS.values(), key=len)
    points = {name for layout in by_size for name in layout.point_names if f"{name}_x" in given}
    fitting = (layout for layout in by_size if points <= set(layout.point_names))
    layout = next(fitting, WHOLEBODY_133)
    missing = [name for name in columns(layout) if name not in given]
    listed = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
    require(not missing, origin, f"not a table of poses: it lacks the columns {listed}")
    return layout


def _as_text(cell: str) -> str:
    """Returns a cell that no spreadsheet takes for a formula."""
    begins = cell.lstrip("'")[:1]
    return f"'{cell}" if begins and begins in _FORMULA_BEGINS else cell


def _from_text(cell: str) -> str:
    """Returns what `_as_text` was given."""
    return cell[1:] if cell[:1] == "'" and cell[1:] != "" and _as_text(cell[1:]) == cell else cell


def _whole(cell: str) -> int:
    """Reads a whole number; pandas writes 7.0 for 7 in a column with empty cells."""
    if not cell:
        return UNKNOWN
    if not float(cell).is_integer():
        raise ValueError(f"{cell!r} is not a whole number")
    number = int(cell) if cell.lstrip("+-").isdecimal() else int(float(cell))
    if abs(number) >= 2**63:
        raise ValueError(f"{cell} is a number of more than 64 bits")
    return number


CSV: Final = Format(
    name="csv",
    ending=".csv",
    file_name="poses.csv",
    per="run",
    lossless=False,
    description="a table with one row a person",
    encode=encode_csv,
    write_pictures=write_csv,
    decode=decode_csv,
    decode_clip=decode_csv_clip,
    of_clip="file",
    clip_name="{stem}.csv",
)
