"""Pose networks that label persons, each asked about a crop and its mirror image.

Two kinds are understood: SimCC networks (DWPose, RTMPose, and what `dwpose-export` writes), and
networks that give a heat map of every point at a quarter of the input's resolution (HRNet,
SimpleBaseline, ViTPose, PP-TinyPose and others as mmpose and PaddleDetection export them).
"""

from __future__ import annotations

from typing import Final, Protocol

import cv2
import numpy as np

from .... import geometry
from ....arrays import Float32Array, IndexArray, UInt8Array
from ....backends import Backend
from ....backends.base import TensorSpec
from ....errors import InferenceError, ModelFormatError
from ....estimator import MEAN_RGB, STD_RGB, Crops, PoseEstimator, with_mirrored
from ....layouts import LAYOUTS, KeypointLayout
from ....runtime import Runtime, open_network
from ....zoo import StrPath

MAP_STRIDE: Final = 4
"""Pixels of the crop per cell of a heat map, in all of these networks."""

SMOOTHING_SIDE: Final = 3
"""Side of the Gaussian that smooths a map before the peak is refined, in cells: that of
PaddleDetection's deployment of PP-TinyPose (deploy/python/keypoint_postprocess.py)."""


class LabellingNetwork(Protocol):
    """A pose network that is asked about persons in a picture.

    Attributes:
        layout: Order of its points.
        input_size_wh: (width, height) of its input in pixels.
    """

    layout: KeypointLayout
    input_size_wh: tuple[int, int]

    def __call__(self, crops: Crops) -> tuple[Float32Array, Float32Array]:
        """Finds the points of cropped persons, the mean of each crop and its mirror image.

        Returns:
            Points (N, K, 2) float32, x then y, pixels of the pictures the crops come from; and
            scores (N, K) float32.

        Raises:
            InferenceError: The network failed or gave something that is not a number.
        """


class HeatMapNetwork:
    """A network with a heat map of every point.

    Attributes:
        layout: Order of its points, told by their number.
        input_size_wh: (width, height) of its input in pixels.
    """

    def __init__(self, backend: Backend) -> None:
        """Takes over a loaded graph.

        Args:
            backend: Its input is (N, 3, height, width), RGB, normalised as ImageNet's; one of its
                outputs is (N, K, height / 4, width / 4). Other outputs are not looked at.

        Raises:
            ModelFormatError: The graph is no such network.
        """
        self._backend = backend
        found = _heat_maps(backend)
        if found is None:
            raise ModelFormatError(
                "this is no pose network that can label: its inputs and outputs are "
                f"{', '.join(map(str, (*backend.inputs, *backend.outputs)))}; expected are "
                "simcc_x and simcc_y, or a heat map for each of 17, 23, 26 or 133 points at a "
                "quarter of the input"
            )
        self._output = found
        height, width = backend.inputs[0].shape[2:]
        assert height is not None and width is not None
        self.input_size_wh = (width, height)
        self.layout = LAYOUTS[int(found.shape[1] or 0)]

    def __call__(self, crops: Crops) -> tuple[Float32Array, Float32Array]:
        """Finds the points of cropped persons, see `LabellingNetwork`."""
        spec = self._backend.inputs[0]
        images_rgb = with_mirrored(crops.images_bgr)[..., ::-1]
        planes = ((images_rgb - MEAN_RGB) / STD_RGB).transpose(0, 3, 1, 2).astype(spec.dtype)
        outputs = self._backend.run({spec.name: np.ascontiguousarray(planes)})
        maps = outputs[self._output.name].astype(np.float32)
        count = len(crops)
        mirrored = maps[count:, self.layout.flip_indices, :, ::-1]
        peaks, scores = decode_heat_maps((maps[:count] + mirrored) * np.float32(0.5))
        if not (np.isfinite(scores).all() and np.isfinite(peaks).all()):
            raise InferenceError(
                f"the labelling network on {self._backend.description} gave values that are not "
                "numbers"
            )
        points = geometry.crop_to_picture(
            peaks * np.float32(MAP_STRIDE),
            *(crops.center, crops.scale),
            input_size_wh=self.input_size_wh,
        )
        return points, scores


def decode_heat_maps(maps: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Finds the peak of every heat map, finer than its cells.

    DARK (Zhang et al., CVPR 2020, https://arxiv.org/abs/1910.06278): around its highest cell the
    logarithm of a smoothed map is taken for a parabola, whose top is the peak. Peaks on the rim of
    a map, and those where there is no such top, stay in their cell.

    Args:
        maps: (N, K, height, width) float32.

    Returns:
        Peaks (N, K, 2) float32, x then y, in cells; and scores (N, K) float32, the highest value of
        each map.
    """
    count, points, height, width = maps.shape
    flat = maps.reshape(count, points, -1)
    rows, columns = np.divmod(flat.argmax(axis=2), width)
    scores = flat.max(axis=2)
    peaks = np.stack([columns, rows], axis=-1).astype(np.float32)
    inside = (columns > 1) & (columns < width - 2) & (rows > 1) & (rows < height - 2)
    picked = np.nonzero(inside)
    smoothed = np.zeros((len(picked[0]), height, width), np.float32)
    for target, source in zip(smoothed, maps[picked], strict=True):
        cv2.GaussianBlur(source, (SMOOTHING_SIDE, SMOOTHING_SIDE), 0, dst=target)
    logarithm = np.log(np.maximum(smoothed, np.float32(1e-10)))
    peaks[picked] += _steps_to_top(logarithm, columns[picked], rows[picked])
    return peaks, scores


def _steps_to_top(maps: Float32Array, columns: IndexArray, rows: IndexArray) -> Float32Array:
    """One step of Newton's method from a cell of each map: (M, h, w) to (M, 2), at most a cell."""
    each = np.arange(len(maps))

    def at(dx: int, dy: int) -> Float32Array:
        values: Float32Array = maps[each, rows + dy, columns + dx]
        return values

    slope_x, slope_y = (at(1, 0) - at(-1, 0)) / 2, (at(0, 1) - at(0, -1)) / 2
    bend_x = (at(2, 0) - 2 * at(0, 0) + at(-2, 0)) / 4
    bend_y = (at(0, 2) - 2 * at(0, 0) + at(0, -2)) / 4
    twist = (at(1, 1) - at(-1, 1) - at(1, -1) + at(-1, -1)) / 4
    determinant = bend_x * bend_y - twist**2
    is_top = (determinant > 0) & (bend_x < 0)
    divisor = np.where(is_top, determinant, 1)
    step = np.stack(
        [
            (twist * slope_y - bend_y * slope_x) / divisor,
            (twist * slope_x - bend_x * slope_y) / divisor,
        ],
        axis=-1,
    )
    bounded: Float32Array = np.where(is_top[:, None], np.clip(step, -1, 1), 0).astype(np.float32)
    return bounded


def open_labelling_network(model: StrPath, runtime: Runtime) -> tuple[Backend, LabellingNetwork]:
    """Loads a network to label with, downloading it first where it is a name.

    Args:
        model: Name of a pose model, or path of an ONNX file.
        runtime: Where it runs.

    Returns:
        The graph, to be closed, and the network on it.

    Raises:
        ModelFormatError: It is not such a network.
        DwposeError: It cannot be had, or not be loaded; see `Predictor`.
    """
    backend = open_network(model, runtime, kind="pose", official=True)
    try:
        if {spec.name for spec in backend.outputs} & {"simcc_x", "keypoints"}:
            estimator = PoseEstimator(backend, max_batch=runtime.max_batch, flip_test=True)
            return backend, estimator
        return backend, HeatMapNetwork(backend)
    except BaseException:
        backend.close()
        raise


def crops_of(
    network: LabellingNetwork, image_bgr: UInt8Array, boxes_xyxy: Float32Array, *, padding: float
) -> Crops:
    """Cuts persons out of a picture, with so much around them.

    Args:
        network: Whose input the crops are for.
        image_bgr: (H, W, 3) uint8.
        boxes_xyxy: (N, 4) float32, left, top, right, bottom in pixels.
        padding: Factor on both sides of a box.
    """
    size = network.input_size_wh
    center, scale = geometry.box_to_center_scale(boxes_xyxy, input_size_wh=size, padding=padding)
    images = geometry.crop_boxes(image_bgr, center, scale, output_size_wh=size)
    return Crops(images, center, scale)


def _heat_maps(backend: Backend) -> TensorSpec | None:
    """The output that holds heat maps, where the graph has one."""
    if len(backend.inputs) != 1 or len(backend.inputs[0].shape) != 4:
        return None
    height, width = backend.inputs[0].shape[2:]
    if height is None or width is None:
        return None
    for spec in backend.outputs:
        sizes = spec.shape[1:]
        if sizes[1:] == (height // MAP_STRIDE, width // MAP_STRIDE) and sizes[0] in LAYOUTS:
            return spec
    return None
