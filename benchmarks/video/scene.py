"""Short clips for the benchmark: persons that move over a background, made here."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ...arrays import BoolArray, UInt8Array
from ...errors import needs_extra
from ...letterbox import PAD_VALUE
from ...media import VideoWriter, hdr
from ..peers.montage import PICTURE_WH, montage

FRAME_RATE = 25
PERIOD_S = 4.0
"""Time of one swing back and forth; with the way below about the speed of a walk."""

HDR_WH = (1920, 1080)
"""Size of the clip in HDR, that of phones."""

SHARE_OF_ROOM = 0.7
"""The persons move through this share of the room around them."""

NOISE = 10.0
"""Standard deviation of the background's grey levels, in waves of a few pixels: an encoder has
something to do on it, and the bundled detector finds nobody in it."""


def moving_people(persons: int, frames: int) -> Iterator[UInt8Array]:
    """Yields the frames of a clip, (720, 1280, 3) uint8 BGR.

    Args:
        persons: How many there are, see `montage`.
        frames: Number of frames.

    Raises:
        InvalidArgumentError: `persons` is out of range.
    """
    people = montage(persons)
    shown = (people != PAD_VALUE).any(axis=2)
    room_x, room_y = (_room(shown.any(axis=axis)) for axis in (0, 1))
    background = _background()
    mask = cv2.erode(shown.astype(np.uint8), np.ones((3, 3), np.uint8))
    for index in range(frames):
        phase = 2 * math.pi * index / (PERIOD_S * FRAME_RATE)
        shift_x = round(SHARE_OF_ROOM * room_x * math.sin(phase))
        shift_y = round(SHARE_OF_ROOM * room_y * math.sin(phase / 2))
        moved, where = (np.roll(each, (shift_y, shift_x), (0, 1)) for each in (people, mask))
        yield np.where(where[..., None] > 0, moved, background)


def _room(occupied: BoolArray) -> int:
    """Returns how far things can move either way along an axis, in pixels."""
    places = np.flatnonzero(occupied)
    return int(min(places[0], len(occupied) - 1 - places[-1]))


def _background() -> UInt8Array:
    width, height = PICTURE_WH
    noise = np.random.default_rng(0).normal(size=(height, width, 3)).astype(np.float32)
    waves = cv2.GaussianBlur(noise, (0, 0), 3)
    grey = PAD_VALUE + NOISE * waves / waves.std()
    levels: UInt8Array = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    return levels


def write_clip(path: Path, *, persons: int, frames: int) -> Path:
    """Writes such a clip as H.264.

    Raises:
        MissingDependencyError: PyAV is not installed.
        OutputError: The file cannot be written.
    """
    with VideoWriter(path, frame_rate=FRAME_RATE) as writer:
        for image_bgr in moving_people(persons, frames):
            writer.write(image_bgr)
    return path


def write_hdr_clip(path: Path, *, frames: int) -> Path:
    """Writes a clip of one person as phones record it: HEVC, 10 bits, BT.2020, PQ.

    Raises:
        MissingDependencyError: PyAV is not installed.
    """
    with needs_extra("clips need PyAV", "video"):
        av = importlib.import_module("av")
    with av.open(str(path), "w") as container:
        # Without B-frames: with them x265 leaves the decoding time of a clip of few frames unset.
        options = {"x265-params": "log-level=none:bframes=0", "preset": "fast"}
        stream = container.add_stream("libx265", rate=FRAME_RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = *HDR_WH, "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace = _PQ, _BT2020, _BT2020
        context.color_range, context.time_base = 1, Fraction(1, FRAME_RATE)
        for index, image_bgr in enumerate(moving_people(1, frames)):
            frame = av.VideoFrame.from_ndarray(_pq_signal(image_bgr), format="rgb48le")
            frame = frame.reformat(format="yuv420p10le", dst_colorspace=_BT2020, dst_color_range=1)
            frame.color_trc, frame.color_primaries, frame.colorspace = _PQ, _BT2020, _BT2020
            frame.color_range = 1
            frame.pts, frame.time_base = index, Fraction(1, FRAME_RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


_PQ, _BT2020 = 16, 9
"""Numbers of transfer and gamut in ITU-T H.273."""


def _pq_signal(image_bgr: UInt8Array) -> npt.NDArray[np.uint16]:
    """R'G'B' in PQ (SMPTE ST 2084) of a picture whose white is at the reference white."""
    large = cv2.resize(image_bgr, HDR_WH, interpolation=cv2.INTER_CUBIC)
    sdr = (large[..., ::-1] / np.float32(255)) ** hdr.SDR_GAMMA
    light = (sdr @ np.linalg.inv(hdr.BT2020_TO_BT709).T * hdr.REFERENCE_WHITE).clip(0, None)
    power = (light / 10_000) ** (2610 / 16384)
    coded = (3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)
    signal: npt.NDArray[np.uint16] = np.rint(coded ** (2523 / 32) * 65535).astype(np.uint16)
    return signal
