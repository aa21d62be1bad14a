"""Files of lines that survive a kill: lines are added and never changed.

A line is with the operating system when it has been added, so a crash of the program can leave
at most the last one torn; a crash of the machine can cost what was not forced to the disk yet.
Whoever goes on with such a file finds out what of it is whole and lets `Journal` cut off the rest.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import BinaryIO, TypeVar

from ..closing import ClosesOnExit
from ..errors import FormatError, InvalidArgumentError, OutputError
from .atomic import writing

Line = TypeVar("Line")


class Journal(ClosesOnExit):
    """Adds lines to a file; use it in a `with` statement.

    Attributes:
        path: The file.
    """

    def __init__(
        self, path: str | PathLike[str], *, kept_bytes: int = 0, sync_interval_s: float = 0.0
    ) -> None:
        """Opens the file; missing folders are made.

        Args:
            path: The file.
            kept_bytes: How much of what is there is whole and stays; the rest is cut off.
            sync_interval_s: How often the file is forced to the disk itself; 0 is for every line.

        Raises:
            OutputError: The file cannot be written.
        """
        self.path = Path(path)
        self._sync_interval_s = sync_interval_s
        self._synced_s = time.monotonic()
        self._closed = False
        with writing(path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = self.path.open("r+b" if kept_bytes else "wb")
            if kept_bytes:
                self._file.seek(kept_bytes)
                self._file.truncate()

    def add(self, lines: bytes) -> None:
        """Adds lines, each with its end.

        Raises:
            InvalidArgumentError: The file is closed.
            OutputError: The file cannot be written; it is closed without these lines.
        """
        if self._closed:
            raise InvalidArgumentError(f"{self.path} is closed")
        place = self._file.tell()
        try:
            with writing(self.path):
                self._file.write(lines)
                self._file.flush()
                if time.monotonic() - self._synced_s >= self._sync_interval_s:
                    self._sync()
        except OutputError:
            self._take_back(place)
            raise

    def _take_back(self, place: int) -> None:
        self._closed = True
        with suppress(OSError):  # its buffer cannot be written either
            self._file.close()
        with suppress(OSError):  # it stays torn, which readers recognise
            os.truncate(self.path, place)

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced_s = time.monotonic()

    def close(self) -> None:
        """Forces the file to the disk and closes it; may be called again.

        Raises:
            OutputError: That failed.
        """
        if self._closed:
            return
        self._closed = True
        with writing(self.path), self._file:
            self._file.flush()
            self._sync()


def whole_lines(data: bytes) -> list[bytes]:
    """Returns the lines of a file with their ends, without a torn last one."""
    return data[: data.rfind(b"\n") + 1].splitlines(keepends=True)


def last_whole_line(path: Path, decode: Callable[[bytes], Line]) -> tuple[int, Line | None]:
    """Finds the end of a file's last line that can be decoded, without reading the others.

    Args:
        path: The file; need not exist.
        decode: Returns what a line holds; raises `FormatError` where that is nothing. After a
            crash of the machine this can be so even of a line that has an end.

    Returns:
        Where the line ends, and what it holds; 0 and None where there is no whole line.

    Raises:
        FormatError: There are whole lines, but neither of the last two can be decoded.
        OutputError: The file cannot be read, so nothing can be added to it.
    """
    problem: FormatError | None = None
    for end, line in _last_lines(path):
        try:
            return end, decode(line)
        except FormatError as error:
            problem = error
    if problem is not None:
        raise FormatError(f"{problem}; this is no log that can be gone on with") from problem
    return 0, None


def _last_lines(path: Path) -> list[tuple[int, bytes]]:
    """Where the last two whole lines end, last first, and the lines."""
    lines: list[tuple[int, bytes]] = []
    with writing(path):
        if not path.is_file() or path.stat().st_size == 0:  # nothing to map
            return lines
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            end = data.rfind(b"\n") + 1
            while end > 0 and len(lines) < 2:
                start = data.rfind(b"\n", 0, end - 1) + 1
                lines.append((end, data[start:end]))
                end = start
    return lines
