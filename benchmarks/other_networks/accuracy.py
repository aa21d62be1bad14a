"""The share of labelled body points that each pipeline hits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...annotations import Annotations, read_annotations
from ...arrays import Float64Array, IndexArray
from ...errors import InputError
from ...evaluation.document import FileFacts, file_facts
from ...evaluation.matching import match
from ...evaluation.points import part_errors, point_errors
from ...evaluation.predictions import RankedPredictions
from ...evaluation.selection import clipped_boxes_xyxy, is_evaluated, require_pictures
from ...layouts import BODY_17
from .command import Method
from .messages import LabelledPicture, Who
from .result import BoxOrigin, PckRow


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Labels and what the processes are given of them.

    Attributes:
        facts: Name and hash of the file.
        annotations: The persons with body points, COCO's 17.
        pictures: The pictures that show one of them.
        rows: For each of these, where its persons are in the annotations.
    """

    facts: FileFacts
    annotations: Annotations
    pictures: tuple[LabelledPicture, ...]
    rows: tuple[IndexArray, ...]


def labelled_pictures(path: Path, folder: Path) -> Labelled:
    """Reads labels.

    Args:
        path: Labels in COCO's layout.
        folder: Folder of their pictures.

    Raises:
        InputError: A file or a picture is not there, or nobody has body points.
        FormatError: They are no such labels.
    """
    everything = read_annotations(path, dtype="float64")
    require_pictures(everything, folder)
    annotations = everything.in_layout(BODY_17)
    annotations = annotations.select(np.flatnonzero(is_evaluated(annotations)))
    if not len(annotations):
        raise InputError(f"{path}: nobody in it has body points to compare")
    boxes = clipped_boxes_xyxy(annotations)
    images = np.unique(annotations.image_indices)
    rows = tuple(np.flatnonzero(annotations.image_indices == image) for image in images)
    pictures = tuple(
        LabelledPicture(folder / annotations.file_name(image), boxes[persons].tolist())
        for image, persons in zip(images.tolist(), rows, strict=True)
    )
    return Labelled(file_facts(path), annotations, pictures, rows)


def pck_rows(labelled: Labelled, found: Mapping[Method, Sequence[Who]]) -> list[PckRow]:
    """Returns the shares for each value of the persons' field `label`, on both kinds of boxes.

    Args:
        labelled: The labels.
        found: Method -> who is in each of the pictures.
    """
    annotations = labelled.annotations
    errors = {
        boxes: {
            name: point_errors(place(labelled, who), annotations) for name, who in found.items()
        }
        for boxes, place in _PLACES.items()
    }
    rows = []
    for group in np.unique(annotations.labels).tolist():
        persons = np.flatnonzero(annotations.labels == group)
        for boxes, of_methods in errors.items():
            figures = {
                name: part_errors(each.select(persons))["body"] for name, each in of_methods.items()
            }
            rows.append(
                PckRow(
                    labels=labelled.facts,
                    group=group,
                    boxes=boxes,
                    persons=len(persons),
                    points=next(iter(figures.values())).points,
                    pck={name: each.pck or 0.0 for name, each in figures.items()},
                )
            )
    return rows


def _boxed(labelled: Labelled, who: Sequence[Who]) -> Float64Array:
    """Who was found in the box of each labelled person, (P, 17, 2); NaN where nobody was."""
    keypoints = np.full((len(labelled.annotations), len(BODY_17), 2), np.nan)
    for rows, there in zip(labelled.rows, who, strict=True):
        for row, person in zip(rows, there.boxed, strict=True):
            if person is not None:
                keypoints[row] = np.array(person.points)[:, :2]
    return keypoints


def _own(labelled: Labelled, who: Sequence[Who]) -> Float64Array:
    """Whose box overlaps that of each labelled person most, (P, 17, 2); NaN where nobody's does."""
    annotations = labelled.annotations
    image_ids = [
        annotations.image_ids[annotations.image_indices[rows[0]]] for rows in labelled.rows
    ]
    found = [
        (image_id, person)
        for image_id, there in zip(image_ids, who, strict=True)
        for person in there.own
    ]
    points = np.array([person.points for _, person in found]).reshape(-1, len(BODY_17), 3)
    boxes = [person.box_xyxy for _, person in found if person.box_xyxy is not None]
    persons = RankedPredictions(
        image_ids=np.array([image_id for image_id, _ in found], np.int64),
        keypoints=points[..., :2],
        scores=points[..., 2],
        instance_scores=np.ones(len(found)),
        boxes_xyxy=np.array(boxes) if found and len(boxes) == len(found) else None,
    )
    return match(annotations, persons).keypoints


_PLACES: Mapping[BoxOrigin, Callable[[Labelled, Sequence[Who]], Float64Array]] = {
    "labels": _boxed,
    "own": _own,
}
