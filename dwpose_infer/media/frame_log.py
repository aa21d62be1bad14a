"""Results frame by frame in one text file that survives crashes: a JSON object a line.

Each line is the object of `dwpose_infer.formats.plain_json` with three more fields: `frame`, the
index in the clip; `time_s`; and `damage`, null, or what was wrong with a frame that has no result,
which then has no persons. A line is with the operating system when `write` returns, so a crash of
the program can leave at most the last line torn; a crash of the machine can cost the last second.
Torn ends are recognised, left out when the file is read, and written over when it goes on.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Final

from ..closing import ClosesOnExit
from ..errors import FormatError, InputError, InvalidArgumentError, OutputError
from ..files.atomic import reason_of
from ..files.json_text import dump, require
from ..formats.plain_json import result_from_dict, result_to_dict
from ..results import PoseResult

SYNC_INTERVAL_S: Final = 1.0
"""How often the file is forced to the disk itself."""

_BLOCK_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True, eq=False)
class LoggedFrame:
    """One line of a log.

    Attributes:
        index: Index of the frame in its clip, from 0.
        time_s: Its time in seconds.
        result: What was found in it, or None for a damaged frame.
        damage: What was wrong with a damaged frame, or None.
    """

    index: int
    time_s: float | None
    result: PoseResult | None
    damage: str | None = None


class FrameLog(ClosesOnExit):
    """Writes such a file; use it in a `with` statement.

    Attributes:
        path: The file.
        last: The last complete line of an earlier run that is gone on with, or None.
        next_index: Index after that of the last frame in the file; 0 for an empty one. A run
            that goes on gives it to `open_source` as `start=f"{log.next_index}f"`.
    """

    def __init__(self, path: str | PathLike[str], *, resume: bool = False) -> None:
        """Opens the file.

        Args:
            path: File to write, usually ending with .jsonl.
            resume: Go on after the last complete line of what is there; False replaces it.

        Raises:
            OutputError: The file cannot be written.
            FormatError: What is there is no such log.
        """
        self.path = Path(path)
        self.last: LoggedFrame | None = None
        self._closed = False
        self._synced = time.monotonic()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            exists = resume and self.path.is_file()
            self._file: BinaryIO = self.path.open("r+b" if exists else "wb")
            if exists:
                self._go_on()
        except OSError as error:
            raise OutputError(f"cannot write {path}: {reason_of(error)}") from error
        except ValueError as error:  # a null character in the path
            raise OutputError(f"cannot write {str(path)!r}: {error}") from error
        self.next_index = 0 if self.last is None else self.last.index + 1

    def _go_on(self) -> None:
        try:
            end, self.last = _last_complete(self._file, str(self.path))
        except FormatError:
            self._file.close()
            raise
        self._file.seek(end)
        self._file.truncate()

    def write(self, index: int, time_s: float | None, result: PoseResult) -> None:
        """Adds a frame.

        Args:
            index: Its index in the clip; must exceed the one before.
            time_s: Its time in seconds.
            result: What was found in it.

        Raises:
            InvalidArgumentError: The index does not exceed the one before.
            OutputError: The file cannot be written; every line before this one is whole.
        """
        self._add(index, time_s, result_to_dict(result), None)

    def write_damaged(self, index: int, time_s: float | None, damage: str) -> None:
        """Adds a frame that could not be decoded; the arguments and errors are as in `write`.

        Args:
            index: Its index in the clip.
            time_s: Its time in seconds, or None.
            damage: What is wrong, in words.
        """
        self._add(index, time_s, result_to_dict(PoseResult.empty()), damage)

    def _add(
        self, index: int, time_s: float | None, document: dict[str, Any], damage: str | None
    ) -> None:
        if self._closed:
            raise InvalidArgumentError(f"{self.path} is closed")
        if index < self.next_index:
            raise InvalidArgumentError(
                f"{self.path}: frame {index} comes after frame {self.next_index - 1}"
            )
        line = dump({"frame": index, "time_s": time_s, "damage": damage, **document})
        place = self._file.tell()
        try:
            self._file.write(line)
            self._file.flush()
            if time.monotonic() - self._synced >= SYNC_INTERVAL_S:
                self._sync()
        except OSError as error:
            self._take_back(place)
            raise OutputError(
                f"cannot write {self.path}: {reason_of(error)}; it holds the frames up to "
                f"{self.next_index - 1}"
            ) from error
        self.next_index = index + 1

    def _take_back(self, place: int) -> None:
        """Closes the file without the torn line of a write that failed."""
        self._closed = True
        with suppress(OSError):  # its buffer cannot be written either
            self._file.close()
        with suppress(OSError):  # it stays torn, which readers recognise
            os.truncate(self.path, place)

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def close(self) -> None:
        """Forces the file to the disk and closes it; may be called again.

        Raises:
            OutputError: That failed.
        """
        if self._closed:
            return
        self._closed = True
        try:
            with self._file:
                self._file.flush()
                self._sync()
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {reason_of(error)}") from error


def read_frame_log(path: str | PathLike[str]) -> Iterator[LoggedFrame]:
    """Reads a log frame by frame; a torn last line is left out.

    Args:
        path: File that `FrameLog` wrote.

    Raises:
        InputError: The file does not exist or cannot be read.
        FormatError: A line before the last one is no line of such a log.
    """
    torn: FormatError | None = None
    try:
        with Path(path).open("rb") as file:
            for number, line in enumerate(file, 1):
                if torn is not None:
                    raise torn
                try:
                    frame = _parse(line, f"{path}, line {number}")
                except FormatError as error:
                    torn = error  # to be raised unless it is the last line
                    continue
                yield frame
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _parse(line: bytes, origin: str) -> LoggedFrame:
    require(line.endswith(b"\n"), origin, "the line is torn")
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{origin}: not JSON: {error}") from error
    require(isinstance(document, dict), origin, "a line is a JSON object")
    index, time_s = document.get("frame"), document.get("time_s")
    damage = document.get("damage")
    whole = isinstance(index, int) and not isinstance(index, bool) and index >= 0
    require(whole, origin, "frame is not a whole number from 0")
    require(time_s is None or isinstance(time_s, (int, float)), origin, "time_s is not a number")
    require(damage is None or isinstance(damage, str), origin, "damage is neither text nor null")
    result = result_from_dict(document, origin=origin)
    return LoggedFrame(index, time_s, None if damage is not None else result, damage)


def _last_complete(file: BinaryIO, name: str) -> tuple[int, LoggedFrame | None]:
    """Returns where the last whole line of a log ends, and what it holds.

    Raises:
        FormatError: The file has whole lines, but neither of the last two is of a log.
    """
    ends = _line_ends(file)
    problem: FormatError | None = None
    for start, end in zip(ends[1:], ends[:-1], strict=True):
        file.seek(start)
        try:
            return end, _parse(file.read(end - start), name)
        except FormatError as error:  # after a crash of the machine even a line with its end
            problem = error
    if problem is not None:
        raise FormatError(f"{problem}; this is no log that can be gone on with") from problem
    return 0, None


def _line_ends(file: BinaryIO, wanted: int = 3) -> list[int]:
    """Returns where the last lines end, last first, and 0 where the file has no more."""
    ends: list[int] = []
    block_end = file.seek(0, os.SEEK_END)
    while block_end > 0 and len(ends) < wanted:
        block_start = max(0, block_end - _BLOCK_BYTES)
        file.seek(block_start)
        block = file.read(block_end - block_start)
        place = block.rfind(b"\n")
        while place >= 0 and len(ends) < wanted:
            ends.append(block_start + place + 1)
            place = block.rfind(b"\n", 0, place)
        block_end = block_start
    return ends if len(ends) == wanted else [*ends, 0]
