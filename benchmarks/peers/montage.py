"""Pictures that show so many persons, put together from the crops that come with the package."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path

import cv2
import numpy as np

from ...arrays import UInt8Array
from ...errors import InvalidArgumentError
from ...files.atomic import write_bytes
from ...images import read_image
from ...letterbox import PAD_VALUE

PICTURE_WH = (1280, 720)
MAX_PERSONS = 10
"""So many the bundled detector finds without a miss; of smaller ones it overlooks some."""

CROP_NAME = "grace_hopper.jpg"
"""The crop in export/crops that the bundled detector is surest of: over all montages persons score
0.50 or more and everything else 0.21 or less. With all three crops they cannot be told apart."""

SHARE_OF_CELL = 0.85
"""A person's crop fills its cell of the montage up to this share, in width or in height. Of 0.75,
0.8, 0.85 and 0.9 this share sets the bundled detector's scores of persons farthest apart from those
of everything else."""

JPEG_QUALITY = 92


def montage(persons: int, *, first: int = 0) -> UInt8Array:
    """Returns a grey picture with so many persons side by side, (720, 1280, 3) uint8, BGR.

    A crop (a half figure of 288 x 384 pixels, public domain, see export/crops) and its mirror image
    take turns, as large as fits.

    Args:
        persons: How many, 1 to `MAX_PERSONS`.
        first: An even number begins with the crop, an odd one with its mirror image, so that
            pictures of as many persons differ.

    Raises:
        InvalidArgumentError: `persons` is out of range.
    """
    if not 1 <= persons <= MAX_PERSONS:
        raise InvalidArgumentError(
            f"a made-up picture shows 1 to {MAX_PERSONS} persons, asked for were {persons}"
        )
    crops = _crops()
    columns, scale = _layout(persons, crop_wh=(crops[0].shape[1], crops[0].shape[0]))
    cell_wh = (PICTURE_WH[0] / columns, PICTURE_WH[1] / -(-persons // columns))
    size_wh = (int(scale * crops[0].shape[1]), int(scale * crops[0].shape[0]))
    canvas = np.full((PICTURE_WH[1], PICTURE_WH[0], 3), PAD_VALUE, np.uint8)
    for index in range(persons):
        row, column = divmod(index, columns)
        left = int((column + 0.5) * cell_wh[0] - size_wh[0] / 2)
        top = int((row + 0.5) * cell_wh[1] - size_wh[1] / 2)
        crop = crops[(first + index) % len(crops)]
        canvas[top : top + size_wh[1], left : left + size_wh[0]] = cv2.resize(
            crop, size_wh, interpolation=cv2.INTER_AREA
        )
    return canvas


def _layout(persons: int, *, crop_wh: tuple[int, int]) -> tuple[int, float]:
    """Returns the number of columns that makes the persons largest, and the factor on a crop."""
    scales = {
        columns: min(
            PICTURE_WH[0] / columns / crop_wh[0],
            PICTURE_WH[1] / -(-persons // columns) / crop_wh[1],
        )
        for columns in range(1, persons + 1)
    }
    columns = max(scales, key=lambda number: (scales[number], number))
    return columns, SHARE_OF_CELL * scales[columns]


def montage_jpeg(persons: int, *, first: int = 0) -> bytes:
    """Returns the same picture as the bytes of a JPEG file."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    encoded: bytes = cv2.imencode(".jpg", montage(persons, first=first), quality)[1].tobytes()
    return encoded


def write_montages(folder: Path, counts: Sequence[int]) -> list[Path]:
    """Writes one JPEG file for each number of persons and returns the paths, in order."""
    return [
        write_bytes(
            folder / f"{number:03}_{persons}_persons.jpg", montage_jpeg(persons, first=number)
        )
        for number, persons in enumerate(counts)
    ]


@lru_cache(maxsize=1)
def _crops() -> tuple[UInt8Array, ...]:
    folder = resources.files("dwpose_infer.export").joinpath("crops")
    crop = read_image(folder.joinpath(CROP_NAME).read_bytes())
    return crop, np.ascontiguousarray(crop[:, ::-1])
