"""Whom to keep where not everybody is wanted."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from .arrays import Float64Array, FloatArray
from .errors import InvalidArgumentError
from .similarity import box_areas

Preference = Literal["score", "largest", "center"]


def check_preference(prefer: str) -> None:
    """Checks the name of a preference.

    Raises:
        InvalidArgumentError: There is none of this name.
    """
    if prefer not in get_args(Preference):
        raise InvalidArgumentError(
            f"prefer is {prefer!r}, must be one of {', '.join(get_args(Preference))}"
        )


def merits(
    prefer: Preference,
    boxes_xyxy: FloatArray,
    box_scores: FloatArray | None,
    image_size: tuple[int, int] | None,
) -> Float64Array:
    """Returns how much each person of a picture is wanted, the more the higher.

    Args:
        prefer: "score" wants the highest box scores, "largest" the largest boxes, "center" those
            nearest to the middle of the picture.
        boxes_xyxy: (P, 4), left, top, right, bottom in pixels.
        box_scores: (P,), or None where unknown: all are alike then.
        image_size: (width, height) of the picture, or None where unknown.

    Returns:
        (P,) float64.

    Raises:
        InvalidArgumentError: `prefer` is "center" and the picture's size is not known.
    """
    if prefer == "largest":
        return box_areas(boxes_xyxy)
    if prefer == "score":
        return np.ones(len(boxes_xyxy)) if box_scores is None else np.array(box_scores, float)
    if image_size is None:
        raise InvalidArgumentError(
            'prefer="center" needs the picture\'s size, and the result has no image_size'
        )
    centers = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    distances: Float64Array = np.linalg.norm(centers - np.array(image_size) / 2, axis=1)
    return -distances
