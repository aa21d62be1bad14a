"""Which pictures and persons of an annotation file take part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..annotations import Annotations
from ..arrays import BoolArray, Float64Array
from ..errors import InputError, InvalidArgumentError


def keep_images(annotations: Annotations, kept: BoolArray) -> Annotations:
    """Returns the pictures that a mask keeps, with their persons.

    Args:
        annotations: Labels.
        kept: (I,) bool.
    """
    new_index = np.cumsum(kept) - 1
    persons = annotations.select(np.flatnonzero(kept[annotations.image_indices]))
    return replace(
        persons,
        image_ids=annotations.image_ids[kept],
        file_names_utf8=annotations.file_names_utf8[kept],
        sizes_wh=annotations.sizes_wh[kept],
        sources=annotations.sources[kept],
        image_indices=new_index[persons.image_indices].astype(np.int32),
    )


def chosen_images(
    annotations: Annotations, *, frame_step: int = 1, limit: int | None = None
) -> Annotations:
    """Returns a part of the pictures, with their persons.

    Args:
        annotations: Labels.
        frame_step: Keep pictures whose id is a multiple of it; UBody's evaluation takes 10.
        limit: Keep the first so many of these; None keeps all.

    Raises:
        InvalidArgumentError: No picture is left, or a number is below 1.
    """
    if frame_step < 1 or (limit is not None and limit < 1):
        raise InvalidArgumentError("frame step and limit must be at least 1")
    kept = annotations.image_ids % frame_step == 0
    if limit is not None:
        kept &= np.cumsum(kept) <= limit
    if not kept.any():
        raise InvalidArgumentError(
            f"{annotations.path.name} has no image whose id is a multiple of {frame_step}"
        )
    return annotations if kept.all() else keep_images(annotations, kept)


def is_evaluated(annotations: Annotations) -> BoolArray:
    """Tells which persons get a prediction when boxes come from the labels, as in mmpose.

    Left out are crowds, persons without labelled body points and empty boxes.

    Returns:
        (P,) bool.
    """
    has_box = (annotations.boxes_xywh[:, 2:] > 0).all(axis=1)
    has_points = (annotations.num_keypoints > 0) & (annotations.keypoints[..., 2] > 0).any(axis=1)
    evaluated: BoolArray = ~annotations.is_crowd & has_box & has_points
    return evaluated


def labelled_boxes_xyxy(annotations: Annotations) -> Float64Array:
    """Returns the labelled boxes as corners, as in the file.

    Returns:
        (P, 4) float64, left, top, right, bottom in pixels.
    """
    corner, size = annotations.boxes_xywh[:, :2], annotations.boxes_xywh[:, 2:]
    return np.concatenate([corner, corner + size], axis=1)


def clipped_boxes_xyxy(annotations: Annotations) -> Float64Array:
    """Returns the labelled boxes as mmpose crops them: clipped to 0..size-1 of the picture.

    Where the file does not say a picture's size, only the left and top are clipped.

    Returns:
        (P, 4) float64, left, top, right, bottom in pixels.
    """
    sizes = annotations.sizes_wh[annotations.image_indices].astype(np.float64)
    largest = np.where(sizes > 0, sizes - 1, np.inf)
    return np.clip(labelled_boxes_xyxy(annotations), 0.0, np.concatenate([largest] * 2, axis=1))


def require_pictures(annotations: Annotations, folder: Path) -> None:
    """Checks that all pictures are there before hours of work begin.

    Raises:
        InputError: One is not; the message names it and its id.
    """
    missing = [
        index
        for index in range(len(annotations.image_ids))
        if not (folder / annotations.file_name(index)).is_file()
    ]
    if missing:
        first = missing[0]
        raise InputError(
            f"{folder / annotations.file_name(first)}: there is no such picture, image "
            f"{annotations.image_ids[first]} of {annotations.path.name}; {len(missing)} of "
            f"{len(annotations.image_ids)} pictures are missing"
        )
