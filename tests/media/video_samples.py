"""Small clips made for the tests: shapes of known colours that move."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

TIME_BASE = Fraction(1, 90_000)
BACKGROUND_BGR = (200, 40, 40)
SQUARE_BGR = (30, 30, 220)
SAMPLE_RATE = 44_100


def picture(index: int, size_wh: tuple[int, int] = (160, 120)) -> np.ndarray:
    """A red square on blue that moves two pixels a frame to the right, along the upper edge."""
    width, height = size_wh
    image = np.full((height, width, 3), BACKGROUND_BGR, np.uint8)
    left = (2 * index) % (width - 24)
    image[8:32, left : left + 24] = SQUARE_BGR
    return image


def square_left(image_bgr: np.ndarray) -> float:
    """Where the square's left edge is, to half a pixel."""
    red = image_bgr[20, :, 2].astype(int) - image_bgr[20, :, 0]
    columns = np.flatnonzero(red > 0)
    return float(columns[0])


def even_pts(count: int, step: int = 3003) -> list[int]:
    """Time stamps of 30000/1001 frames per second."""
    return [index * step for index in range(count)]


def uneven_pts(count: int) -> list[int]:
    """Time stamps of a variable frame rate: 1/30 s, 1/15 s and 1/60 s in turn."""
    steps = [3000, 6000, 1500]
    return [sum(steps[i % 3] for i in range(index)) for index in range(count)]


def make_clip(
    path: Path,
    *,
    pts: Sequence[int] = tuple(even_pts(60)),
    size_wh: tuple[int, int] = (160, 120),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    audio: str | None = None,
    colorspace: int = 6,
    pixel_aspect_ratio: Fraction = Fraction(1),
) -> Path:
    """Writes a clip; `audio` names an encoder."""
    settings = {"preset": "ultrafast", "crf": "12", "g": "12", "bf": "2"}
    if codec != "libx264":
        settings = {}
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(
            codec, rate=Fraction(30000, 1001), options=settings | (options or {})
        )
        stream.width, stream.height = size_wh
        stream.pix_fmt = pixel_format
        time_base = TIME_BASE if codec == "libx264" else 3003 * TIME_BASE  # MPEG-4: 16 bits
        stream.codec_context.time_base = time_base
        stream.codec_context.colorspace = colorspace
        stream.codec_context.sample_aspect_ratio = pixel_aspect_ratio
        sound = None if audio is None else container.add_stream(audio, rate=SAMPLE_RATE)
        if sound is not None:
            sound.layout = "mono"
        for index, stamp in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(picture(index, size_wh), format="bgr24")
            matrix = {1: "itu709", 6: "smpte170m"}[colorspace]
            frame = frame.reformat(format=pixel_format, dst_colorspace=matrix)
            frame.pts, frame.time_base = round(stamp * TIME_BASE / time_base), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            add_tone(container, sound, seconds=float((pts[-1] + 3003) * TIME_BASE))
    return path


def set_matrix(path: Path, matrix: Sequence[int]) -> Path:
    """Writes a display matrix into an MP4: a, b, c, d of 16.16 fixed point, given as 1, 0 or -1.

    The field stands 40 bytes after the type of the box tkhd, ISO/IEC 14496-12, 8.3.2.
    """
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (65536 * value for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 2**30)
    path.write_bytes(data)
    return path


def add_tone(container: av.container.OutputContainer, sound: av.AudioStream, seconds: float):
    """Adds 440 Hz."""
    size = 1024
    for block in range(int(seconds * SAMPLE_RATE) // size):
        moments = (np.arange(size) + block * size) / SAMPLE_RATE
        wave = (8000 * np.sin(2 * np.pi * 440 * moments)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, block * size
        container.mux(sound.encode(frame))
    container.mux(sound.encode(None))


def video_times(path: Path) -> list[float]:
    """Times of the frames of a file in seconds, decoded with PyAV alone."""
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]


def audio_packets(path: Path) -> list[bytes]:
    """The packets of the first sound track."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]
