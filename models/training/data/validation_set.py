"""What a run is validated on: labelled persons, and the boxes they are cropped by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....annotations import Annotations, read_annotations
from ....errors import InputError
from ....evaluation.results_file import read_boxes
from ....evaluation.selection import chosen_images, keep_images, require_pictures
from ....evaluation.wholebody import require_known_images
from ....layouts import WHOLEBODY_133
from ..settings.data import DataSettings, DataSource
from . import ValidationBoxes, labelled_boxes


@dataclass(frozen=True, slots=True, eq=False)
class ValidationSet:
    """Labelled persons and boxes.

    Attributes:
        annotations: The labels, float64.
        folder: Folder of the pictures.
        boxes: What is cropped.
        own_boxes: Whether the boxes are those of the labels.
    """

    annotations: Annotations
    folder: Path
    boxes: ValidationBoxes
    own_boxes: bool


def open_validation_set(data: DataSettings) -> ValidationSet | None:
    """Reads the labels that a run is validated on.

    Args:
        data: Names the source, and a file of boxes where there is one.

    Returns:
        The set; None where the settings name no source.

    Raises:
        InputError: A file or a picture is missing, or nobody is left to measure.
        FormatError: A file does not hold what it should.
        InvalidArgumentError: The boxes are of other pictures.
    """
    if data.validation is None:
        return None
    root, source = Path(data.root), data.validation
    everything = read_annotations(root / source.annotations, dtype="float64")
    annotations = select_source(everything.in_layout(WHOLEBODY_133), source)
    folder = root / source.images
    require_pictures(annotations, folder)
    if data.validation_boxes is None:
        boxes = labelled_boxes(annotations)
    else:
        boxes = _detected_boxes(everything, annotations, root / data.validation_boxes)
    if not len(boxes):
        raise InputError(f"{everything.path}: nobody is left to validate on")
    return ValidationSet(annotations, folder, boxes, data.validation_boxes is None)


def select_source(annotations: Annotations, source: DataSource) -> Annotations:
    """Returns the pictures and persons that a source's filters keep."""
    annotations = chosen_images(annotations, frame_step=source.frame_step)
    if source.collections:
        annotations = keep_images(annotations, np.isin(annotations.sources, source.collections))
    if source.labels:
        annotations = annotations.select(np.isin(annotations.labels, source.labels))
    return annotations


def _detected_boxes(everything: Annotations, used: Annotations, path: Path) -> ValidationBoxes:
    """Reads boxes of a detector; those of pictures that are not used are left out."""
    boxes = read_boxes(path)
    require_known_images(everything, np.array(list(boxes), np.int64))
    nobody = np.zeros((0, 4)), np.zeros(0)
    found = [boxes.get(image_id, nobody) for image_id in used.image_ids.tolist()]
    counts = [len(scores) for _, scores in found]
    return ValidationBoxes(
        image_indices=np.repeat(np.arange(len(found), dtype=np.int32), counts),
        boxes_xyxy=np.concatenate([corners for corners, _ in found]).astype(np.float32),
        scores=np.concatenate([scores for _, scores in found]).astype(np.float32),
        ids=np.arange(sum(counts), dtype=np.int64),
    )
