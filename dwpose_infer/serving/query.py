"""What a request may ask for: the options of `dwpose-infer`, as fields of the query."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..detector import LEAST_TILE_SIDE
from ..errors import InvalidArgumentError
from ..images import ReadPicture
from ..layouts import POINTS_OF_PART
from ..results import PoseResult

FormatName = Literal["json", "openpose", "coco", "coco-dataset", "npz", "csv", "parquet"]
DrawStyle = Literal["overlay", "openpose"]

MAX_LINE_SCALE: Final = 100.0

_OF_FORMAT: Final = {
    "openpose_body": "openpose",
    "openpose_confidence": "openpose",
    "pupils": "openpose",
    "coco_layout": "coco-dataset",
}
_OF_DRAWING: Final = {
    "boxes": ("overlay",),
    "canvas_size": ("openpose",),
    "line_scale": ("overlay", "openpose"),
}


class PredictQuery(BaseModel):
    """The query of `/v1/predict`; a field that is not here is refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    format: FormatName = Field("json", description="format of the answer")
    draw: DrawStyle | None = Field(None, description="answer with the drawn picture instead")
    whole_image: bool = Field(
        False, description="where nobody is found, take the whole picture for one person"
    )
    max_persons: int | None = Field(
        None, ge=1, description="keep so many of the persons found, those of the best box scores"
    )
    tile_side: int | None = Field(
        None,
        ge=LEAST_TILE_SIDE,
        description="search larger pictures in overlapping tiles of so many pixels too, two to "
        "four times as large as the persons",
    )
    keypoint_threshold: float | None = Field(
        None, ge=0, description="leave out points that score less"
    )
    parts: str | None = Field(
        None, description="keep these alone, with commas between them: " + ", ".join(POINTS_OF_PART)
    )
    drop_weak_hands: bool = Field(
        False, description="leave out a hand unless its wrist and its mean score reach 0.3"
    )
    openpose_body: Literal["18", "25"] | None = Field(
        None, description="body points of format=openpose; 18 where it is not given"
    )
    openpose_confidence: Literal["real", "binary"] | None = Field(
        None, description="confidences of format=openpose; real where it is not given"
    )
    pupils: Literal["zero", "eyes"] | None = Field(
        None, description="pupils of format=openpose; zero where it is not given"
    )
    coco_layout: Literal["wholebody", "one-list"] | None = Field(
        None, description="points of format=coco-dataset; wholebody where it is not given"
    )
    canvas_size: str | None = Field(
        None,
        pattern=r"^[1-9]\d{0,5}(x[1-9]\d{0,5})?$",
        description="size of draw=openpose in pixels: its shorter side, or WxH",
    )
    line_scale: float | None = Field(
        None, gt=0, le=MAX_LINE_SCALE, description="factor on all drawn widths"
    )
    boxes: bool = Field(False, description="boxes in draw=overlay")

    def check(self) -> None:
        """Checks that every field applies to what is answered.

        Raises:
            InvalidArgumentError: One does not, or a part is unknown.
        """
        # What is at its default asks for nothing: /docs sends every field that has one.
        fields = type(self).model_fields
        asked = {name for name, each in fields.items() if getattr(self, name) != each.default}
        if self.draw is not None and "format" in asked:
            raise InvalidArgumentError("format and draw are two answers; ask for one of them")
        for name, format in _OF_FORMAT.items():
            if name in asked and (self.format != format or self.draw is not None):
                raise InvalidArgumentError(f"{name} goes with format={format} only")
        for name, styles in _OF_DRAWING.items():
            if name in asked and self.draw not in styles:
                raise InvalidArgumentError(f"{name} goes with draw={' or '.join(styles)} only")
        for part in self._parts() or ():
            if part not in POINTS_OF_PART:
                raise InvalidArgumentError(
                    f"parts: there is no {part!r}; choose from {', '.join(POINTS_OF_PART)}"
                )

    def apply(self, result: PoseResult) -> PoseResult:
        """Returns what is wanted of a result.

        Raises:
            InvalidArgumentError: A part is wanted that the network does not have.
        """
        if self.max_persons is not None and len(result) > self.max_persons:
            result = result.select(np.arange(self.max_persons))
        if self.drop_weak_hands:
            result = result.without_weak_hands()
        if self.parts is not None or self.keypoint_threshold is not None:
            result = result.masked(parts=self._parts(), min_score=self.keypoint_threshold)
        return result

    def format_options(self) -> dict[str, Any]:
        """Options of the format, those that were given."""
        if self.format == "openpose":
            return _given(
                body=None if self.openpose_body is None else int(self.openpose_body),
                confidence=self.openpose_confidence,
                pupils=self.pupils,
            )
        return _given(layout=self.coco_layout) if self.format == "coco-dataset" else {}

    def draw_options(self, picture: ReadPicture, *, max_pixels: int) -> dict[str, Any]:
        """Options of the drawing, those that were given.

        Raises:
            InvalidArgumentError: The canvas would have more than `max_pixels`.
        """
        options = _given(line_scale=self.line_scale, min_score=self.keypoint_threshold)
        if self.draw == "overlay":
            return options | {"boxes": self.boxes}
        if self.canvas_size is not None:
            sides = [int(side) for side in self.canvas_size.split("x")]
            height, width = picture.image_bgr.shape[:2]
            longer = sides[0] * max(width, height) / min(width, height)
            if sides[0] * (sides[1] if len(sides) == 2 else longer) > max_pixels:
                raise InvalidArgumentError(
                    f"canvas_size {self.canvas_size}: the canvas would have more than "
                    f"{max_pixels:,} pixels"
                )
            options["size"] = (sides[0], sides[1]) if len(sides) == 2 else sides[0]
        return options | _given(parts=self._parts())

    def _parts(self) -> Iterable[str] | None:
        return None if self.parts is None else [part.strip() for part in self.parts.split(",")]


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
