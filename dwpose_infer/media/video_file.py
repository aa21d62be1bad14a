"""Video files and recorded videos behind a URL, read with PyAV: every frame at its exact time.

That the end of a clip is missing, as after a broken copy or a full disk, is found out here too.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from ..errors import InputError
from ..picture_url import DEFAULT_ACCESS, UrlAccess
from .decoding import Decoded, Decoder
from .frames import DamagedFrame, Frame, SourceItem
from .reading_ahead import ReadingAhead
from .span import Span

logger = logging.getLogger(__name__)

MAX_DAMAGED_AT_START: Final = 250
"""Damaged frames at the beginning of a clip after which it counts as no video: 10 s at 25 fps."""

MAX_LAST_FRAMES: Final = 10
"""The last frame may be shown so many times as long as usual; what is more is a missing end."""

_SEEK_BACK_S: Final = (0.0, 10.0)
"""Where a container's index leads too far, the next try is so much earlier; then its beginning."""


class VideoFile(ReadingAhead):
    """A clip that can be read from its beginning to its end."""

    def __init__(
        self,
        target: str,
        *,
        name: str,
        span: Span,
        timeout_s: float | None,
        urls: UrlAccess = DEFAULT_ACCESS,
    ) -> None:
        """Opens the clip and decodes its first frame wanted.

        Args:
            target: Path or URL.
            name: What error messages call it.
            span: The part wanted. Unless it begins where the clip does, the whole file is read
                through once, without decoding it, to number its frames.
            timeout_s: Longest wait for a server; None for files.
            urls: Where a URL may lead.

        Raises:
            InputError: It cannot be read, or holds no video or no frame of the part wanted.
        """
        super().__init__()
        self.name = name
        self.is_live = False
        self.path = target if timeout_s is None else None
        self._span = span
        self._known_pts: list[int] = []
        if not span.begins_at_zero:
            with Decoder(name, target, timeout_s=timeout_s, urls=urls) as scanned:
                self._known_pts = scanned.presentation_times()
        self._decoder = Decoder(name, target, timeout_s=timeout_s, urls=urls)
        if self._known_pts:
            self._decoder.begin_at(self._known_pts[0])
        try:
            self._items = self._with_durations(self._read_span())
            self._first = self._first_items()
        except BaseException:
            self._decoder.close()
            raise

    @property
    def has_end(self) -> bool:
        """Whether the container tells how long it is; live streams do not."""
        return self._decoder.container.duration is not None

    def _first_items(self) -> list[SourceItem]:
        """Decodes up to the first frame that can be used, and notes what is known of the clip."""
        first: list[SourceItem] = []
        for item in self._items:
            first.append(item)
            if isinstance(item, Frame) or len(first) > MAX_DAMAGED_AT_START:
                break
        if not first:
            raise InputError(self._empty_message())
        last = first[-1]
        if isinstance(last, DamagedFrame):
            raise first[0].error if isinstance(first[0], DamagedFrame) else last.error
        height, width = last.image_bgr.shape[:2]
        self.size_wh = (width, height)
        self.time_base = self._decoder.time_base
        self.pixel_aspect_ratio = self._decoder.pixel_aspect_ratio(self.size_wh)
        rate = self._decoder.frame_rate
        self.frame_rate = None if rate is None else rate / self._span.stride
        self.frame_count = self._expected_count(first[0].index)
        return first

    def _empty_message(self) -> str:
        if self._span.begins_at_zero:
            return f"{self.name}: there is no frame in it"
        end_s = self._decoder.time_s(self._known_pts[-1]) if self._known_pts else 0.0
        return (
            f"{self.name}: there is no frame in the part asked for; it has "
            f"{len(self._known_pts)} frames, the last one at {end_s:.3f} s"
        )

    def _expected_count(self, first_index: int) -> int | None:
        total = len(self._known_pts) or int(self._decoder.stream.frames)
        if total <= 0 and self._decoder.duration_s and self._decoder.frame_rate:
            total = round(self._decoder.duration_s * self._decoder.frame_rate)
        end = total
        if self._span.end_frame is not None:
            end = min(total, self._span.end_frame)
        elif self._span.end_s is not None and self._known_pts:
            end_pts = self._span.end_s / self._decoder.time_base + self._decoder.begin_pts
            end = bisect_left(self._known_pts, end_pts)
        elif self._span.end_s is not None and self._decoder.frame_rate:
            end = min(total, round(self._span.end_s * self._decoder.frame_rate))
        return None if total <= 0 else max(1, -(-(end - first_index) // self._span.stride))

    def _read(self) -> Iterator[SourceItem]:
        yield from self._first
        self._first = []
        yield from self._items

    def _read_span(self) -> Iterator[SourceItem]:
        """Yields the frames wanted."""
        next_index, next_time_s, begin = 0, 0.0, None
        problem = None
        for step in self._from_start():
            if step.is_last:
                problem = step.problem
                break
            index, time_s = next_index, next_time_s
            if step.pts is not None:
                time_s = self._decoder.time_s(step.pts)
                if self._known_pts:
                    index = bisect_left(self._known_pts, step.pts)
            if self._span.is_after(index, time_s):
                return
            next_index = index + 1
            next_time_s = time_s + self._step_s(step.frame)
            if self._span.is_before(index, time_s):
                continue
            begin = index if begin is None else begin
            if (index - begin) % self._span.stride == 0:
                yield self._item(step, index, time_s)
        cut_off = missing_end(self._decoder, frames=next_index, end_s=next_time_s)
        problem = cut_off or problem
        if problem is not None:
            error = InputError(f"{self.name}: {problem}")
            yield DamagedFrame(next_index, None, error, is_last=True)

    def _with_durations(self, items: Iterator[SourceItem]) -> Iterator[SourceItem]:
        """Holds each frame back until the next one tells how long it is shown.

        What containers note is the time to the next packet, which with B-frames is another frame.
        """
        held: Frame | None = None
        for item in items:
            if held is not None:
                longer_s = 0.0 if item.time_s is None else item.time_s - held.time_s
                yield replace(held, duration_s=longer_s) if longer_s > 0 else held
            held = item if isinstance(item, Frame) else None
            if held is None:
                yield item
        if held is not None:
            yield replace(held, duration_s=self._last_duration_s(held))

    def _last_duration_s(self, frame: Frame) -> float | None:
        """Returns how long the last frame is shown: to the end the container tells, if near."""
        rate = self._decoder.frame_rate
        usual_s = frame.duration_s or (float(1 / rate) if rate else 0.0)
        whole = self._decoder.stream.duration
        left_s = float(whole * self._decoder.time_base) - frame.time_s if whole else 0.0
        near = 0 < left_s <= MAX_LAST_FRAMES * usual_s
        return left_s if near else usual_s or None

    def _step_s(self, frame: Any | None) -> float:
        """Returns how long a frame is shown, as well as it is known, in seconds."""
        if frame is not None and frame.duration:
            return float(frame.duration * self._decoder.time_base)
        rate = self._decoder.frame_rate
        return float(1 / rate) if rate else 0.0

    def _item(self, step: Decoded, index: int, time_s: float) -> SourceItem:
        frame = step.frame
        if step.problem is not None or frame is None:
            error = InputError(f"{self.name}, frame {index} at {time_s:.3f} s: {step.problem}")
            return DamagedFrame(index, time_s, error)
        return Frame(index, time_s, self._decoder.to_bgr(frame), self._step_s(frame) or None)

    def _from_start(self) -> Iterator[Decoded]:
        """Yields the steps of decoding from the first frame wanted, or from a little before it."""
        if self._span.begins_at_zero:
            yield from self._decoder.decode()
            return
        wanted = self._first_wanted_pts()
        if wanted is None:
            return
        for back_s in _SEEK_BACK_S:
            if not self._seek(wanted - round(back_s / self._decoder.time_base)):
                break
            steps = self._decoder.decode(from_middle=True)
            before = next((step for step in steps if step.frame is not None), None)
            if before is not None and before.pts is not None and before.pts <= wanted:
                yield before
                yield from steps
                return
        logger.debug("%s: its index leads nowhere, it is decoded from its beginning", self.name)
        self._seek(self._known_pts[0])
        yield from self._decoder.decode(from_middle=True)

    def _first_wanted_pts(self) -> int | None:
        for index, pts in enumerate(self._known_pts):
            if not self._span.is_before(index, self._decoder.time_s(pts)):
                return pts
        return None

    def _seek(self, pts: int) -> bool:
        try:
            self._decoder.container.seek(pts, stream=self._decoder.stream)
        except self._decoder.read_error:
            return False
        return True

    def _release(self) -> None:
        self._decoder.close()


_INDEXED: Final = frozenset({"mov", "mp4", "avi"})
"""Containers whose index lists every packet with its place in the file."""

_MATROSKA: Final = "matroska"

TOLERANCE_S: Final = 1.0
"""A Matroska file is cut off where more than this is missing of the duration in its header; less
can be the end of a longer sound track."""


def missing_end(decoder: Decoder, *, frames: int, end_s: float) -> str | None:
    """Tells whether a clip that was decoded to its last packet should go on.

    Args:
        decoder: The clip.
        frames: Number of frames up to there.
        end_s: End of the last one, in seconds from the first.

    Returns:
        What is missing, in words, or None.
    """
    if decoder.ends_in_fragment:
        return f"the file is cut off after {frames} frames, within a fragment"
    formats = set(decoder.container.format.name.split(","))
    if formats & _INDEXED:
        entries = list(decoder.stream.index_entries)
        size = decoder.container.size
        if size <= 0:
            return None
        missing = sum(entry.pos + entry.size > size for entry in entries)
        if missing:
            return f"the file is cut off: {missing} of its {len(entries)} frames are missing"
    duration_s = decoder.duration_s or 0.0 if _MATROSKA in formats else 0.0
    if duration_s - end_s > TOLERANCE_S and _reaches_end(decoder):
        return (
            f"the file is cut off: it ends after {end_s:.3f} s and {frames} frames, "
            f"its header says {duration_s:.3f} s"
        )
    return None


def _reaches_end(decoder: Decoder) -> bool:
    """Tells whether the video is as long as the file; a sound track may be longer than it."""
    text = decoder.stream.metadata.get("DURATION", "")  # "00:01:02.500000000", of FFmpeg
    parts = text.split(":")
    if len(parts) != 3:
        return True
    try:
        hours, minutes, seconds = (float(part) for part in parts)
    except ValueError:
        return True
    whole_s = decoder.container.duration / 1e6  # AV_TIME_BASE; both are times of the end
    return bool(whole_s - (3600 * hours + 60 * minutes + seconds) <= TOLERANCE_S)
