"""Fragmented MP4 that was not finished: finding where its last whole fragment ends.

FFmpeg opens no file that ends within the description of a fragment (its box moof), which is how a
full disk or a killed process can leave one.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import BinaryIO, Final

_BOX_HEADER: Final = struct.Struct(">I4s")
"""Size and type of a box, ISO/IEC 14496-12, 4.2."""

_LARGE_SIZE: Final = struct.Struct(">Q")
"""Follows the header where the size given there is 1."""


def whole_fragments_end(file: BinaryIO) -> int | None:
    """Returns the length of a fragmented MP4 up to its last whole fragment.

    Args:
        file: The file: boxes such as ftyp and moov, then pairs of moof and mdat.

    Returns:
        Bytes to keep, or None where there is no whole fragment.
    """
    size = file.seek(0, io.SEEK_END)
    place, whole, described = 0, None, False
    while (box := _read_box(file, place)) is not None:
        length, kind = box
        if length < _BOX_HEADER.size or place + length > size:
            break
        place += length
        if kind == b"mdat" and described:
            whole = place
        described = described or kind == b"moof"
    return whole


def cut_to_whole_fragments(path: Path) -> bool:
    """Cuts a file after its last whole fragment; returns whether it has any."""
    with path.open("r+b") as file:
        end = whole_fragments_end(file)
        if end is not None:
            file.truncate(end)
    return end is not None


class Beginning:
    """The beginning of a file, which to its reader is all there is.

    Attributes:
        name: The file.
    """

    def __init__(self, path: Path, length: int) -> None:
        """Opens a file and shows its first `length` bytes."""
        self.name = str(path)
        self._file: BinaryIO = path.open("rb")
        self._length = length

    def read(self, size: int = -1) -> bytes:
        """Reads on, as any file does."""
        left = max(0, self._length - self._file.tell())
        return self._file.read(left if size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a place, as in any file."""
        if whence == io.SEEK_END:
            return self._file.seek(self._length + offset)
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Returns the place."""
        return self._file.tell()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def open_whole_fragments(path: Path) -> Beginning | None:
    """Opens the part of a fragmented MP4 that can be read, or None where there is none."""
    try:
        with path.open("rb") as file:
            end = whole_fragments_end(file)
        return None if end is None else Beginning(path, end)
    except OSError:
        return None


def _read_box(file: BinaryIO, place: int) -> tuple[int, bytes] | None:
    """Returns length and type of the box at a place, or None at the end."""
    file.seek(place)
    header = file.read(_BOX_HEADER.size)
    if len(header) < _BOX_HEADER.size:
        return None
    length, kind = _BOX_HEADER.unpack(header)
    if length == 1:
        extended = file.read(_LARGE_SIZE.size)
        length = _LARGE_SIZE.unpack(extended)[0] if len(extended) == _LARGE_SIZE.size else 0
    return length, kind
