"""Boxes that a caller gives, checked before any network sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from .detector import Detections
from .errors import InvalidArgumentError
from .images import ReadPicture

MAX_COORDINATE = 1e7
"""Pixels; no picture has a side of as many, and float32 tells whole pixels apart up to there."""


def read_fitting(read: Callable[[], ReadPicture], persons: Detections) -> ReadPicture:
    """Reads a picture and checks that given boxes are on it.

    Args:
        read: Reads the picture.
        persons: The boxes given for it.

    Raises:
        InputError: It cannot be read.
        InvalidArgumentError: A box is wholly outside it, or smaller than a pixel.
    """
    picture = read()
    height, width = picture.image_bgr.shape[:2]
    boxes = persons.boxes_xyxy
    if (boxes[:, 2:] - boxes[:, :2] < 1).all(axis=1).any():
        raise InvalidArgumentError(
            "a box is smaller than a pixel: boxes are in pixels, so multiply fractions by the "
            f"picture's width and height, {width} and {height}"
        )
    outside = (boxes[:, 2:] <= 0).any(axis=1) | (boxes[:, :2] >= (width, height)).any(axis=1)
    if outside.any():
        left, top, right, bottom = boxes[outside][0].tolist()
        raise InvalidArgumentError(
            f"the box ({left:g}, {top:g}, {right:g}, {bottom:g}) is wholly outside its picture of "
            f"{width}x{height} pixels"
        )
    return picture


def persons_per_picture(
    boxes: npt.ArrayLike | Sequence[npt.ArrayLike | None] | None, count: int, *, single: bool
) -> list[Detections | None]:
    """Returns one entry for each picture: its persons, or None where no boxes are given for it.

    Args:
        boxes: Boxes (P, 4) of one picture, or a sequence of them, or None.
        count: Number of pictures.
        single: Whether `boxes` are those of one single picture.

    Raises:
        InvalidArgumentError: They are no boxes, or not as many as there are pictures.
    """
    if boxes is None:
        return [None] * count
    several = [boxes] if single else boxes
    entries = list(cast("Sequence[npt.ArrayLike | None]", several))
    if len(entries) != count:
        raise InvalidArgumentError(
            f"boxes has {len(entries)} entries for {count} pictures; give one for each picture"
        )
    return [None if entry is None else given_persons(entry) for entry in entries]


def given_persons(boxes: npt.ArrayLike) -> Detections:
    """Returns persons of given boxes, of whom all are sure: their scores are 1.

    Args:
        boxes: (P, 4), left, top, right, bottom in pixels; one single box may be (4,).

    Raises:
        InvalidArgumentError: They are no boxes.
    """
    try:
        array = np.array(boxes, np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"boxes are not numbers of shape (P, 4): {error}") from error
    if array.size == 0:
        array = array.reshape(0, 4)
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or array.shape[1] != 4:
        raise InvalidArgumentError(f"boxes have the shape {array.shape}, must be (P, 4)")
    if not (np.abs(array) < MAX_COORDINATE).all() or (array[:, :2] >= array[:, 2:]).any():
        raise InvalidArgumentError(
            "each box must be left, top, right, bottom in pixels, with left < right and "
            "top < bottom, none of them beyond 10 million"
        )
    return Detections(array, np.ones(len(array), np.float32))
