"""Which labelled persons are looked at: those alone on their picture, from one annotation file."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from ..errors import InputError, InvalidArgumentError
from ..formats.coco import FIELD_OF_PART
from ..formats.json_text import numbers, parse, require
from ..formats.reading import read_bytes
from ..keypoints import BODY, NUM_KEYPOINTS, PARTS

Float64Array = npt.NDArray[np.float64]

Take = Literal["spread", "first"]
TAKES: Final[tuple[Take, ...]] = ("spread", "first")
"""Ways to choose: over all sources in turn, or the first of the file."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPicture:
    """A picture with one labelled person.

    Attributes:
        file_name: Path inside the folder of pictures.
        source: Collection the picture comes from; "" where unknown.
        keypoints: (133, 2) float64, x then y, pixels; of no meaning where not labelled.
        labelled: (133,) bool.
        box_xyxy: (4,) float64, left, top, right, bottom in pixels.
    """

    file_name: str
    source: str
    keypoints: Float64Array
    labelled: npt.NDArray[np.bool_]
    box_xyxy: Float64Array


def read_pictures(path: Path, *, label: str | None = None) -> list[LabelledPicture]:
    """Reads the pictures of a COCO-WholeBody annotation file that show one labelled person.

    Args:
        path: Annotation file.
        label: Only persons whose field `label` is this.

    Returns:
        Pictures with exactly one annotation, no crowd, and at least one labelled body point, in
        the order of the file's annotations.

    Raises:
        InputError: The file cannot be read, or has no such picture.
        FormatError: It is no COCO annotation file.
    """
    origin = str(path)
    document = parse(read_bytes(path), origin)
    require(isinstance(document, dict), origin, "an annotation file is an object")
    images, annotations = document.get("images"), document.get("annotations")
    for entries in (images, annotations):
        require(
            isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries),
            origin,
            "an annotation file has lists of objects, `images` and `annotations`",
        )
    by_id = {image.get("id"): image for image in images}
    persons = Counter(annotation.get("image_id") for annotation in annotations)
    pictures = []
    for annotation in annotations:
        image_id = annotation.get("image_id")
        wanted = label is None or annotation.get("label") == label
        if wanted and persons[image_id] == 1 and not annotation.get("iscrowd"):
            picture = _picture(by_id.get(image_id, {}), annotation, f"{origin}, image {image_id}")
            if picture.labelled[BODY].any():
                pictures.append(picture)
    if not pictures:
        labelled = "" if label is None else f" labelled {label!r}"
        raise InputError(f"{origin}: no picture has exactly one person{labelled} with body points")
    return pictures


def _picture(image: dict[str, Any], annotation: dict[str, Any], origin: str) -> LabelledPicture:
    file_name = image.get("file_name")
    require(isinstance(file_name, str), origin, "there is no such image with a file_name")
    box = numbers(annotation.get("bbox"), origin, "bbox")
    require(box.shape == (4,) and bool((box[2:] > 0).all()), origin, "bbox is no box")
    points = np.zeros((NUM_KEYPOINTS, 3))
    for part, field in FIELD_OF_PART.items():
        if annotation.get(field):
            values = numbers(annotation[field], origin, field)
            require(values.size == points[PARTS[part]].size, origin, f"{field} has a wrong length")
            points[PARTS[part]] = values.reshape(-1, 3)
    return LabelledPicture(
        file_name=str(file_name),
        source=str(image.get("source", "")),
        keypoints=points[:, :2],
        labelled=points[:, 2] > 0,
        box_xyxy=np.concatenate([box[:2], box[:2] + box[2:]]),
    )


def choose(
    pictures: Iterable[LabelledPicture], *, count: int, seed: int = 0, take: Take = "spread"
) -> list[LabelledPicture]:
    """Chooses pictures.

    Args:
        pictures: Pictures to choose from.
        count: How many; all of them where there are fewer.
        seed: Another seed shuffles the pictures of each source differently; `spread` only.
        take: `spread` takes one picture of each source in turn as long as it has any, `first`
            the first pictures in the order given.

    Raises:
        InvalidArgumentError: The number or the way to choose is none.
    """
    if count < 1:
        raise InvalidArgumentError(f"the number of persons is {count}, must be at least 1")
    if take not in TAKES:
        raise InvalidArgumentError(f"take is {take!r}, must be one of {', '.join(TAKES)}")
    if take == "first":
        return list(pictures)[:count]
    by_source: dict[str, list[LabelledPicture]] = {}
    for picture in sorted(pictures, key=lambda each: each.file_name):
        by_source.setdefault(picture.source, []).append(picture)
    places = []
    for source, members in sorted(by_source.items()):
        random.Random(f"{seed} {source}").shuffle(members)
        places += [(turn, source, picture) for turn, picture in enumerate(members)]
    return [picture for _, _, picture in sorted(places, key=lambda place: place[:2])[:count]]
