"""Official form -> deploy form: pixels in, keypoints or boxes out, everything else inside.

The first and the last steps of the pipeline move into the graph, so that a caller in any
language hands over uint8 pictures and gets coordinates, and a GPU gets 4 times fewer bytes.
The tensors between (`simcc_x`, `simcc_y`, `output`) keep their names, for the parity gate and
for precision conversions to find.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..arrays import Array
from ..detector import PERSON_CLASS, STRIDES
from ..errors import InvalidArgumentError, ModelFormatError
from ..estimator import MEAN_RGB, STD_RGB
from ..simcc import SPLIT_RATIO
from .graph import (
    BATCH,
    add_constant,
    consumers,
    initializers,
    network_inputs,
    points_of,
    replace_nodes,
    shape_of,
    tensor_info,
)

DEPLOY_INPUTS = {"pose": "crops", "detector": "images"}

DEFAULT_TOP_K = 300
"""Candidates that a detector hands over. Before suppression YOLOX has about 7 boxes above 0.3
for each person, so 100 would already lose persons of a group of a dozen."""

_XY, _WH, _OBJECTNESS, _FIRST_CLASS = (0, 2), (2, 4), 4, 5  # columns of YOLOX's output


def to_deploy_pose(official: onnx.ModelProto) -> onnx.ModelProto:
    """Puts normalisation and decoding into a pose network.

    Args:
        official: `input` (N, 3, H, W) float32 normalised RGB -> `simcc_x`, `simcc_y`.

    Returns:
        `crops` (N, H, W, 3) uint8 BGR -> `keypoints` (N, K, 2) float32, x then y, pixels of the
        crop, and `scores` (N, K) float32, with the K points of the network. Location, score and
        the rule for points without a positive maximum are those of
        `dwpose_infer.simcc.decode_simcc`.
    """
    model = _copy(official)
    batch, height, width = _input_sides(model)
    points = points_of(model)
    first = _foldable_convolution(model, "input")
    if first is None:
        before = _planes_of_pixels(model)
    else:
        before = _rows_of_pixels(model, first, height, width)
    replace_nodes(model, [*before, *model.graph.node, *_decode_simcc(model, points)])
    return _with_interface(
        model,
        tensor_info("crops", TensorProto.UINT8, (batch, height, width, 3)),
        {"keypoints": (points, 2), "scores": (points,)},
        batch,
    )


def to_deploy_detector(official: onnx.ModelProto, *, top_k: int = DEFAULT_TOP_K) -> onnx.ModelProto:
    """Puts the decoding of persons into a YOLOX detector; suppression stays outside.

    Args:
        official: `images` (N, 3, H, W) float32 BGR 0..255 -> `output` (N, A, 5 + classes).
        top_k: Boxes handed over, the best ones; all of them where there are fewer cells.

    Returns:
        `images` (N, H, W, 3) uint8 BGR, letterboxed -> `boxes_xyxy` (N, K, 4) float32, left,
        top, right, bottom in pixels of the input, and `scores` (N, K) float32, best first.

    Raises:
        InvalidArgumentError: `top_k` is below 1.
    """
    if top_k < 1:
        raise InvalidArgumentError(f"top_k is {top_k}, must be at least 1")
    model = _copy(official)
    batch, height, width = _input_sides(model)
    cells, strides = _grid(width, height)
    count = min(top_k, len(cells))
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name == "images":
                node.input[index] = "preprocess/planes"
    before = [
        _node("Cast", ["images"], ["preprocess/float"], to=TensorProto.FLOAT),
        _node("Transpose", ["preprocess/float"], ["preprocess/planes"], perm=[0, 3, 1, 2]),
    ]
    after = _decode_persons(model, cells, strides, count)
    replace_nodes(model, [*before, *model.graph.node, *after])
    return _with_interface(
        model,
        tensor_info("images", TensorProto.UINT8, (batch, height, width, 3)),
        {"boxes_xyxy": (count, 4), "scores": (count,)},
        batch,
    )


def _node(
    operator: str, inputs: list[str], outputs: list[str], **attributes: Any
) -> onnx.NodeProto:
    """A node named after its first output."""
    name = f"{outputs[0]}/{operator}"
    node: onnx.NodeProto = helper.make_node(operator, inputs, outputs, name=name, **attributes)
    return node


def _copy(official: onnx.ModelProto) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.CopyFrom(official)
    del model.graph.value_info[:]
    return model


def _input_sides(model: onnx.ModelProto) -> tuple[int | str, int, int]:
    """Batch, height and width of an official input; the batch by its name where it is free."""
    (fed,) = network_inputs(model)
    batch, channels, height, width = shape_of(fed)
    if channels != 3 or height is None or width is None:
        raise ModelFormatError(f"the input {fed.name} has the shape {shape_of(fed)}")
    return batch or BATCH, height, width


def _foldable_convolution(model: onnx.ModelProto, name: str) -> onnx.NodeProto | None:
    """The plain convolution that alone reads a tensor and whose weights it alone reads, or None."""
    readers = consumers(model, name)
    stored = initializers(model)
    if len(readers) != 1 or readers[0].op_type != "Conv":
        return None
    (node,) = readers
    attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    plain = (
        node.input[1] in stored
        and stored[node.input[1]].dims[1] == 3  # one group
        and len(stored[node.input[1]].dims) == 4
        and len(consumers(model, node.input[1])) == 1
        and attributes.get("auto_pad", b"NOTSET") == b"NOTSET"
        and list(attributes.get("dilations", [1, 1])) == [1, 1]
    )
    return node if plain else None


def _rows_of_pixels(
    model: onnx.ModelProto, first: onnx.NodeProto, height: int, width: int
) -> list[onnx.NodeProto]:
    """Normalises pixels where they lie, and rewrites the first convolution to read them so.

    A row of W interleaved pixels is a row of 3 W values of one channel. A convolution over it
    whose kernel, stride and padding are three times as wide takes the same sums as one over
    three planes, so the pixels need not be transposed, and the order of the channels is that of
    the kernel. Mean and deviation are not folded: the border is padded with zeros after
    normalisation, which a shifted bias would not be.

    Args:
        model: The model, changed in place.
        first: Its first convolution, changed in place.
        height: Height of the input in pixels.
        width: Width of the input in pixels.

    Returns:
        Nodes to put in front.
    """
    weight = initializers(model)[first.input[1]]
    kernel = numpy_helper.to_array(weight)[:, ::-1]  # (out, BGR, high, wide)
    out_channels, _, high, wide = kernel.shape
    interleaved = kernel.transpose(0, 2, 3, 1).reshape(out_channels, 1, high, 3 * wide)
    weight.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(interleaved), weight.name))
    attributes = {entry.name: helper.get_attribute_value(entry) for entry in first.attribute}
    down, across = attributes.get("strides", [1, 1])
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    del first.attribute[:]
    for name, values in (
        ("kernel_shape", [high, 3 * wide]),
        ("strides", [down, 3 * across]),
        ("pads", [top, 3 * left, bottom, 3 * right]),
    ):
        first.attribute.append(helper.make_attribute(name, values))
    rows = add_constant(model, "preprocess/rows", np.array([0, 1, height, 3 * width]))
    first.input[0] = "preprocess/normalised"
    return [
        # TensorRT takes uint8 only at the border: the cast has to come first.
        _node("Cast", ["crops"], ["preprocess/float"], to=TensorProto.FLOAT),
        _node("Reshape", ["preprocess/float", rows], ["preprocess/pixels"]),
        *_normalise(model, (3 * width,), width, "preprocess/normalised"),
    ]


def _planes_of_pixels(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Turns pixels into normalised RGB planes, for networks that begin with anything."""
    order = add_constant(model, "preprocess/rgb_order", np.array([2, 1, 0]))
    return [
        _node("Cast", ["crops"], ["preprocess/float"], to=TensorProto.FLOAT),
        _node("Transpose", ["preprocess/float"], ["preprocess/pixels"], perm=[0, 3, 1, 2]),
        *_normalise(model, (3, 1, 1), 1, "preprocess/normalised"),
        _node("Gather", ["preprocess/normalised", order], ["input"], axis=1),
    ]


def _normalise(
    model: onnx.ModelProto, shape: tuple[int, ...], repeats: int, output: str
) -> list[onnx.NodeProto]:
    """(`preprocess/pixels` - mean) / deviation, for BGR values repeated and shaped as told."""
    mean, inverse_std = (
        np.tile(np.array(values, np.float64), repeats).reshape(shape).astype(np.float32)
        for values in (MEAN_RGB[::-1], [1 / value for value in STD_RGB[::-1]])
    )
    centre = add_constant(model, "preprocess/mean", mean)
    scale = add_constant(model, "preprocess/inverse_std", inverse_std)
    return [
        _node("Sub", ["preprocess/pixels", centre], ["preprocess/centred"]),
        _node("Mul", ["preprocess/centred", scale], [output]),
    ]


def _decode_simcc(model: onnx.ModelProto, points: int) -> list[onnx.NodeProto]:
    """Largest value and its place along both axes, as `decode_simcc` has it.

    The value is gathered at the place, not reduced anew: one pass less, and the same operators
    in every opset.
    """
    nodes: list[onnx.NodeProto] = []
    places: list[str] = []
    maxima: list[str] = []
    for axis in ("x", "y"):
        place, value = f"decode/place_{axis}", f"decode/max_{axis}"
        nodes += [
            _node("ArgMax", [f"simcc_{axis}"], [place], axis=-1, keepdims=1),
            _node("GatherElements", [f"simcc_{axis}", place], [value], axis=-1),
        ]
        places.append(place)
        maxima.append(value)
    zero = add_constant(model, "decode/zero", np.float32(0).reshape(1))
    absent = add_constant(model, "decode/absent", np.float32(-1).reshape(1))
    pixels_per_bin = add_constant(
        model, "decode/pixels_per_bin", np.float32(1 / SPLIT_RATIO).reshape(1)
    )
    column = add_constant(model, "decode/column", np.array([0, points]))
    return [
        *nodes,
        _node("Min", maxima, ["decode/score"]),
        _node("Concat", places, ["decode/bins"], axis=-1),
        _node("Cast", ["decode/bins"], ["decode/location"], to=TensorProto.FLOAT),
        _node("Greater", ["decode/score", zero], ["decode/present"]),
        _node("Where", ["decode/present", "decode/location", absent], ["decode/present_location"]),
        _node("Mul", ["decode/present_location", pixels_per_bin], ["keypoints"]),
        _node("Reshape", ["decode/score", column], ["scores"]),
    ]


def _grid(width: int, height: int) -> tuple[Array, Array]:
    """Corner (A, 2), x then y, in pixels and stride (A, 1) of every cell, levels in a row."""
    corners, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        corners.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((rows.size, 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _decode_persons(
    model: onnx.ModelProto, cells: Array, strides: Array, count: int
) -> list[onnx.NodeProto]:
    """The best cells by person score, and their boxes: only those are decoded."""

    def constant(name: str, value: Array) -> str:
        return add_constant(model, f"decode/{name}", value)

    last_axis = constant("last_axis", np.array([2]))

    def columns(source: str, name: str, start: int, stop: int) -> onnx.NodeProto:
        bounds = [constant(f"{name}_{at}", np.array([at])) for at in (start, stop)]
        return _node("Slice", [source, *bounds, last_axis], [f"decode/{name}"])

    person = _FIRST_CLASS + PERSON_CLASS
    return [
        columns("output", "objectness", _OBJECTNESS, _OBJECTNESS + 1),
        columns("output", "person", person, person + 1),
        _node("Mul", ["decode/objectness", "decode/person"], ["decode/cell_score"]),
        _node(
            "Reshape",
            ["decode/cell_score", constant("flat", np.array([0, len(cells)]))],
            ["decode/cell_scores"],
        ),
        _node(
            "TopK",
            ["decode/cell_scores", constant("count", np.array([count]))],
            ["scores", "decode/best"],
            axis=1,
        ),
        _node(
            "Reshape",
            ["decode/best", constant("indices", np.array([0, count, 1]))],
            ["decode/best_index"],
        ),
        _node("GatherND", ["output", "decode/best_index"], ["decode/rows"], batch_dims=1),
        _node("Gather", [constant("cells", cells), "decode/best"], ["decode/cell"], axis=0),
        _node("Gather", [constant("strides", strides), "decode/best"], ["decode/stride"], axis=0),
        columns("decode/rows", "offset", *_XY),
        columns("decode/rows", "log_size", *_WH),
        _node("Add", ["decode/offset", "decode/cell"], ["decode/center_in_strides"]),
        _node("Mul", ["decode/center_in_strides", "decode/stride"], ["decode/center"]),
        _node("Exp", ["decode/log_size"], ["decode/size_in_strides"]),
        _node("Mul", ["decode/size_in_strides", "decode/stride"], ["decode/size"]),
        _node(
            "Mul",
            ["decode/size", constant("half_of", np.array([0.5], np.float32))],
            ["decode/half_size"],
        ),
        _node("Sub", ["decode/center", "decode/half_size"], ["decode/left_top"]),
        _node("Add", ["decode/center", "decode/half_size"], ["decode/right_bottom"]),
        _node("Concat", ["decode/left_top", "decode/right_bottom"], ["boxes_xyxy"], axis=2),
    ]


def _with_interface(
    model: onnx.ModelProto,
    fed: onnx.ValueInfoProto,
    outputs: dict[str, tuple[int, ...]],
    batch: int | str,
) -> onnx.ModelProto:
    del model.graph.input[:]
    model.graph.input.append(fed)
    del model.graph.output[:]
    model.graph.output.extend(
        tensor_info(name, TensorProto.FLOAT, (batch, *shape)) for name, shape in outputs.items()
    )
    onnx.checker.check_model(model, full_check=True)
    return model
