"""From a request's body to pictures, and from results to the body of an answer."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..drawing import draw
from ..errors import DwposeError, InputError, InvalidArgumentError
from ..formats.codecs import encode
from ..formats.format import Format
from ..images import ReadPicture
from ..results import PoseResult
from .query import DrawStyle

UInt8Array = npt.NDArray[np.uint8]

MEDIA_TYPES = {
    ".json": "application/json",
    ".npz": "application/octet-stream",
    ".csv": "text/csv; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
}
DRAWINGS = {"overlay": ("image/jpeg", ".jpg"), "openpose": ("image/png", ".png")}


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """A picture as it came.

    Attributes:
        name: What the client calls it, or its number.
        data: Its file's bytes.
    """

    name: str
    data: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What became of a picture.

    Attributes:
        name: As in `Upload`.
        result: What was found, or None.
        picture: The picture, where it was read.
        error: What was wrong with it, or None.
        status: Status of HTTP that says the same.
    """

    name: str
    result: PoseResult | None = None
    picture: ReadPicture | None = None
    error: str | None = None
    status: int = 200


def uploads_of_json(body: bytes) -> list[Upload]:
    """Reads `{"images": [{"name": "a.jpg", "data": "<base64>"}, ...]}`; a text is data alone.

    Raises:
        InputError: The body is not laid out so.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the body is not JSON: {error}") from error
    images = document.get("images") if isinstance(document, dict) else None
    if not isinstance(images, list):
        raise InputError('the body has to be {"images": [{"name": ..., "data": base64}, ...]}')
    return [_upload(entry, index) for index, entry in enumerate(images)]


def _upload(entry: Any, index: int) -> Upload:
    if isinstance(entry, str):
        entry = {"data": entry}
    data = entry.get("data") if isinstance(entry, dict) else None
    if not isinstance(data, str):
        raise InputError(f"image {index} has no text in data")
    try:
        decoded = base64.b64decode(data.partition("base64,")[2] or data, validate=True)
    except (ValueError, binascii.Error) as error:
        raise InputError(f"image {index}: data is not base64: {error}") from error
    name = entry.get("name")
    return Upload(name if isinstance(name, str) and name else f"image-{index}", decoded)


def encode_drawing(
    result: PoseResult, image_bgr: UInt8Array, style: DrawStyle, options: Mapping[str, Any]
) -> tuple[bytes, str]:
    """Returns a drawn picture's file, and its media type.

    Raises:
        InvalidArgumentError: It cannot be drawn so, or not encoded.
    """
    media_type, ending = DRAWINGS[style]
    done, data = cv2.imencode(ending, draw(result, image_bgr, style=style, **options))
    if not done:
        raise InvalidArgumentError("a picture of this size cannot be encoded")
    return data.tobytes(), media_type


def encode_file(
    results: list[PoseResult], format: Format, options: Mapping[str, Any]
) -> tuple[bytes, str]:
    """Returns a file of results in a format, and its media type.

    Raises:
        InvalidArgumentError: The format cannot hold them.
    """
    return encode(results, format, **options), MEDIA_TYPES[format.ending]


def document_of_many(
    outcomes: list[Outcome], format: Format, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns a status for each picture, with its result in a JSON format or its error."""
    entries = []
    for outcome in outcomes:
        entry: dict[str, Any] = {"name": outcome.name, "status": outcome.status}
        if outcome.result is None:
            entry["error"] = outcome.error
        else:
            try:
                entry["result"] = format.encode([outcome.result], **options)
            except DwposeError as error:
                entry |= {"status": 422, "error": str(error)}
        entries.append(entry)
    return {"results": entries}
