"""Tables of a training run as CSV files that survive kills and resumes.

A row is appended and reaches the disk at once. A run that goes on from a checkpoint first drops
the rows written after it, so that no step ever stands in the table twice.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...errors import FormatError, OutputError
from ...files.atomic import write_bytes

STEP_COLUMN = "step"

Value = int | float


class CsvLog:
    """One table: a header, then one row for each entry, in the order of the steps.

    Attributes:
        path: The file.
        columns: Names of the columns; one of them is `step`.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        """Opens a table to go on with it, or begins it.

        Args:
            path: The file; made where it is missing.
            columns: Names of the columns.

        Raises:
            FormatError: The file that is there is another table.
            OutputError: The file cannot be written.
        """
        self.path = path
        self.columns = tuple(columns)
        rows = _read_whole_rows(path)
        if rows and tuple(rows[0]) != self.columns:
            raise FormatError(
                f"{path} has the columns {', '.join(rows[0])}, but this run has "
                f"{', '.join(self.columns)}; move the file away or use another folder"
            )
        if not rows:
            _write(path, self.columns, [])

    def append(self, row: Mapping[str, Value]) -> None:
        """Adds a row; numbers are written with all their digits.

        Args:
            row: A value for every column; NaN stands as an empty field.

        Raises:
            OutputError: The file cannot be written.
        """
        fields = [_field(row[name]) for name in self.columns]
        try:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                file.write(_line(fields))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error}") from error


def drop_rows_after(path: Path, step: int) -> None:
    """Takes later rows out of a table, and a last row that a kill cut off.

    Args:
        path: A file that `CsvLog` wrote, or none.
        step: Last step whose row stays.

    Raises:
        FormatError: The file is not such a table.
        OutputError: The file cannot be written.
    """
    rows = _read_whole_rows(path)
    if path.exists():
        kept = [row for row in rows if int(row[STEP_COLUMN]) <= step]
        _write(path, list(rows[0]) if rows else [], kept)


def read_table(path: Path) -> dict[str, list[float]]:
    """Reads a table's columns.

    Args:
        path: A file that `CsvLog` wrote; one that is missing holds no rows.

    Returns:
        Column -> its numbers, NaN for empty fields; nothing where there are no rows.

    Raises:
        FormatError: The file is not such a table.
    """
    rows = _read_whole_rows(path)
    if not rows:
        return {}
    try:
        return {name: [float(row[name] or "nan") for row in rows] for name in rows[0]}
    except ValueError as error:
        raise FormatError(f"{path} holds something that is not a number: {error}") from error


def _read_whole_rows(path: Path) -> list[dict[str, str]]:
    """Rows without a last one that a kill cut off."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} cannot be read as a table: {error}") from error
    whole = text[: text.rfind("\n") + 1]
    reader = csv.DictReader(io.StringIO(whole, newline=""))
    rows = list(reader)
    for row in rows:
        if None in row or None in row.values() or not (row.get(STEP_COLUMN) or "").isdecimal():
            raise FormatError(f"{path} is not a table of a training run: {row}")
    return rows


def _write(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
    lines = [_line(columns)] if columns else []
    lines += [_line(list(row.values())) for row in rows]
    write_bytes(path, "".join(lines).encode())


def _field(value: Value) -> str:
    return "" if math.isnan(value) else repr(value)


def _line(fields: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue()
