"""Convolutions about as wide as their map, without the columns of taps that fall on padding.

The head of a pose network ends with a 7x7 convolution, of a map that is 6 wide (256x192) or 9
(384x288): 12 of 42 and 12 of 63 places of its kernel's columns lie beside the map. CPUs multiply
these zeros like other numbers. So the kernel is taken apart: each of its columns convolves the
part of the map that it can meet, the result gets zeros where there is none, and all are added up.
That is the same sum but for the order of adding. GPUs pay more for the many small steps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

from ..arrays import Array
from .graph import add_constant, initializers, remove_unused, replace_nodes, shape_of

MAX_SHARE_ON_MAP = 0.85
"""A kernel is taken apart where at most so many of its columns' places are on the map."""

_APART = "/columns"
"""End of the names that tell `join_columns` what was taken apart."""

_WIDTH_AXIS = 3


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of a kernel, and the columns of the map that it meets.

    Attributes:
        index: Its place in the kernel.
        shift: What it reads is so many columns to the right of what it is for.
        start: First column of the map that it meets.
        stop: The one after the last.
    """

    index: int
    shift: int
    start: int
    stop: int


def split_columns(model: onnx.ModelProto) -> onnx.ModelProto:
    """Takes kernels apart where many of their columns' places fall on padding.

    Args:
        model: A float32 graph, its weights stored as they are read. It is left as it is.

    Returns:
        A graph that computes the same, equal up to rounding.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    widths = _widths(model)
    stored = initializers(result)
    nodes: list[onnx.NodeProto] = []
    for node in result.graph.node:
        weight = stored.get(node.input[1]) if _is_centred(node) else None
        width = widths.get(node.input[0])
        columns = _columns(weight.dims[_WIDTH_AXIS], width) if weight and width else []
        on_map = sum(column.stop - column.start for column in columns)
        if weight and width and on_map <= MAX_SHARE_ON_MAP * width * weight.dims[_WIDTH_AXIS]:
            nodes += _apart(result, node, numpy_helper.to_array(weight), columns)
        else:
            nodes.append(node)
    replace_nodes(result, nodes)
    remove_unused(result)
    return result


def join_columns(model: onnx.ModelProto) -> None:
    """Puts kernels together again that `split_columns` took apart; the weights are the same bits.

    Args:
        model: A float32 graph, its weights stored as they are read. It is changed.
    """
    stored = initializers(model)
    made_by = {name: node for node in model.graph.node for name in node.output}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type != "Sum" or not node.name.endswith(_APART):
            nodes.append(node)
            continue
        last = [made_by[name] for name in node.input]
        parts = [made_by[each.input[0]] if each.op_type == "Pad" else each for each in last]
        middle = next(each for each in last if each.op_type == "Conv")
        kernel = np.concatenate([numpy_helper.to_array(stored[part.input[1]]) for part in parts], 3)
        weight = middle.input[1].rpartition(_APART)[0]
        add_constant(model, weight, kernel)
        inputs = [middle.input[0], weight, *middle.input[2:]]
        nodes.append(_convolution(inputs, node.output[0], node.name.removesuffix(_APART), kernel))
    replace_nodes(model, nodes)
    remove_unused(model)


def _widths(model: onnx.ModelProto) -> dict[str, int]:
    """Width of every map whose size is known, by the name of the tensor."""
    graph = shape_inference.infer_shapes(model).graph
    shapes = {value.name: shape_of(value) for value in (*graph.input, *graph.value_info)}
    return {name: shape[-1] for name, shape in shapes.items() if len(shape) == 4 and shape[-1]}


def _is_centred(node: onnx.NodeProto) -> bool:
    """Whether it is a plain convolution with an odd kernel that keeps the size of its map."""
    if node.op_type != "Conv":
        return False
    given = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    sides = given.get("kernel_shape", [])
    plain = {"group": 1, "strides": [1] * len(sides), "dilations": [1] * len(sides)}
    return (
        len(sides) == 2
        and all(side % 2 for side in sides)
        and given.get("pads") == [side // 2 for side in sides] * 2
        and all(given.get(name, value) == value for name, value in plain.items())
    )


def _columns(kernel_width: int, width: int) -> list[_Column]:
    """The columns of a kernel, without those that never meet a map so wide."""
    shifts = (index - kernel_width // 2 for index in range(kernel_width))
    columns = [
        _Column(index, shift, max(0, shift), min(width, width + shift))
        for index, shift in enumerate(shifts)
    ]
    return [column for column in columns if column.start < column.stop]


def _apart(
    model: onnx.ModelProto, node: onnx.NodeProto, kernel: Array, columns: Iterable[_Column]
) -> list[onnx.NodeProto]:
    """A convolution as the sum of those with its kernel's columns; the middle one has the bias."""
    name = (node.name or node.output[0]) + _APART
    axis = add_constant(model, f"{name}/axis", np.array([_WIDTH_AXIS]))
    nodes: list[onnx.NodeProto] = []
    parts: list[str] = []
    for column in columns:
        own = f"{name}/{column.index}"
        values = np.ascontiguousarray(kernel[..., column.index : column.index + 1])
        weight = add_constant(model, f"{node.input[1]}{_APART}/{column.index}", values)
        parts.append(f"{own}/sum")
        if not column.shift:
            inputs = [node.input[0], weight, *node.input[2:]]
            nodes.append(_convolution(inputs, parts[-1], own, values))
            continue
        bounds = [
            add_constant(model, f"{own}/{word}", np.array([place]))
            for word, place in (("start", column.start), ("stop", column.stop))
        ]
        beside = np.zeros(8, np.int64)
        beside[_WIDTH_AXIS] = max(0, -column.shift)
        beside[4 + _WIDTH_AXIS] = max(0, column.shift)
        sides = add_constant(model, f"{own}/beside", beside)
        nodes += [
            _node("Slice", [node.input[0], *bounds, axis], f"{own}/map"),
            _convolution([f"{own}/map", weight], f"{own}/met", own, values),
            _node("Pad", [f"{own}/met", sides], parts[-1]),
        ]
    return [*nodes, helper.make_node("Sum", parts, list(node.output), name=name)]


def _convolution(inputs: list[str], output: str, name: str, kernel: Array) -> onnx.NodeProto:
    sides = list(kernel.shape[2:])
    pads = [side // 2 for side in sides] * 2
    return _node("Conv", inputs, output, name=name, kernel_shape=sides, pads=pads)


def _node(
    operator: str, inputs: list[str], output: str, name: str = "", **attributes: Any
) -> onnx.NodeProto:
    node: onnx.NodeProto = helper.make_node(
        operator, inputs, [output], name=name or f"{output}/{operator}", **attributes
    )
    return node
