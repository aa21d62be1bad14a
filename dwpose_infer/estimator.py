"""Keypoints of persons whose boxes are known: crop, DWPose, decode, map back.

Flip test is the mean of what a network sees in a crop and in its mirror image. mmpose's evaluation
of RTMPose does it by default; the official demo does not. The SimCC outputs
of the mirrored crop are turned back, left and right keypoints exchanged, and the plain mean is
decoded, without a shift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from . import geometry
from .arrays import Array, Float32Array, UInt8Array
from .backends.base import Backend
from .errors import InferenceError, InvalidArgumentError, ModelFormatError
from .keypoints import NUM_KEYPOINTS
from .layouts import LAYOUTS, KeypointLayout, known_layouts
from .simcc import SPLIT_RATIO, decode_simcc


def with_mirrored(images_bgr: UInt8Array) -> UInt8Array:
    """Returns crops followed by their mirror images: (N, H, W, 3) to (2 N, H, W, 3) uint8."""
    return np.concatenate([images_bgr, images_bgr[:, :, ::-1]])


def mean_simcc(
    simcc_x: Float32Array, simcc_y: Float32Array, flip_indices: Sequence[int]
) -> tuple[Float32Array, Float32Array]:
    """Averages what a network says of crops and of their mirror images.

    Args:
        simcc_x: (2 N, K, bins) float32, of the pictures that `with_mirrored` made.
        simcc_y: The same for y.
        flip_indices: For each of the K points the one that is in its place in a mirror image.

    Returns:
        The means, (N, K, bins) each.
    """
    count = len(simcc_x) // 2
    order = list(flip_indices)
    half = np.float32(0.5)
    mean_x = (simcc_x[:count] + simcc_x[count:, order, ::-1]) * half
    mean_y = (simcc_y[:count] + simcc_y[count:, order]) * half
    return mean_x, mean_y


MEAN_RGB = (123.675, 116.28, 103.53)
STD_RGB = (58.395, 57.12, 57.375)
"""Normalisation of every RTMPose and DWPose model: (value - mean) / std, 0..255, RGB."""

DEFAULT_MAX_BATCH = 16

PoseForm = Literal["simcc", "deploy"]


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """Persons cut out of pictures, ready for the network; they need not share a picture.

    Attributes:
        images_bgr: (N, height, width, 3) uint8.
        center: (N, 2) float32, centre of each region, x then y, pixels of its picture.
        scale: (N, 2) float32, width and height of each region in pixels of its picture.
    """

    images_bgr: UInt8Array
    center: Float32Array
    scale: Float32Array

    def __len__(self) -> int:
        return len(self.images_bgr)


def join_crops(parts: list[Crops]) -> Crops:
    """Returns the crops of all parts, in order."""
    if len(parts) == 1:
        return parts[0]
    return Crops(
        np.concatenate([part.images_bgr for part in parts]),
        np.concatenate([part.center for part in parts]),
        np.concatenate([part.scale for part in parts]),
    )


class PoseEstimator:
    """DWPose on a backend.

    Attributes:
        input_size_wh: (width, height) of the network's input in pixels, read from the graph.
        form: "simcc" (official: normalised RGB in, SimCC out) or "deploy" (this package's own:
            uint8 BGR crops in, keypoints out).
        layout: Order of the network's keypoints, told by their number.
        max_batch: Persons per call of the network; with the flip test, persons and mirror images,
            which are two at least.
        flip_test: Whether the mean of every crop and its mirror image is decoded.
    """

    def __init__(
        self, backend: Backend, *, max_batch: int = DEFAULT_MAX_BATCH, flip_test: bool = False
    ) -> None:
        """Takes over a loaded graph.

        Args:
            backend: The pose network's graph.
            max_batch: Persons per call of the network at most.
            flip_test: Decode the mean of every crop and its mirror image.

        Raises:
            ModelFormatError: The graph is no whole-body pose network that is understood, or has
                no SimCC outputs, which the flip test averages.
            InvalidArgumentError: `max_batch` is below 1.
        """
        if max_batch < 1:
            raise InvalidArgumentError(f"max_batch is {max_batch}, must be at least 1")
        self.backend = backend
        self.max_batch = max_batch
        self.flip_test = flip_test
        self.form = _pose_form(backend)
        self.layout = _layout(backend)
        if flip_test and self.form != "simcc":
            raise ModelFormatError(
                "the flip test averages SimCC outputs, which this pose model, in deploy form, does "
                "not give. ONNX files are converted on the fly where the package onnx is installed "
                "(pip install onnx); else take the model in official form"
            )
        self._input = backend.inputs[0]
        self.input_size_wh = self._read_input_size()
        self._normalisation = _normalisation_tables()

    def _read_input_size(self) -> tuple[int, int]:
        shape = self._input.shape
        height, width = shape[1:3] if self.form == "deploy" else shape[2:4]
        if height is None or width is None:
            raise ModelFormatError(
                f"the input {self._input} has no fixed height and width; export the model for "
                "one input size"
            )
        return width, height

    def crop(self, image_bgr: UInt8Array, boxes_xyxy: npt.ArrayLike) -> Crops:
        """Cuts persons out of a picture.

        Args:
            image_bgr: (H, W, 3) uint8.
            boxes_xyxy: (N, 4), left, top, right, bottom in pixels.
        """
        center, scale = geometry.box_to_center_scale(boxes_xyxy, input_size_wh=self.input_size_wh)
        images = geometry.crop_boxes(image_bgr, center, scale, output_size_wh=self.input_size_wh)
        return Crops(images, center, scale)

    def warmup(self, persons: int | None = None) -> None:
        """Runs the network on empty crops, in all sizes of batch that so many persons take.

        Args:
            persons: Persons together at most; None, and more, take as many as share a call.
        """
        crops = self.max_batch if persons is None else persons * (2 if self.flip_test else 1)
        self.backend.warmup(min(crops, self.max_batch))

    def __call__(self, crops: Crops) -> tuple[Float32Array, Float32Array]:
        """Finds the keypoints of cropped persons.

        Returns:
            Keypoints (N, K, 2) float32, x then y, pixels of the pictures the crops come from;
            and scores (N, K) float32; K points in the order of `layout`.

        Raises:
            InferenceError: The network failed or gave something that is not a number.
        """
        keypoints = np.empty((len(crops), len(self.layout), 2), np.float32)
        scores = np.empty((len(crops), len(self.layout)), np.float32)
        step = max(self.max_batch // 2, 1) if self.flip_test else self.max_batch
        for start in range(0, len(crops), step):
            part = slice(start, start + step)
            keypoints[part], scores[part] = self._run(crops.images_bgr[part])
        if not (np.isfinite(scores).all() and np.isfinite(keypoints).all()):
            raise InferenceError(
                f"the pose network on {self.backend.description} gave values that are not "
                "numbers; a half-precision model may need full precision on this device"
            )
        mapped = geometry.crop_to_picture(
            keypoints, crops.center, crops.scale, input_size_wh=self.input_size_wh
        )
        return mapped, scores

    def _run(self, images_bgr: UInt8Array) -> tuple[Float32Array, Float32Array]:
        if self.form == "deploy":
            outputs = self.backend.run({self._input.name: images_bgr})
            keypoints, points = outputs["keypoints"], (len(images_bgr), len(self.layout))
            self._require_shapes(keypoints, outputs["scores"], (*points, 2), points)
            return keypoints, outputs["scores"]
        if self.flip_test:
            order = self.layout.flip_indices
            return decode_simcc(*mean_simcc(*self.simcc(with_mirrored(images_bgr)), order))
        return decode_simcc(*self.simcc(images_bgr))

    def simcc(self, images_bgr: UInt8Array) -> tuple[Float32Array, Float32Array]:
        """Runs the network alone; only graphs of the form "simcc" have these outputs.

        Args:
            images_bgr: (N, height, width, 3) uint8 crops.

        Returns:
            `simcc_x` (N, K, 2 * width) and `simcc_y` (N, K, 2 * height), float32.
        """
        outputs = self.backend.run({self._input.name: self.network_input(images_bgr)})
        simcc_x = outputs["simcc_x"].astype(np.float32, copy=False)
        simcc_y = outputs["simcc_y"].astype(np.float32, copy=False)
        points = (len(images_bgr), len(self.layout))
        x_bins, y_bins = simcc_x.shape[-1:], simcc_y.shape[-1:]
        self._require_shapes(simcc_x, simcc_y, (*points, *x_bins), (*points, *y_bins))
        return simcc_x, simcc_y

    def _require_shapes(
        self,
        first: Array,
        second: Array,
        first_shape: tuple[int, ...],
        second_shape: tuple[int, ...],
    ) -> None:
        if first.shape != first_shape or second.shape != second_shape:
            raise InferenceError(
                f"the pose network on {self.backend.description} gave arrays of the shapes "
                f"{first.shape} and {second.shape}, expected {first_shape} and {second_shape}"
            )

    def network_input(self, images_bgr: UInt8Array) -> Array:
        """Returns crops as a graph of the form "simcc" takes them: RGB, normalised.

        A byte has 256 values, so a table per channel replaces the arithmetic, exactly.

        Args:
            images_bgr: (N, height, width, 3) uint8 crops.

        Returns:
            (N, 3, height, width), of the type of the graph's input.
        """
        count, height, width = images_bgr.shape[:3]
        planes = np.empty((count, 3, height, width), np.float32)
        channels_bgr = list(np.empty((3, height, width), np.uint8))  # one for all crops
        for index in range(count):
            cv2.split(images_bgr[index], channels_bgr)
            for channel, plane in enumerate(reversed(channels_bgr)):
                cv2.LUT(plane, self._normalisation[channel], dst=planes[index, channel])
        return planes.astype(self._input.dtype, copy=False)


def _normalisation_tables() -> Float32Array:
    """(3, 256) float32: the normalised value of each byte, channels R, G, B."""
    values = np.arange(256, dtype=np.float64)
    mean, std = np.array(MEAN_RGB)[:, None], np.array(STD_RGB)[:, None]
    tables: Float32Array = ((values - mean) / std).astype(np.float32)
    return tables


def _pose_form(backend: Backend) -> PoseForm:
    """Tells the two forms apart by the names and shapes of their outputs."""
    outputs = {spec.name: spec.shape for spec in backend.outputs}
    if len(backend.inputs) == 1 and len(backend.inputs[0].shape) == 4:
        shape = backend.inputs[0].shape
        if set(outputs) == {"keypoints", "scores"}:
            return "deploy"
        if set(outputs) == {"simcc_x", "simcc_y"}:
            for size, bins in ((shape[3], outputs["simcc_x"]), (shape[2], outputs["simcc_y"])):
                if size is not None and bins[-1] not in (None, size * SPLIT_RATIO):
                    raise ModelFormatError(
                        f"this model has {bins[-1]} SimCC bins for {size} pixels, "
                        f"expected {SPLIT_RATIO:g} for each pixel"
                    )
            return "simcc"
    raise ModelFormatError(
        "this model is not a pose network: its inputs and outputs are "
        f"{', '.join(map(str, (*backend.inputs, *backend.outputs)))}; expected one picture in, "
        "and simcc_x and simcc_y, or keypoints and scores, out"
    )


def _layout(backend: Backend) -> KeypointLayout:
    """The layout with the graph's number of points; where it does not say, that of DWPose."""
    shape = backend.outputs[0].shape
    points = shape[1] if len(shape) > 1 else 0
    points = NUM_KEYPOINTS if points is None else points
    if points not in LAYOUTS:
        raise ModelFormatError(f"this pose network has {points} keypoints; {known_layouts()}")
    return LAYOUTS[points]
