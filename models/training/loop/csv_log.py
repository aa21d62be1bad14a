"""Tables of a training run as CSV files that survive kills and resumes.

A row is appended and reaches the disk at once. A run that goes on from a checkpoint first drops
the rows written after it, so that no step ever stands in the table twice.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from ....closing import ClosesOnExit
from ....errors import FormatError
from ....files.journal import Journal, whole_lines

STEP_COLUMN = "step"

Value = int | float


class CsvLog(ClosesOnExit):
    """One table: a header, then one row for each entry, in the order of the steps.

    Attributes:
        path: The file; made with the first row.
    """

    def __init__(self, path: Path, *, last_step: int) -> None:
        """Opens a table to go on with it, or begins it.

        Args:
            path: The file; need not exist.
            last_step: Last step whose row stays; later rows are dropped, and so is a last one
                that a kill cut off.

        Raises:
            FormatError: The file that is there is no such table.
            OutputError: The file cannot be written.
        """
        self.path = path
        lines, rows = _read_whole_rows(path)
        kept = [number for number, row in rows.items() if int(row[STEP_COLUMN]) <= last_step]
        self._columns = tuple(rows[kept[0]]) if kept else ()
        self._journal: Journal | None = None
        if path.exists():
            self._journal = Journal(path, kept_bytes=sum(map(len, lines[: max(kept, default=0)])))

    def append(self, row: Mapping[str, Value]) -> None:
        """Adds a row; numbers are written with all their digits.

        Args:
            row: A value for every column, one of which is `step`; NaN stands as an empty field.

        Raises:
            FormatError: The table that is gone on with has other columns.
            OutputError: The file cannot be written.
        """
        text = _line([_field(value) for value in row.values()])
        if self._columns and self._columns != tuple(row):
            raise FormatError(
                f"{self.path} has the columns {', '.join(self._columns)}, but this run has "
                f"{', '.join(row)}; move the file away or use another folder"
            )
        if not self._columns:
            text = _line(list(row)) + text
        self._journal = self._journal or Journal(self.path)
        self._journal.add(text.encode())
        self._columns = tuple(row)

    def close(self) -> None:
        """Closes the file; may be called again."""
        if self._journal is not None:
            self._journal.close()


def read_table(path: Path) -> dict[str, list[float]]:
    """Reads a table's columns.

    Args:
        path: A file that `CsvLog` wrote; one that is missing holds no rows.

    Returns:
        Column -> its numbers, NaN for empty fields; nothing where there are no rows.

    Raises:
        FormatError: The file is not such a table.
    """
    rows = list(_read_whole_rows(path)[1].values())
    if not rows:
        return {}
    try:
        return {name: [float(row[name] or "nan") for row in rows] for name in rows[0]}
    except ValueError as error:
        raise FormatError(f"{path} holds something that is not a number: {error}") from error


def _read_whole_rows(path: Path) -> tuple[list[bytes], dict[int, dict[str, str]]]:
    """The lines without a last one that a kill cut off, and the rows by their lines' numbers."""
    try:
        lines = whole_lines(path.read_bytes())
        text = b"".join(lines).decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return [], {}
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} cannot be read as a table: {error}") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    rows = {}
    for row in reader:
        if None in row or None in row.values() or not (row.get(STEP_COLUMN) or "").isdecimal():
            raise FormatError(f"{path} is not a table of a training run: {row}")
        rows[reader.line_num] = row
    return lines, rows


def _field(value: Value) -> str:
    return "" if math.isnan(value) else repr(value)


def _line(fields: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue()
