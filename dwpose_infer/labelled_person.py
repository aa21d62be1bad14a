"""One labelled person of an annotation file: its fields, checked, as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from .arrays import Float64Array
from .errors import FormatError
from .files.json_text import decode
from .formats.coco import FIELD_OF_PART
from .keypoints import NUM_KEYPOINTS, PARTS
from .layouts import HALPE_26, WHOLEBODY_133, KeypointLayout

POINTS_IN_ONE_LIST: Final[Mapping[int, tuple[str, ...]]] = {
    23: ("body", "feet"),
    NUM_KEYPOINTS: tuple(PARTS),
}
"""Number of points that `keypoints` may hold beside the body's 17 -> the parts they are of."""

VALID_FIELD_OF_PART: Final[Mapping[str, str]] = {
    "feet": "foot_valid",
    "face": "face_valid",
    "left_hand": "lefthand_valid",
    "right_hand": "righthand_valid",
}
"""Part -> field that says whether the part was labelled; the body has none."""


def layout_of_file(entries: Sequence[Any], origin: str) -> KeypointLayout:
    """Halpe's where the first person with points has its 26 in one list; else the 133."""
    for number, entry in enumerate(entries):
        person = decoded_object(entry, f"{origin}: annotation number {number}")
        if _is_list(person.get("keypoints")) and person["keypoints"]:
            halpe = len(person["keypoints"]) == 3 * len(HALPE_26)
            return HALPE_26 if halpe and not _other_lists(person) else WHOLEBODY_133
    return WHOLEBODY_133


def _other_lists(person: Mapping[str, Any]) -> set[str]:
    return {field for part, field in FIELD_OF_PART.items() if part != "body" and field in person}


def read_person(
    person: Mapping[str, Any],
    layout: KeypointLayout,
    index_of_id: Mapping[int, int],
    where: str,
    missing: Counter[str],
) -> dict[str, Any]:
    """Returns a person's row of every array of `Annotations`, by its name.

    Args:
        person: The annotation.
        layout: That of the file, see `layout_of_file`.
        index_of_id: Id of an image -> its place.
        where: What to call the person in errors.
        missing: Counts the parts without a field, and missing areas.

    Raises:
        FormatError: A field is not what it has to be.
    """
    image_id = whole_number(person.get("image_id"), where, "image_id")
    if image_id not in index_of_id:
        raise FormatError(f"{where}: there is no image {image_id}")
    keypoints, present = _halpe(person, where) if layout is HALPE_26 else _keypoints(person, where)
    missing.update(layout.parts.keys() - present)
    missing.update({"area"} - person.keys())
    box = _numbers(person.get("bbox") or [0, 0, 0, 0], 4, where, "bbox")
    body = keypoints[PARTS["body"], 2]
    return {
        "ids": person["id"],
        "image_indices": index_of_id[image_id],
        "keypoints": keypoints,
        "boxes_xywh": box,
        "areas": _numbers([person.get("area", box[2] * box[3])], 1, where, "area")[0],
        "is_crowd": bool(person.get("iscrowd", 0)),
        "num_keypoints": whole_number(
            person.get("num_keypoints", int((body > 0).sum())), where, "num_keypoints", bits=32
        ),
        "valid": [
            part in present and bool(person.get(field, True))
            for part, field in VALID_FIELD_OF_PART.items()
        ],
    }


def _halpe(person: Mapping[str, Any], where: str) -> tuple[Float64Array, frozenset[str]]:
    """Returns (26, 3) x, y, v, zeros where nothing is labelled, and the parts that have a field."""
    if not person.get("keypoints"):
        return np.zeros((len(HALPE_26), 3)), frozenset()
    flat = _numbers(person["keypoints"], 3 * len(HALPE_26), where, "keypoints")
    return flat.reshape(-1, 3), frozenset(HALPE_26.parts)


def _keypoints(person: Mapping[str, Any], where: str) -> tuple[Float64Array, frozenset[str]]:
    """Returns (133, 3) x, y, v, zeros where nothing is labelled, and the parts that have a field.

    `keypoints` may hold more than the body: `POINTS_IN_ONE_LIST` of COCO-WholeBody's order.
    """
    keypoints = np.zeros((NUM_KEYPOINTS, 3))
    present = {part for part, field in FIELD_OF_PART.items() if field in person}
    count = len(person["keypoints"]) / 3 if _is_list(person.get("keypoints")) else 0.0
    if present == {"body"} and count in POINTS_IN_ONE_LIST:
        parts = POINTS_IN_ONE_LIST[int(count)]
        flat = _numbers(person["keypoints"], 3 * int(count), where, "keypoints")
        keypoints[: int(count)] = flat.reshape(-1, 3)
        return keypoints, frozenset(parts)
    if present == {"body"} and count.is_integer() and count not in (0, PARTS["body"].stop):
        raise FormatError(
            f"{where}: keypoints has {count:g} points; the body's 17, body and feet (23) or all "
            f"{NUM_KEYPOINTS} in COCO-WholeBody's order, or Halpe's 26 of every person, are "
            "understood"
        )
    for part in present:
        span, field = PARTS[part], FIELD_OF_PART[part]
        expected = 3 * (span.stop - span.start)
        keypoints[span] = _numbers(person[field], expected, where, field).reshape(-1, 3)
    return keypoints, frozenset(present)


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple))


def _numbers(values: object, expected: int, where: str, field: str) -> Float64Array:
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise FormatError(f"{where}: {field} is not a list of numbers") from error
    if array.shape != (expected,):
        raise FormatError(f"{where}: {field} has {array.size} numbers, expected {expected}")
    if not np.isfinite(array).all():
        raise FormatError(f"{where}: {field} holds numbers that are not finite")
    return array


def whole_number(value: object, where: str, field: str, *, bits: int = 64) -> int:
    """Returns a value that has to be a whole number of so many bits.

    Raises:
        FormatError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise FormatError(f"{where}: {field} is {value!r}, expected a whole number")
    if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise FormatError(f"{where}: {field} is a number of more than {bits} bits")
    return value


def decoded_object(entry: Any, where: str) -> dict[str, Any]:
    """Decodes one object of a list.

    Raises:
        FormatError: It is none.
    """
    decoded: dict[str, Any] = decode(entry, dict[str, Any], where)
    return decoded
