"""Half precision: weights stored in 16 bits, or a graph that computes in them where it is safe.

`store_weights_fp16` makes a file smaller and changes nothing else: a runtime turns the weights
back when it loads them. `to_mixed_fp16` makes a graph whose every tensor has the type it is to be
computed in, as TensorRT's strongly typed networks and ONNX Runtime's CUDA provider take it.

Which nodes of the mixed graph compute in 16 bits follows from the structure of the graph, not
from names, and so holds for every size and form of the two networks:

* convolutions, and what lies between two of them: activations, sums, concatenations, pooling by
  maximum, resizing;
* products with a stored matrix, up to the attention between points.

Everything else stays in 32 bits: what comes before the first and after the last convolution or
product (normalisation of pixels; SimCC values, grid and decoding), every reduction and what is
computed from a vector's length (ScaleNorm), and the whole of the attention and what follows it.
Its squared ReLU has no softmax to bound it, so 133 squares can add up beyond the range of 16 bits;
DWPose-l wholly in half precision is known to lose its fingers
(github.com/open-mmlab/mmpose/issues/2789). What comes near the end of the range on pictures, which
no structure tells, stays there too.

ONNX Runtime keeps float32 between half-precision nodes on the CPU, so that a file which overflows
on a GPU is finite there, and a comparison on the CPU says nothing about it. So the float32 graph is
asked how large its tensors become.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, defs, helper, numpy_helper

from ..arrays import Array
from ..errors import ModelFormatError
from .graph import (
    constants_to_initializers,
    elem_type_of,
    initializers,
    network_inputs,
    opset_of,
    remove_unused,
    replace_nodes,
)
from .precision_graph import (
    PRODUCTS,
    cast_node,
    copy_of,
    downstream,
    drop_listed_weights,
    element_types,
    key_of,
    restore_weights_fp32,
    upstream,
)
from .running import GraphRunner

ACCURATE_IN_FP16 = frozenset(
    {
        *("Add", "Mul", "Sub", "Clip", "Concat", "Identity", "MaxPool", "Pad", "Resize"),
        *("HardSigmoid", "HardSwish", "LeakyRelu", "Relu", "Sigmoid", "Tanh"),
        *("Flatten", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"),
    }
)
"""Operators that accumulate nothing, so that each result is rounded once."""

VECTOR_NORMS = frozenset(
    {"ReduceL2", "ReduceSum", "ReduceSumSquare", "ReduceMean", "LpNormalization"}
)
"""Reductions with which exporters write ScaleNorm; average pooling is no such thing."""

ANY_TYPE = frozenset({"Cast", "Shape", "Size"})
"""Operators whose output does not have the type of their input."""

STORED_SUFFIX = "/fp16"
MIN_STORED_ELEMENTS = 256
"""Smaller tensors stay in float32: together they are less than a percent of a file."""


def store_weights_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Stores the weights in 16 bits, each followed by a Cast to float32.

    Args:
        model: A float32 model. It is left as it is.

    Returns:
        A model that computes in float32 with weights rounded to the nearest 16-bit number.
        Weights are what convolutions and matrix products read, from 256 numbers on.

    Raises:
        ModelFormatError: A weight lies outside the range of 16 bits, +-65504, or is no number.
    """
    result = copy_of(model)
    constants_to_initializers(result)
    read = {name for node in result.graph.node if node.op_type in PRODUCTS for name in node.input}
    casts = []
    for tensor in result.graph.initializer:
        large = int(np.prod(tensor.dims)) >= MIN_STORED_ELEMENTS
        if tensor.data_type == TensorProto.FLOAT and tensor.name in read and large:
            name = tensor.name
            tensor.CopyFrom(_half(tensor, name + STORED_SUFFIX))
            casts.append(cast_node(tensor.name, name, TensorProto.FLOAT))
    replace_nodes(result, [*casts, *result.graph.node])
    drop_listed_weights(result)
    return result


def to_mixed_fp16(model: onnx.ModelProto, *, too_large: Collection[str] = ()) -> onnx.ModelProto:
    """Makes a model that computes in 16 bits where that is safe; see the top of this module.

    Args:
        model: A float32 model of either network, in official or in deploy form. It is left as it
            is. Weights stored in 16 bits are fine.
        too_large: Tensors that leave the range of 16 bits: nodes that read or write one of them
            compute in 32.

    Returns:
        A model with explicit Casts wherever the precision changes, one for each tensor and
        precision. Inputs and outputs keep names, types and shapes.

    Raises:
        ModelFormatError: A weight lies outside the range of 16 bits; the graph computes in 16
            bits already, has branches or loops, or breaks the rules of ONNX.
    """
    result = restore_weights_fp32(model)
    types = element_types(result)
    halves = nodes_in_fp16(result) - _touching(result, too_large)
    converter = _Converter(result, types)
    for node in list(result.graph.node):
        converter.add(node, TensorProto.FLOAT16 if key_of(node) in halves else TensorProto.FLOAT)
    replace_nodes(result, converter.nodes)
    remove_unused(result)
    del result.graph.value_info[:]  # holds the types of before
    onnx.checker.check_model(result, full_check=True)
    return result


class _Converter:
    """Gives nodes, one after the other, the precision they are to compute in.

    Attributes:
        nodes: The nodes so far, Casts included.
    """

    def __init__(self, model: onnx.ModelProto, types: dict[str, int]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._model = model
        self._types = types
        self._opset = opset_of(model)
        self._stored = initializers(model)
        self._outputs = {value.name for value in model.graph.output}
        self._converted: dict[tuple[str, int], str] = {}

    def add(self, node: onnx.NodeProto, precision: int) -> None:
        """Appends a node that computes in `precision`, an element type of `onnx.TensorProto`."""
        for index in self._computed_inputs(node):
            node.input[index] = self._in_precision(node.input[index], precision)
        self.nodes.append(node)
        if precision != TensorProto.FLOAT16:
            return
        for index, name in enumerate(node.output):
            self._types[name] = TensorProto.FLOAT16
            if name in self._outputs:
                node.output[index] = name + STORED_SUFFIX
                self._types[node.output[index]] = TensorProto.FLOAT16
                self.nodes.append(cast_node(node.output[index], name, TensorProto.FLOAT))
                self._types[name] = TensorProto.FLOAT
                self._converted[name, TensorProto.FLOAT16] = node.output[index]

    def _computed_inputs(self, node: onnx.NodeProto) -> Iterable[int]:
        """Places of the inputs that must be of one type with the first; not a Resize's scales."""
        if node.op_type in ANY_TYPE:
            return
        schema = defs.get_schema(node.op_type, self._opset, node.domain)
        last = len(schema.inputs) - 1
        kinds = [schema.inputs[min(index, last)].type_str for index in range(len(node.input))]
        leading = next(
            (kind for kind, name in zip(kinds, node.input, strict=True) if self._is_real(name)),
            None,
        )
        for index, name in enumerate(node.input):
            if kinds[index] == leading and self._is_real(name):
                yield index

    def _is_real(self, name: str) -> bool:
        return self._types.get(name) in (TensorProto.FLOAT, TensorProto.FLOAT16)

    def _in_precision(self, name: str, precision: int) -> str:
        """Name of a tensor's copy in a precision; made at its first use."""
        if self._types[name] == precision:
            return name
        key = (name, precision)
        if key not in self._converted:
            suffix = STORED_SUFFIX if precision == TensorProto.FLOAT16 else "/fp32"
            self._converted[key] = name + suffix
            self._types[name + suffix] = precision
            if name in self._stored:
                self._model.graph.initializer.append(_half(self._stored[name], name + suffix))
            else:
                self.nodes.append(cast_node(name, name + suffix, precision))
        return self._converted[key]


def _touching(model: onnx.ModelProto, tensors: Collection[str]) -> set[str]:
    """Nodes that read or write one of some tensors."""
    wanted = set(tensors)
    return {
        key_of(node)
        for node in model.graph.node
        if not wanted.isdisjoint((*node.input, *node.output))
    }


def nodes_in_fp16(model: onnx.ModelProto) -> set[str]:
    """Chooses the nodes that are to compute in 16 bits; each is named by its first output."""
    nodes = list(model.graph.node)
    stored = initializers(model)
    products = {key_of(node) for node in nodes if node.op_type in PRODUCTS}
    # An attention multiplies two computed matrices.
    attention = {
        key_of(node) for node in nodes if key_of(node) in products and node.input[1] not in stored
    }
    norms = [node for node in nodes if node.op_type in VECTOR_NORMS]
    normed = {name for norm in norms for name in norm.input}
    after_norm = downstream(nodes, {key_of(norm) for norm in norms})
    after_attention = downstream(nodes, attention)
    between = downstream(nodes, products) & upstream(nodes, products)
    chosen = set()
    for node in nodes:
        key = key_of(node)
        if key in products:
            safe = key not in attention | after_attention
        else:
            square = len(node.input) == 2 and node.input[0] == node.input[1]
            safe = (
                node.op_type in ACCURATE_IN_FP16
                and key in between - after_norm - after_attention
                and not (square and normed.intersection(node.output))
            )
        if safe:
            chosen.add(key)
    return chosen


def _half(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    """Rounds a stored float32 tensor to 16 bits.

    Raises:
        ModelFormatError: A number lies outside the range.
    """
    values = numpy_helper.to_array(tensor)
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise ModelFormatError(
            f"the weights {tensor.name} reach {np.abs(values).max():g}, beyond the range of half "
            "precision, +-65504"
        )
    half: onnx.TensorProto = numpy_helper.from_array(rounded, name)
    return half


HALF_LARGEST: Final = 65504.0
"""The largest number of half precision (IEEE 754)."""

LARGEST_ON_PICTURES: Final = HALF_LARGEST / 2
"""What a tensor may reach on the pictures, for others reach more: the largest ones of the bundled
networks were up to a fifth larger on four other crops of people than on the package's own."""

_PREFIX = "half_range/"


@dataclass(frozen=True, slots=True)
class HalfRange:
    """How far the tensors that are to be in half precision go.

    Attributes:
        tensor: The one with the largest number; "" where none is to be in half precision.
        largest: That number's size; infinite where the network gives no finite one.
        too_large: Tensors that have to stay in float32, with what they reach.
    """

    tensor: str
    largest: float
    too_large: dict[str, float]


def measure_half_range(model: onnx.ModelProto, samples: Array) -> HalfRange:
    """Runs a network in float32 and looks at what half precision would have to hold.

    Args:
        model: A float32 model with one input. It is left as it is.
        samples: What its input takes, one batch of pictures.

    Raises:
        ModelFormatError: The graph is none that `to_mixed_fp16` takes.
        InferenceError: It failed while it ran.
    """
    asked = restore_weights_fp32(model)
    names = _halved(asked)
    if not names:
        return HalfRange("", 0.0, {})
    (fed,) = network_inputs(asked)
    _ask_for_largest(asked, names)
    with GraphRunner(asked) as run:
        runs = [run({fed.name: samples[i : i + 1]})[_PREFIX + "all"] for i in range(len(samples))]
    reached = np.nan_to_num(np.max(runs, axis=0), nan=np.inf)
    first = int(reached.argmax())
    sizes = dict(zip(names, map(float, reached), strict=True))
    over = {name: size for name, size in sizes.items() if size > LARGEST_ON_PICTURES}
    return HalfRange(names[first], float(reached[first]), over)


def _halved(model: onnx.ModelProto) -> list[str]:
    """Computed float32 tensors that nodes in half precision would read or write."""
    halves = nodes_in_fp16(model)
    stored = initializers(model)
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = (*graph.value_info, *graph.input, *graph.output)
    real = {value.name for value in values if elem_type_of(value) == TensorProto.FLOAT}
    names = [
        name
        for node in model.graph.node
        if key_of(node) in halves
        for name in (*node.input, *node.output)
        if name in real and name not in stored
    ]
    return list(dict.fromkeys(names))


def _ask_for_largest(model: onnx.ModelProto, names: list[str]) -> None:
    """Adds an output, the largest absolute value of each tensor: (T,) float32."""
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.array([1]), _PREFIX + "one"))
    numbers = []
    for index, name in enumerate(names):
        size, largest, number = (f"{_PREFIX}{part}/{index}" for part in ("size", "largest", "row"))
        graph.node.append(helper.make_node("Abs", [name], [size]))
        graph.node.append(helper.make_node("ReduceMax", [size], [largest], keepdims=0))
        graph.node.append(helper.make_node("Reshape", [largest, _PREFIX + "one"], [number]))
        numbers.append(number)
    graph.node.append(helper.make_node("Concat", numbers, [_PREFIX + "all"], axis=0))
    graph.output.append(onnx.ValueInfoProto(name=_PREFIX + "all"))
