"""This package's own JSON: everything a `PoseResult` holds, and nothing lost.

One result is an object, several are an object with the list `results`::

    {"schema": "dwpose_infer.result", "schema_version": 1,
     "keypoint_order": "coco-wholebody-133",
     "source": "a.jpg", "image_size": {"width": 640, "height": 480},
     "person_fields": ["box_xyxy", "box_score"],
     "persons": [{"id": null, "box_xyxy": [x1, y1, x2, y2], "box_score": 0.9,
                  "keypoints": [[x, y], ...], "scores": [...]}]}

Coordinates are pixels of the picture. NaN is `null`, and a point with two NaN is one `null`.
`keypoint_order` is the name of a layout of `dwpose_infer.layouts`: that of the 133 points, or of
the 17, 23 or 26 of other networks.
`notes`, a list of texts, is there where something of the picture was left out, altered or assumed.
`person_fields` says which of `id`, `box_xyxy` and `box_score` are known, which a picture with
nobody on it could not tell otherwise. Every float32 stands as the shortest decimal that rounds
back to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from ..arrays import Float32Array, Int64Array
from ..errors import FormatError
from ..files.json_text import numbers, require, require_version, with_nulls
from ..layouts import LAYOUTS
from ..poses import SCHEMA_VERSION, Poses
from .format import Format

SCHEMA: Final = "dwpose_infer.result"
"""Value of `schema` in the object of one result."""

SCHEMA_OF_MANY: Final = "dwpose_infer.results"
"""Value of `schema` in the object of several results."""

_ARRAY_OF_FIELD: Final = {"id": "ids", "box_xyxy": "boxes_xyxy", "box_score": "box_scores"}


def result_to_dict(result: Poses) -> dict[str, Any]:
    """Returns a result as plain Python values, laid out as the module says."""
    return _laid_out(result, with_nulls)


def result_to_values(result: Poses) -> dict[str, Any]:
    """Returns the same for `dump` alone, with arrays in place of most lists: much faster."""
    return _laid_out(result, np.ascontiguousarray)


def _laid_out(result: Poses, listed: Callable[[Float32Array], Any]) -> dict[str, Any]:
    width, height = result.image_size or (None, None)
    known = {
        field: getattr(result, array)
        for field, array in _ARRAY_OF_FIELD.items()
        if getattr(result, array) is not None
    }
    optional = {
        field: values.tolist() if field == "id" else listed(values)
        for field, values in known.items()
    }
    points, scores = listed(result.keypoints), listed(result.scores)
    incomplete = np.asarray(np.isnan(result.keypoints).any(axis=(1, 2)))
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "keypoint_order": result.layout.name,
        "source": result.source,
        "image_size": None
        if width is None or height is None
        else {"width": int(width), "height": int(height)},
        **({"notes": list(result.notes)} if result.notes else {}),
        "person_fields": list(known),
        "persons": [
            {
                **{
                    field: optional[field][index] if field in optional else None
                    for field in _ARRAY_OF_FIELD
                },
                "keypoints": _with_absent(result.keypoints[index])
                if incomplete[index]
                else points[index],
                "scores": scores[index],
            }
            for index in range(len(result))
        ],
    }


def _with_absent(points: Float32Array) -> list[Any]:
    """The points of a person, null in place of one of which both numbers are."""
    return [None if point == [None, None] else point for point in with_nulls(points)]


def result_from_dict(document: Any, *, origin: str = "the document") -> Poses:
    """Returns the result that `result_to_dict` turned into plain values.

    Args:
        document: The plain values.
        origin: What error messages call it, such as a file name.

    Raises:
        FormatError: The document is not laid out as the module says.
    """
    require(isinstance(document, dict), origin, "a result is a JSON object")
    schema = document.get("schema")
    require(schema == SCHEMA, origin, f"schema is {schema!r}, expected {SCHEMA!r}")
    require_version(document.get("schema_version"), SCHEMA_VERSION, origin)
    points = points_of_order(document.get("keypoint_order"), origin)
    source = document.get("source")
    require(source is None or isinstance(source, str), origin, "source is neither text nor null")
    persons = document.get("persons")
    require(isinstance(persons, list), origin, "persons is not a list")
    require(all(isinstance(item, dict) for item in persons), origin, "a person is not an object")
    known = document.get("person_fields")
    require(
        isinstance(known, list) and set(map(str, known)) <= set(_ARRAY_OF_FIELD),
        origin,
        f"person_fields is not a list of {', '.join(_ARRAY_OF_FIELD)}",
    )
    notes = document.get("notes", [])
    require(
        isinstance(notes, list) and all(isinstance(note, str) for note in notes),
        origin,
        "notes is not a list of texts",
    )
    return Poses(
        keypoints=_gather(persons, "keypoints", (points, 2), origin),
        scores=_gather(persons, "scores", (points,), origin),
        boxes_xyxy=_gather(persons, "box_xyxy", (4,), origin) if "box_xyxy" in known else None,
        box_scores=_gather(persons, "box_score", (), origin) if "box_score" in known else None,
        ids=_gather_ids(persons, origin) if "id" in known else None,
        image_size=_image_size(document.get("image_size"), origin),
        source=source,
        notes=tuple(notes),
    )


def points_of_order(order: Any, origin: str) -> int:
    """Returns the number of points of the layout with a name.

    Raises:
        FormatError: There is no such layout.
    """
    for points, layout in LAYOUTS.items():
        if layout.name == order:
            return points
    names = ", ".join(layout.name for layout in LAYOUTS.values())
    raise FormatError(f"{origin}: keypoint_order is {order!r}, expected one of {names}")


def to_document(results: Sequence[Poses]) -> dict[str, Any]:
    """Returns, for `dump`, one result as its own object, or any other number in a list in one."""
    if len(results) == 1:
        return result_to_values(results[0])
    return {
        "schema": SCHEMA_OF_MANY,
        "schema_version": SCHEMA_VERSION,
        "results": [result_to_values(result) for result in results],
    }


def from_document(document: Any, *, origin: str) -> list[Poses]:
    """Returns the results of a document that `to_document` made.

    Raises:
        FormatError: The document is not laid out as the module says.
    """
    if not isinstance(document, dict) or document.get("schema") != SCHEMA_OF_MANY:
        return [result_from_dict(document, origin=origin)]
    require_version(document.get("schema_version"), SCHEMA_VERSION, origin)
    items = document.get("results")
    if not isinstance(items, list):
        raise FormatError(f"{origin}: results is not a list")
    return [
        result_from_dict(item, origin=f"{origin}, result {index}")
        for index, item in enumerate(items)
    ]


def _gather(
    persons: list[dict[str, Any]], field: str, shape: tuple[int, ...], origin: str
) -> Float32Array:
    """Stacks one field of all persons: (P, *shape) float32."""
    gathered = np.zeros((len(persons), *shape), np.float32)
    for index, person in enumerate(persons):
        require(field in person, origin, f"person {index} has no {field}")
        value = person[field]
        if field == "keypoints" and isinstance(value, list):
            value = [[None, None] if point is None else point for point in value]
        array = numbers([value], origin, f"{field} of person {index}")[0]
        require(
            array.shape == shape,
            origin,
            f"{field} of person {index} has the shape {array.shape}, expected {shape}",
        )
        gathered[index] = array
    return gathered


def _gather_ids(persons: list[dict[str, Any]], origin: str) -> Int64Array:
    ids = [person.get("id") for person in persons]
    whole = all(isinstance(value, int) and -(2**63) <= value < 2**63 for value in ids)
    require(whole, origin, "an id is not a whole number of 64 bits")
    return np.array(ids, np.int64)


def _image_size(value: Any, origin: str) -> tuple[int, int] | None:
    if value is None:
        return None
    width, height = (
        (value.get("width"), value.get("height")) if isinstance(value, dict) else (None, None)
    )
    if not isinstance(width, int) or not isinstance(height, int):
        raise FormatError(f"{origin}: image_size is not an object with a whole width and height")
    return width, height


def _recognises(document: Any) -> bool:
    return isinstance(document, dict) and str(document.get("schema")).startswith("dwpose_infer.")


FORMAT: Final = Format(
    name="json",
    ending=".json",
    file_name="{stem}.json",
    per="picture",
    lossless=True,
    description="everything, as plain JSON",
    encode=to_document,
    decode=from_document,
    recognises=_recognises,
    of_clip="log",
    clip_name="{stem}.jsonl",
)
