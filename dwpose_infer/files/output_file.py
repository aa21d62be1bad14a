"""The file under a video while it is written: errors are kept, and nothing is spoilt after one."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from .atomic import writing


class OutputFile:
    """What PyAV writes through.

    After a write that failed nothing more reaches the file: a muxer that goes on would spoil the
    beginning, which it changes last.

    Attributes:
        path: The file.
        error: Why a write failed, or None.
    """

    def __init__(self, path: Path) -> None:
        """Makes the file and the folders it stands in; an existing file is replaced.

        Raises:
            OutputError: It cannot be made.
        """
        self.path = path
        self.name = str(path)
        self.error: OSError | None = None
        self._abandoned = False
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = path.open("wb", buffering=0)

    def write(self, data: bytes) -> int:
        """Writes bytes, all of them."""
        if self._abandoned:
            return len(data)
        if self.error is not None:
            raise self.error
        view = memoryview(data)
        done = 0
        try:
            while done < len(view):
                done += write_some(self._file, view[done:])
        except OSError as error:
            self.error = error
            raise
        return done

    def abandon(self) -> None:
        """Lets nothing reach the file any more, without an error: its muxer is to be closed."""
        self._abandoned = True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Goes to a place, as in any file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Returns the place."""
        return self._file.tell()

    def close(self) -> None:
        """Closes the file; may be called again."""
        self._file.close()


def write_some(file: BinaryIO, data: memoryview) -> int:
    """Writes at least one byte, and returns how many."""
    return file.write(data)
