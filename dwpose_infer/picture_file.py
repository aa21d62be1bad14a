"""Files of pictures, decoded: (H, W, 3) uint8, BGR."""

from __future__ import annotations

import contextlib
import io
import struct
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from .arrays import UInt8Array
from .closing import ClosesOnExit
from .errors import DwposeError, InputError
from .pixel_values import convert, on_white, to_uint8

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from PIL import Image
    from PIL.ImageFile import ImageFile

MIN_SIDE = 8
"""Least width and height in pixels, the detector's finest stride: less cannot show a person."""

LARGE_PIXELS = 16_000_000
"""Pixels from which memory counts for more than the way of decoding."""

COMMON_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM")
OTHER_FORMATS = (
    *("BLP", "DDS", "DIB", "ICNS", "ICO", "JPEG2000", "PCX", "PSD", "QOI", "SGI", "SUN", "TGA"),
    "XBM",
)
"""Pillow's names of the formats that are read, the usual ones first. Left out are those that
start another program (EPS: Ghostscript), those that Pillow is about to drop (IM) and those of
other trades than photography."""

PICTURE_SUFFIXES = frozenset(
    {".avif", ".avifs", ".bmp", ".gif", ".heic", ".heif", ".ico", ".jfif", ".jp2", ".jpe", ".jpeg"}
    | {".jpg", ".mpo", ".png", ".ppm", ".tga", ".tif", ".tiff", ".webp"}
)
"""Endings that count as pictures when a folder is searched; files named one by one need none."""

HEVC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
"""Brands of HEIF files with HEVC pictures, in the box at their start (ISO/IEC 23008-12)."""

SEVERAL = {"GIF": "frames", "WEBP": "frames", "PNG": "frames", "AVIF": "frames", "TIFF": "pages"}
"""Formats of which one file may be several pictures, and what these are called. Not MPO, whose
others are previews and depths, and not PSD, which has layers."""

ANIMATED_SUFFIXES = frozenset({".avif", ".avifs", ".png", ".tif", ".tiff", ".webp"})
"""Endings of files that may hold several pictures. GIF is read as a video."""

UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""Pillow's name of what turns a picture upright, by EXIF orientation (EXIF 2.32, 4.6.4)."""


def decode_file(data: bytes, *, name: str, max_pixels: int) -> tuple[UInt8Array, tuple[str, ...]]:
    """Decodes the bytes of a picture file.

    The picture is turned upright by its EXIF orientation, transparent parts show white, and of
    several frames or pages the first counts.

    Args:
        data: The whole file.
        name: What to call it in errors.
        max_pixels: Larger pictures are refused before they are decoded.

    Returns:
        (H, W, 3) uint8, BGR; and what was left out or altered, in words.

    Raises:
        InputError: These are no bytes of a picture, or it is damaged, too large or too small.
    """
    if not data:
        raise InputError(f"{name}: the file is empty")
    with _decoding(name), _open(data, name) as opened:
        if _is_large_plain_png(opened, data) and opened.width * opened.height <= max_pixels:
            opened.verify()  # that every chunk is there and whole, without decoding
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            if image is not None and image.shape == (opened.height, opened.width, 3):
                return np.asarray(image, np.uint8), ()
    with _decoding(name), _open(data, name) as picture:
        image_bgr, notes = from_pil(picture, name=name, max_pixels=max_pixels)
        return image_bgr, (*_left_out(picture), *notes)


def _is_large_plain_png(picture: ImageFile, data: bytes) -> bool:
    """Tells whether OpenCV decodes a file to the same pixels, in half of Pillow's memory.

    Pillow holds four bytes a pixel, besides what is made of them. Left to it are small pictures,
    where that is of no account, and those with transparency, frames, other depths or a turn.
    """
    return (
        picture.format == "PNG"
        and picture.width * picture.height >= LARGE_PIXELS
        and picture.mode == "RGB"
        and [tile[3] for tile in picture.tile] == ["RGB"]
        and not any(name in data for name in (b"tRNS", b"acTL", b"eXIf", b"XML:com.adobe.xmp"))
        and not any(name in data for name in (b"Raw profile type exif", b"Raw profile type APP1"))
    )


class PictureFrames(ClosesOnExit):
    """The frames or pages of one picture file, decoded one after the other.

    Attributes:
        timed: Whether the frames say how long they are shown; pages do not.
    """

    def __init__(self, path: Path, *, name: str, max_pixels: int) -> None:
        """Opens the file.

        Args:
            path: The file.
            name: What to call it in errors.
            max_pixels: Larger frames are refused before they are decoded.

        Raises:
            InputError: It cannot be read, or is no picture.
        """
        self._name, self._max_pixels = name, max_pixels
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"{name}: {error.strerror or error}") from error
        with _decoding(name):
            self._picture = _open(data, name)
            kind = SEVERAL.get(self._picture.format or "")
            count = int(getattr(self._picture, "n_frames", 1)) if kind else 1
            # What an animated PNG shows where animations are unknown; Pillow counts it.
            self._hidden = int(bool(self._picture.info.get("default_image")) and count > 1)
            self._count = count - self._hidden
        self.timed = kind == "frames"

    def __len__(self) -> int:
        return self._count

    def decode(self, index: int) -> tuple[UInt8Array, float]:
        """Decodes a frame; they have to be asked for in order.

        Returns:
            (H, W, 3) uint8, BGR, and the seconds it is shown, 0 where unknown.

        Raises:
            InputError: It is damaged, too large or too small.
        """
        name = f"{self._name}, frame {index}"
        with _decoding(name):
            self._picture.seek(index + self._hidden)
        image_bgr, _ = from_pil(self._picture, name=name, max_pixels=self._max_pixels)
        return image_bgr, float(self._picture.info.get("duration") or 0) / 1000

    def close(self) -> None:
        """Closes the file; may be called again."""
        self._picture.close()


@contextlib.contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Turns whatever a decoder raises into an `InputError`."""
    try:
        yield
    except DwposeError:
        raise
    except MemoryError as error:
        raise InputError(f"{name} does not fit into memory") from error
    except Exception as error:  # decoders are plugins of many makers and raise what they like
        raise InputError(f"{name} is damaged or cut off: {error}") from error


def from_pil(
    picture: Image.Image, *, name: str, max_pixels: int, max_value: float | None = None
) -> tuple[UInt8Array, tuple[str, ...]]:
    """Takes the pixels of a PIL picture, turned upright by its EXIF orientation.

    Args:
        picture: It is left as it is; one that is not decoded yet is decoded.
        name: What to call it in errors.
        max_pixels: Larger pictures are refused.
        max_value: The value of white of grey pictures deeper than 8 bits, see `to_uint8`.

    Returns:
        As `decode_file`.

    Raises:
        InputError: It is damaged, too large or too small, or its values are no picture's.
    """
    check_size(picture.width, picture.height, name=name, max_pixels=max_pixels)
    with _decoding(name):
        picture.load()
        return _pixels_of(picture, name=name, max_value=max_value)


def _pixels_of(
    picture: Image.Image, *, name: str, max_value: float | None
) -> tuple[UInt8Array, tuple[str, ...]]:
    if picture.format == "PNG" and picture.mode.startswith("I"):
        max_value = max_value or 65535  # the format says so, however dark the picture
    picture, damaged = _upright(picture)
    if picture.mode.startswith("I") or picture.mode == "F":
        grey, assumed = to_uint8(np.asarray(picture), name=name, max_value=max_value)
        return convert(grey, cv2.COLOR_GRAY2BGR), damaged + ((assumed,) if assumed else ())
    if picture.has_transparency_data:
        pixels, altered = on_white(np.asarray(picture.convert("RGBA")))
        return convert(pixels, cv2.COLOR_RGB2BGR), (*damaged, *altered)
    return _bgr_of(picture if picture.mode == "RGB" else picture.convert("RGB")), damaged


def _bgr_of(picture: Image.Image) -> UInt8Array:
    """Returns the pixels of a picture of mode RGB; of a large one in strips, to save memory."""
    width, height = picture.size
    rows = max(1, LARGE_PIXELS // width)
    if height <= rows:
        return convert(np.asarray(picture), cv2.COLOR_RGB2BGR)
    image_bgr = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        strip = picture.crop((0, top, width, min(height, top + rows)))
        image_bgr[top : top + rows] = convert(np.asarray(strip), cv2.COLOR_RGB2BGR)
    return image_bgr


def _upright(picture: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """Pillow's `exif_transpose` writes the EXIF data anew, which fails where they are damaged."""
    from PIL import Image

    try:
        orientation = picture.getexif().get(0x0112, 1)
    except Exception:  # whatever the parser trips over: the pixels are sound all the same
        return picture, ("not turned upright: its EXIF data are damaged",)
    if orientation not in UPRIGHT:
        return picture, ()
    return picture.transpose(getattr(Image.Transpose, UPRIGHT[orientation])), ()


def _left_out(picture: ImageFile) -> tuple[str, ...]:
    kind = SEVERAL.get(picture.format or "")
    if kind is None:
        return ()
    try:
        count = int(getattr(picture, "n_frames", 1))
    except Exception:  # a later one is damaged: decoders raise what they like
        return (f"first of several {kind} used, others are damaged",)
    return (f"first of {count} {kind} used",) if count > 1 else ()


def check_size(width: int, height: int, *, name: str, max_pixels: int) -> None:
    """Checks a picture's size in pixels.

    Raises:
        InputError: It has too few or too many pixels.
    """
    if width < MIN_SIDE or height < MIN_SIDE:
        raise InputError(
            f"{name}: {width}x{height} pixels are too few, {MIN_SIDE}x{MIN_SIDE} is the least"
        )
    if width * height > max_pixels:
        raise InputError(
            f"{name}: {width}x{height} pixels are more than the limit of {max_pixels:,}; "
            "raise max_pixels to allow it"
        )


def _open(data: bytes, name: str) -> ImageFile:
    """Opens the file without decoding it.

    `Image.open` would do the same, but has one limit of pixels for the whole process, which a
    higher `max_pixels` could not lift.
    """
    if data[4:8] == b"ftyp" and any(brand in data[8:64] for brand in HEVC_BRANDS):
        return _open_heif(data, name)
    refused: list[Exception] = []
    for factory, accept in _plugins():
        if accept is not None and accept(data[:16]) is not True:
            continue
        try:
            return cast("ImageFile", factory(io.BytesIO(data), name))
        except (SyntaxError, IndexError, TypeError, struct.error) as error:
            if accept is not None:  # its first bytes are those of this format
                refused.append(error)
    if refused:
        raise InputError(f"{name} is damaged or cut off: {refused[0]}") from refused[0]
    raise InputError(
        f"{name} is not a picture in a format that can be read "
        f"({', '.join(COMMON_FORMATS)}, HEIC and some more)"
    )


def _plugins() -> Iterator[tuple[Any, Any]]:
    """Pillow's decoders; those of seldom formats are only loaded when they are asked."""
    from PIL import Image

    Image.preinit()
    tried = [each for each in COMMON_FORMATS if each in Image.OPEN]
    yield from (Image.OPEN[each] for each in tried)
    Image.init()
    for each in (*COMMON_FORMATS, *OTHER_FORMATS):
        if each in Image.OPEN and each not in tried:
            yield Image.OPEN[each]


def _open_heif(data: bytes, name: str) -> ImageFile:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise InputError(
            f"{name} is a HEIC picture: pip install 'dwpose-infer[heif]' to read it, or convert "
            "it to JPEG"
        ) from error
    opener: Any = HeifImageFile
    return cast("ImageFile", opener(io.BytesIO(data), name))
