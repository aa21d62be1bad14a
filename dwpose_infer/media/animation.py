"""Animated WebP and PNG files, and the pages of a TIFF, as a clip; Pillow decodes them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from ..errors import InputError
from ..images import MAX_PIXELS
from ..picture_file import PictureFrames
from .frames import DamagedFrame, Frame, SourceItem
from .reading_ahead import ReadingAhead
from .span import Span

STILL_S = 0.1
"""How long a frame is shown that says 0, as browsers do with animations."""


class Animation(ReadingAhead):
    """The frames of one picture file, each shown as long as the file says."""

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        page_rate: Fraction,
        span: Span,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        """Reads the file and decodes the first frame wanted.

        Args:
            path: The file.
            name: What error messages call it.
            page_rate: Frames per second of pages, which have no times of their own.
            span: The part wanted.
            max_pixels: Larger frames are refused before they are decoded.

        Raises:
            InputError: It is no picture, or has no frame in the part asked for.
        """
        super().__init__()
        self.name = name
        self.is_live = False
        self._span, self._page_rate = span, page_rate
        self._frames = PictureFrames(path, name=name, max_pixels=max_pixels)
        timed = self._frames.timed
        self.frame_rate = None if timed else page_rate / span.stride
        self.time_base = Fraction(1, 1000) if timed else 1 / page_rate
        whole = span.begins_at_zero and span.end_s is None and span.end_frame is None
        self.frame_count = -(-len(self._frames) // span.stride) if whole else None
        self._items = self._wanted()
        self._first = next(self._items, None)
        if self._first is None:
            count = len(self._frames)
            raise InputError(f"{name}: no frame is in the part asked for; there are {count}")
        if isinstance(self._first, DamagedFrame):
            raise self._first.error
        height, width = self._first.image_bgr.shape[:2]
        self.size_wh = (width, height)

    def _wanted(self) -> Iterator[SourceItem]:
        time_s, taken = 0.0, 0
        for index in range(len(self._frames)):
            if self._span.is_after(index, time_s):
                return
            try:
                image_bgr, duration_s = self._frames.decode(index)
            except InputError as error:  # later frames are made of this one
                yield DamagedFrame(index, time_s, error, is_last=True)
                return
            if not self._frames.timed:
                time_s, duration_s = float(index / self._page_rate), float(1 / self._page_rate)
            duration_s = duration_s or STILL_S
            if not self._span.is_before(index, time_s):
                if taken % self._span.stride == 0:
                    yield Frame(index, time_s, image_bgr, duration_s)
                taken += 1
            time_s += duration_s

    def _read(self) -> Iterator[SourceItem]:
        if self._first is not None:
            yield self._first
            self._first = None
        yield from self._items

    def _release(self) -> None:
        self._frames.close()
