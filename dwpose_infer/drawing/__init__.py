"""Drawing skeletons: an OpenPose canvas for ControlNet, or lines over the picture.

`draw` chooses between `draw_openpose` and `draw_overlay`; `PoseResult.draw` calls it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import cv2
import numpy as np

from ..arrays import UInt8Array
from ..errors import DwposeError, InvalidArgumentError
from .openpose import draw_openpose
from .overlay import draw_overlay

if TYPE_CHECKING:
    from ..images import ImageSource
    from ..poses import Poses

__all__ = ["draw", "draw_openpose", "draw_overlay", "notebook_png"]

_STYLES: Final[dict[str, Callable[..., UInt8Array]]] = {
    "openpose": draw_openpose,
    "overlay": draw_overlay,
}
_COLORS: Final = ("bgr", "rgb")

NOTEBOOK_SIDE: Final = 800
"""Longest side in pixels of what a notebook shows: every cell's picture is kept in its file."""


def draw(
    result: Poses,
    image: ImageSource | None = None,
    *,
    style: Literal["openpose", "overlay"] = "openpose",
    color: Literal["bgr", "rgb"] = "bgr",
    **options: Any,
) -> UInt8Array:
    """Draws the skeletons of a picture in one of the styles.

    Args:
        result: The persons of one picture.
        image: Picture under an overlay: an array, or anything else `Predictor` reads; None
            reads `result.source` again. Style "openpose" draws on an empty canvas and reads
            the picture only for its size, where neither `result` nor an option tells it.
        style: "openpose" for a ControlNet canvas, "overlay" for lines on the picture.
        color: Channel order of the picture returned, and of `image` if it is an array.
        **options: Options of `draw_openpose` or `draw_overlay`, whichever the style calls.

    Returns:
        (H, W, 3) uint8, never the array given.

    Raises:
        InvalidArgumentError: The style, the colour or an option is unknown or has a value that
            cannot be used, or the picture or its size is needed and not known.
        InputError: The picture cannot be read.
    """
    if style not in _STYLES:
        raise InvalidArgumentError(f"unknown style {style!r}; the styles are {', '.join(_STYLES)}")
    if color not in _COLORS:
        raise InvalidArgumentError(f"color is {color!r}, expected {' or '.join(_COLORS)}")
    _check_options(style, options)
    if style == "overlay":
        drawn = draw_overlay(_picture(result, image, color), result, **options)
    else:
        if image is not None and result.image_size is None and options.get("image_size") is None:
            height, width = _picture(result, image, color).shape[:2]
            options["image_size"] = (width, height)
        drawn = draw_openpose(result, **options)
    return _in_order(drawn, color)


def notebook_png(result: Poses) -> bytes | None:
    """Returns what a notebook shows for a result, at most 800 pixels wide or high.

    Skeletons over the picture where that still lies at `source` with the size it had, else on an
    empty canvas; None where the size is not known either.
    """
    drawn = None
    source = result.source
    # It may be a video's name; a look at the first bytes tells without reading all of it.
    if source is not None and Path(source).is_file() and cv2.haveImageReader(source):
        with suppress(DwposeError):
            picture = _picture(result, None, "bgr")
            if result.image_size in (None, picture.shape[1::-1]):
                drawn = draw_overlay(picture, result)
    if drawn is None and result.image_size is None:
        return None
    drawn = draw_openpose(result) if drawn is None else drawn
    scale = NOTEBOOK_SIDE / max(drawn.shape[:2])
    if scale < 1:
        drawn = np.asarray(
            cv2.resize(drawn, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )
    done, data = cv2.imencode(".png", drawn)
    return data.tobytes() if done else None


def _check_options(style: str, options: dict[str, Any]) -> None:
    parameters = inspect.signature(_STYLES[style]).parameters.values()
    known = [each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY]
    unknown = [name for name in options if name not in known]
    if unknown:
        raise InvalidArgumentError(
            f"style {style!r} has no option {', '.join(unknown)}; its options are "
            + ", ".join(known)
        )


def _picture(result: Poses, image: ImageSource | None, color: Literal["bgr", "rgb"]) -> UInt8Array:
    """Reads the picture given, or else the result's own, in the order blue, green, red."""
    from ..images import read_image

    source = result.source if image is None else image
    if source is None:
        raise InvalidArgumentError(
            'style "overlay" draws on the picture, and this result does not know where it came '
            "from: pass the picture, as in result.draw(image, style='overlay')"
        )
    return read_image(source, color=color)


def _in_order(image_bgr: UInt8Array, color: str) -> UInt8Array:
    if color == "bgr":
        return image_bgr
    return np.asarray(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB), np.uint8)
