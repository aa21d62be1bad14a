"""Pictures of every kind in, one form out: (H, W, 3) uint8, BGR."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union, cast

import cv2
import numpy as np
import numpy.typing as npt

from .errors import InputError, InvalidArgumentError
from .picture_file import check_size, decode_file, from_pil
from .picture_url import fetch_picture, is_url
from .pixel_values import UInt8Array, convert, on_white, to_uint8

if TYPE_CHECKING:
    from PIL import Image

logger = logging.getLogger(__name__)

ColorOrder = Literal["bgr", "rgb"]

ImageSource: TypeAlias = Union[
    str, "PathLike[str]", bytes, bytearray, memoryview, npt.NDArray[Any], "Image.Image"
]
"""A path, a URL (http or https), the bytes of a picture file, a PIL picture or an array."""

MAX_PIXELS = 178_000_000
"""Default limit of a picture's pixels: 534 MB decoded, just below Pillow's own last limit."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadPicture:
    """A picture that was read.

    Attributes:
        image_bgr: (H, W, 3) uint8, BGR, C-contiguous.
        notes: What was left out, altered or assumed, in words: frames after the first, transparent
            parts, a range of values.
    """

    image_bgr: UInt8Array
    notes: tuple[str, ...] = ()


def read_image(
    source: ImageSource,
    *,
    color: ColorOrder = "bgr",
    max_pixels: int = MAX_PIXELS,
    max_value: float | None = None,
) -> UInt8Array:
    """Reads a picture.

    Files and PIL pictures are turned upright by their EXIF orientation, transparent parts show
    white, and of animations the first frame counts. What was assumed of an array's values is
    logged as a warning, see `read_picture`.

    Args:
        source: Path, http(s) URL, bytes of a picture file, PIL picture, or array: (H, W),
            (H, W, 1), (H, W, 3) or (H, W, 4), the last with alpha.
        color: Channel order of a colour array; of no meaning for the other sources.
        max_pixels: Larger pictures are refused before they are decoded.
        max_value: The value of white in an array, or in a grey PIL picture deeper than 8 bits.
            None decides: bytes span 0..255, floats 0..1 or 0..255 by their largest value, other
            integers 8, 10, 12, 14 or 16 bits, the least that holds them.

    Returns:
        (H, W, 3) uint8, BGR, C-contiguous. An array that already has this form is returned
        itself, not copied.

    Raises:
        InputError: There is no picture at `source`, it is damaged, too large or too small, or
            an array's shape or values cannot be a picture's.
        InvalidArgumentError: `source` is of another type, or `color` or `max_value` is unusable.
    """
    read = read_picture(source, color=color, max_pixels=max_pixels, max_value=max_value)
    for note in read.notes:
        level = logging.WARNING if "taken to span" in note else logging.INFO
        logger.log(level, "%s", note)
    return read.image_bgr


def read_picture(
    source: ImageSource,
    *,
    color: ColorOrder = "bgr",
    max_pixels: int = MAX_PIXELS,
    max_value: float | None = None,
) -> ReadPicture:
    """Reads a picture as `read_image` does, and says what was left out, altered or assumed."""
    if color not in ("bgr", "rgb"):
        raise InvalidArgumentError(f"color is {color!r}; it must be 'bgr' or 'rgb'")
    if max_value is not None and not 0 < max_value < float("inf"):
        raise InvalidArgumentError(f"max_value is {max_value!r}; it must be a number above 0")
    if isinstance(source, np.ndarray):
        return ReadPicture(
            *_from_array(source, color=color, max_pixels=max_pixels, max_value=max_value)
        )
    if isinstance(source, (bytes, bytearray, memoryview)):
        return ReadPicture(
            *decode_file(bytes(source), name="the bytes given", max_pixels=max_pixels)
        )
    if isinstance(source, (str, PathLike)):
        name = fspath(source)
        data = fetch_picture(name) if is_url(name) else _read_file(Path(name))
        return ReadPicture(*decode_file(data, name=name, max_pixels=max_pixels))
    if hasattr(source, "getbands") and hasattr(source, "convert"):
        picture = from_pil(
            source, name="the PIL picture", max_pixels=max_pixels, max_value=max_value
        )
        return ReadPicture(*picture)
    raise InvalidArgumentError(
        f"a picture cannot be read from {type(source).__name__}; pass a path, a URL, bytes, "
        "a PIL picture or a NumPy array"
    )


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a folder, not a picture") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def _from_array(
    array: npt.NDArray[Any], *, color: ColorOrder, max_pixels: int, max_value: float | None
) -> tuple[UInt8Array, tuple[str, ...]]:
    name = f"the array of shape {array.shape}"
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise InputError(
            f"{name} is not a picture; pictures are (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
        )
    check_size(array.shape[1], array.shape[0], name=name, max_pixels=max_pixels)
    values, assumed = to_uint8(array, name=name, max_value=max_value)
    notes = (assumed,) if assumed else ()
    pixels = np.ascontiguousarray(values)
    if pixels.ndim == 2:
        return convert(pixels, cv2.COLOR_GRAY2BGR), notes
    if pixels.shape[2] == 4:
        pixels, altered = on_white(pixels)
        notes = (*notes, *altered)
    if color == "rgb":
        return convert(pixels, cv2.COLOR_RGB2BGR), notes
    return np.ascontiguousarray(pixels), notes


def as_sources(images: ImageSource | Sequence[ImageSource]) -> tuple[list[ImageSource], bool]:
    """Returns a list of pictures, and whether one single picture was given.

    A list or tuple holds several pictures; everything else is one, arrays included.
    """
    if isinstance(images, (list, tuple)):
        return list(images), False
    return [cast(ImageSource, images)], True
