"""Pictures of every kind in, one form out: (H, W, 3) uint8, BGR."""

from __future__ import annotations

import io
from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union, cast

import cv2
import numpy as np
import numpy.typing as npt

from .errors import InputError, InvalidArgumentError

if TYPE_CHECKING:
    from PIL import Image

UInt8Array = npt.NDArray[np.uint8]
ColorOrder = Literal["bgr", "rgb"]

ImageSource: TypeAlias = Union[
    str, "PathLike[str]", bytes, bytearray, memoryview, npt.NDArray[Any], "Image.Image"
]
"""A path, a URL (http or https), the bytes of a picture file, a PIL picture or an array."""

MAX_PIXELS = 178_000_000
"""Default limit of a picture's pixels: 534 MB decoded, just below Pillow's own last limit."""

MIN_SIDE = 8
"""Least width and height in pixels, the detector's finest stride: less cannot show a person."""

MAX_URL_BYTES = 512 * 2**20
URL_TIMEOUT_S = 20.0


def read_image(
    source: ImageSource, *, color: ColorOrder = "bgr", max_pixels: int = MAX_PIXELS
) -> UInt8Array:
    """Reads a picture.

    Files are turned upright by their EXIF orientation and lose their transparency; of
    animations the first picture counts. PIL pictures and arrays are taken as they lie in memory.

    Args:
        source: Path, http(s) URL, bytes of a picture file, PIL picture, or array: (H, W),
            (H, W, 1), (H, W, 3) or (H, W, 4). uint16 arrays span 0..65535, other integers
            0..255, floats 0..1 or, when a value exceeds 1, 0..255; booleans are black and white.
        color: Channel order of a colour array; of no meaning for the other sources.
        max_pixels: Larger pictures are refused before they are decoded.

    Returns:
        (H, W, 3) uint8, BGR, C-contiguous. An array that already has this form is returned
        itself, not copied.

    Raises:
        InputError: There is no picture at `source`, it is damaged, too large or too small, or
            an array's shape or values cannot be a picture's.
        InvalidArgumentError: `source` is of another type, or `color` is unknown.
    """
    if color not in ("bgr", "rgb"):
        raise InvalidArgumentError(f"color is {color!r}; it must be 'bgr' or 'rgb'")
    if isinstance(source, np.ndarray):
        return _from_array(source, color=color, max_pixels=max_pixels)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decode(bytes(source), name="the bytes given", max_pixels=max_pixels)
    if isinstance(source, (str, PathLike)):
        name = fspath(source)
        data = _fetch(name) if is_url(name) else _read_file(Path(name))
        return _decode(data, name=name, max_pixels=max_pixels)
    if hasattr(source, "getbands") and hasattr(source, "convert"):
        return _from_pil(source, name="the PIL picture", max_pixels=max_pixels)
    raise InvalidArgumentError(
        f"a picture cannot be read from {type(source).__name__}; pass a path, a URL, bytes, "
        "a PIL picture or a NumPy array"
    )


def is_url(name: str) -> bool:
    """Tells whether a source's name is an http or https URL."""
    return name.lower().startswith(("http://", "https://"))


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a folder, not a picture") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def _fetch(url: str) -> bytes:
    import requests

    try:
        with requests.get(url, timeout=URL_TIMEOUT_S, stream=True) as response:
            response.raise_for_status()
            data = bytearray()
            for block in response.iter_content(2**16):
                data += block
                if len(data) > MAX_URL_BYTES:
                    raise InputError(f"{url} is larger than {MAX_URL_BYTES // 2**20} MiB")
    except (requests.RequestException, OSError, ValueError) as error:
        raise InputError(f"{url} cannot be read: {error}") from error
    return bytes(data)


def _decode(data: bytes, *, name: str, max_pixels: int) -> UInt8Array:
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not data:
        raise InputError(f"{name}: the file is empty")
    try:
        with Image.open(io.BytesIO(data)) as picture:
            _check_size(picture.width, picture.height, name=name, max_pixels=max_pixels)
            picture.load()
            ImageOps.exif_transpose(picture, in_place=True)
            return _from_pil(picture, name=name, max_pixels=max_pixels)
    except UnidentifiedImageError as error:
        raise InputError(f"{name} is not a picture in a format that can be read") from error
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{name}: {error}; to read it, raise PIL.Image.MAX_IMAGE_PIXELS and max_pixels"
        ) from error
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{name} does not fit into memory") from error
    except Exception as error:  # decoders are plugins of many makers and raise what they like
        raise InputError(f"{name} is damaged or cut off: {error}") from error


def _from_pil(picture: Any, *, name: str, max_pixels: int) -> UInt8Array:
    _check_size(picture.width, picture.height, name=name, max_pixels=max_pixels)
    if picture.mode.startswith("I") or picture.mode == "F":
        return _from_wide_grey(np.asarray(picture), name=name)
    return _convert(np.asarray(picture.convert("RGB")), cv2.COLOR_RGB2BGR)


def _from_wide_grey(values: npt.NDArray[Any], *, name: str) -> UInt8Array:
    """16-bit grey (Pillow's modes I;16 and, from some formats, I) or float grey (mode F)."""
    if values.dtype.kind in "iu":
        values = np.clip(values, 0, 65535).astype(np.uint16)
    return _convert(_to_uint8(values, name=name), cv2.COLOR_GRAY2BGR)


def _from_array(array: npt.NDArray[Any], *, color: ColorOrder, max_pixels: int) -> UInt8Array:
    name = f"the array of shape {array.shape}"
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise InputError(
            f"{name} is not a picture; pictures are (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
        )
    _check_size(array.shape[1], array.shape[0], name=name, max_pixels=max_pixels)
    pixels = np.ascontiguousarray(_to_uint8(array, name=name))
    if pixels.ndim == 2:
        return _convert(pixels, cv2.COLOR_GRAY2BGR)
    if pixels.shape[2] == 4:
        code = cv2.COLOR_RGBA2BGR if color == "rgb" else cv2.COLOR_BGRA2BGR
        return _convert(pixels, code)
    return _convert(pixels, cv2.COLOR_RGB2BGR) if color == "rgb" else pixels


def _to_uint8(values: npt.NDArray[Any], *, name: str) -> UInt8Array:
    if values.dtype == np.uint8:
        return cast(UInt8Array, values)
    if values.dtype == np.uint16:
        values = values >> 8  # as OpenCV reads 16-bit files
    elif values.dtype == np.bool_:
        values = values * np.uint8(255)
    if values.dtype.kind not in "iuf":
        raise InputError(f"{name} has the type {values.dtype}, which no picture has")
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 255):
        raise InputError(
            f"{name} of type {values.dtype} has values from {low:g} to {high:g}; "
            "they must be finite and in 0..1 (floats) or 0..255"
        )
    if values.dtype.kind == "f":
        factor = 255.0 if high <= 1 else 1.0
        values = np.rint(values.astype(np.float32) * factor)
    pixels: UInt8Array = values.astype(np.uint8)
    return pixels


def _convert(pixels: UInt8Array, code: int) -> UInt8Array:
    """Converts between channel orders, with the type OpenCV's own stubs do not promise."""
    return np.asarray(cv2.cvtColor(pixels, code), np.uint8)


def _check_size(width: int, height: int, *, name: str, max_pixels: int) -> None:
    if width < MIN_SIDE or height < MIN_SIDE:
        raise InputError(
            f"{name}: {width}x{height} pixels are too few, {MIN_SIDE}x{MIN_SIDE} is the least"
        )
    if width * height > max_pixels:
        raise InputError(
            f"{name}: {width}x{height} pixels are more than the limit of {max_pixels:,}; "
            "raise max_pixels to allow it"
        )


def as_sources(images: ImageSource | Sequence[ImageSource]) -> tuple[list[ImageSource], bool]:
    """Returns a list of pictures, and whether one single picture was given.

    A list or tuple holds several pictures; everything else is one, arrays included.
    """
    if isinstance(images, (list, tuple)):
        return list(images), False
    return [cast(ImageSource, images)], True
