"""`open_source`: from what a user names to the source that reads it.

Animated WebP and PNG files, and the pages of a TIFF, are clips too; Pillow decodes them.
"""

from __future__ import annotations

import glob
import math
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from os import PathLike, fspath
from pathlib import Path
from typing import Final, TypeAlias, Union

from ..errors import InputError, InvalidArgumentError
from ..files.atomic import is_file, is_folder, is_there
from ..images import MAX_PIXELS
from ..picture_file import ANIMATED_SUFFIXES, PICTURE_SUFFIXES, PictureFrames
from ..picture_url import DEFAULT_ACCESS, UrlAccess, split_url, without_password
from .frames import DamagedFrame, Frame, Source, SourceItem
from .image_sequence import (
    DEFAULT_FRAME_RATE,
    ImageSequence,
    pictures_in,
    pictures_matching,
)
from .libraries import find_av
from .network_stream import NetworkStream, Reconnection
from .opencv_capture import OpenCVCapture
from .reading_ahead import ReadingAhead
from .span import Position, Span, make_span
from .video_file import VideoFile
from .web_files import resolved_url

SourceLike: TypeAlias = Union[str, "PathLike[str]", int, Sequence[Union[str, "PathLike[str]"]]]
"""What `open_source` reads: a path, a URL, a camera's number, or a list of pictures."""

LIVE_SCHEMES: Final = frozenset({"rtp", "rtmp", "rtmps", "rtsp", "rtsps", "srt", "tcp", "udp"})
"""Schemes of URLs that always are live."""

RECORDED_SCHEMES: Final = frozenset({"ftp", "http", "https"})
"""Schemes of URLs behind which a file may be; they are live where it has no duration."""

_CAMERA: Final = re.compile(r"(?:/dev/video)?(\d+)")


def open_source(
    source: SourceLike,
    *,
    start: Position | None = None,
    end: Position | None = None,
    stride: int = 1,
    frame_rate: float | Fraction | None = None,
    reconnection: Reconnection | None = None,
    urls: UrlAccess = DEFAULT_ACCESS,
) -> Source:
    """Opens a clip, a camera, a stream or a row of pictures.

    Args:
        source: Path of a video, of an animated picture (GIF, WebP, PNG, AVIF) or of a TIFF with
            several pages; number of a camera, as int or text, or /dev/video0; URL (rtsp,
            rtmp, srt, udp, http, https); a folder of pictures, a glob pattern, one picture, or
            a list of pictures. Folders and patterns are read in natural order: 2 before 10.
        start: Where to begin: seconds as a number, or text: "12.5", "1:30" or "1:02:03.5" for
            times, "300f" for the frame of index 300. The first frame at or after it counts.
        end: Where to stop, the same way; a frame at `end` is not given any more.
        stride: 1 for every frame, 2 for every second one, and so on.
        frame_rate: Frames per second of pictures and pages; None takes 25. Not for the others,
            which know theirs.
        reconnection: When to give up a live stream; None takes `Reconnection()`.
        urls: Where URLs, their redirects and playlists may lead.

    Returns:
        The source, open, its first frame decoded. Iterate over it once, and close it or use it
        in a `with` statement.

    Raises:
        InputError: It cannot be read, or has no video or no frame in the part asked for.
        InvalidArgumentError: An argument has an impossible value, or does not go with this
            kind of source.

    Example:
        >>> with open_source("clip.mp4", start=2.0, end="1:30") as source:
        ...     for item in source:
        ...         if isinstance(item, DamagedFrame):
        ...             raise item.error
        ...         print(item.index, item.time_s, item.image_bgr.shape)
    """
    span = make_span(start, end, stride)
    if isinstance(source, (str, PathLike)):
        target: int | str | Sequence[str | PathLike[str]] = fspath(source)
    else:
        target = source
    camera = _camera_number(target)
    if camera is not None:
        _require_no_part(span, str(source))
        _require_no_rate(frame_rate, str(source))
        name = f"camera {camera}"
        return OpenCVCapture(camera, name=name, is_live=True, span=Span())
    if not isinstance(target, str):
        return _open_list(target, span, frame_rate)
    scheme = split_url(target).scheme.lower() if "://" in target else ""
    if scheme in LIVE_SCHEMES | RECORDED_SCHEMES:
        _require_no_rate(frame_rate, target)
        return _open_url(target, scheme, span, reconnection or Reconnection(), urls)
    if scheme:
        known = ", ".join(sorted(LIVE_SCHEMES | RECORDED_SCHEMES))
        raise InputError(f"{target}: URLs of this kind cannot be read; known are {known}")
    return _open_path(target, span, frame_rate)


def _open_path(target: str, span: Span, frame_rate: float | Fraction | None) -> Source:
    path = Path(target)
    if is_file(target) and path.suffix.lower() not in PICTURE_SUFFIXES - {".gif"}:
        _require_no_rate(frame_rate, target)
        if find_av() is None:
            return OpenCVCapture(target, name=target, is_live=False, span=span)
        return VideoFile(target, name=target, span=span, timeout_s=None)
    rate = _checked_rate(frame_rate)
    if is_file(target):
        if path.suffix.lower() in ANIMATED_SUFFIXES:
            with PictureFrames(path, name=target, max_pixels=MAX_PIXELS) as frames:
                several, timed = len(frames) > 1, frames.timed
            if several:
                if timed:
                    _require_no_rate(frame_rate, target)
                return Animation(path, name=target, page_rate=rate, span=span)
        return ImageSequence([path], name=target, frame_rate=rate, span=span)
    if glob.has_magic(target) and not is_there(target):
        pictures = pictures_matching(target)
        return ImageSequence(pictures, name=target, frame_rate=rate, span=span)
    if is_folder(target):
        return ImageSequence(pictures_in(path), name=target, frame_rate=rate, span=span)
    raise InputError(f"{target}: there is no such file or folder")


def _open_list(paths: object, span: Span, frame_rate: float | Fraction | None) -> Source:
    if not isinstance(paths, Sequence) or isinstance(paths, (bytes, bytearray)):
        raise InvalidArgumentError(
            f"frames cannot be read from {type(paths).__name__}; give a path, a URL, the number "
            "of a camera or a list of pictures"
        )
    if not paths:
        raise InputError("the list of pictures is empty")
    pictures = [Path(path) for path in paths]
    rate = _checked_rate(frame_rate)
    return ImageSequence(pictures, name=f"{len(paths)} pictures", frame_rate=rate, span=span)


def _open_url(url: str, scheme: str, span: Span, policy: Reconnection, urls: UrlAccess) -> Source:
    name = without_password(url)
    urls.check_host(url, name)
    timeout_s = policy.timeout_s
    if find_av() is None:
        if scheme in LIVE_SCHEMES:
            _require_no_part(span, name)
        is_live = scheme in LIVE_SCHEMES
        url = resolved_url(url, name, urls=urls, timeout_s=timeout_s)
        return OpenCVCapture(url, name=name, is_live=is_live, span=span, timeout_s=timeout_s)
    if scheme in RECORDED_SCHEMES:
        source = VideoFile(url, name=name, span=Span(), timeout_s=timeout_s, urls=urls)
        if source.has_end:
            if span == Span():
                return source
            source.close()
            return VideoFile(url, name=name, span=span, timeout_s=timeout_s, urls=urls)
        source.close()
    _require_no_part(span, name)
    return NetworkStream(url, name=name, policy=policy, urls=urls)


def _camera_number(target: object) -> int | None:
    if isinstance(target, bool):
        return None
    if isinstance(target, int):
        if target < 0:
            raise InvalidArgumentError(f"a camera has no number {target}; the first one is 0")
        return target
    camera = _CAMERA.fullmatch(target) if isinstance(target, str) else None
    if camera is None or is_file(str(target)):
        return None
    return int(camera[1])


def _checked_rate(frame_rate: float | Fraction | None) -> Fraction:
    if frame_rate is None:
        return DEFAULT_FRAME_RATE
    if not (math.isfinite(frame_rate) and frame_rate > 0):
        raise InvalidArgumentError(f"frame_rate is {frame_rate!r}; it must be above 0")
    # The shortest fraction: 29.97 is 2997/100, and the 1001 of 30000/1001 is the largest in use.
    return Fraction(frame_rate).limit_denominator(1001)


def _require_no_rate(frame_rate: float | Fraction | None, name: str) -> None:
    if frame_rate is not None:
        raise InvalidArgumentError(f"{name} has its own frame rate; frame_rate is for pictures")


def _require_no_part(span: Span, name: str) -> None:
    if span != Span():
        raise InvalidArgumentError(f"{name} is live: it has no start, end or stride")


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
