"""Boxes that a caller gives, checked before any network sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from .detector import Detections
from .errors import InvalidArgumentError


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
    if not np.isfinite(array).all() or (array[:, :2] >= array[:, 2:]).any():
        raise InvalidArgumentError(
            "each box must be left, top, right, bottom in pixels, with left < right and "
            "top < bottom"
        )
    return Detections(array, np.ones(len(array), np.float32))
