"""Pictures as a clip: a folder, a pattern or a list of files, at a frame rate that is given."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

from ..errors import InputError
from ..files.atomic import is_there
from ..images import MAX_PIXELS, read_image
from ..picture_file import PICTURE_SUFFIXES
from .frames import DamagedFrame, Frame, SourceItem
from .reading_ahead import ReadingAhead
from .span import Span

DEFAULT_FRAME_RATE: Final = Fraction(25)
"""Frames per second of pictures; what FFmpeg's image2 reader takes too."""

_DIGITS: Final = re.compile(r"(\d+)")


class ImageSequence(ReadingAhead):
    """Pictures shown one after the other, each equally long."""

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        name: str,
        frame_rate: Fraction,
        span: Span,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        """Chooses the pictures wanted and reads up to the first that can be read.

        Args:
            paths: The pictures, in order.
            name: What error messages call them together.
            frame_rate: Frames per second.
            span: The part wanted.
            max_pixels: Larger pictures are refused before they are decoded.

        Raises:
            InputError: There is no picture, or none can be read.
        """
        super().__init__()
        self.name = name
        self.is_live = False
        self.frame_rate = frame_rate / span.stride
        self.time_base = 1 / frame_rate
        self._rate = frame_rate
        self._max_pixels = max_pixels
        self._wanted = self._choose(paths, span)
        if not self._wanted:
            raise InputError(f"{name}: no picture is in the part asked for; there are {len(paths)}")
        self.frame_count = len(self._wanted)
        self._items = (self._picture(index, path) for index, path in self._wanted)
        self._first: list[SourceItem] = []
        for item in self._items:
            self._first.append(item)
            if isinstance(item, Frame):
                height, width = item.image_bgr.shape[:2]
                self.size_wh = (width, height)
                return
        raise next(item.error for item in self._first if isinstance(item, DamagedFrame))

    def _choose(self, paths: Sequence[Path], span: Span) -> list[tuple[int, Path]]:
        timed = [(index, float(index / self._rate), path) for index, path in enumerate(paths)]
        inside = [
            (index, path)
            for index, time_s, path in timed
            if not span.is_before(index, time_s) and not span.is_after(index, time_s)
        ]
        return inside[:: span.stride]

    def _picture(self, index: int, path: Path) -> SourceItem:
        time_s = float(index / self._rate)
        try:
            image = read_image(path, max_pixels=self._max_pixels)
        except InputError as error:
            return DamagedFrame(index, time_s, error)
        return Frame(index, time_s, image, float(1 / self._rate))

    def _read(self) -> Iterator[SourceItem]:
        yield from self._first
        self._first = []
        yield from self._items

    def _release(self) -> None:
        """Nothing is open between two pictures."""


def pictures_in(folder: Path) -> list[Path]:
    """Returns the pictures of a folder, without its subfolders, in natural order.

    Raises:
        InputError: There is none.
    """
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PICTURE_SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
    ]
    if not found:
        raise InputError(
            f"{folder}: there is no picture in this folder "
            f"(looked for {', '.join(sorted(PICTURE_SUFFIXES))})"
        )
    return sorted(found, key=natural_key)


def pictures_matching(pattern: str) -> list[Path]:
    """Returns the files that a glob pattern names, in natural order.

    Raises:
        InputError: There is none.
    """
    found = matching_files(*split_pattern(pattern))
    if not found:
        raise InputError(f"{pattern}: no file matches this pattern")
    return sorted(found, key=natural_key)


def split_pattern(pattern: str) -> tuple[Path, str]:
    """Splits a pattern into the folder it begins with and what is to match below.

    Folders that exist count as they are written, whatever brackets are in their names.

    Raises:
        InputError: ** is part of a name; it stands for folders, and some releases of Python need
            it alone.
    """
    parts = Path(pattern).parts
    if any("**" in part and part != "**" for part in parts):
        raise InputError(
            f"{pattern}: ** stands for any folders and has to be a part of its own, as in "
            "photos/**/*.jpg"
        )
    fixed = Path()
    for depth, part in enumerate(parts):
        if glob.has_magic(part) and not is_there(fixed / part):
            return fixed, str(Path(*parts[depth:]))
        fixed /= part
    return fixed.parent, fixed.name


def matching_files(folder: Path, rest: str) -> list[Path]:
    """Returns the files below a folder that the rest of a pattern names, sorted.

    Where none does, brackets are taken for letters of a name: */[2024]/*.jpg.
    """
    for wanted in (rest, rest.replace("[", "[[]")):
        if found := sorted(path for path in folder.glob(wanted) if path.is_file()):
            return found
    return []


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Returns a key that sorts frame2 before frame10."""
    parts = _DIGITS.split(str(path))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
