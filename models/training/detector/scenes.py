"""Training samples of a detector: pictures, portraits, parts, mosaics and backgrounds on a canvas.

The place of every person is known exactly, for the labels; the teacher sees the finished canvas,
so that its answers hold for it whatever was done.

A sample shows a part of a picture: a portrait, any part, a background without persons. Pieces of
pictures are put onto the canvas with their boxes, exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np

from ....arrays import Float32Array, UInt8Array
from ....letterbox import PAD_VALUE
from ..data.photometric import shift_hsv
from .settings import SceneSettings
from .table import PictureTable

LEAST_VISIBLE: Final = 0.2
"""Labelled boxes of which less is left, as a share of their area, are dropped."""

LEAST_BOX_SIDE: Final = 2.0
"""Labelled boxes that are narrower or lower than this on the canvas, in pixels, are dropped."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A piece of a picture: cut out, turned, mirrored, scaled, and put on a canvas, in this order.

    Coordinates are those of edges: a picture of width w reaches from 0 to w.

    Attributes:
        crop_xyxy: The piece: left, top, right, bottom, whole pixels of the picture.
        turns: Quarter turns counterclockwise, 0 to 3.
        flip: Whether the turned piece is mirrored left to right.
        size_wh: Width and height on the canvas in pixels.
        corner_xy: Its left and top on the canvas in pixels.
    """

    crop_xyxy: tuple[int, int, int, int]
    size_wh: tuple[int, int]
    corner_xy: tuple[int, int] = (0, 0)
    turns: int = 0
    flip: bool = False

    def cut(self, image_bgr: UInt8Array) -> UInt8Array:
        """Returns the piece as it will be on the canvas, (height, width, 3) uint8, BGR."""
        left, top, right, bottom = self.crop_xyxy
        piece = np.rot90(image_bgr[top:bottom, left:right], self.turns)
        if self.flip:
            piece = piece[:, ::-1]
        piece = np.ascontiguousarray(piece)
        scaled = cv2.resize(piece, self.size_wh, interpolation=cv2.INTER_LINEAR)
        return np.asarray(scaled, np.uint8)

    def paste(self, canvas: UInt8Array, piece: UInt8Array) -> None:
        """Puts what `cut` returned on a canvas, in place."""
        (left, top), (width, height) = self.corner_xy, self.size_wh
        canvas[top : top + height, left : left + width] = piece

    def boxes(self, boxes_xyxy: Float32Array) -> Float32Array:
        """Moves boxes from the picture to the canvas.

        Args:
            boxes_xyxy: (n, 4) float32, left, top, right, bottom in pixels of the picture.

        Returns:
            (m, 4) float32 on the canvas, cut off at the edges of the piece; those of which too
            little is left (`LEAST_VISIBLE`, `LEAST_BOX_SIDE`) are dropped.
        """
        left, top, right, bottom = self.crop_xyxy
        width, height = right - left, bottom - top
        whole = boxes_xyxy - np.array([left, top, left, top], np.float32)
        seen = np.clip(whole, 0, np.array([width, height, width, height], np.float32))
        x0, y0, x1, y1 = seen.T
        for _ in range(self.turns):
            x0, y0, x1, y1 = y0, width - x1, y1, width - x0
            width, height = height, width
        if self.flip:
            x0, x1 = width - x1, width - x0
        scale = np.array([self.size_wh[0] / width, self.size_wh[1] / height] * 2, np.float32)
        moved = np.stack([x0, y0, x1, y1], axis=1) * scale + np.array(self.corner_xy * 2)
        sides = moved[:, 2:] - moved[:, :2]
        kept = (sides.min(axis=1, initial=np.inf) >= LEAST_BOX_SIDE) & (
            _areas(seen) >= LEAST_VISIBLE * _areas(boxes_xyxy)
        )
        return np.asarray(moved[kept], np.float32)


def fit(
    crop_xyxy: tuple[int, int, int, int],
    frame_wh: tuple[int, int],
    *,
    turned: bool = False,
    aspect: float = 1.0,
    scale: float = 1.0,
) -> tuple[int, int]:
    """Returns the size of a piece that fits into a frame, as the letterbox truncates it.

    Args:
        crop_xyxy: The piece, whole pixels of the picture.
        frame_wh: Width and height of the frame in pixels.
        turned: Whether the piece lies on its side.
        aspect: Factor on its ratio of width and height.
        scale: Share of the largest size that fits.

    Returns:
        Width and height in pixels, each at least 1.
    """
    width, height = crop_xyxy[2] - crop_xyxy[0], crop_xyxy[3] - crop_xyxy[1]
    if turned:
        width, height = height, width
    wide = width * aspect
    ratio = min(frame_wh[1] / height, frame_wh[0] / wide) * scale
    return max(1, int(wide * ratio)), max(1, int(height * ratio))


def _areas(boxes_xyxy: Float32Array) -> Float32Array:
    sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    areas: Float32Array = sides[:, 0] * sides[:, 1]
    return areas


Window = tuple[int, int, int, int]
"""Left, top, right, bottom, whole pixels of the picture."""


LEAST_SIDE: Final = 40
"""Windows are at least so wide and high, in pixels: less is enlarged to mush."""

PORTRAIT_ASPECTS: Final = (0.55, 1.8)
"""Smallest and largest ratio of width and height of portraits: a phone held upright, and the
frame of a video call."""

_HEADROOM: Final = 0.35  # largest space above the head, as a share of what is shown of the person
_SIDESTEP: Final = 0.3  # farthest the person is from the middle, as a share of the window's width


def portrait_window(
    size_wh: tuple[int, int],
    boxes_xyxy: Float32Array,
    settings: SceneSettings,
    rng: np.random.Generator,
) -> Window | None:
    """Returns a window with the upper part of a person, cut off below.

    Args:
        size_wh: Width and height of the picture.
        boxes_xyxy: (n, 4) its labelled persons.
        settings: Says how much of a person is shown.
        rng: Source of randomness.

    Returns:
        The window; None where nobody is labelled or it would be too small.
    """
    if not len(boxes_xyxy):
        return None
    left, top, right, bottom = boxes_xyxy[int(rng.integers(len(boxes_xyxy)))].tolist()
    shown = (bottom - top) * rng.uniform(*settings.portrait_height_range)
    height = shown * (1 + rng.uniform(0, _HEADROOM))
    low, high = map(math.log, PORTRAIT_ASPECTS)
    width = height * math.exp(rng.uniform(low, high))
    middle = (left + right) / 2 + width * rng.uniform(-_SIDESTEP, _SIDESTEP)
    end = top + shown
    return _within(size_wh, middle - width / 2, end - height, middle + width / 2, end)


def part_window(
    size_wh: tuple[int, int], settings: SceneSettings, rng: np.random.Generator
) -> Window | None:
    """Returns any window; None where it would be too small."""
    width, height = size_wh
    wide, high = np.multiply(size_wh, rng.uniform(*settings.crop_range, 2)).tolist()
    left, top = rng.uniform(0, width - wide), rng.uniform(0, height - high)
    return _within(size_wh, left, top, left + wide, top + high)


def background_window(
    size_wh: tuple[int, int], boxes_xyxy: Float32Array, rng: np.random.Generator
) -> Window | None:
    """Returns a window beside, above or below all labelled persons; None without enough room."""
    width, height = size_wh
    if not len(boxes_xyxy):
        return 0, 0, width, height
    left, top = boxes_xyxy[:, :2].min(axis=0).tolist()
    right, bottom = boxes_xyxy[:, 2:].max(axis=0).tolist()
    strips = [
        (0, 0, math.floor(left), height),
        (0, 0, width, math.floor(top)),
        (math.ceil(right), 0, width, height),
        (0, math.ceil(bottom), width, height),
    ]
    roomy = [
        strip for strip in strips if min(strip[2] - strip[0], strip[3] - strip[1]) >= LEAST_SIDE
    ]
    return roomy[int(rng.integers(len(roomy)))] if roomy else None


def _within(
    size_wh: tuple[int, int], left: float, top: float, right: float, bottom: float
) -> Window | None:
    """Rounds a window and cuts it off at the edges of the picture."""
    width, height = size_wh
    window = (
        max(0, round(left)),
        max(0, round(top)),
        min(width, round(right)),
        min(height, round(bottom)),
    )
    small = min(window[2] - window[0], window[3] - window[1]) < LEAST_SIDE
    return None if small else window


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
