"""Cameras, and clips and streams where PyAV is missing, read with OpenCV.

Without PyAV this is lost: time stamps are those OpenCV reports, to the millisecond; damaged frames
are passed over or end the clip without a word; a clip that is cut off simply ends; `start` decodes
everything before it; streams are not reconnected.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

import cv2
import numpy as np

from ..arrays import UInt8Array
from ..errors import InputError
from .frames import Frame, SourceItem
from .reading_ahead import ReadingAhead
from .span import Span

MAX_FRAME_RATE: Final = 1000.0
"""Rates above this, such as 90000, are units of time that OpenCV takes for rates."""

_CAMERA_WARM_UP_READS: Final = 10
"""Reads that may fail before a camera's first picture; some need a moment to begin."""


class OpenCVCapture(ReadingAhead):
    """A camera, a clip or a stream."""

    def __init__(
        self,
        target: int | str,
        *,
        name: str,
        is_live: bool,
        span: Span,
        timeout_s: float | None = None,
    ) -> None:
        """Opens it and reads its first frame.

        Args:
            target: Number of a camera, or a path or URL.
            name: What error messages call it.
            is_live: Whether only the latest frame counts.
            span: The part of a clip that is wanted; not for what is live.
            timeout_s: Longest wait for a server.

        Raises:
            InputError: It cannot be opened or gives no frame.
        """
        super().__init__()
        self.name = name
        self.is_live = is_live
        self.path = target if isinstance(target, str) and timeout_s is None else None
        self._span = span
        self._capture = open_capture(target, timeout_s)
        if not self._capture.isOpened():
            self._capture.release()
            raise InputError(f"{name}: {_not_opened(target)}")
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        known = 0 < rate <= MAX_FRAME_RATE
        self.frame_rate = Fraction(rate).limit_denominator(1001) / span.stride if known else None
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        whole = span == Span(stride=span.stride)
        self.frame_count = -(-count // span.stride) if whole and count > 0 and not is_live else None
        self._items = self._live_frames() if is_live else self._clip_frames()
        first = next(self._items, None)
        if first is None:
            self._capture.release()
            part = "" if whole else " in the part asked for"
            raise InputError(f"{name}: there is no frame{part}")
        self._first: SourceItem = first
        height, width = first.image_bgr.shape[:2]
        self.size_wh = (width, height)

    def _read(self) -> Iterator[SourceItem]:
        yield self._first
        yield from self._items

    def _clip_frames(self) -> Iterator[Frame]:
        index, begin = 0, None
        while self._capture.grab():
            time_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if self._span.is_after(index, time_s):
                return
            if not self._span.is_before(index, time_s):
                begin = index if begin is None else begin
                if (index - begin) % self._span.stride == 0:
                    done, image = self._capture.retrieve()
                    if not done:
                        return
                    yield Frame(index, time_s, _as_bgr(image))
            index += 1

    def _live_frames(self) -> Iterator[Frame]:
        index, failed, began = 0, 0, 0.0
        while not self._stopping.is_set():
            done, image = self._capture.read()
            if not done:
                failed += 1
                if index or failed >= _CAMERA_WARM_UP_READS:
                    break
                continue
            now = time.monotonic()
            began = now if index == 0 else began
            yield Frame(index, now - began, _as_bgr(image))
            index += 1
        if index and not self._stopping.is_set():
            raise InputError(
                f"{self.name}: no frame comes any more after {index}; the camera was unplugged, "
                "taken by another program, or the stream broke off"
            )

    def _release(self) -> None:
        self._capture.release()


def open_capture(target: int | str, timeout_s: float | None) -> Any:
    """Returns OpenCV's capture of a camera, file or URL; the caller looks whether it is open."""
    if isinstance(target, int):
        return cv2.VideoCapture(target)
    if timeout_s is None:
        return cv2.VideoCapture(target)
    milliseconds = round(1000 * timeout_s)
    options = [
        *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds),
        *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds),
    ]
    return cv2.VideoCapture(target, cv2.CAP_FFMPEG, options)


def _not_opened(target: int | str) -> str:
    if isinstance(target, int):
        return (
            f"there is no camera of number {target}, or another program has it, or this user may "
            "not use it"
        )
    return 'OpenCV cannot open it; pip install "dwpose-infer[video]" reads more and says why'


def _as_bgr(image: Any) -> UInt8Array:
    """Returns a picture as (H, W, 3) uint8; some cameras give grey."""
    pixels = np.asarray(image, np.uint8)
    if pixels.ndim == 2:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), np.uint8)
    return pixels
