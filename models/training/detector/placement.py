"""Putting a piece of a picture somewhere on a canvas, and its boxes with it, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from ....arrays import Float32Array, UInt8Array

LEAST_VISIBLE: Final = 0.2
"""Labelled boxes of which less is left, as a share of their area, are dropped."""

LEAST_SIDE: Final = 2.0
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
            little is left (`LEAST_VISIBLE`, `LEAST_SIDE`) are dropped.
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
        kept = (sides.min(axis=1, initial=np.inf) >= LEAST_SIDE) & (
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
