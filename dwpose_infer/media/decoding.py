"""Decoding one video stream with PyAV: pictures, their time stamps, and what went wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..arrays import UInt8Array
from ..closing import ClosesOnExit
from ..errors import InputError
from ..picture_url import DEFAULT_ACCESS, UrlAccess
from .fragments import Beginning, open_whole_fragments
from .hdr import TRANSFERS, ToneMapper
from .libraries import reason_in_words, require_av
from .orientation import orientation_of, oriented_size, turn_upright
from .web_files import WebFiles, open_by_rule

logger = logging.getLogger(__name__)

MAX_GIVEN_UP: Final = 64
"""Lost frames that are recognised if they come late; H.264 reorders 16 frames at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """One step of decoding, in the order in which frames are shown.

    Attributes:
        frame: PyAV's frame, or None for one that is lost.
        pts: Its time stamp in units of the stream, or None where unknown.
        problem: What is wrong with it, or None.
        is_last: Whether reading cannot go on.
    """

    frame: Any | None
    pts: int | None = None
    problem: str | None = None
    is_last: bool = False


class AwaitedFrames:
    """The frames that went into a decoder and have not come out yet.

    Attributes:
        problem: What the decoder said last, in words, or what can be said without that.
    """

    def __init__(self) -> None:
        """Awaits nothing."""
        self._pts: set[int] = set()
        self._given_up: set[int] = set()
        self.problem = "it cannot be decoded"

    def add(self, packet: Any) -> None:
        """Awaits the frame of a PyAV packet."""
        if packet.pts is not None and not packet.is_discard:
            self._pts.add(packet.pts)

    def came(self, frames: Iterable[Any]) -> Iterator[Decoded]:
        """Yields frames that came out of the decoder, and before each what was lost before it.

        Around damage decoders may give a frame after a later one; it is lost by then.
        """
        for frame in frames:
            pts = frame.pts
            if pts in self._given_up:
                self._given_up.remove(pts)
                continue
            if pts is not None:
                # The second field of an interlaced frame may have a time stamp of its own.
                known = pts in self._pts and not frame.interlaced_frame
                before = sorted(stamp for stamp in self._pts if stamp < pts)
                self._pts = {stamp for stamp in self._pts if stamp > pts}
                for stamp in before if known else ():
                    self._given_up.add(stamp)
                    if len(self._given_up) > MAX_GIVEN_UP:
                        self._given_up.remove(min(self._given_up))
                    yield Decoded(None, stamp, self.problem)
            corrupt = "parts of it are missing or damaged" if frame.is_corrupt else None
            yield Decoded(frame, pts, corrupt)

    def lost(self) -> Iterator[Decoded]:
        """Yields what has not come when the decoder is empty."""
        remaining, self._pts = sorted(self._pts), set()
        for stamp in remaining:
            yield Decoded(None, stamp, self.problem)


class Decoder(ClosesOnExit):
    """The video stream of a file or a URL.

    Attributes:
        name: What error messages call it.
        container: PyAV's container.
        stream: PyAV's video stream.
        read_error: Bases of the errors that come while it is read.
    """

    def __init__(
        self,
        name: str,
        target: str,
        *,
        options: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        low_delay: bool = False,
        urls: UrlAccess = DEFAULT_ACCESS,
    ) -> None:
        """Opens the container.

        Args:
            name: What error messages call it.
            target: Path or URL.
            options: Options of libavformat.
            timeout_s: Longest wait for the connection and for each packet; None for files.
            low_delay: Decode with threads within a frame, not across frames, which hold back
                as many frames as there are threads.
            urls: Where a URL may lead.

        Raises:
            InputError: It cannot be opened or has no video stream.
            MissingDependencyError: PyAV is not installed.
        """
        self._av = av = require_av("reading videos")
        self.read_error: tuple[type[Exception], ...] = (av.error.FFmpegError, InputError)
        self.name = name
        self._beginning: Beginning | None = None
        self._web: WebFiles | None = None
        try:
            self.container = self._open(target, dict(options or {}), timeout_s, urls)
        except self.read_error as error:
            self._close_files()
            raise InputError(f"{name}: {reason_in_words(av, error, timeout_s)}") from error
        except (OSError, ValueError) as error:  # ValueError: a null character in the path
            raise InputError(f"{name} cannot be opened: {error}") from error
        try:
            self.stream = self._video_stream()
        except InputError:
            self.close()
            raise
        self.stream.thread_type = "SLICE" if low_delay else "AUTO"
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._timeout_s = timeout_s
        self._tone_mapper: ToneMapper | None = None
        self._begin_pts: int | None = None
        self._key_pts: int | None = None

    def _open(
        self, target: str, options: dict[str, str], timeout_s: float | None, urls: UrlAccess
    ) -> Any:
        try:
            if timeout_s is None:
                return self._av.open(target, "r", options=options)
            opened = open_by_rule(self._av, target, options, timeout_s=timeout_s, urls=urls)
            self._web = opened[1]
            return opened[0]
        except self._av.error.EOFError:
            if timeout_s is None:
                self._beginning = open_whole_fragments(Path(target))
            if self._beginning is None:
                raise
            return self._av.open(self._beginning, "r", format="mp4")

    @property
    def ends_in_fragment(self) -> bool:
        """Whether the file is a fragmented MP4 whose end cannot be read."""
        return self._beginning is not None

    def _video_stream(self) -> Any:
        cover = self._av.stream.Disposition.attached_pic
        videos = [
            stream for stream in self.container.streams.video if not stream.disposition & cover
        ]
        if not videos:
            kinds = sorted({stream.type for stream in self.container.streams})
            only = f", only {' and '.join(kinds)}" if kinds else ""
            raise InputError(f"{self.name}: there is no video stream in it{only}")
        if videos[0].codec_context is None:
            raise InputError(f"{self.name}: this PyAV has no decoder for its video codec")
        return videos[0]

    @property
    def time_base(self) -> Fraction:
        """Unit of the time stamps, in seconds."""
        return Fraction(self.stream.time_base or Fraction(1, self._av.time_base))

    @property
    def frame_rate(self) -> Fraction | None:
        """Average number of frames per second, or None where the container does not know."""
        rate = self.stream.average_rate or self.stream.guessed_rate
        return Fraction(rate) if rate else None

    @property
    def duration_s(self) -> float | None:
        """How long the container says the clip is, in seconds, or None where it does not.

        Matroska notes when the clip ends, which is later where it does not begin at 0.
        """
        container = self.container
        if not container.duration:
            return None
        begins = container.start_time or 0 if "matroska" in container.format.name else 0
        return max(0.0, float(container.duration - begins) / 1e6)  # AV_TIME_BASE

    def pixel_aspect_ratio(self, upright_wh: tuple[int, int]) -> Fraction:
        """Returns how wide a pixel is shown, by its height.

        Args:
            upright_wh: Width and height of the frames as `to_bgr` gives them.
        """
        ratio = Fraction(self.stream.sample_aspect_ratio or 1)
        stored = self.stream.codec_context
        turned = upright_wh != (stored.width, stored.height)
        return 1 / ratio if turned and ratio else ratio or Fraction(1)

    @property
    def begin_pts(self) -> int:
        """Time stamp of the first frame that is shown, as far as it is known."""
        return int(self.stream.start_time or 0) if self._begin_pts is None else self._begin_pts

    def time_s(self, pts: int) -> float:
        """Returns a time stamp in seconds from the beginning of the video stream."""
        return float((pts - self.begin_pts) * self.time_base)

    def packets(self) -> Iterator[Any]:
        """Yields the packets of the stream, and at the end an empty one.

        PyAV knows the streams it found at the beginning; damage in a transport stream can make a
        packet one of another stream, over which it stumbles.
        """
        while True:
            try:
                for packet in self.container.demux(self.stream):
                    if self._web is not None and self._web.problem is not None:
                        raise self._web.problem
                    yield packet
            except IndexError:
                continue
            return

    def presentation_times(self) -> list[int]:
        """Returns the time stamps of all frames shown, in order, without decoding them."""
        times: set[int] = set()
        key_pts: int | None = None
        try:
            for packet in self.packets():
                if packet.pts is not None and not packet.is_discard:
                    times.add(packet.pts)
                    if packet.is_keyframe and key_pts is None:
                        key_pts = packet.pts
        except self.read_error as error:  # a damaged end; what comes before it can be used
            logger.debug("%s: %s", self.name, error)
        known = sorted(times if key_pts is None else (pts for pts in times if pts >= key_pts))
        if known:
            self.begin_at(known[0])
        return known

    def begin_at(self, pts: int) -> None:
        """Takes the time stamp of the first frame of an AVI.

        AVI counts from 0 in the order of decoding: with B-frames the first one shown is later.
        """
        if self.container.format.name == "avi":
            self._begin_pts = pts

    def decode(self, *, from_middle: bool = False) -> Iterator[Decoded]:
        """Yields every frame of the stream until it ends, lost ones included.

        What cannot be decoded before the first key frame, as in a recording that begins inside a
        group of pictures, is left out, which is logged.

        Args:
            from_middle: Whether the container was sought, so that nothing begins here.
        """
        leading = 0
        self._key_pts = None
        begun = False
        for step in self._decode():
            lost = step.problem is not None and not step.is_last
            if not begun and lost and self._is_before_key_frame(step.pts):
                leading += 1
                continue
            if not begun:
                begun = True
                if leading and step.problem is None and not from_middle:
                    logger.warning(
                        "%s begins inside a group of pictures: what comes before its first key "
                        "frame (%d frames) is left out",
                        *(self.name, leading),
                    )
                if self._begin_pts is None and step.pts is not None and not from_middle:
                    self.begin_at(step.pts)
            yield step

    def _is_before_key_frame(self, pts: int | None) -> bool:
        return self._key_pts is None or (pts is not None and pts < self._key_pts)

    def _decode(self) -> Iterator[Decoded]:
        """Yields every frame, lost ones included, also before the first key frame.

        Decoders pass over what they cannot use without a word. So the time stamps of what went in
        are kept until they come out again, and those that a later frame overtakes are lost.
        """
        awaited = AwaitedFrames()
        last: Any | None = None
        packets = self.packets()
        while True:
            try:
                packet = next(packets, None)
            except self.read_error as error:
                yield from awaited.came(self._decode_packet(None, awaited))
                yield from awaited.lost()
                yield Decoded(
                    None, None, reason_in_words(self._av, error, self._timeout_s), is_last=True
                )
                return
            # The end of a file that is cut off: decoders would lose whole frames over it.
            if last is not None and (packet is not None and packet.size):
                awaited.add(last)
                yield from awaited.came(self._decode_packet(last, awaited))
                last = None
            if packet is None:
                break
            if self._key_pts is None and packet.is_keyframe:
                self._key_pts = packet.pts
            if packet.is_corrupt and packet.size:
                last = packet
                continue
            awaited.add(packet)
            yield from awaited.came(self._decode_packet(packet, awaited))
        yield from awaited.lost()
        if last is not None:
            yield Decoded(None, last.pts, "its last frame is cut off", is_last=True)

    def _decode_packet(self, packet: Any | None, awaited: AwaitedFrames) -> list[Any]:
        """Returns the frames that one packet gives; None asks for what the decoder holds."""
        try:
            return list(self.stream.decode(packet))
        except self._av.error.EOFError:
            return []
        except self.read_error as error:
            awaited.problem = f"it cannot be decoded: {getattr(error, 'strerror', None) or error}"
            return []

    def size_wh(self, frame: Any) -> tuple[int, int]:
        """Returns width and height of a frame, upright."""
        return oriented_size((frame.width, frame.height), orientation_of(frame))

    def to_bgr(self, frame: Any) -> UInt8Array:
        """Returns a frame as (H, W, 3) uint8, BGR, upright, in memory of its own.

        The colour matrix is the one the stream names; where it names none, ITU-R BT.601, as
        FFmpeg and OpenCV take it. HDR becomes SDR, see `hdr`.
        """
        converted = self._sdr(frame) or self._reformatter.reformat(frame, format="bgr24")
        return turn_upright(np.asarray(converted.to_ndarray(), np.uint8), orientation_of(frame))

    def _sdr(self, frame: Any) -> Any | None:
        """A frame of an HDR stream in ordinary colours; None for other frames."""
        code = getattr(frame, "color_trc", self.stream.codec_context.color_trc)
        transfer = TRANSFERS.get(int(code))
        if transfer is None:
            return None
        if self._tone_mapper is None:
            logger.warning(
                "%s is HDR (%s): its frames are turned into ordinary colours (SDR, BT.709)",
                *(self.name, transfer),
            )
            self._tone_mapper = ToneMapper(self._av, transfer)
        return self._tone_mapper(frame)

    def close(self) -> None:
        """Closes the container; may be called again."""
        self.container.close()
        self._close_files()

    def _close_files(self) -> None:
        if self._beginning is not None:
            self._beginning.close()
        if self._web is not None:
            self._web.close()
