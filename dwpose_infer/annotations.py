"""Labelled persons of a COCO-WholeBody or UBody annotation file, as compact arrays.

Evaluation and training read labels through this module alone. The numbers of a file are turned
into arrays person by person, so that reading COCO-WholeBody's training labels (over a gigabyte
of JSON) takes little more memory than the file and the arrays themselves.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from .arrays import BoolArray, Float64Array, FloatArray, Int32Array, Int64Array
from .errors import FormatError
from .files.atomic import read_bytes
from .files.json_text import decode
from .formats.coco import PERSON_CATEGORY
from .labelled_person import (
    VALID_FIELD_OF_PART,
    decoded_object,
    layout_of_file,
    read_person,
    whole_number,
)
from .layouts import KeypointLayout, layout_of

logger = logging.getLogger(__name__)

AreaRule = Literal["labels", "boxes", "mixed"]
"""Where the persons' areas come from: the field `area`, or the boxes where it is missing."""

KeypointDtype = Literal["float32", "float64"]


@dataclass(frozen=True, slots=True, eq=False)
class Annotations:
    """Pictures and persons of an annotation file; every field is one array.

    Nothing in it is a Python list of objects: worker processes made by forking share its memory,
    others get it in few pieces.

    Attributes:
        path: File the labels come from.
        image_ids: (I,) int64.
        file_names_utf8: (I,) bytes, names of the pictures relative to the folder of pictures;
            `file_name` gives one as text.
        sizes_wh: (I, 2) int32, width and height in pixels; 0 where the file does not say.
        sources: (I,) text, each picture's field `source`; empty where there is none.
        ids: (P,) int64, the annotations' own ids.
        image_indices: (P,) int32, index of the person's picture in the arrays above.
        keypoints: (P, 133, 3) float32 or float64: x, y in pixels of the picture, then v
            (0 not labelled, 1 hidden, 2 visible; other positive numbers occur in faces and hands).
            (P, 26, 3) where a file has Halpe's 26 points.
        boxes_xywh: (P, 4) float64, left, top, width, height in pixels, as in the file; zeros
            where there is no box.
        areas: (P,) float64, square pixels; the box's where the file does not say.
        area_rule: Where these come from.
        is_crowd: (P,) bool.
        num_keypoints: (P,) int32, the file's number of labelled body points; counted where the
            file does not say.
        valid: (P, 4) bool: feet, face, left hand, right hand are labelled (`foot_valid` and so
            on); true where the file does not say.
        labels: (P,) text, each person's field `label`; empty where there is none.
    """

    path: Path
    image_ids: Int64Array
    file_names_utf8: npt.NDArray[np.bytes_]
    sizes_wh: Int32Array
    sources: npt.NDArray[np.str_]
    ids: Int64Array
    image_indices: Int32Array
    keypoints: FloatArray
    boxes_xywh: Float64Array
    areas: Float64Array
    is_crowd: BoolArray
    num_keypoints: Int32Array
    valid: BoolArray
    labels: npt.NDArray[np.str_]
    area_rule: AreaRule = "labels"

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def layout(self) -> KeypointLayout:
        """Names, parts and order of the points."""
        return layout_of(self.keypoints.shape[1])

    def in_layout(self, layout: KeypointLayout) -> Annotations:
        """Returns the same labels with the points of another layout.

        Those that the labels do not have are not labelled; those that the layout does not have
        are left out, which is logged.
        """
        if layout is self.layout:
            return self
        places = self.layout.places_of(layout)
        left_out = [name for name in self.layout.point_names if name not in layout.point_names]
        if left_out:
            some = ", ".join(left_out[:3]) + (", ..." if len(left_out) > 3 else "")
            logger.warning(
                "%s: %d of its %d points are left out (%s), for the others are those of %s",
                *(self.path, len(left_out), len(self.layout), some, layout.name),
            )
        keypoints = np.zeros((len(self), len(layout), 3), self.keypoints.dtype)
        for place, own in enumerate(places):
            if own is not None:
                keypoints[:, place] = self.keypoints[:, own]
        return replace(self, keypoints=keypoints)

    def file_name(self, image_index: int) -> str:
        """Returns the name of a picture relative to the folder of pictures."""
        return bytes(self.file_names_utf8[image_index]).decode()

    def select(self, persons: npt.ArrayLike) -> Annotations:
        """Returns the persons that a NumPy index picks, in its order; all pictures stay."""
        picked = np.asarray(persons)
        per_person = (
            "ids",
            "image_indices",
            "keypoints",
            "boxes_xywh",
            "areas",
            "is_crowd",
            "num_keypoints",
            "valid",
            "labels",
        )
        if picked.size == 0:
            picked = picked.astype(np.intp)
        return replace(self, **{name: getattr(self, name)[picked] for name in per_person})


def read_annotations(path: str | PathLike[str], *, dtype: KeypointDtype = "float32") -> Annotations:
    """Reads an annotation file in the layout of COCO-WholeBody, which UBody shares.

    Persons stay in the order of the file; annotations of other categories are left out. The
    category of persons is the one named "person", or the only one; files that list none have
    COCO's, 1; another id than that is logged. Nothing else is left out: crowds, empty boxes and
    persons without points are the caller's to drop.

    Args:
        path: JSON file with the lists `images` and `annotations`.
        dtype: Type of the keypoints' array; float64 keeps every digit of the file.

    Raises:
        InputError: The file cannot be read.
        FormatError: It is not such a file; the message says which image or annotation is wrong.
            Also where no category is that of persons, or no annotation is of it.
    """
    path = Path(path)
    document = _document(read_bytes(path), str(path))
    images = _entries(document, "images", path)
    annotations = _entries(document, "annotations", path)
    pictures = _pictures(images, str(path))
    index_of_id = {int(image_id): i for i, image_id in enumerate(pictures["image_ids"])}
    if len(index_of_id) != len(images):
        raise FormatError(f"{path}: two images have the same id")
    categories = _categories(document, path)
    category = _person_category(categories, str(path))
    persons = _persons(annotations, index_of_id, category=category, dtype=dtype, origin=str(path))
    if annotations and not len(persons["ids"]):
        raise FormatError(
            f"{path}: none of its {len(annotations)} annotations is of category {category}, that "
            f"of persons; the file lists {_listed(categories)}"
        )
    return Annotations(path=path, **pictures, **persons)


def _document(data: bytes, origin: str) -> dict[str, Any]:
    """Returns the fields of a file, each still undecoded."""
    document: dict[str, Any] = decode(data, dict[str, msgspec.Raw], origin)
    return document


def _pictures(entries: Sequence[Any], origin: str) -> dict[str, Any]:
    image_ids = np.zeros(len(entries), np.int64)
    sizes_wh = np.zeros((len(entries), 2), np.int32)
    names, sources = [], []
    for index, entry in enumerate(entries):
        image = decoded_object(entry, f"{origin}: image number {index}")
        where = f"{origin}: image {image.get('id')}"
        image_ids[index] = whole_number(image.get("id"), f"{origin}: image number {index}", "id")
        name = image.get("file_name")
        if not isinstance(name, str) or not name:
            raise FormatError(f"{where}: file_name is {name!r}, expected the name of a picture")
        names.append(name.encode())
        sources.append(str(image.get("source", "")))
        sizes_wh[index] = [
            whole_number(image.get(side, 0), where, side, bits=32) for side in ("width", "height")
        ]
    return {
        "image_ids": image_ids,
        "file_names_utf8": np.array(names, np.bytes_),
        "sizes_wh": sizes_wh,
        "sources": np.array(sources, np.str_),
    }


def _categories(document: Mapping[str, Any], path: Path) -> dict[int, str]:
    """Returns id -> name of the categories that a file lists, in its order."""
    if "categories" not in document:
        return {}
    found = {}
    for number, entry in enumerate(_entries(document, "categories", path)):
        where = f"{path}: category number {number}"
        category = decoded_object(entry, where)
        found[whole_number(category.get("id"), where, "id")] = str(category.get("name", ""))
    return found


def _person_category(categories: Mapping[int, str], origin: str) -> int:
    named = [number for number, name in categories.items() if name.strip().lower() == "person"]
    if not named and len(categories) > 1:
        raise FormatError(
            f"{origin}: no category is named 'person'; the file lists {_listed(categories)}. Give "
            "that of persons this name"
        )
    category = (named or [*categories, PERSON_CATEGORY])[0]
    if category != PERSON_CATEGORY:
        logger.warning(
            "%s: persons are of category %d there, %r", origin, category, categories[category]
        )
    return category


def _listed(categories: Mapping[int, str]) -> str:
    words = [f"{number} ({name!r})" for number, name in categories.items()]
    return ", ".join(words) if words else "no categories"


def _persons(
    entries: Sequence[Any],
    index_of_id: Mapping[int, int],
    *,
    category: int,
    dtype: KeypointDtype,
    origin: str,
) -> dict[str, Any]:
    count = len(entries)
    layout = layout_of_file(entries, origin)
    arrays: dict[str, Any] = {
        "ids": np.zeros(count, np.int64),
        "image_indices": np.zeros(count, np.int32),
        "keypoints": np.zeros((count, len(layout), 3), dtype),
        "boxes_xywh": np.zeros((count, 4), np.float64),
        "areas": np.zeros(count, np.float64),
        "is_crowd": np.zeros(count, np.bool_),
        "num_keypoints": np.zeros(count, np.int32),
        "valid": np.ones((count, len(VALID_FIELD_OF_PART)), np.bool_),
    }
    labels = []
    missing: Counter[str] = Counter()  # part or field -> persons without it
    row = 0
    for number, entry in enumerate(entries):
        person = decoded_object(entry, f"{origin}: annotation number {number}")
        if person.get("category_id", category) != category:
            continue
        origin_id = f"{origin}: annotation number {number}"
        where = f"{origin}: annotation {whole_number(person.get('id'), origin_id, 'id')}"
        for name, value in read_person(person, layout, index_of_id, where, missing).items():
            arrays[name][row] = value
        labels.append(str(person.get("label", "")))
        row += 1
    _say_what_is_missing(missing, row, origin)
    found = {name: array[:row] for name, array in arrays.items()}
    rule: AreaRule = "labels"
    if row and missing["area"]:
        rule = "boxes" if missing["area"] == row else "mixed"
    return {**found, "labels": np.array(labels, np.str_), "area_rule": rule}


def _say_what_is_missing(missing: Mapping[str, int], count: int, origin: str) -> None:
    """One line for each kind of thing that a file leaves out, not one for each person."""
    for name in sorted(missing):
        if name == "area":
            logger.warning(
                "%s: %d of %d persons have no area: that of the box is taken, about twice the "
                "outline's, COCO's own, which raises average precision",
                *(origin, missing[name], count),
            )
        else:
            logger.warning(
                "%s: %d of %d persons have no points of the part %s: taken as not labelled",
                *(origin, missing[name], count, name),
            )


def _entries(document: Mapping[str, Any], field: str, path: Path) -> list[Any]:
    if field not in document:
        raise FormatError(f"{path}: there is no list {field!r}; is it an annotation file?")
    entries: list[Any] = decode(document[field], list[msgspec.Raw], f"{path}: {field}")
    return entries
