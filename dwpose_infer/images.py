"""Pictures of every kind in, one form out: (H, W, 3) uint8, BGR."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, Union, cast

import cv2
import numpy as np

from .arrays import Array, UInt8Array
from .errors import InputError, InvalidArgumentError
from .picture_file import check_size, decode_file, from_pil
from .picture_url import DEFAULT_ACCESS, UrlAccess, fetch_picture, is_url, short
from .pixel_values import convert, on_white, to_uint8

if TYPE_CHECKING:
    from PIL import Image

logger = logging.getLogger(__name__)

ColorOrder = Literal["bgr", "rgb"]


class BinaryFile(Protocol):
    """A file open for reading bytes, `io.BytesIO` among them."""

    def read(self, size: int = ..., /) -> bytes:
        """Reads the rest, or so many bytes."""


class DLPackArray(Protocol):
    """An array of another library: a PyTorch tensor, and whatever else speaks DLPack."""

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any:
        """Lends the array, see https://dmlc.github.io/dlpack/latest/python_spec.html."""

    def __dlpack_device__(self) -> tuple[Any, int]:
        """Says where it lies."""


ImageSource: TypeAlias = Union[
    str,
    "PathLike[str]",
    bytes,
    bytearray,
    memoryview,
    BinaryFile,
    Array,
    DLPackArray,
    "Image.Image",
]
"""A path, a URL (http or https), the bytes of a picture file or a file open for reading them, a PIL
picture, a NumPy array, or an array of another library on the CPU."""

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
    urls: UrlAccess = DEFAULT_ACCESS,
) -> UInt8Array:
    """Reads a picture.

    Files and PIL pictures are turned upright by their EXIF orientation, transparent parts show
    white, and of animations the first frame counts. What was assumed of an array's values is
    logged as a warning, see `read_picture`.

    Args:
        source: Path, http(s) URL, bytes of a picture file, binary file open at its beginning
            (it is read and left open), PIL picture, or array: (H, W), (H, W, 1), (H, W, 3) or
            (H, W, 4), the last with alpha. Arrays of other libraries, PyTorch's for one, are
            taken from the CPU's memory without a copy, and may have the colours first,
            (C, H, W), which is assumed where the last axis cannot be colours, and said.
        color: Channel order of a colour array; of no meaning for the other sources.
        max_pixels: Larger pictures are refused before they are decoded.
        max_value: The value of white in an array, or in a grey PIL picture deeper than 8 bits.
            None decides: bytes span 0..255, floats 0..1 or 0..255 by their largest value, other
            integers 8, 10, 12, 14 or 16 bits, the least that holds them.
        urls: Where URLs and their redirects may lead.

    Returns:
        (H, W, 3) uint8, BGR, C-contiguous. An array that already has this form is returned
        itself, not copied.

    Raises:
        InputError: There is no picture at `source`, it is damaged, too large or too small, or
            an array's shape or values cannot be a picture's.
        InvalidArgumentError: `source` is of another type, or `color` or `max_value` is unusable.
    """
    options = {"max_pixels": max_pixels, "max_value": max_value, "urls": urls}
    return read_and_log(source, color=color, **options).image_bgr


def read_and_log(source: ImageSource, **options: Any) -> ReadPicture:
    """Reads a picture as `read_picture` does, and logs its notes: assumptions as warnings."""
    read = read_picture(source, **options)
    for note in read.notes:
        level = logging.WARNING if "taken " in note else logging.INFO
        logger.log(level, "%s", note)
    return read


def read_picture(
    source: ImageSource,
    *,
    color: ColorOrder = "bgr",
    max_pixels: int = MAX_PIXELS,
    max_value: float | None = None,
    urls: UrlAccess = DEFAULT_ACCESS,
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
    if hasattr(source, "__dlpack__"):
        array, assumed = _from_dlpack(source, color)
        read = _from_array(array, color=color, max_pixels=max_pixels, max_value=max_value)
        return ReadPicture(read[0], (*assumed, *read[1]))
    if hasattr(source, "read"):
        source = _contents(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return ReadPicture(
            *decode_file(bytes(source), name="the bytes given", max_pixels=max_pixels)
        )
    if isinstance(source, (str, PathLike)):
        name = fspath(source)
        data = fetch_picture(name, urls=urls) if is_url(name) else _read_file(Path(name))
        return ReadPicture(*decode_file(data, name=name, max_pixels=max_pixels))
    if hasattr(source, "getbands") and hasattr(source, "convert"):
        picture = from_pil(
            source, name="the PIL picture", max_pixels=max_pixels, max_value=max_value
        )
        return ReadPicture(*picture)
    raise InvalidArgumentError(
        f"a picture cannot be read from {type(source).__name__}; pass a path, a URL, bytes, "
        "an open file, a PIL picture or an array"
    )


def _read_file(path: Path) -> bytes:
    name = short(str(path))
    if name.startswith("data:"):
        raise InputError(f"{name} is a data URL: decode it and pass the bytes")
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such file") from error
    except IsADirectoryError as error:
        raise InputError(f"{name} is a folder, not a picture") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"{name} cannot be read: {reason}") from error


def _contents(file: Any) -> bytes:
    """Reads an open file to its end."""
    try:
        data = file.read()
    except UnicodeDecodeError:
        data = ""
    except (OSError, ValueError) as error:
        raise InputError(f"the open file cannot be read: {error}") from error
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise InvalidArgumentError('the open file gives text; open it with mode "rb"')
    if not data:
        raise InputError("the open file is empty, or was read to its end before: file.seek(0)")
    return bytes(data)


def _from_dlpack(source: Any, color: ColorOrder) -> tuple[Array, tuple[str, ...]]:
    """Returns the array, colours last, and what was assumed of it."""
    name = f"{type(source).__module__.split('.')[0]}.{type(source).__name__}"
    try:
        array = np.from_dlpack(source.detach() if hasattr(source, "detach") else source)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"the {name} cannot be read in the CPU's memory: {error}; copy it there, with "
            "tensor.cpu() for one"
        ) from error
    if array.ndim != 3 or array.shape[2] in (1, 3, 4) or array.shape[0] not in (1, 3, 4):
        return array, ()
    said = (
        f"the {name} of shape {array.shape} is taken for colours first (C, H, W), {color.upper()}"
    )
    return array.transpose(1, 2, 0), (said,)


def _from_array(
    array: Array, *, color: ColorOrder, max_pixels: int, max_value: float | None
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
