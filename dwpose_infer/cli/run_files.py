"""The files that hold all pictures of a run: a journal as it goes on, from which they are made."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ..closing import ClosesOnExit
from ..errors import FormatError, OutputError
from ..files.atomic import is_file, new_file, writing
from ..files.journal import Journal
from ..files.json_text import dump, require
from ..formats import FORMATS
from ..formats.plain_json import result_from_dict, result_to_dict
from ..inputs import Picture
from ..poses import Poses

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)

JOURNAL_NAME: Final = ".dwpose-infer-run.jsonl"
"""A line of JSON for each picture done: the result, and `stem`, where its files would go."""

SYNC_INTERVAL_S: Final = 1.0
"""How often the journal is forced to the disk itself."""


class RunFiles(ClosesOnExit):
    """Keeps the results of pictures in the journal and makes the files; use it in a `with`.

    The journal stays beside the files, so that a later run can add pictures to them.
    """

    def __init__(
        self,
        paths: Mapping[str, Path],
        options: Mapping[str, Mapping[str, Any]],
        *,
        settings: str,
        go_on: bool,
    ) -> None:
        """Opens the journal.

        Args:
            paths: The files: name of the format -> path, all in one folder.
            options: Options of the formats, by name.
            settings: All that the results depend on besides the pictures, in one line.
            go_on: Keep what an earlier run of the same settings has found.

        Raises:
            OutputError: The journal cannot be written, or another run is writing it.
        """
        self._paths, self._options = paths, options
        self.journal_path = next(iter(paths.values())).with_name(JOURNAL_NAME)
        self._last: dict[str, int] = {}  # stem -> number of its line
        self._lines = 0
        self._changed = False
        header = dump({"settings": settings})
        kept_bytes = 0
        if go_on and is_file(self.journal_path):
            kept_bytes = self._read_earlier(header)
            if not kept_bytes:
                logger.warning(
                    "%s is of a run with other options: all pictures are done again",
                    self.journal_path,
                )
        elif go_on and any(map(is_file, paths.values())):
            logger.warning(
                "%s was made without a journal: all pictures are done again",
                ", ".join(map(str, paths.values())),
            )
        self._lock()
        self._journal = Journal(
            self.journal_path, kept_bytes=kept_bytes, sync_interval_s=SYNC_INTERVAL_S
        )
        if not kept_bytes:
            self._journal.add(header)

    def _lock(self) -> None:
        """Keeps other runs out of the journal, until `close` or the end of the process."""
        with writing(self.journal_path):
            self.journal_path.parent.mkdir(parents=True, exist_ok=True)
            self._locked = self.journal_path.open("ab")
        if sys.platform != "win32":
            try:
                fcntl.flock(self._locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                self._locked.close()
                raise OutputError(
                    f"another run is writing {', '.join(map(str, self._paths.values()))}; use "
                    "another --out"
                ) from error
            except OSError:  # the file system has no locks
                pass

    def _read_earlier(self, header: bytes) -> int:
        """Notes the pictures of an earlier run; returns how many bytes of its journal are whole."""
        end = 0
        for number, line in enumerate(self._raw_lines()):
            if number == 0 and line != header:
                return 0
            if number:
                try:
                    stem, _ = self._parse(line)
                except FormatError:  # torn; what follows cannot be trusted either
                    break
                self._last[stem] = self._lines
                self._lines += 1
            end += len(line)
        return end

    def _raw_lines(self) -> Iterator[bytes]:
        with writing(self.journal_path), self.journal_path.open("rb") as file:
            yield from (line for line in file if line.endswith(b"\n"))

    def _parse(self, line: bytes) -> tuple[str, Poses]:
        origin = str(self.journal_path)
        try:
            document = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FormatError(f"{origin}: not JSON: {error}") from error
        require(isinstance(document, dict), origin, "a line is a JSON object")
        stem = document.get("stem")
        require(isinstance(stem, str), origin, "stem is not text")
        return str(stem), result_from_dict(document, origin=origin)

    def __contains__(self, picture: Picture) -> bool:
        return str(picture.stem) in self._last

    def add(self, picture: Picture, result: Poses) -> None:
        """Keeps a result; with the operating system when this returns.

        Raises:
            OutputError: The journal cannot be written; what was kept before is whole.
        """
        self._journal.add(dump({"stem": str(picture.stem), **result_to_dict(result)}))
        self._last[str(picture.stem)] = self._lines
        self._lines += 1
        self._changed = True

    def __iter__(self) -> Iterator[Poses]:
        """Yields the results, in the order in which they were found; may be repeated."""
        for number, line in enumerate(self._raw_lines(), -1):
            if number >= 0:
                stem, poses = self._parse(line)
                if self._last[stem] == number:
                    yield poses

    def finish(self, pictures: Sequence[Picture]) -> None:
        """Makes the files of everything in the journal, where one is missing or there is more.

        Args:
            pictures: Those of this run; what the journal has besides is counted in a line.

        Raises:
            OutputError: A file cannot be written.
        """
        others = self._last.keys() - {str(picture.stem) for picture in pictures}
        if others:
            logger.warning(
                "%d picture(s) of earlier runs, which are no inputs of this one, are in %s too",
                *(len(others), ", ".join(map(str, self._paths.values()))),
            )
        for name, path in self._paths.items():
            write, options = FORMATS[name].write_pictures, self._options.get(name, {})
            if write is not None and (self._changed or not is_file(path)):
                with new_file(path) as file:
                    write(file, self, **options)

    def close(self) -> None:
        """Closes the journal; may be called again."""
        try:
            self._journal.close()
        finally:
            self._locked.close()
