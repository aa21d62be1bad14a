"""Short clips for the benchmark: persons that move over a background, made here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ...letterbox import PAD_VALUE
from ...media import VideoWriter
from ..peers.montage import PICTURE_WH, montage

UInt8Array = npt.NDArray[np.uint8]

FRAME_RATE = 25
PERIOD_S = 4.0
"""Time of one swing back and forth; with the way below about the speed of a walk."""

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


def _room(occupied: npt.NDArray[np.bool_]) -> int:
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
