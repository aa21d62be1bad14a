"""The sound of a clip, copied packet by packet into another without being encoded anew."""

from __future__ import annotations

import logging
import math
from fractions import Fraction
from itertools import islice
from typing import Any, Final

from ..closing import ClosesOnExit
from .libraries import require_av

logger = logging.getLogger(__name__)

MAX_REORDERED: Final = 64
"""Packets among whose frames the first one shown is; H.264 reorders 16 frames at most."""


class AudioCopy(ClosesOnExit):
    """All sound tracks of a file that another container can hold.

    Attributes:
        left_out: Names of the codecs of the tracks that the container cannot hold.
    """

    def __init__(self, path: str, output: Any, *, origin_s: float, with_lead: bool) -> None:
        """Opens the file and adds its sound tracks to a container.

        Args:
            path: File with sound; without one, or unreadable, there is nothing to copy.
            output: PyAV's container, to which nothing has been written yet.
            origin_s: What time of the clip's video becomes 0, in seconds from its beginning.
            with_lead: Whether to copy what is decoded before 0, but not heard; encoders put a
                packet or two there.
        """
        self._av = require_av("copying sound")
        self.left_out: list[str] = []
        self._streams: dict[int, Any] = {}
        self._output = output
        self._waiting: Any | None = None
        self._packets: Any = iter(())
        self._filters: dict[int, Any] = {}
        self._ended = False
        self._zero_s = Fraction(0)
        self._from_beginning = origin_s <= 0
        self._with_lead = with_lead
        try:
            self._input = self._av.open(path, "r")
        except (self._av.error.FFmpegError, OSError) as error:
            logger.warning("%s: its sound cannot be read: %s", path, error)
            self._input = None
        else:
            self._find_zero(origin_s)
            self._add_tracks()

    def _add_tracks(self) -> None:
        for stream in self._input.streams.audio:
            if self._is_over(stream):
                continue
            try:
                copied = self._output.add_stream_from_template(stream)
            except (ValueError, self._av.error.FFmpegError):
                codec = stream.codec_context
                self.left_out.append("unknown" if codec is None else codec.name)
                continue
            copied.metadata.update(stream.metadata)
            self._streams[stream.index] = copied
            if stream.codec_context.name == "aac" and not stream.codec_context.extradata:
                self._filters[stream.index] = self._without_headers(stream)
        tracks = tuple(self._input.streams[index] for index in self._streams)
        self._packets = iter(self._input.demux(tracks)) if tracks else iter(())

    def _without_headers(self, stream: Any) -> Any:
        """Returns a filter for AAC as transport streams hold it, each packet with a header.

        FFmpeg adds it by itself, but not with the options of an MP4 written in fragments.
        """
        from av.bitstream import BitStreamFilterContext

        return BitStreamFilterContext("aac_adtstoasc", stream)

    def _find_zero(self, origin_s: float) -> None:
        """Notes what time of the file becomes 0, and goes there."""
        videos = self._input.streams.video
        first = self._first_pts(videos[0]) if videos else None
        base = videos[0].time_base if videos else None
        start_s = Fraction(first * base) if first is not None and base else Fraction(0)
        self._zero_s = start_s + Fraction(origin_s).limit_denominator(1_000_000)
        if origin_s > 0:
            try:
                self._input.seek(int(self._zero_s * self._av.time_base))
            except self._av.error.FFmpegError as error:
                logger.debug("%s: %s", self._input.name, error)

    def _first_pts(self, video: Any) -> int | None:
        """Time stamp of the first frame shown, as `Decoder.begin_at` has it."""
        start: int | None = video.start_time
        if self._input.format.name != "avi":
            return start
        try:
            packets = islice(self._input.demux(video), MAX_REORDERED)
            stamps = [packet.pts for packet in packets if packet.pts is not None]
            self._input.seek(0)
        except self._av.error.FFmpegError as error:
            logger.debug("%s: %s", self._input.name, error)
            return start
        return min(stamps, default=start)

    def _is_over(self, stream: Any) -> bool:
        """Tells whether a track ends before the part begins; MP4 would wait for it to the end."""
        if stream.duration is None or stream.time_base is None:
            return False
        end_s = ((stream.start_time or 0) + stream.duration) * stream.time_base
        return bool(end_s <= self._zero_s)

    def copy_until(self, end_s: float) -> None:
        """Copies the packets that begin before a time of the new clip.

        Args:
            end_s: Seconds from its beginning.

        Raises:
            av.error.FFmpegError: The container cannot be written.
        """
        while not self._ended:
            packet = self._waiting or self._next_packet()
            self._waiting = None
            if packet is None:
                return
            begin_s = packet.pts * packet.time_base - self._zero_s
            if begin_s >= end_s:
                self._waiting = packet
                return
            if begin_s >= self._earliest_s(packet):
                self._copy(packet)

    def _earliest_s(self, packet: Any) -> float:
        """Returns the time before which packets are left out."""
        if not self._with_lead:
            return 0.0
        lead_s = float((packet.duration or 0) * packet.time_base)
        return -math.inf if self._from_beginning else -lead_s

    def _next_packet(self) -> Any | None:
        """Returns the next packet that has a time stamp; None at the end, or where it breaks."""
        while True:
            try:
                packet = next(self._packets, None)
            except self._av.error.FFmpegError as error:
                logger.warning("%s: its sound ends early: %s", self._input.name, error)
                packet = None
            if packet is None:
                self._ended = True
                return None
            if packet.pts is not None and packet.dts is not None:
                return packet

    def _copy(self, packet: Any) -> None:
        shift = round(self._zero_s / packet.time_base)
        packet.pts -= shift
        packet.dts -= shift
        index, time_base = packet.stream_index, packet.time_base
        filtered = self._filters[index].filter(packet) if index in self._filters else [packet]
        for each in filtered:
            each.stream, each.time_base = self._streams[index], time_base
            self._output.mux(each)

    def close(self) -> None:
        """Closes the file; may be called again."""
        if self._input is not None:
            self._input.close()
