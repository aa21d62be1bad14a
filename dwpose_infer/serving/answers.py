"""From results to the body of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..drawing import draw
from ..errors import DwposeError, InvalidArgumentError
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
class Outcome:
    """What became of a picture.

    Attributes:
        name: As in `uploads.Upload`.
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
