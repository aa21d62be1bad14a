"""Encoding pictures as H.264, with their time stamps, beside the copied sound."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from ..arrays import UInt8Array
from ..errors import InvalidArgumentError, MissingDependencyError
from ..files.output_file import OutputFile
from .audio_copy import AudioCopy
from .libraries import require_av

logger = logging.getLogger(__name__)

CONTAINERS: Final[Mapping[str, str]] = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
}
"""Endings of the names of videos that can be written, and libavformat's names of the formats."""

H264_ENCODERS: Final = ("libx264", "libopenh264")
"""Encoders of H.264 that run anywhere, the better one first."""

BT601: Final = 6
"""AVCOL_SPC_SMPTE170M: the colour matrix that readers take which do not look at the tag."""

LIMITED_RANGE: Final = 1
"""AVCOL_RANGE_MPEG: luma from 16 to 235, which every player expects."""

BITS_PER_PIXEL: Final = 0.2
"""Bit rate of encoders without constant quality, per pixel and frame: twice what is usual for
H.264, as skeletons are thin lines."""

DELAY_MOOV_VERSION: Final = (62, 12)
"""libavformat (of FFmpeg 8.1) from which delay_moov goes with hybrid_fragmented: 62.3 overwrites
the beginning of the file."""

_FRAGMENT_MS: Final = 250
"""What is written in one piece, in milliseconds of video: a crash of the process loses as much."""


@dataclass(frozen=True, slots=True)
class EncodingOptions:
    """How pictures are encoded.

    Attributes:
        codec: PyAV's name of an encoder; None takes the first of `H264_ENCODERS` there is.
        crf: Constant rate factor of x264, 0 (lossless) to 51; less is better and larger.
        preset: Speed of x264, "ultrafast" to "veryslow".
        frame_rate: Nominal frames per second.
        time_base: Unit of the time stamps in seconds.
        pixel_aspect_ratio: Width of a pixel as it is shown, by its height.
    """

    codec: str | None
    crf: int
    preset: str
    frame_rate: Fraction
    time_base: Fraction
    pixel_aspect_ratio: Fraction = Fraction(1)


class Encoder:
    """One video being written."""

    def __init__(
        self,
        file: OutputFile,
        ending: str,
        size_wh: tuple[int, int],
        options: EncodingOptions,
        *,
        audio_from: str | None,
        origin_s: float,
    ) -> None:
        """Opens the encoder and writes nothing yet.

        Args:
            file: Where to.
            ending: A key of `CONTAINERS`.
            size_wh: Width and height of the pictures in pixels.
            options: How.
            audio_from: File whose sound is copied, or None.
            origin_s: Time of the first picture in the clip, in seconds; it becomes 0.

        Raises:
            InvalidArgumentError: The encoder is unknown or does not fit the container.
            MissingDependencyError: PyAV is missing, or has no encoder of H.264.
        """
        self._av = av = require_av("writing videos")
        container_options = {"flush_packets": "1"}
        if CONTAINERS[ending] == "matroska":
            container_options["cluster_time_limit"] = str(_FRAGMENT_MS)
        else:
            delay = "+delay_moov" if holds_lead(av, ending) else ""
            container_options["movflags"] = f"+hybrid_fragmented{delay}"
            container_options["frag_duration"] = str(1000 * _FRAGMENT_MS)
        self._container = av.open(file, "w", format=CONTAINERS[ending], options=container_options)
        self._size_wh = size_wh
        self._time_base = options.time_base
        self._stream = self._add_video(options)
        self._audio = (
            None
            if audio_from is None
            else AudioCopy(
                audio_from, self._container, origin_s=origin_s, with_lead=holds_lead(av, ending)
            )
        )
        self._durations: dict[int, int] = {}
        self._origin_s = origin_s
        self._last_pts = -1
        self._end_s = 0.0

    def _add_video(self, options: EncodingOptions) -> Any:
        codec = choose_encoder(self._av, options.codec)
        width, height = (side + side % 2 for side in self._size_wh)
        settings = {}
        if codec in ("libx264", "libx265"):
            # Without B-frames, which MP4 shows in time only by an edit list: readers that pass
            # over it are late, and the last frame can fall behind its end.
            settings = {"crf": str(options.crf), "preset": options.preset, "bf": "0"}
        try:
            stream = self._container.add_stream(codec, rate=options.frame_rate, options=settings)
        except (ValueError, self._av.error.FFmpegError) as error:
            raise InvalidArgumentError(f"codec {codec!r} does not fit here: {error}") from error
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = options.time_base
        stream.codec_context.sample_aspect_ratio = options.pixel_aspect_ratio
        stream.codec_context.colorspace = BT601
        stream.codec_context.color_range = LIMITED_RANGE
        if not settings:
            stream.bit_rate = round(BITS_PER_PIXEL * width * height * options.frame_rate)
        return stream

    @property
    def audio_left_out(self) -> list[str]:
        """Codecs of the sound tracks that the container cannot hold."""
        return [] if self._audio is None else self._audio.left_out

    def encode(self, image_bgr: UInt8Array, time_s: float, duration_s: float) -> None:
        """Adds a picture; one of another size is fitted into the first one's.

        Args:
            image_bgr: (H, W, 3) uint8.
            time_s: When it is shown, in seconds of the clip.
            duration_s: How long.

        Raises:
            av.error.FFmpegError: It cannot be encoded or written.
        """
        shown_s = time_s - self._origin_s
        pts = max(round(shown_s / self._time_base), self._last_pts + 1)
        pixels = pad_to_even(fit_into(image_bgr, self._size_wh))
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="bgr24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG")
        frame.pts, frame.time_base = pts, self._time_base
        self._durations[pts] = max(1, round(duration_s / self._time_base))
        self._last_pts = pts
        self._end_s = shown_s + duration_s
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, packet.duration)
            if self._audio is not None and packet.dts is not None:
                self._audio.copy_until(float(packet.dts * packet.time_base))
            self._container.mux(packet)

    def finish(self) -> None:
        """Writes what is left and the end of the file.

        Raises:
            av.error.FFmpegError: It cannot be written.
        """
        self._mux(self._stream.encode(None))
        if self._audio is not None:
            self._audio.copy_until(self._end_s)
        self.release()

    def release(self) -> None:
        """Closes the container; what is pending is written only if the file still takes it."""
        if self._audio is not None:
            self._audio.close()
        self._container.close()


def holds_lead(av: Any, ending: str) -> bool:
    """Tells whether what is decoded before 0, but not heard, can be kept in a container.

    In Matroska, and in MP4 without the option delay_moov, it would make everything else later.
    """
    version: tuple[int, ...] = av.library_versions["libavformat"]
    return CONTAINERS[ending] != "matroska" and version >= DELAY_MOOV_VERSION


def choose_encoder(av: Any, name: str | None) -> str:
    """Returns the name of an encoder that this PyAV has.

    Raises:
        InvalidArgumentError: There is none of the name given.
        MissingDependencyError: There is none of H.264.
    """
    for candidate in H264_ENCODERS if name is None else (name,):
        try:
            av.codec.Codec(candidate, "w")
        except (ValueError, av.error.FFmpegError):
            continue
        return candidate
    if name is not None:
        raise InvalidArgumentError(f"this PyAV has no encoder {name!r}")
    raise MissingDependencyError(
        f"this PyAV has no encoder of H.264 ({' or '.join(H264_ENCODERS)}); the wheels on PyPI "
        'have: pip install --force-reinstall --only-binary av "av<19". Or choose another one, '
        'such as codec="mpeg4"'
    )


def check_ending(path: Path) -> str:
    """Returns the ending of a video's name.

    Raises:
        InvalidArgumentError: Videos of this ending are not written.
    """
    ending = path.suffix.lower()
    if ending not in CONTAINERS:
        raise InvalidArgumentError(
            f"{path}: videos are written as {', '.join(CONTAINERS)}, not as {ending or 'this'}"
        )
    return ending


def fit_into(image_bgr: UInt8Array, size_wh: tuple[int, int]) -> UInt8Array:
    """Returns a picture in the size given: scaled with its proportions, black around it."""
    width, height = size_wh
    rows, columns = image_bgr.shape[:2]
    if (columns, rows) == size_wh:
        return image_bgr
    scale = min(width / columns, height / rows)
    inner_wh = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    fitted = np.zeros((height, width, 3), np.uint8)
    left, top = (width - inner_wh[0]) // 2, (height - inner_wh[1]) // 2
    resized = cv2.resize(image_bgr, inner_wh, interpolation=method)
    fitted[top : top + inner_wh[1], left : left + inner_wh[0]] = resized
    return fitted


def pad_to_even(image_bgr: UInt8Array) -> UInt8Array:
    """Returns a picture of even width and height, its last column and row repeated for that.

    H.264 in 4:2:0, which alone plays everywhere, has colours for pairs of pixels.
    """
    rows, columns = image_bgr.shape[:2]
    if rows % 2 == 0 and columns % 2 == 0:
        return image_bgr
    padded = cv2.copyMakeBorder(image_bgr, 0, rows % 2, 0, columns % 2, cv2.BORDER_REPLICATE)
    return np.asarray(padded, np.uint8)
