"""COCO-WholeBody results: the list of persons that the evaluation of COCO-WholeBody takes.

Each person is an object with `image_id`, `category_id` 1, `keypoints` (17 points), `foot_kpts`
(6), `face_kpts` (68), `lefthand_kpts` and `righthand_kpts` (21 each) as x, y, score of every
point in turn, and `score`: the fields that mmpose's CocoWholeBodyMetric writes. Coordinates are
pixels. An absent point is 0, 0, 0. Of networks of 17 or 23 points the parts they have are written;
those of Halpe's 26 points have them all in `keypoints`, as mmpose's CocoMetric writes them.

A picture's id is the number that is its file name where every picture has one of its own, else its
place in the run, from 1; each person has `file_name` then, too, which is not part of the format.

The format is foreign and a bare list: it has no room for a schema version, nor for pictures
with nobody on them, sizes, identities or the score of a box alone.

No box is written unless asked for: loadRes of pycocotools takes the area of a result from its
box where it has one and from its body's points where it has none, so a box changes the figures
for middle-sized and large persons.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO, Final

import numpy as np

from ..arrays import Float32Array, Float64Array
from ..errors import InvalidArgumentError
from ..files.json_text import dump_list, numbers, require, with_nulls
from ..layouts import BODY_17, LAYOUTS, WHOLEBODY_133, KeypointLayout, PartIndex
from ..poses import Poses
from .format import Format
from .image_ids import Annotations, ImageIds, ids_and_names

logger = logging.getLogger(__name__)

PERSON_CATEGORY: Final = 1
"""COCO's category of persons."""

KEYPOINT_SCORE_THRESHOLD: Final = 0.2
"""Keypoints above it count in a person's score; mmpose's CocoMetric, keypoint_score_thr."""

FIELD_OF_PART: Final[dict[str, str]] = {
    "body": "keypoints",
    "feet": "foot_kpts",
    "face": "face_kpts",
    "left_hand": "lefthand_kpts",
    "right_hand": "righthand_kpts",
}
"""Part of `dwpose_infer.keypoints.PARTS` -> its field in a result."""


def instance_score(
    scores: Float32Array,
    box_scores: Float32Array | None = None,
    *,
    threshold: float = KEYPOINT_SCORE_THRESHOLD,
) -> Float64Array:
    """Returns the score by which the COCO-WholeBody protocol ranks persons.

    It is the box's score times the mean score of the keypoints above the threshold, 0 where
    none is above it.

    Args:
        scores: (P, K) float32 keypoint scores.
        box_scores: (P,) float32; None counts as 1, as boxes of the ground truth do.
        threshold: See `KEYPOINT_SCORE_THRESHOLD`.

    Returns:
        (P,) float64.
    """
    counted = scores > threshold
    total = np.where(counted, scores, 0.0).sum(axis=1, dtype=np.float64)
    mean: Float64Array = total / np.maximum(counted.sum(axis=1), 1)
    return mean if box_scores is None else mean * box_scores.astype(np.float64)


def to_document(
    results: Iterable[Poses], *, annotations: Annotations | None = None, bbox: bool = False
) -> list[dict[str, Any]]:
    """Returns the persons of any number of pictures as COCO-WholeBody results.

    Args:
        results: The pictures' results; gone through twice.
        annotations: Gives the pictures their ids by file name: path of a COCO annotation file,
            its parsed content, or a mapping from file name to id. None takes the rule above.
        bbox: Whether to add `bbox` (left, top, width, height in pixels) where boxes are known;
            see above for what that does to an evaluation.

    Raises:
        InvalidArgumentError: The annotations do not tell a picture's id, or give two the same.
        InputError: The annotation file cannot be read.
        FormatError: It is no annotation file.
    """
    return list(_all_persons(results, with_nulls, annotations=annotations, bbox=bbox))


def write_document(file: BinaryIO, results: Iterable[Poses], **options: Any) -> None:
    """Writes what `to_document` returns, with its options; one picture at a time in memory."""
    file.writelines(dump_list(_all_persons(results, np.ascontiguousarray, **options)))
    file.write(b"\n")


def _all_persons(
    results: Iterable[Poses],
    listed: Callable[[Float32Array], Any],
    *,
    annotations: Annotations | None = None,
    bbox: bool = False,
) -> Iterator[dict[str, Any]]:
    ids, names = _ids_and_names([result.source for result in results], annotations)
    for result, image_id, name in zip(results, ids, names, strict=True):
        yield from _persons(result, image_id, name, bbox, listed)


def _ids_and_names(
    sources: Sequence[str | None], annotations: Annotations | None
) -> tuple[list[int], list[str | None]]:
    """The pictures' ids, and their names where the ids do not tell them."""
    if annotations is None:
        ids, names, by_name = ids_and_names(sources)
        return ids, [None if by_name else name for name in names]
    known = ImageIds.of(annotations)
    taken: dict[int, str] = {}
    for source in sources:
        if source is None:
            raise InvalidArgumentError(
                "the annotations tell ids by file name, and a result without a source has none: "
                "set its source to the picture's file name"
            )
        image_id = known.find(source)
        if image_id in taken:
            raise InvalidArgumentError(
                f"{taken[image_id]} and {source} both have the image id {image_id}"
            )
        taken[image_id] = source
    return list(taken), [None] * len(taken)


def by_image_id(document: Any, *, origin: str = "the document") -> dict[int, Poses]:
    """Returns the results of a COCO-WholeBody results list, by image id.

    `source` is the `file_name` where there is one, else the image id as text. `boxes_xyxy` is
    known where every person of a picture has a `bbox`; `box_scores` never is, for `score` is
    not the box's own. A field that is missing or empty leaves its part absent, so that results
    of the 17 points alone can be read too. `keypoints` may hold all points of another layout: 23,
    26 or 133.

    Args:
        document: The parsed list.
        origin: What error messages call it, such as a file name.

    Raises:
        FormatError: The list is not laid out as the module says.
    """
    require(isinstance(document, list), origin, "COCO results are a list of persons")
    pictures: dict[int, list[dict[str, Any]]] = {}
    for index, person in enumerate(document):
        require(isinstance(person, dict), origin, f"person {index} is not an object")
        image_id = person.get("image_id")
        require(isinstance(image_id, int), origin, f"person {index} has no whole image_id")
        require("keypoints" in person, origin, f"person {index} has no keypoints")
        pictures.setdefault(image_id, []).append(person)
    return {
        image_id: _picture(persons, image_id, f"{origin}, image {image_id}")
        for image_id, persons in pictures.items()
    }


def from_document(document: Any, *, origin: str) -> list[Poses]:
    """Returns the results of `by_image_id` in the order in which the list begins them.

    Raises:
        FormatError: The list is not laid out as the module says.
    """
    return list(by_image_id(document, origin=origin).values())


def fields_of(layout: KeypointLayout) -> dict[str, PartIndex]:
    """Returns the fields of a person in a result, and which points each holds."""
    if not layout.parts.keys() <= FIELD_OF_PART.keys():
        return {"keypoints": slice(len(layout))}
    return {FIELD_OF_PART[part]: points for part, points in layout.parts.items()}


def layout_of_list(keypoints: Any) -> KeypointLayout | None:
    """Returns the layout whose points a person's `keypoints` hold; None for the body's alone."""
    points = len(keypoints) / 3 if isinstance(keypoints, list) else 0
    return None if points == len(BODY_17) else LAYOUTS.get(round(points))


def _persons(
    result: Poses,
    image_id: int,
    name: str | None,
    bbox: bool,
    listed: Callable[[Float32Array], Any],
) -> list[dict[str, Any]]:
    if not len(result):
        return []
    triples = np.concatenate([result.keypoints, result.scores[..., None]], axis=2)
    present = ~np.isnan(triples).any(axis=2)
    triples = np.where(present[..., None], triples, np.float32(0.0))
    fields = {
        field: listed(triples[:, points].reshape(len(result), -1))
        for field, points in fields_of(result.layout).items()
    }
    scores = instance_score(result.scores, result.box_scores).tolist()
    persons = [
        {
            "image_id": image_id,
            **({} if name is None else {"file_name": name}),
            "category_id": PERSON_CATEGORY,
            **{field: values[index] for field, values in fields.items()},
            "score": scores[index],
        }
        for index in range(len(result))
    ]
    if bbox and result.boxes_xyxy is not None:
        corners = result.boxes_xyxy.astype(np.float64)
        boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        for person, box in zip(persons, boxes.tolist(), strict=True):
            person["bbox"] = box
    return persons


def _picture(persons: list[dict[str, Any]], image_id: int, origin: str) -> Poses:
    layout = layout_of_list(persons[0].get("keypoints"))
    triples = np.zeros((len(persons), len(layout or WHOLEBODY_133), 3))
    for index, person in enumerate(persons):
        fields = {"keypoints": slice(len(layout))} if layout else fields_of(WHOLEBODY_133)
        for field, points in fields.items():
            if person.get(field):
                count = len(triples[index, points])
                where = f"{field} of person {index}"
                triples[index, points] = _points(person[field], count, origin, where)
    absent = np.isnan(triples).any(axis=2) | (triples == 0).all(axis=2)
    triples[absent] = np.nan, np.nan, 0.0
    return Poses(
        keypoints=triples[..., :2].astype(np.float32),
        scores=triples[..., 2].astype(np.float32),
        boxes_xyxy=_boxes(persons, origin),
        source=str(persons[0].get("file_name", image_id)),
    )


def _points(value: Any, count: int, origin: str, where: str) -> Float64Array:
    array = numbers(value, origin, where)
    require(
        array.shape == (3 * count,),
        origin,
        f"{where} has {array.size} numbers, expected {3 * count}",
    )
    return array.reshape(count, 3)


def _boxes(persons: list[dict[str, Any]], origin: str) -> Float32Array | None:
    if not all(person.get("bbox") for person in persons):
        return None
    boxes = numbers([person["bbox"] for person in persons], origin, "bbox")
    require(boxes.shape == (len(persons), 4), origin, "a bbox has not 4 numbers")
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    return numbers(corners, origin, "bbox").astype(np.float32)


def _recognises(document: Any) -> bool:
    return isinstance(document, list) and all(
        isinstance(item, dict) and "image_id" in item for item in document
    )


def _check(
    sources: Sequence[str], *, annotations: Annotations | None = None, bbox: bool = False
) -> None:
    """Finds out whether every picture has an image id, and says where that is its place."""
    _, names = _ids_and_names(sources, annotations)
    if any(names):
        logger.warning(
            "image ids in %s are the pictures' places in the run, from 1, with file_name beside "
            "them: not every picture has a number of its own for a name (--annotations gives ids)",
            FORMAT.file_name,
        )


FORMAT: Final = Format(
    name="coco",
    ending=".json",
    file_name="results_coco.json",
    per="run",
    lossless=False,
    description="COCO-WholeBody results, as evaluations read them",
    encode=to_document,
    write_pictures=write_document,
    decode=from_document,
    recognises=_recognises,
    check=_check,
)
