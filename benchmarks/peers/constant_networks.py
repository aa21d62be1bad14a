"""A made-up picture, and ONNX networks that find what they are told to find on it.

The outputs of the networks are constants, so that every method of a benchmark finds the same
persons and the same keypoints, and the networks themselves take next to no time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from ...arrays import Float32Array, Float64Array, Int64Array, UInt8Array
from ...detector import STRIDES
from ...errors import needs_extra
from ...keypoints import NUM_KEYPOINTS

PICTURE_WH = (1280, 720)
DETECTOR_WH = (640, 640)
CROP_WH = (288, 384)
CLASSES = 80


def synthetic_picture(seed: int = 0) -> UInt8Array:
    """Returns smooth noise with a fine grain, (720, 1280, 3) uint8, the same for the same seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 216, (9, 16, 3), np.uint8)
    smooth = cv2.resize(coarse, PICTURE_WH, interpolation=cv2.INTER_CUBIC).astype(np.int16)
    grain = rng.integers(-8, 9, smooth.shape, np.int16)
    picture: UInt8Array = np.clip(smooth + grain, 0, 255).astype(np.uint8)
    return picture


def person_boxes(persons: int) -> Float64Array:
    """Returns boxes that stand apart on the letterboxed picture, (persons, 4), x, y, w, h.

    x and y are centres, all in pixels of the letterbox.
    """
    width, height = DETECTOR_WH[0], DETECTOR_WH[0] * PICTURE_WH[1] / PICTURE_WH[0]
    columns = int(np.ceil(np.sqrt(2 * persons)))
    rows = int(np.ceil(persons / columns))
    row, column = np.divmod(np.arange(persons), columns)
    box_height = 0.85 * height / rows
    box_width = min(0.8 * width / columns, 0.45 * box_height)
    size = np.tile([box_width, box_height], (persons, 1))
    center = np.stack([(column + 0.5) * width / columns, (row + 0.5) * height / rows], axis=1)
    return np.concatenate([center, size], axis=1)


def detector_output(persons: int, seed: int = 0) -> Float32Array:
    """Returns YOLOX's raw output for a picture of so many persons, (1, 8400, 85) float32.

    Each person has a sure box, 3 more that every method suppresses, 8 above a score of 0.3
    and 12 above 0.1 that only some look at; 40 boxes of other classes score 0.1 to 0.6; the
    rest is background. The counts are those of YOLOX on photographs, roughly.
    """
    rng = np.random.default_rng(seed)
    cells, strides = output_grid(DETECTOR_WH)
    rows = rng.uniform(0.0, 2e-3, (len(cells), 5 + CLASSES)).astype(np.float32)
    rows[:, :2] = rng.uniform(0.0, 1.0, (len(cells), 2))
    rows[:, 2:4] = rng.normal(0.5, 0.7, (len(cells), 2))
    # Scores of persons differ by more than rounding: all methods must put them in one order.
    sure = np.linspace(0.92, 0.88, persons)[:, None]
    scores = np.concatenate(
        [
            sure,
            rng.uniform(0.72, 0.86, (persons, 3)),
            rng.uniform(0.31, 0.69, (persons, 8)),
            rng.uniform(0.11, 0.29, (persons, 12)),
        ],
        axis=1,
    )
    places = rng.choice(len(cells), scores.size + 40, replace=False)
    ours, others = places[: scores.size], places[scores.size :]
    boxes = np.repeat(person_boxes(persons), scores.shape[1], axis=0)
    boxes[:, :2] += boxes[:, 2:] * rng.uniform(-0.04, 0.04, (scores.size, 2))
    rows[ours, :2] = boxes[:, :2] / strides[ours] - cells[ours]
    rows[ours, 2:4] = np.log(boxes[:, 2:] / strides[ours])
    rows[ours, 4], rows[ours, 5] = 1.0, scores.ravel()
    rows[others, 4] = 1.0
    rows[others, 5 + rng.integers(1, CLASSES, 40)] = rng.uniform(0.1, 0.6, 40)
    return rows[None]


def output_grid(
    size_wh: tuple[int, int],
) -> tuple[Int64Array, Int64Array]:
    """Returns column and row (A, 2) and stride (A, 1) of YOLOX's output rows.

    Args:
        size_wh: (width, height) of the network's input in pixels.
    """
    cells, strides = [], []
    for stride in STRIDES:
        x, y = np.meshgrid(np.arange(size_wh[0] // stride), np.arange(size_wh[1] // stride))
        cells.append(np.stack([x, y], axis=2).reshape(-1, 2))
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(cells), np.concatenate(strides)


def pose_outputs(seed: int = 0) -> dict[str, Float32Array]:
    """Returns SimCC outputs of one person: one clear peak per keypoint along x and along y."""
    rng = np.random.default_rng(seed)
    outputs = {}
    for name, bins in (("simcc_x", 2 * CROP_WH[0]), ("simcc_y", 2 * CROP_WH[1])):
        simcc = rng.uniform(-0.05, 0.05, (1, NUM_KEYPOINTS, bins)).astype(np.float32)
        peaks = rng.integers(bins // 8, bins - bins // 8, NUM_KEYPOINTS)
        simcc[0, np.arange(NUM_KEYPOINTS), peaks] = rng.uniform(0.3, 0.9, NUM_KEYPOINTS)
        outputs[name] = simcc
    return outputs


def save_constant_network(
    path: Path, size_wh: tuple[int, int], outputs: Mapping[str, Float32Array]
) -> Path:
    """Writes a network (N, 3, H, W) -> the same outputs for each of the N, whatever it is given.

    Raises:
        MissingDependencyError: The package `onnx` is not installed.
    """
    with needs_extra("this benchmark makes ONNX files", "bench"):
        import onnx
        from onnx import helper, numpy_helper
    float32 = onnx.TensorProto.FLOAT
    constants = {"first": np.array([0]), "ones": np.array([1, 1])}
    nodes = [
        helper.make_node("Shape", ["images"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["batch"]),
        helper.make_node("Concat", ["batch", "ones"], ["sizes"], axis=0),
    ]
    results = []
    for name, value in outputs.items():
        constants[f"{name}_one"] = value
        nodes.append(helper.make_node("Expand", [f"{name}_one", "sizes"], [name]))
        shape = ["N", *value.shape[1:]]
        results.append(helper.make_tensor_value_info(name, float32, shape))
    images = helper.make_tensor_value_info("images", float32, ["N", 3, size_wh[1], size_wh[0]])
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "constant", [images], results, initializers)
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path
