"""A COCO data set: pictures, the category with its skeleton, and persons as labels.

It is what annotation tools import (CVAT, Label Studio, FiftyOne) and what training and evaluation
read, this package's own included. `layout` says how the points lie:

- "wholebody": COCO-WholeBody's five lists, `keypoints` of the body's 17 and `foot_kpts` and so on;
- "one-list": all 133 in `keypoints`, with 133 names and a skeleton in the category, for tools that
  know that list alone.

Of networks of 17 or 23 points the lists of the parts they have are there. Halpe's 26 points have no
place in the five lists, and take "one-list".

Points have COCO's visibility: 2 where the score reaches `min_score`, else 0 with no place, as not
labelled. `bbox` is the person's box, and without one the box around its points. `area` is the
box's, for nothing is known of an outline; COCO's own is about half of it. Pictures with nobody on
them are there. Identities are in `track_id`. Scores of points are not carried: they come back as 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Final, Literal

import numpy as np

from .. import keypoints as kp
from ..arrays import BoolArray, Float32Array, Float64Array
from ..errors import InvalidArgumentError
from ..files.json_text import dump, dump_list, numbers, require, shortest_decimals
from ..layouts import WHOLEBODY_133, KeypointLayout, PartIndex
from ..poses import Poses, common_layout
from .coco import FIELD_OF_PART, PERSON_CATEGORY, fields_of, layout_of_list
from .format import Format
from .image_ids import ids_and_names

Layout = Literal["wholebody", "one-list"]

VISIBLE: Final = 2
"""COCO's visibility of a labelled point that shows."""

VALID_FIELDS: Final = {
    "feet": "foot_valid",
    "face": "face_valid",
    "left_hand": "lefthand_valid",
    "right_hand": "righthand_valid",
}


def to_document(
    results: Iterable[Poses], *, min_score: float = 0.3, layout: Layout = "wholebody"
) -> dict[str, Any]:
    """Returns pictures and their persons as a COCO data set.

    A picture's id is the number that is its file name (785 of 000000000785.jpg) where every
    picture has one of its own, else its place in the run, from 1.

    Args:
        results: The pictures' results; gone through twice.
        min_score: Least score of a point that is labelled.
        layout: How the points lie, see above.

    Raises:
        InvalidArgumentError: The layout is another one, or cannot hold these points.
    """
    points = common_layout(results)
    _check_points(points, layout=layout)
    images = _images(results)
    return {
        "images": images,
        "categories": [_category(points, layout)],
        "annotations": list(_all_persons(results, images, min_score, layout)),
    }


def write_document(
    file: BinaryIO,
    results: Iterable[Poses],
    *,
    min_score: float = 0.3,
    layout: Layout = "wholebody",
) -> None:
    """Writes what `to_document` returns; one picture at a time in memory."""
    points = common_layout(results)
    _check_points(points, layout=layout)
    images = _images(results)
    head = dump({"images": images, "categories": [_category(points, layout)]})
    file.write(head.rstrip(b"}\n") + b',"annotations":')
    file.writelines(dump_list(_all_persons(results, images, min_score, layout)))
    file.write(b"}\n")


def _all_persons(
    results: Iterable[Poses], images: list[dict[str, Any]], min_score: float, layout: Layout
) -> Iterator[dict[str, Any]]:
    before = 0
    for image, result in zip(images, results, strict=True):
        yield from _persons(result, image["id"], before, min_score, layout)
        before += len(result)


def from_document(document: Any, *, origin: str) -> list[Poses]:
    """Returns the labelled persons of a COCO data set, one result for each picture.

    Raises:
        FormatError: The document is not laid out as the module says.
    """
    require(isinstance(document, dict), origin, "a COCO data set is a JSON object")
    images, annotations = document.get("images"), document.get("annotations")
    for name, items in (("images", images), ("annotations", annotations)):
        fits = isinstance(items, list) and all(isinstance(item, dict) for item in items)
        require(fits, origin, f"{name} is not a list of objects")
    assert isinstance(images, list) and isinstance(annotations, list)
    persons: dict[Any, list[dict[str, Any]]] = {}
    for person in annotations:
        persons.setdefault(person.get("image_id"), []).append(person)
    layout = layout_of_list(annotations[0].get("keypoints")) if annotations else None
    return [
        _picture(
            image, persons.get(image.get("id"), []), layout, f"{origin}, image {image.get('id')}"
        )
        for image in images
    ]


def _images(results: Iterable[Poses]) -> list[dict[str, Any]]:
    known = [(result.source, result.image_size or (0, 0)) for result in results]
    ids, names, _ = ids_and_names([source for source, _ in known])
    return [
        {"id": image_id, "file_name": name, "width": int(width), "height": int(height)}
        for image_id, name, (_, (width, height)) in zip(ids, names, known, strict=True)
    ]


def _check_points(points: KeypointLayout, *, layout: Layout = "wholebody") -> None:
    """Finds out whether a layout of the lists is known and has a place for all points."""
    if layout not in ("wholebody", "one-list"):
        raise InvalidArgumentError(f'layout is {layout!r}, expected "wholebody" or "one-list"')
    if layout == "wholebody" and not points.parts.keys() <= FIELD_OF_PART.keys():
        raise InvalidArgumentError(
            f"the lists of COCO-WholeBody have no place for the points of {points.name}: save with "
            'layout="one-list" (--coco-layout one-list)'
        )


def _category(points: KeypointLayout, layout: Layout) -> dict[str, Any]:
    names = points.point_names if layout == "one-list" else kp.BODY_NAMES
    links = points.links if layout == "one-list" else kp.BODY_LINKS
    return {
        "id": PERSON_CATEGORY,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(names),
        "skeleton": [[first + 1, second + 1] for first, second in links],  # COCO counts from 1
    }


def _persons(
    result: Poses, image_id: int, before: int, min_score: float, layout: Layout
) -> list[dict[str, Any]]:
    shown = (result.scores >= min_score) & ~np.isnan(result.keypoints).any(axis=2)
    points = shortest_decimals(np.where(shown[..., None], result.keypoints, np.float32(0)))
    triples = np.concatenate([points, VISIBLE * shown[..., None]], axis=2)
    boxes = _boxes_xywh(result, shown)
    box_scores = [] if result.box_scores is None else shortest_decimals(result.box_scores).tolist()
    persons = []
    for index in range(len(result)):
        box = boxes[index]
        person: dict[str, Any] = {
            "id": before + index + 1,
            "image_id": image_id,
            "category_id": PERSON_CATEGORY,
            "iscrowd": 0,
            "bbox": box.tolist(),
            "area": float(box[2] * box[3]),
            "num_keypoints": int(shown[index, : len(kp.BODY_NAMES)].sum()),
            **_lists(triples[index], shown[index], result.layout, layout),
        }
        if layout == "one-list":
            person["num_keypoints"] = int(shown[index].sum())
        if result.box_scores is not None:
            person["score"] = box_scores[index]
        if result.ids is not None:
            person["track_id"] = int(result.ids[index])
        persons.append(person)
    return persons


def _lists(
    triples: Float64Array,
    shown: BoolArray,
    points: KeypointLayout,
    layout: Layout,
) -> dict[str, Any]:
    if layout == "one-list":
        return {"keypoints": _flat(triples)}
    found: dict[str, Any] = {}
    for part, index in points.parts.items():
        found[FIELD_OF_PART[part]] = _flat(triples[index])
    for part, field in VALID_FIELDS.items():
        if part in points.parts:
            found[field] = bool(shown[points.parts[part]].any())
    return found


def _flat(triples: Float64Array) -> list[float]:
    values: list[float] = triples.reshape(-1).tolist()
    values[2::3] = map(int, values[2::3])
    return values


def _boxes_xywh(result: Poses, shown: BoolArray) -> Float64Array:
    """(P, 4): the box within the picture, else the one around the points; zeros without any."""
    boxes = np.zeros((len(result), 4))
    for index in range(len(result)):
        if result.boxes_xyxy is not None:
            corners = result.boxes_xyxy[index].astype(np.float64).reshape(2, 2)
        elif shown[index].any():
            points = result.keypoints[index, shown[index]].astype(np.float64)
            corners = np.stack([points.min(axis=0), points.max(axis=0)])
        else:
            continue
        if result.image_size is not None:
            corners = corners.clip(0, result.image_size)
        boxes[index] = [*corners[0], *(corners[1] - corners[0])]
    return boxes


def _picture(
    image: dict[str, Any],
    persons: list[dict[str, Any]],
    layout: KeypointLayout | None,
    origin: str,
) -> Poses:
    points = np.full((len(persons), len(layout or WHOLEBODY_133), 3), np.nan)
    for index, person in enumerate(persons):
        fields = {"keypoints": slice(len(layout))} if layout else fields_of(WHOLEBODY_133)
        _read_person(person, fields, points[index], f"{origin}, person {index}")
    absent = np.isnan(points).any(axis=2) | (points[..., 2] <= 0)
    points[absent] = np.nan, np.nan, 0.0
    width, height = image.get("width"), image.get("height")
    sized = isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0
    tracks = [person.get("track_id") for person in persons]
    name = image.get("file_name")
    require(isinstance(name, str) and bool(name), origin, "it has no file_name")
    return Poses(
        keypoints=points[..., :2].astype(np.float32),
        scores=(~absent).astype(np.float32),
        boxes_xyxy=_read_boxes(persons, origin),
        ids=np.array(tracks, np.int64) if tracks and _all_whole(tracks) else None,
        image_size=(int(width or 0), int(height or 0)) if sized else None,
        source=str(name),
    )


def _all_whole(values: list[Any]) -> bool:
    return all(isinstance(value, int) and 0 <= value < 2**63 for value in values)


def _read_person(
    person: dict[str, Any],
    fields: Mapping[str, PartIndex],
    points: Float64Array,
    origin: str,
) -> None:
    for field, index in fields.items():
        if person.get(field):
            array = numbers(person[field], origin, field)
            expected = 3 * len(points[index])
            fits = array.shape == (expected,)
            require(fits, origin, f"{field} has {array.size} numbers, expected {expected}")
            points[index] = array.reshape(-1, 3)


def _read_boxes(persons: list[dict[str, Any]], origin: str) -> Float32Array | None:
    if not all(person.get("bbox") for person in persons):
        return None
    boxes = numbers([person["bbox"] for person in persons], origin, "bbox")
    require(boxes.size == 4 * len(persons), origin, "a bbox has not 4 numbers")
    boxes = boxes.reshape(-1, 4)
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    return corners.astype(np.float32)


def _recognises(document: Any) -> bool:
    return isinstance(document, dict) and {"images", "annotations"} <= set(document)


FORMAT: Final = Format(
    name="coco-dataset",
    ending=".json",
    file_name="dataset_coco.json",
    per="run",
    lossless=False,
    description="a COCO data set, as annotation tools and training read it",
    encode=to_document,
    write_pictures=write_document,
    decode=from_document,
    recognises=_recognises,
    check_points=_check_points,
)
