"""Values of every kind that pictures come in, made into bytes."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from .arrays import Array, UInt8Array
from .errors import InputError

INTEGER_RANGES = (255, 1023, 4095, 16383, 65535)
"""Largest values of the integer ranges that cameras and files use: 8, 10, 12, 14 and 16 bits."""

OVERSHOOT = 0.1
"""Share of its range by which a float picture may leave it: resampling with cubic or Lanczos
kernels overshoots at edges, by up to 9 % of a step for Lanczos-3."""

LEAST_OF_BYTES = 16.0
"""Float pictures whose largest value is below this and above 1.1 may be of either range: as
0..1 they would be overexposed, as 0..255 all but black. They are refused."""


def to_uint8(
    values: Array, *, name: str, max_value: float | None = None
) -> tuple[UInt8Array, str | None]:
    """Makes bytes of a picture's values.

    Args:
        values: Any shape; integers, floats or booleans.
        name: What to call the picture in errors.
        max_value: The value of white; None decides by the type and the values: bytes and
            booleans are what they are, floats span 0..1 or 0..255, and other integers the
            smallest of `INTEGER_RANGES` that holds them.

    Returns:
        uint8 of the same shape, and what was assumed, in words, where the values do not say it
        for certain, else None. Integer ranges are cut to their upper 8 bits, as OpenCV reads
        16-bit files; others are rounded.

    Raises:
        InputError: The type is no picture's, a value is not finite or lies too far outside, or
            the range cannot be told.
    """
    if values.dtype.kind not in "iufb":
        raise InputError(f"{name} has the type {values.dtype}, which no picture has")
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255), None
    if values.dtype == np.uint8 and max_value in (None, 255):
        return cast(UInt8Array, values), None
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"{name} has values that are not finite")
    assumed = None
    if max_value is None:
        floats = values.dtype.kind == "f"
        max_value = _float_range(high, name) if floats else _integer_range(high, name)
        sure = floats or max_value == np.iinfo(values.dtype).max
        usual = values.dtype != np.uint16 and max_value == 255  # from arithmetic on bytes
        if not (sure or usual):
            assumed = f"{values.dtype} values taken to span 0..{max_value:g}"
    margin = OVERSHOOT * max_value if values.dtype.kind == "f" else 0.0
    if low < -margin or high > max_value + margin:
        raise InputError(
            f"{name} of type {values.dtype} has values from {low:g} to {high:g}, not from 0 to "
            f"{max_value:g}; pass max_value= if white is another value (normalised networks' "
            "input has to be turned back into a picture first)"
        )
    return _scaled(values, max_value), assumed


def _float_range(high: float, name: str) -> float:
    if high <= 1 + OVERSHOOT:
        return 1.0
    if high >= LEAST_OF_BYTES:
        return 255.0
    raise InputError(
        f"{name} has floats up to {high:g}: they may span 0..1 or 0..255, so pass max_value=1 or "
        "max_value=255"
    )


def _integer_range(high: float, name: str) -> float:
    for limit in INTEGER_RANGES:
        if high <= limit:
            return float(limit)
    raise InputError(f"{name} has values up to {high:g}; pass max_value=, the value of white")


def _scaled(values: Array, max_value: float) -> UInt8Array:
    if values.dtype.kind in "iu" and max_value in INTEGER_RANGES:
        shift = int(max_value).bit_length() - 8
        cut: UInt8Array = np.right_shift(values, shift).astype(np.uint8)
        return cut
    scaled = values.astype(np.float32) * np.float32(255 / max_value)
    rounded: UInt8Array = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return rounded


def convert(pixels: UInt8Array, code: int) -> UInt8Array:
    """Converts between channel orders, with the type OpenCV's own stubs do not promise."""
    return np.asarray(cv2.cvtColor(pixels, code), np.uint8)


def on_white(pixels: UInt8Array) -> tuple[UInt8Array, tuple[str, ...]]:
    """Puts a picture with transparency on white.

    Args:
        pixels: (H, W, 4) uint8, alpha last and not premultiplied. An alpha of 0 everywhere, as
            some screen grabbers leave it, says nothing and is passed over.

    Returns:
        (H, W, 3) uint8, the colours in their order: round(alpha * colour + (1 - alpha) * 255);
        and what was altered, in words.
    """
    if pixels[..., 3].min() == 255:
        return pixels[..., :3], ()
    if pixels[..., 3].max() == 0:
        return pixels[..., :3], ("alpha passed over: it is 0 everywhere",)
    color, alpha = pixels[..., :3].astype(np.uint16), pixels[..., 3:].astype(np.uint16)
    # The nearest whole number of x / 255 for 0 <= x <= 255 * 255, without a division.
    product = color * alpha + np.uint16(255) * (255 - alpha) + np.uint16(128)
    mixed: UInt8Array = ((product + (product >> 8)) >> 8).astype(np.uint8)
    return mixed, ("transparent parts shown white",)
