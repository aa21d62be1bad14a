"""`VideoWriter`: drawn pictures in, a playable video out, whatever happens on the way."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike, fspath
from pathlib import Path
from threading import Thread
from typing import Any, Final

import numpy as np

from ..arrays import UInt8Array
from ..closing import ClosesOnExit
from ..errors import DwposeError, InputError, InvalidArgumentError, OutputError
from ..files.atomic import reason_of
from ..files.output_file import OutputFile
from .channel import Channel, ChannelClosedError
from .decoding import Decoder
from .encoding import Encoder, EncodingOptions, check_ending, choose_encoder
from .fragments import cut_to_whole_fragments
from .frames import Source
from .libraries import require_av

logger = logging.getLogger(__name__)

DEFAULT_TIME_BASE: Final = Fraction(1, 90_000)
"""Unit of time stamps where the source has none: the clock of MPEG-2 systems."""

LIVE_FRAME_RATE: Final = Fraction(30)
"""Nominal rate where a live source does not tell its own; the time stamps are exact anyway."""

QUEUE_FRAMES: Final = 4
"""Pictures that wait for the encoder at most."""


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    image_bgr: UInt8Array
    time_s: float
    duration_s: float


class VideoWriter(ClosesOnExit):
    """Writes a video; use it in a `with` statement.

    Pictures are encoded in a thread of their own; `write` waits where four are pending. The file
    is called `<name>.partial<ending>` until `close` gives it its name. Where the `with` block is
    left by an error or Ctrl-C, it is finished and keeps that name: it plays up to the last frame
    written. So does what a full disk or a crash of the process leaves, but for the last second.

    Pictures of another size than the first are fitted into it with black bars. An odd width or
    height gets one more column or row.

    Attributes:
        path: The video, once it is complete.
        partial_path: What it is called before.
        frames_written: Number of pictures given to `write`.
        working_s: Seconds its thread has encoded so far.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        like: Source | None = None,
        frame_rate: float | Fraction | None = None,
        size_wh: tuple[int, int] | None = None,
        audio: bool = True,
        audio_from: str | PathLike[str] | None = None,
        codec: str | None = None,
        crf: int = 18,
        preset: str = "veryfast",
    ) -> None:
        """Prepares a video; the file is made at once, to find out early where it cannot be.

        Args:
            path: Video to write, ending with .mp4, .m4v, .mov or .mkv; an existing one is
                replaced when the new one is complete.
            like: Source whose frame rate, unit of time, shape of pixels and sound are taken.
            frame_rate: Frames per second, instead of the source's.
            size_wh: Width and height; None takes those of the first picture.
            audio: Whether to keep the sound, copied without encoding it anew; tracks which the
                container cannot hold are left out, with a warning.
            audio_from: File whose sound is taken, instead of the source's.
            codec: PyAV's name of an encoder; None is H.264.
            crf: Constant rate factor of x264: 0 to 51, less is better; 18 looks like the input.
            preset: Speed of x264: "ultrafast" to "veryslow", slower is smaller.

        Raises:
            InvalidArgumentError: An argument has an impossible value, or the video would replace
                its own source.
            OutputError: The file cannot be written.
            MissingDependencyError: PyAV is not installed, or has no encoder of H.264.
        """
        av = require_av("writing videos")
        self.path = Path(path)
        self._ending = check_ending(self.path)
        source = None if like is None else like.path
        sound = source if audio_from is None else fspath(audio_from)
        for other in (source, sound):
            if other is not None and Path(other).resolve() == self.path.resolve():
                raise InvalidArgumentError(f"{path} is the input and would be overwritten")
        choose_encoder(av, codec)
        self._options = EncodingOptions(
            codec=codec,
            crf=_checked_crf(crf),
            preset=preset,
            frame_rate=_nominal_rate(like, frame_rate),
            time_base=(like.time_base if like is not None else None) or DEFAULT_TIME_BASE,
            pixel_aspect_ratio=Fraction(1) if like is None else like.pixel_aspect_ratio,
        )
        self._audio_from = sound if audio else None
        self._size_wh = size_wh
        self.partial_path = self.path.with_name(f"{self.path.stem}.partial{self.path.suffix}")
        if self.path.is_dir():
            raise OutputError(f"cannot write {self.path}: it is a folder")
        self._file = OutputFile(self.partial_path)
        self._channel: Channel[_Picture] = Channel(QUEUE_FRAMES)
        self._error: DwposeError | None = None
        self._told = False
        self._closed = False
        self._next_time_s = 0.0
        self.frames_written = 0
        self.working_s = 0.0
        self._thread = Thread(target=self._run, name=f"write {self.path}", daemon=True)
        self._thread.start()

    def write(
        self,
        image_bgr: UInt8Array,
        time_s: float | None = None,
        duration_s: float | None = None,
    ) -> None:
        """Adds a picture, which must not be changed afterwards.

        Args:
            image_bgr: (H, W, 3) uint8, BGR.
            time_s: When it is shown, as `Frame.time_s`; the first picture's time becomes 0.
                None is when the one before ends.
            duration_s: How long, as `Frame.duration_s`; None is what the frame rate says. Only
                that of the last picture counts, the others end with the next one.

        Raises:
            InvalidArgumentError: The array is no such picture, the time is none, or the writer
                is closed.
            OutputError: The disk is full, or the video cannot be encoded.
        """
        if self._closed:
            raise InvalidArgumentError(f"{self.path} is closed")
        image = np.asarray(image_bgr)
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise InvalidArgumentError(
                f"an array of shape {image.shape} and type {image.dtype} is no frame; it must be "
                "(H, W, 3) uint8"
            )
        begin_s = self._next_time_s if time_s is None else time_s
        if not math.isfinite(begin_s):
            raise InvalidArgumentError(f"time_s is {time_s!r}; it must be finite")
        length_s = duration_s or float(1 / self._options.frame_rate)
        try:
            self._channel.put(_Picture(image, begin_s, length_s))
        except ChannelClosedError:
            raise self._failure() from None
        self._next_time_s = begin_s + length_s
        self.frames_written += 1

    def _failure(self) -> DwposeError:
        self._told = True
        return self._error or OutputError(f"{self.path}: the encoder stopped")

    def _run(self) -> None:
        """Encodes in the writer's own thread, until there is no picture any more."""
        encoder: Encoder | None = None
        failure: Exception | None = None
        try:
            while (picture := self._next_picture()) is not None:
                began_s = time.perf_counter()
                if encoder is None:
                    encoder = self._make_encoder(picture)
                encoder.encode(picture.image_bgr, picture.time_s, picture.duration_s)
                self.working_s += time.perf_counter() - began_s
            if encoder is not None:
                encoder.finish()
        except Exception as error:  # whatever PyAV raises; handed to the caller's thread
            failure = error
            self._file.abandon()
            _release(encoder)
        self._file.close()
        if failure is not None:
            self._error = self._explained(failure)
            self._channel.cancel()

    def _next_picture(self) -> _Picture | None:
        try:
            return self._channel.get()
        except ChannelClosedError:
            return None

    def _make_encoder(self, picture: _Picture) -> Encoder:
        height, width = picture.image_bgr.shape[:2]
        size_wh = self._size_wh or (width, height)
        encoder = Encoder(
            self._file,
            self._ending,
            size_wh,
            self._options,
            audio_from=self._audio_from,
            origin_s=picture.time_s,
        )
        if encoder.audio_left_out:
            logger.warning(
                "%s: sound left out, %s cannot hold it: %s; .mkv can",
                *(self.path, self._ending, ", ".join(encoder.audio_left_out)),
            )
        return encoder

    def _explained(self, error: Exception) -> DwposeError:
        rescued = self._rescue()
        if isinstance(error, DwposeError):
            return error
        failed = self._file.error
        reason = reason_of(failed) if failed is not None else str(error)
        wrapped = OutputError(f"cannot write {self.path}: {reason}{rescued}")
        wrapped.__cause__ = error
        return wrapped

    def _rescue(self) -> str:
        """Makes what reached the disk playable; returns where it is, in words."""
        try:
            whole = self._ending == ".mkv" or cut_to_whole_fragments(self.partial_path)
            if whole and _has_frame(str(self.partial_path)):
                return f"; what was written plays: {self.partial_path}"
            self.partial_path.unlink(missing_ok=True)
        except OSError as error:
            logger.debug("%s: %s", self.partial_path, error)
        return ""

    def close(self) -> None:
        """Finishes the video and gives it its name; may be called again.

        Raises:
            OutputError: It cannot be written, or no picture was.
        """
        if not self._end():
            return
        if self._error is not None:
            raise self._error
        if self.frames_written == 0:
            self.partial_path.unlink(missing_ok=True)
            raise OutputError(f"{self.path}: no frame was written, so there is no video")
        try:
            self.partial_path.replace(self.path)
        except OSError as error:
            raise OutputError(
                f"cannot write {self.path}: {reason_of(error)}; the video is {self.partial_path}"
            ) from error

    def abort(self) -> None:
        """Finishes the video with the frames there are, under the name `partial_path`."""
        if not self._end():
            return
        if self._error is not None:
            if not self._told:
                logger.warning("%s", self._error)
        elif self.frames_written == 0:
            self.partial_path.unlink(missing_ok=True)
        else:
            logger.warning(
                "stopped after %d frames; they are in %s", self.frames_written, self.partial_path
            )

    def _end(self) -> bool:
        """Waits for the encoder; returns False where that was done before."""
        if self._closed:
            return False
        self._closed = True
        self._channel.finish()
        self._thread.join()
        return True

    def __exit__(self, error_type: object = None, *_: object) -> None:
        """Closes; after an error aborts."""
        if error_type is None:
            self.close()
        else:
            self.abort()


def _has_frame(path: str) -> bool:
    try:
        with Decoder(path, path) as decoder:
            return any(step.frame is not None for step in decoder.decode())
    except InputError:
        return False


def _release(encoder: Any | None) -> None:
    if encoder is None:
        return
    try:
        encoder.release()
    except Exception as error:  # the first error is the one to report
        logger.debug("while closing after an error: %s", error)


def _nominal_rate(like: Source | None, frame_rate: float | Fraction | None) -> Fraction:
    if frame_rate is None:
        if like is None:
            raise InvalidArgumentError("give like=, a source, or frame_rate=")
        return like.frame_rate or LIVE_FRAME_RATE
    if not (math.isfinite(frame_rate) and frame_rate > 0):
        raise InvalidArgumentError(f"frame_rate is {frame_rate!r}; it must be above 0")
    return Fraction(frame_rate).limit_denominator(1001)


def _checked_crf(crf: int) -> int:
    if isinstance(crf, bool) or not isinstance(crf, int) or not 0 <= crf <= 51:
        raise InvalidArgumentError(f"crf is {crf!r}; it must be a whole number from 0 to 51")
    return crf
