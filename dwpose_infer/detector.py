"""Person detection with YOLOX: pictures in, boxes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np

from .arrays import Array, Float32Array, Int64Array, UInt8Array
from .backends.base import Backend, TensorSpec
from .backends.batching import INPUT_SIZE_ENTRY
from .errors import InferenceError, InvalidArgumentError, ModelFormatError
from .letterbox import fitting_size, letterbox
from .nms import nms
from .preference import Preference, check_preference, merits
from .tiles import is_whole, tile_windows

STRIDES = (8, 16, 32)
"""Pixels of the input per cell of YOLOX's three grids, in the order of its output rows."""

PERSON_CLASS = 0
"""Number of the class "person" in COCO, and in detectors that know no other."""

LEAST_TILE_SIDE = 64
"""Least side of a tile in pixels: less would be thousands of tiles."""

TILES_TOGETHER = 8
"""Tiles of a picture in one batch at most, as many as pictures are searched together."""

MUCH_SHRUNK = 8.0
"""Times that a picture may be shrunk before its result has a note on that."""

DetectorForm = Literal["raw", "sdk", "deploy"]


@dataclass(frozen=True, slots=True)
class DetectorOptions:
    """Settings of the detector.

    The defaults are those of the official DWPose demo, which drops boxes up to 0.1 before
    suppression and persons up to 0.3 after it. Suppression never lets a box remove a better
    one, so dropping at 0.3 at once gives the same persons.

    Attributes:
        score_threshold: Persons must score above this.
        nms_threshold: Of two boxes whose IoU is above this, the better one stays. Of no
            meaning for models with suppression inside the graph.
        max_persons: Keep at most so many; None keeps all.
        prefer: Which ones then: "score" the highest scores, "largest" the largest boxes, "center"
            those nearest to the middle of the picture.
        square_input: Give every picture the network's whole input. Off, a network that takes
            inputs of any size gets a canvas as large as the picture needs, which costs a quarter
            less on most photographs and finds the same persons (AP within .001). On GPUs take it:
            there every new shape costs time.
        person_threshold: After the pose network, persons stay whose box score times the mean
            score of their body's points is at least this; 0 asks for nothing. The detector by
            itself takes no notice.
        tile_side: Search pictures that are larger than this in tiles of this side, too, in pixels;
            two to four times as large as the persons is right. None searches the whole alone.
    """

    score_threshold: float = 0.3
    nms_threshold: float = 0.45
    max_persons: int | None = None
    prefer: Preference = "score"
    square_input: bool = False
    person_threshold: float = 0.0
    tile_side: int | None = None

    def __post_init__(self) -> None:
        for name in ("score_threshold", "nms_threshold", "person_threshold"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InvalidArgumentError(f"{name} is {value}, must be between 0 and 1")
        if self.max_persons is not None and self.max_persons < 1:
            raise InvalidArgumentError(f"max_persons is {self.max_persons}, must be at least 1")
        if self.tile_side is not None and self.tile_side < LEAST_TILE_SIDE:
            raise InvalidArgumentError(
                f"tile_side is {self.tile_side}, must be at least {LEAST_TILE_SIDE} pixels"
            )
        check_preference(self.prefer)


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The persons found in one picture, best first.

    Attributes:
        boxes_xyxy: (P, 4) float32, left, top, right, bottom in pixels, not clipped.
        scores: (P,) float32.
    """

    boxes_xyxy: Float32Array
    scores: Float32Array

    def __len__(self) -> int:
        return len(self.scores)


class Detector:
    """YOLOX on a backend, in any of the forms it is exported in.

    Attributes:
        input_size_wh: (width, height) of the network's whole input in pixels, read from the graph
            or, where it takes any size, from what the exporter wrote into the file.
        form: "raw" (official export, grids not decoded), "sdk" (OpenMMLab: dets and labels,
            suppression inside) or "deploy" (this package's own: persons decoded inside).
    """

    def __init__(self, backend: Backend, options: DetectorOptions | None = None) -> None:
        """Takes over a loaded graph.

        Args:
            backend: The detector's graph.
            options: Thresholds.

        Raises:
            ModelFormatError: The graph is no detector that is understood.
        """
        self.backend = backend
        self.options = options or DetectorOptions()
        self.form = _detector_form(backend)
        self._input = backend.inputs[0]
        fixed = _fixed_size_wh(self._input, channels_last=self.form == "deploy")
        self._square = self.options.square_input or fixed is not None or self.form != "deploy"
        self.input_size_wh = fixed or _own_size_wh(self._input, backend.metadata)

    def __call__(self, images_bgr: Sequence[UInt8Array]) -> list[Detections]:
        """Finds the persons in pictures of any sizes.

        Args:
            images_bgr: Pictures, each (H, W, 3) uint8.

        Returns:
            One `Detections` per picture.
        """
        find = self._find_in_tiles if self.options.tile_side else self._find_all
        found = find(images_bgr)
        return [self._wanted(*each) for each in zip(found, images_bgr, strict=True)]

    def with_options(self, **options: Any) -> Detector:
        """Returns a detector on the same graph with other options.

        Args:
            **options: Of `DetectorOptions`; those that are None stay as they are. With a
                `score_threshold` box scores alone decide: `person_threshold` becomes 0.

        Raises:
            InvalidArgumentError: An option has an impossible value.
        """
        changed = {name: value for name, value in options.items() if value is not None}
        if "score_threshold" in changed:
            changed = {"person_threshold": 0.0, **changed}
        return Detector(self.backend, replace(self.options, **changed))

    def notes_on(self, image_bgr: UInt8Array) -> tuple[str, ...]:
        """Returns what there is to say of a picture of which the network sees little at most."""
        height, width = image_bgr.shape[:2]
        if self.options.tile_side is not None:
            width, height = min(width, self.options.tile_side), min(height, self.options.tile_side)
        times = max(width / self.input_size_wh[0], height / self.input_size_wh[1])
        if times <= MUCH_SHRUNK:
            return ()
        return (
            f"searched for persons at 1/{times:.0f} of its size, where small ones do not show; "
            "tiles are a closer look (tile_side=, --tile-side)",
        )

    def _find_in_tiles(self, images_bgr: Sequence[UInt8Array]) -> list[Detections]:
        """Finds persons in pictures and in their tiles; boxes that a tile cuts off are left out."""
        found = self._find_all(images_bgr)
        for index, image in enumerate(images_bgr):
            image_wh = (image.shape[1], image.shape[0])
            windows = tile_windows(image_wh, self.options.tile_side or max(image_wh))
            parts = [found[index]]
            for start in range(0, len(windows), TILES_TOGETHER):
                group = windows[start : start + TILES_TOGETHER]
                tiles = self._find_all([image[y0:y1, x0:x1] for x0, y0, x1, y1 in group])
                for window, tile in zip(group, tiles, strict=True):
                    boxes = tile.boxes_xyxy + np.array([*window[:2], *window[:2]], np.float32)
                    kept = is_whole(boxes, window, image_wh)
                    parts.append(Detections(boxes[kept], tile.scores[kept]))
            boxes = np.concatenate([part.boxes_xyxy for part in parts])
            scores = np.concatenate([part.scores for part in parts])
            kept_rows = nms(boxes, scores, iou_threshold=self.options.nms_threshold)
            found[index] = Detections(boxes[kept_rows], scores[kept_rows])
        return found

    def _find_all(self, images_bgr: Sequence[UInt8Array]) -> list[Detections]:
        groups: dict[tuple[int, int], list[int]] = {}
        for index, image in enumerate(images_bgr):
            groups.setdefault(self._canvas_wh(image), []).append(index)
        found: dict[int, Detections] = {}
        for size_wh, indices in groups.items():
            persons = self._find([images_bgr[index] for index in indices], size_wh)
            found.update(zip(indices, persons, strict=True))
        return [found[index] for index in range(len(images_bgr))]

    def warmup(self, pictures: int = 1) -> None:
        """Runs the network on empty pictures, in all sizes of batch that so many take."""
        self.backend.warmup(pictures)

    def _canvas_wh(self, image_bgr: UInt8Array) -> tuple[int, int]:
        if self._square:
            return self.input_size_wh
        height, width = image_bgr.shape[:2]
        return fitting_size((width, height), size_wh=self.input_size_wh, step=STRIDES[-1])

    def _find(self, images_bgr: Sequence[UInt8Array], size_wh: tuple[int, int]) -> list[Detections]:
        canvases, ratios = zip(
            *(letterbox(image, size_wh=size_wh) for image in images_bgr), strict=True
        )
        outputs = self.backend.run({self._input.name: self.network_input(canvases)})
        return [
            self._persons({name: array[index] for name, array in outputs.items()}, ratio)
            for index, ratio in enumerate(ratios)
        ]

    def _wanted(self, found: Detections, image_bgr: UInt8Array) -> Detections:
        limit = self.options.max_persons
        if limit is None or len(found) <= limit:
            return found
        height, width = image_bgr.shape[:2]
        worth = merits(self.options.prefer, found.boxes_xyxy, found.scores, (width, height))
        rows = np.sort(np.argsort(-worth, kind="stable")[:limit])
        return Detections(found.boxes_xyxy[rows], found.scores[rows])

    def network_input(self, canvases: Sequence[UInt8Array]) -> Array:
        """Returns letterboxed pictures as the graph takes them.

        Args:
            canvases: Pictures of the size of the input, each (height, width, 3) uint8, BGR.

        Returns:
            (N, height, width, 3) uint8 for the form "deploy"; else (N, 3, height, width), of the
            type of the graph's input.
        """
        if self.form == "deploy":
            return np.stack(canvases)
        width, height = self.input_size_wh
        planes = np.empty((len(canvases), 3, height, width), self._input.dtype)
        block = np.empty((3, height, width), np.uint8)  # one for all: new planes cost more
        channels = list(block)
        for index, canvas in enumerate(canvases):
            cv2.split(canvas, channels)
            planes[index] = block
        return planes

    def _persons(self, output: dict[str, Array], ratio: float) -> Detections:
        """Turns the graph's output for one picture into persons in that picture."""
        options = self.options
        if self.form == "raw":
            (rows,) = output.values()
            self._require_finite(rows[:, 4 : 6 + PERSON_CLASS])
            boxes, scores = decode_yolox(
                rows.astype(np.float32, copy=False),
                input_size_wh=self.input_size_wh,
                score_threshold=options.score_threshold,
            )
        elif self.form == "sdk":
            boxes, scores = output["dets"][:, :4], output["dets"][:, 4]
            self._require_finite(scores)
            wanted = (output["labels"] == PERSON_CLASS) & (scores > options.score_threshold)
            boxes, scores = boxes[wanted], scores[wanted]
        else:
            boxes, scores = output["boxes_xyxy"], output["scores"]
            self._require_finite(scores)
            wanted = scores > options.score_threshold
            boxes, scores = boxes[wanted], scores[wanted]
        self._require_finite(boxes)
        if (boxes[:, :2] >= boxes[:, 2:]).any():
            raise InferenceError(
                f"the detector on {self.backend.description} gave a box without width or height"
            )
        boxes = (boxes / np.float32(ratio)).astype(np.float32, copy=False)
        scores = scores.astype(np.float32, copy=False)
        if self.form == "sdk":
            kept = np.argsort(-scores, kind="stable")
        else:
            kept = nms(boxes, scores, iou_threshold=options.nms_threshold)
        return Detections(boxes[kept], scores[kept])

    def _require_finite(self, values: Array) -> None:
        if not np.isfinite(values).all():
            raise InferenceError(
                f"the detector on {self.backend.description} gave values that are not numbers; a "
                "half-precision model may need full precision on this device"
            )


def decode_yolox(
    rows: Float32Array, *, input_size_wh: tuple[int, int], score_threshold: float
) -> tuple[Float32Array, Float32Array]:
    """Decodes the persons in YOLOX's raw output.

    Args:
        rows: (A, 5 + classes) float32: offset of the centre from its cell and logarithm of the
            size, both in strides; objectness; class scores.
        input_size_wh: (width, height) of the network's input in pixels.
        score_threshold: Persons must score above this.

    Returns:
        Boxes (N, 4) float32, left, top, right, bottom in pixels of the network's input; and
        scores (N,) float32, objectness times the score of the class "person".
    """
    scores = rows[:, 4] * rows[:, 5 + PERSON_CLASS]
    (wanted,) = np.nonzero(scores > score_threshold)
    cells, strides = _grid(input_size_wh)
    stride = strides[wanted, None]
    center = ((rows[wanted, :2] + cells[wanted]) * stride).astype(np.float32)
    half = (np.exp(rows[wanted, 2:4]) * stride).astype(np.float32) / np.float32(2)
    return np.concatenate([center - half, center + half], axis=1), scores[wanted]


@lru_cache(maxsize=8)
def _grid(input_size_wh: tuple[int, int]) -> tuple[Int64Array, Int64Array]:
    """Column and row (A, 2) and stride (A,) of every output row of YOLOX."""
    width, height = input_size_wh
    cells, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full(rows.size, stride))
    return np.concatenate(cells), np.concatenate(strides)


def _detector_form(backend: Backend) -> DetectorForm:
    """Tells the three forms apart by the names and shapes of their outputs."""
    outputs = {spec.name: spec for spec in backend.outputs}
    if len(backend.inputs) == 1:
        if set(outputs) == {"dets", "labels"}:
            return "sdk"
        if set(outputs) == {"boxes_xyxy", "scores"}:
            return "deploy"
        if len(outputs) == 1 and _is_raw(backend.inputs[0], backend.outputs[0]):
            return "raw"
    raise ModelFormatError(
        "this model is not a person detector: its inputs and outputs are "
        f"{', '.join(map(str, (*backend.inputs, *backend.outputs)))}; expected one output "
        "(N, A, 5 + classes) of YOLOX, or dets and labels, or boxes_xyxy and scores"
    )


def _is_raw(image: TensorSpec, rows: TensorSpec) -> bool:
    if len(image.shape) != 4 or len(rows.shape) != 3 or (rows.shape[2] or 6) < 6:
        return False
    height, width = image.shape[2:]
    if height is None or width is None or rows.shape[1] is None:
        return True
    return rows.shape[1] == sum((height // stride) * (width // stride) for stride in STRIDES)


def _fixed_size_wh(image: TensorSpec, *, channels_last: bool) -> tuple[int, int] | None:
    if len(image.shape) == 4:
        height, width = image.shape[1:3] if channels_last else image.shape[2:4]
        if height is not None and width is not None:
            return width, height
    return None


def _own_size_wh(image: TensorSpec, metadata: Mapping[str, str]) -> tuple[int, int]:
    """The size that a network was trained for, where its graph takes any."""
    width, _, height = metadata.get(INPUT_SIZE_ENTRY, "").partition("x")
    if width.isdigit() and height.isdigit():
        return int(width), int(height)
    raise ModelFormatError(
        f"the input {image} has no fixed height and width; export the model for one input size"
    )
