"""Reading and writing predicted persons as files: COCO-WholeBody results and raw predictions.

Two layouts are read, and told apart by their fields. A results list, as mmpose and
`dwpose-infer --format coco` write it, has `image_id`, the parts' points as x, y, score in turn and
`score`; its persons are scored and suppressed already, and are taken as they are. A list of raw
predictions has `img_id`, `keypoints` (133 pairs), `scores`, `bbox_score`, `area` and `id`; it is
what mmpose's metric collects before scoring. The points may also be the body's alone, body and
feet, or Halpe's 26 in `keypoints`; the first person tells for the whole file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..arrays import Float64Array
from ..errors import FormatError, InputError
from ..files.atomic import read_bytes, write_bytes
from ..files.json_text import decode, dump, require, shortest_decimals
from ..formats.coco import FIELD_OF_PART, PERSON_CATEGORY, fields_of, layout_of_list
from ..layouts import LAYOUTS, WHOLEBODY_133, KeypointLayout, PartIndex, known_layouts
from .predictions import Predictions, RankedPredictions, nobody


class _Result(msgspec.Struct):
    """One entry of a results list; fields of other programs are passed over."""

    image_id: int
    keypoints: list[float]
    score: float
    foot_kpts: list[float] | None = None
    face_kpts: list[float] | None = None
    lefthand_kpts: list[float] | None = None
    righthand_kpts: list[float] | None = None
    bbox: list[float] | None = None


class _Raw(msgspec.Struct):
    """One raw prediction."""

    img_id: int
    keypoints: list[tuple[float, float]]
    scores: list[float]
    bbox_score: float
    area: float
    id: int
    bbox_xyxy: list[float] | None = None


class _Box(msgspec.Struct):
    """One entry of a COCO detection file."""

    image_id: int
    bbox: tuple[float, float, float, float]
    score: float
    category_id: int = PERSON_CATEGORY


def read_results(path: Path) -> Predictions | RankedPredictions:
    """Reads predicted persons.

    Returns:
        Raw predictions, which are still to be ranked, or such as are ranked already.

    Raises:
        InputError: The file cannot be read.
        FormatError: It has neither layout; the message names the entry and the field.
    """
    entries = decode(read_bytes(path), list[msgspec.Raw], str(path))
    if not entries:
        return nobody()
    first = decode(entries[0], dict[str, Any], f"{path}: person 0")
    if "img_id" in first:
        return _raw(entries, str(path))
    return _ranked(entries, str(path))


def read_boxes(path: Path) -> dict[int, tuple[Float64Array, Float64Array]]:
    """Reads the persons of a COCO detection file; no score is too low.

    Returns:
        Image id -> boxes (N, 4), left, top, right, bottom in pixels, not clipped; and scores
        (N,).

    Raises:
        InputError: The file cannot be read.
        FormatError: It is no list of detections.
    """
    boxes: dict[int, list[tuple[float, ...]]] = {}
    for box in decode(read_bytes(path), list[_Box], str(path)):
        left, top, width, height = box.bbox
        if box.category_id == PERSON_CATEGORY and width > 0 and height > 0:
            corners = (left, top, left + width, top + height, box.score)
            boxes.setdefault(box.image_id, []).append(corners)
    if not boxes:
        raise InputError(f"{path}: there is no box of a person (category {PERSON_CATEGORY}) in it")
    arrays = {image_id: np.array(rows, np.float64) for image_id, rows in boxes.items()}
    return {image_id: (rows[:, :4], rows[:, 4]) for image_id, rows in arrays.items()}


def write_results(path: Path, persons: RankedPredictions) -> Path:
    """Writes ranked persons as a results list, with the fields that mmpose writes.

    Boxes are left out, for pycocotools would take the persons' areas from them.

    Raises:
        OutputError: The file cannot be written.
    """
    flat = np.concatenate([persons.keypoints, persons.scores[..., None]], axis=2)
    flat = shortest_decimals(flat) if flat.dtype == np.float32 else flat
    fields = fields_of(persons.layout)
    entries = [
        {
            "image_id": int(persons.image_ids[row]),
            "category_id": PERSON_CATEGORY,
            **{field: flat[row, points].reshape(-1).tolist() for field, points in fields.items()},
            "score": float(persons.instance_scores[row]),
        }
        for row in range(len(persons))
    ]
    return write_bytes(path, dump(entries))


def _ranked(entries: list[Any], origin: str) -> RankedPredictions:
    layout, fields = _layout_of_results(entries, origin)
    triples = np.zeros((len(entries), len(layout), 3))
    image_ids = np.zeros(len(entries), np.int64)
    instance_scores = np.zeros(len(entries))
    boxes = np.zeros((len(entries), 4))
    all_boxes = True
    for row, entry in enumerate(entries):
        where = f"{origin}: person {row}"
        person = decode(entry, _Result, where)
        for field, points in fields.items():
            values = getattr(person, field)
            count = triples[row, points].size
            if values is None or len(values) != count:
                raise FormatError(
                    f"{where}: {field} has {len(values or ())} numbers, expected {count}; "
                    f"as person 0 has {', '.join(fields)}; whole-body results have keypoints, "
                    "foot_kpts, face_kpts, lefthand_kpts and righthand_kpts"
                )
            triples[row, points] = np.reshape(values, (-1, 3))
        image_ids[row], instance_scores[row] = person.image_id, person.score
        all_boxes &= person.bbox is not None and len(person.bbox) == 4
        boxes[row] = person.bbox if all_boxes else 0.0
    boxes[:, 2:] += boxes[:, :2]
    _require_finite(triples, origin)
    return RankedPredictions(
        image_ids=image_ids,
        keypoints=triples[..., :2],
        scores=triples[..., 2],
        instance_scores=instance_scores,
        boxes_xyxy=boxes if all_boxes else None,
    )


def _layout_of_results(
    entries: list[Any], origin: str
) -> tuple[KeypointLayout, dict[str, PartIndex]]:
    """The layout of a results list, by what its first person has, and which field holds what."""
    person = decode(entries[0], _Result, f"{origin}: person 0")
    layout = layout_of_list(person.keypoints)
    if layout is not None:
        return layout, {"keypoints": slice(len(layout))}
    given = {part for part, field in FIELD_OF_PART.items() if getattr(person, field) is not None}
    for layout in LAYOUTS.values():
        if layout.parts.keys() == given:
            return layout, fields_of(layout)
    return WHOLEBODY_133, fields_of(WHOLEBODY_133)


def _raw(entries: list[Any], origin: str) -> Predictions:
    persons = [decode(entry, _Raw, f"{origin}: person {row}") for row, entry in enumerate(entries)]
    expected = len(persons[0].keypoints)
    require(expected in LAYOUTS, f"{origin}: person 0", f"{expected} keypoints; {known_layouts()}")
    for row, person in enumerate(persons):
        counts = (len(person.keypoints), len(person.scores))
        require(
            counts == (expected, expected),
            f"{origin}: person {row}",
            f"{counts[0]} keypoints and {counts[1]} scores, expected {expected}",
        )
    boxes = [person.bbox_xyxy for person in persons if person.bbox_xyxy is not None]
    known = len(boxes) == len(persons) and all(len(box) == 4 for box in boxes)
    keypoints = np.array([person.keypoints for person in persons])
    _require_finite(keypoints, origin)
    return Predictions(
        image_ids=np.array([person.img_id for person in persons], np.int64),
        keypoints=keypoints,
        scores=np.array([person.scores for person in persons]),
        box_scores=np.array([person.bbox_score for person in persons]),
        areas=np.array([person.area for person in persons]),
        ids=np.array([person.id for person in persons], np.int64),
        boxes_xyxy=np.array(boxes) if known else None,
    )


def _require_finite(points: Float64Array, origin: str) -> None:
    require(bool(np.isfinite(points).all()), origin, "a point is not finite")
