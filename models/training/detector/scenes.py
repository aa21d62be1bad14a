"""Training samples of a detector: pictures, portraits, parts, mosaics and backgrounds on a canvas.

The place of every person is known exactly, for the labels; the teacher sees the finished canvas,
so that its answers hold for it whatever was done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from ....letterbox import PAD_VALUE
from ..data.photometric import shift_hsv
from .placement import Placement, fit
from .settings import SceneSettings
from .table import PictureTable
from .windows import Window, background_window, part_window, portrait_window

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

Kind = Literal["whole", "portrait", "part", "mosaic", "background"]
KINDS: Final[tuple[Kind, ...]] = ("whole", "portrait", "part", "mosaic", "background")
"""In the order of `SceneSettings.kind_shares`."""

MOSAIC_KINDS: Final[tuple[Kind, ...]] = ("whole", "portrait", "part")
"""What the pieces of a mosaic are."""

MOSAIC_PIECES: Final = 4
"""YOLOX's mosaic."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One training sample.

    Attributes:
        canvas: (height, width, 3) uint8, BGR, of the network's input size.
        boxes_xyxy: (n, 4) float32, the labelled persons on it, left, top, right, bottom.
    """

    canvas: UInt8Array
    boxes_xyxy: Float32Array


def make_scene(
    table: PictureTable,
    index: int,
    *,
    size_wh: tuple[int, int],
    settings: SceneSettings,
    rng: np.random.Generator,
) -> Scene:
    """Makes a sample of a picture.

    Args:
        table: The pictures; mosaics take others from it.
        index: The picture.
        size_wh: Width and height of the canvas in pixels.
        settings: The random changes.
        rng: Source of randomness.

    Raises:
        InputError: A picture cannot be read.
    """
    composer = _Composer(table, settings, rng)
    kind = composer.kind(KINDS)
    canvas = np.full((size_wh[1], size_wh[0], 3), PAD_VALUE, np.uint8)
    if kind != "mosaic":
        return Scene(canvas, composer.place(canvas, (0, 0, *size_wh), index, kind))
    others = rng.integers(len(table), size=MOSAIC_PIECES - 1).tolist()
    frames = _mosaic_frames(size_wh, settings, rng)
    boxes = [
        composer.place(canvas, frame, piece, composer.kind(MOSAIC_KINDS))
        for piece, frame in zip([index, *others], frames, strict=True)
    ]
    return Scene(canvas, np.concatenate(boxes))


def _mosaic_frames(
    size_wh: tuple[int, int], settings: SceneSettings, rng: np.random.Generator
) -> list[Window]:
    """Returns the four fields of a mosaic, whole pixels of the canvas."""
    width, height = size_wh
    x, y = (int(side * rng.uniform(*settings.mosaic_split_range)) for side in size_wh)
    return [(0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)]


@dataclass(frozen=True, slots=True, eq=False)
class _Composer:
    """What all pieces of a sample have in common."""

    table: PictureTable
    settings: SceneSettings
    rng: np.random.Generator

    def kind(self, kinds: tuple[Kind, ...]) -> Kind:
        """Draws one of some kinds, by their shares; the first where all shares are 0."""
        shares = np.array([self.settings.kind_shares[KINDS.index(kind)] for kind in kinds])
        if shares.sum() == 0:
            return kinds[0]
        return kinds[int(self.rng.choice(len(kinds), p=shares / shares.sum()))]

    def place(self, canvas: UInt8Array, frame: Window, index: int, kind: Kind) -> Float32Array:
        """Puts a picture or a part of it into a frame of the canvas; returns its boxes there."""
        image, boxes = self.table.read(index), self.table.boxes_of(index)
        window = self.window(kind, (image.shape[1], image.shape[0]), boxes)
        placement = random_placement(window, frame, self.settings, self.rng)
        placement.paste(canvas, change_pixels(placement.cut(image), self.settings, self.rng))
        return placement.boxes(boxes)

    def window(self, kind: Kind, size_wh: tuple[int, int], boxes: Float32Array) -> Window:
        """Returns the part of a picture that is shown; all of it where there is no such part."""
        found: Window | None = None
        if kind == "portrait":
            found = portrait_window(size_wh, boxes, self.settings, self.rng)
        elif kind == "part":
            found = part_window(size_wh, self.settings, self.rng)
        elif kind == "background":
            found = background_window(size_wh, boxes, self.rng)
        return found or (0, 0, *size_wh)


def random_placement(
    window: Window, frame: Window, settings: SceneSettings, rng: np.random.Generator
) -> Placement:
    """Chooses how a part of a picture lies in a frame of the canvas.

    Some lie as the letterbox puts them: as large as fits, in the top left corner.

    Args:
        window: The part of the picture.
        frame: Where it may lie: left, top, right, bottom, whole pixels of the canvas.
        settings: The random changes.
        rng: Source of randomness.
    """
    turned = rng.random() < settings.turn_probability
    turns = int(rng.choice([1, 3])) if turned else 0
    flip = bool(rng.random() < settings.flip_probability)
    boxed = rng.random() < settings.letterbox_probability
    aspect = float(np.exp(rng.uniform(*np.log(settings.aspect_range))))
    scale = 1.0 if boxed else float(rng.uniform(*settings.scale_range))
    frame_wh = frame[2] - frame[0], frame[3] - frame[1]
    size = fit(window, frame_wh, turned=turned, aspect=aspect, scale=scale)
    room = frame_wh[0] - size[0], frame_wh[1] - size[1]
    x, y = (0, 0) if boxed else (int(rng.integers(room[0] + 1)), int(rng.integers(room[1] + 1)))
    return Placement(window, size, (frame[0] + x, frame[1] + y), turns, flip)


def change_pixels(
    image_bgr: UInt8Array, settings: SceneSettings, rng: np.random.Generator
) -> UInt8Array:
    """Changes colours and sharpness at random; returns (H, W, 3) uint8."""
    shifts = rng.uniform(-1, 1, 3) * settings.hsv_deltas * rng.integers(0, 2, 3)
    if shifts.any():
        image_bgr = shift_hsv(image_bgr, *shifts.astype(np.int16).tolist())
    if rng.random() < settings.grey_probability:
        grey = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY)
        image_bgr = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)
    if rng.random() < settings.blur_probability:
        image_bgr = np.asarray(cv2.blur(image_bgr, (3, 3)), np.uint8)
    if rng.random() < settings.noise_probability:
        deviation = rng.uniform(*settings.noise_range)
        noise = rng.standard_normal(image_bgr.shape, np.float32) * np.float32(deviation)
        image_bgr = np.clip(np.rint(image_bgr + noise), 0, 255).astype(np.uint8)
    return image_bgr
