"""Results frame by frame in one text file that survives crashes: a JSON object a line.

Each line is the object of `dwpose_infer.formats.plain_json` with three more fields: `frame`, the
index in the clip; `time_s`; and `damage`, null, or what was wrong with a frame that has no result,
which then has no persons. A line is with the operating system when `write` returns, so a crash of
the program can leave at most the last line torn; a crash of the machine can cost the last second.
Torn ends are recognised, left out when the file is read, and written over when it goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Final

from ..closing import ClosesOnExit
from ..errors import FormatError, InputError, InvalidArgumentError, OutputError
from ..files.journal import Journal, last_whole_line
from ..files.json_text import dump, require
from ..poses import Poses
from ..results import PoseResult
from .plain_json import result_from_dict, result_to_values

SYNC_INTERVAL_S: Final = 1.0
"""How often the file is forced to the disk itself."""


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
        end, self.last = last_whole_line(self.path, self._parse_line) if resume else (0, None)
        self._journal = Journal(path, kept_bytes=end, sync_interval_s=SYNC_INTERVAL_S)
        self.next_index = 0 if self.last is None else self.last.index + 1

    def _parse_line(self, line: bytes) -> LoggedFrame:
        return _parse(line, str(self.path))

    def write(self, index: int, time_s: float | None, result: Poses) -> None:
        """Adds a frame.

        Args:
            index: Its index in the clip; must exceed the one before.
            time_s: Its time in seconds.
            result: What was found in it.

        Raises:
            InvalidArgumentError: The index does not exceed the one before.
            OutputError: The file cannot be written; every line before this one is whole.
        """
        self._add(index, time_s, result_to_values(result), None)

    def write_damaged(self, index: int, time_s: float | None, damage: str) -> None:
        """Adds a frame that could not be decoded; the arguments and errors are as in `write`.

        Args:
            index: Its index in the clip.
            time_s: Its time in seconds, or None.
            damage: What is wrong, in words.
        """
        self._add(index, time_s, result_to_values(PoseResult.empty()), damage)

    def _add(
        self, index: int, time_s: float | None, document: dict[str, Any], damage: str | None
    ) -> None:
        if index < self.next_index:
            raise InvalidArgumentError(
                f"{self.path}: frame {index} comes after frame {self.next_index - 1}"
            )
        line = dump({"frame": index, "time_s": time_s, "damage": damage, **document})
        try:
            self._journal.add(line)
        except OutputError as error:
            raise OutputError(
                f"{error}; it holds the frames up to {self.next_index - 1}"
            ) from error
        self.next_index = index + 1

    def close(self) -> None:
        """Forces the file to the disk and closes it; may be called again.

        Raises:
            OutputError: That failed.
        """
        self._journal.close()


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
    result = PoseResult.of(result_from_dict(document, origin=origin))
    return LoggedFrame(index, time_s, None if damage is not None else result, damage)
