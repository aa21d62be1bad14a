"""Where a picture lies on a canvas of another size, for drawings and files that go with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np

from .errors import InvalidArgumentError
from .poses import Poses

CanvasFit = Literal["margins", "stretch"]

_AnyPoses = TypeVar("_AnyPoses", bound=Poses)


@dataclass(frozen=True, slots=True)
class Canvas:
    """A canvas, and where the picture lies on it.

    Attributes:
        size_wh: (width, height) in pixels.
        scale_xy: Pixels of the canvas a pixel of the picture, along x and y.
        offset_xy: The picture's top left corner on the canvas.
    """

    size_wh: tuple[int, int]
    scale_xy: tuple[float, float] = (1.0, 1.0)
    offset_xy: tuple[float, float] = (0.0, 0.0)

    def place(self, poses: _AnyPoses) -> _AnyPoses:
        """Returns poses in pixels of the canvas, which is their `image_size` then."""
        scale, offset = np.asarray(self.scale_xy), np.asarray(self.offset_xy)
        boxes = poses.boxes_xyxy
        if boxes is not None:
            corners = boxes.reshape(-1, 2, 2).astype(np.float64) * scale + offset
            boxes = corners.reshape(-1, 4).astype(np.float32)
        keypoints = (poses.keypoints.astype(np.float64) * scale + offset).astype(np.float32)
        return replace(poses, keypoints=keypoints, boxes_xyxy=boxes, image_size=self.size_wh)


def canvas_for(
    image_wh: tuple[int, int],
    size: int | tuple[int, int] | None,
    *,
    multiple: int = 1,
    fit: CanvasFit = "margins",
) -> Canvas:
    """Returns the canvas for a picture.

    Args:
        image_wh: (width, height) of the picture in pixels.
        size: (width, height) of the canvas, or its shorter side alone at about the picture's
            aspect ratio; None takes the picture's size.
        multiple: What both sides are rounded to multiples of, 8 or 64 for diffusion models.
        fit: How a picture of another aspect ratio lies on it: "margins" keeps its shape, in the
            middle of the canvas; "stretch" fills the canvas.

    Raises:
        InvalidArgumentError: A value cannot be used.
    """
    if fit not in ("margins", "stretch"):
        raise InvalidArgumentError(f'the fit is {fit!r}, expected "margins" or "stretch"')
    if not isinstance(multiple, int) or multiple < 1:
        raise InvalidArgumentError(f"the multiple is {multiple!r}, expected at least 1")
    if isinstance(size, int) and size < 1:
        raise InvalidArgumentError(f"size is {size!r}, expected at least 1")
    width, height = image_wh
    if isinstance(size, int):
        ratio = size / min(image_wh)
        wanted = (round(width * ratio), round(height * ratio))
    else:
        wanted = image_wh if size is None else size
    canvas_wh = _rounded(wanted[0], multiple), _rounded(wanted[1], multiple)
    if canvas_wh == image_wh:
        return Canvas(canvas_wh)
    scale_x, scale_y = canvas_wh[0] / width, canvas_wh[1] / height
    if fit == "margins":
        scale_x = scale_y = min(scale_x, scale_y)
    offset_xy = (canvas_wh[0] - width * scale_x) / 2, (canvas_wh[1] - height * scale_y) / 2
    return Canvas(canvas_wh, (scale_x, scale_y), offset_xy)


def _rounded(side: int, multiple: int) -> int:
    return max(1, (2 * side + multiple) // (2 * multiple)) * multiple
