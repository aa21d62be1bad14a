"""OpenPose JSON: one picture a file, as OpenPose writes it and ControlNet's tools read it.

Layout: https://github.com/CMU-Perceptual-Computing-Lab/openpose/blob/master/doc/02_output.md, with
the keys `canvas_width` and `canvas_height` that ControlNet's editors need. Every part has its
full length; an absent point is 0, 0, 0. Coordinates are pixels, confidences the real scores.

What the format cannot hold: boxes, points that score 0 or less, the point (0, 0), with 18 body
points the feet, and Halpe's head, neck and hip: Neck and MidHip are the middle of the shoulders and
of the hips, as in OpenPose. Of parts that a network does not have the list is empty. One key more
than OpenPose's, `dwpose_infer`, says who wrote the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np

from .. import keypoints as kp
from .. import openpose_layout as layout
from ..arrays import Float32Array, Float64Array, Int64Array
from ..canvas import CanvasFit, canvas_for
from ..errors import InvalidArgumentError
from ..files.json_text import numbers, require, require_version, shortest_decimals
from ..layouts import WHOLEBODY_133
from ..poses import SCHEMA_VERSION, Poses
from .format import Format
from .image_ids import parts_of

OPENPOSE_VERSION: Final = 1.3
"""Version of OpenPose's own layout that is written: the one with `person_id`."""

MARKER: Final = "dwpose_infer"
"""The key under which this package keeps its own facts; foreign readers pass over it."""

CONTROLNET_MIN_SCORE: Final = 0.3
"""Least score of a point that ControlNet's own DWPose converter keeps."""

_NORMALIZED_LIMIT: Final = 2.0
_PARTS: Final = tuple(
    f"{part}_keypoints_{dimensions}d"
    for dimensions in (2, 3)
    for part in ("pose", "face", "hand_left", "hand_right")
)


def result_to_dict(
    result: Poses,
    *,
    body: layout.WrittenBody = 18,
    pupils: Literal["zero", "eyes"] = "zero",
    confidence: Literal["real", "binary"] = "real",
    source: Literal["name", "path"] = "name",
    min_score: float | None = None,
    canvas_size: int | tuple[int, int] | None = None,
    canvas_multiple: int = 1,
    canvas_fit: CanvasFit = "margins",
) -> dict[str, Any]:
    """Returns a result as the values of an OpenPose JSON file.

    Args:
        result: The persons of one picture.
        body: 18 for OpenPose's COCO order, which ControlNet and its editors read and draw by;
            25 for BODY_25, OpenPose's own default, which has the feet; 133 for all points in
            one list and none in face and hands, which is no order of OpenPose but how Pose2Sim
            keeps its `COCO_133`.
        pupils: DWPose has 68 points of the face, OpenPose 70. "zero" leaves the two pupils
            absent; "eyes" puts the body's eyes there, as ControlNet does.
        confidence: "real" writes the scores; "binary" writes 1 for every point present.
            ControlNet's readers and the sd-webui editor drop points below 1: write "binary" for
            them.
        source: "path" writes the picture's whole path or URL, "name" its last part: folder names
            tell more than a pose file should, and an editor stumbles over what they may hold.
        min_score: Points that score less are written as absent. None stands for 0.3 with
            "binary" and for no limit with "real".
        canvas_size: With these three, `size`, `size_multiple` and `fit` of a drawing
            (`dwpose_infer.drawing.draw_openpose`), points and `canvas_width`, `canvas_height` are
            those of the drawing in place of the picture's.
        canvas_multiple: See `canvas_size`.
        canvas_fit: See `canvas_size`.

    Raises:
        InvalidArgumentError: An option has no such value, or a canvas is asked for and the size
            of the picture is not known.
    """
    if canvas_size is not None or canvas_multiple != 1:
        if result.image_size is None:
            raise InvalidArgumentError(
                "a canvas needs the size of the picture, and this result does not know it"
            )
        canvas = canvas_for(
            result.image_size, canvas_size, multiple=canvas_multiple, fit=canvas_fit
        )
        result = canvas.place(result)
    if pupils not in ("zero", "eyes"):
        raise InvalidArgumentError(f'pupils is {pupils!r}, expected "zero" or "eyes"')
    if confidence not in ("real", "binary"):
        raise InvalidArgumentError(f'confidence is {confidence!r}, expected "real" or "binary"')
    if source not in ("name", "path"):
        raise InvalidArgumentError(f'source is {source!r}, expected "name" or "path"')
    if min_score is None:
        min_score = CONTROLNET_MIN_SCORE if confidence == "binary" else 0.0

    found = {
        name: _triples(points, scores, confidence, min_score)
        for name, (points, scores) in _parts(result, body, pupils).items()
    }
    ids = [-1] * len(result) if result.ids is None else result.ids.tolist()
    document: dict[str, Any] = {
        "version": OPENPOSE_VERSION,
        "people": [
            {
                "person_id": [ids[index]],
                **{name: found[name][index] if name in found else [] for name in _PARTS},
            }
            for index in range(len(result))
        ],
    }
    if result.image_size is not None:
        document["canvas_width"], document["canvas_height"] = map(int, result.image_size)
    document[MARKER] = {
        "schema_version": SCHEMA_VERSION,
        "source": result.source if source == "path" else _last_part(result.source),
        "confidence": confidence,
    }
    return document


def _parts(
    result: Poses, body: layout.WrittenBody, pupils: str
) -> dict[str, tuple[Float32Array, Float32Array]]:
    """The parts that are written: their points and scores by name."""
    known, result = result.layout.parts, result.in_layout(WHOLEBODY_133)
    if body == kp.NUM_KEYPOINTS:
        return {"pose_keypoints_2d": (result.keypoints, result.scores)}
    found = {
        "pose_keypoints_2d": layout.body_points(result.keypoints, result.scores, layout=body),
    }
    if "face" in known:
        found["face_keypoints_2d"] = _face(result, pupils)
    for side in ("left", "right"):
        if (part := f"{side}_hand") in known:
            hand = kp.PARTS[part]
            found[f"hand_{side}_keypoints_2d"] = result.keypoints[:, hand], result.scores[:, hand]
    return found


def _last_part(source: str | None) -> str | None:
    parts = () if source is None else parts_of(source)
    return parts[-1] if parts else None


def result_from_dict(document: Any, *, origin: str = "the document") -> Poses:
    """Returns what the values of an OpenPose JSON file say, by whomever it was written.

    Bodies of 18, 25 and 133 points and faces of 68 and 70 are told apart by their length. Neck,
    MidHip and pupils have no place among the 133 points and are dropped. A part that is null,
    empty or missing is absent; so is a point of confidence 0 and one at (0, 0). Where the size
    of the canvas is known and no coordinate of any person exceeds 2, coordinates are taken as
    fractions of the canvas, as some of ControlNet's tools write them.

    Args:
        document: The values.
        origin: What error messages call them, such as a file name.

    Raises:
        FormatError: They are not what OpenPose's layout prescribes.
    """
    require(isinstance(document, dict), origin, "an OpenPose picture is a JSON object")
    people = document.get("people")
    require(isinstance(people, list), origin, "people is not a list")
    require(all(isinstance(item, dict) for item in people), origin, "a person is not an object")
    marker = document.get(MARKER)
    source = None
    if isinstance(marker, dict):
        require_version(marker.get("schema_version"), SCHEMA_VERSION, origin)
        source = marker.get("source")
    image_size = _canvas(document, origin)

    points = np.full((len(people), kp.NUM_KEYPOINTS, 3), np.nan)
    for index, person in enumerate(people):
        _read_person(person, points[index], f"{origin}, person {index}")
    absent = np.isnan(points).any(axis=2) | (points[..., 2] <= 0)
    absent |= (points[..., :2] == 0).all(axis=2)
    points[absent] = np.nan, np.nan, 0.0
    fractions = np.abs(points[..., :2][~absent]).max(initial=0.0) <= _NORMALIZED_LIMIT
    if image_size is not None and not isinstance(marker, dict) and fractions:
        points[..., :2] *= image_size
    return Poses(
        keypoints=points[..., :2].astype(np.float32),
        scores=points[..., 2].astype(np.float32),
        ids=_read_ids(people),
        image_size=image_size,
        source=source if isinstance(source, str) else None,
    )


def to_document(
    results: Sequence[Poses],
    *,
    body: layout.WrittenBody = 18,
    pupils: Literal["zero", "eyes"] = "zero",
    confidence: Literal["real", "binary"] = "real",
    source: Literal["name", "path"] = "name",
    min_score: float | None = None,
    canvas_size: int | tuple[int, int] | None = None,
    canvas_multiple: int = 1,
    canvas_fit: CanvasFit = "margins",
) -> dict[str, Any]:
    """Returns the document of the one result given; the options are `result_to_dict`'s.

    Raises:
        InvalidArgumentError: There is not exactly one result, or an option has no such value.
    """
    if len(results) != 1:
        raise InvalidArgumentError(
            f"an OpenPose file holds one picture, not {len(results)}: save each result to a file "
            'of its own, or use the format "json"'
        )
    return result_to_dict(
        results[0],
        body=body,
        pupils=pupils,
        confidence=confidence,
        source=source,
        min_score=min_score,
        canvas_size=canvas_size,
        canvas_multiple=canvas_multiple,
        canvas_fit=canvas_fit,
    )


def from_document(document: Any, *, origin: str) -> list[Poses]:
    """Returns the result of a picture, or those of a list of pictures, as ComfyUI writes one.

    Raises:
        FormatError: The document is not what OpenPose's layout prescribes.
    """
    if not isinstance(document, list):
        return [result_from_dict(document, origin=origin)]
    return [
        result_from_dict(item, origin=f"{origin}, picture {index}")
        for index, item in enumerate(document)
    ]


def _triples(
    points: Float32Array, scores: Float32Array, confidence: str, min_score: float
) -> list[list[float]]:
    """Lines up x, y, confidence of every point: one list of 3 K numbers a person."""
    present = ~np.isnan(points).any(axis=2) & (scores > 0) & (scores >= min_score)
    written = np.ones_like(scores) if confidence == "binary" else scores
    triples = np.concatenate([points, written[..., None]], axis=2)
    triples = np.where(present[..., None], triples, np.float32(0.0))
    flat = triples.reshape(len(points), 3 * points.shape[1])
    values: list[list[float]] = shortest_decimals(flat).tolist()
    return values


def _face(result: Poses, pupils: str) -> tuple[Float32Array, Float32Array]:
    """Returns the 70 points of OpenPose's face and their scores."""
    points = np.full((len(result), layout.FACE_POINTS, 2), np.nan, np.float32)
    scores = np.zeros((len(result), layout.FACE_POINTS), np.float32)
    labelled = layout.FACE_PUPILS[0]
    points[:, :labelled] = result.keypoints[:, kp.FACE]
    scores[:, :labelled] = result.scores[:, kp.FACE]
    if pupils == "eyes":
        points[:, layout.FACE_PUPILS] = result.keypoints[:, layout.PUPILS_FROM_COCO]
        scores[:, layout.FACE_PUPILS] = result.scores[:, layout.PUPILS_FROM_COCO]
    return points, scores


def _read_person(person: dict[str, Any], points: Float64Array, origin: str) -> None:
    """Fills the (133, 3) points of one person with the parts it has."""
    pose = _read_part(person, "pose_keypoints_2d", (18, 25, kp.NUM_KEYPOINTS), origin)
    if pose is not None and len(pose) == kp.NUM_KEYPOINTS:
        points[:] = pose
    elif pose is not None:
        source = layout.OPENPOSE_25_FROM_COCO if len(pose) == 25 else layout.OPENPOSE_18_FROM_COCO
        for value, index in zip(pose, source, strict=True):
            if index is not None:
                points[index] = value
    face = _read_part(person, "face_keypoints_2d", (68, layout.FACE_POINTS), origin)
    if face is not None:
        points[kp.FACE] = face[: layout.FACE_PUPILS[0]]
    for side, part in (("left", kp.LEFT_HAND), ("right", kp.RIGHT_HAND)):
        hand = _read_part(person, f"hand_{side}_keypoints_2d", (layout.HAND_POINTS,), origin)
        if hand is not None:
            points[part] = hand


def _read_part(
    person: dict[str, Any], name: str, lengths: tuple[int, ...], origin: str
) -> Float64Array | None:
    value = person.get(name)
    if value is None or value == []:
        return None
    array = numbers(value, origin, name).reshape(-1)
    require(
        array.size in {3 * length for length in lengths},
        origin,
        f"{name} has {array.size} numbers, expected 3 for each of "
        f"{' or '.join(map(str, lengths))} points",
    )
    return array.reshape(-1, 3)


def _canvas(document: dict[str, Any], origin: str) -> tuple[int, int] | None:
    sides = (document.get("canvas_width"), document.get("canvas_height"))
    if None in sides:
        return None
    size = numbers(list(sides), origin, "the size of the canvas")
    require(size.shape == (2,) and bool((size > 0).all()), origin, "the canvas has no such size")
    width, height = size.tolist()
    return round(width), round(height)


def _read_ids(people: list[dict[str, Any]]) -> Int64Array | None:
    """Returns the identities, or None unless every person has one; OpenPose writes -1 for none."""
    ids = []
    for person in people:
        value = person.get("person_id")
        first = value[0] if isinstance(value, list) and value else value
        if not isinstance(first, int) or not 0 <= first < 2**63:
            return None
        ids.append(first)
    return np.array(ids, np.int64) if ids else None


def _recognises(document: Any) -> bool:
    items = document if isinstance(document, list) else [document]
    return bool(items) and all(isinstance(item, dict) and "people" in item for item in items)


FORMAT: Final = Format(
    name="openpose",
    ending=".json",
    file_name="{stem}_keypoints.json",  # the name OpenPose itself gives
    per="picture",
    lossless=False,
    description="OpenPose JSON, as ControlNet's tools read it",
    encode=to_document,
    decode=from_document,
    recognises=_recognises,
    of_clip="folder",
    clip_name="{stem}_keypoints",
    wholebody_only=True,
)
