"""Which tensors outgrow half precision, found on pictures.

ONNX Runtime keeps float32 between half-precision nodes on the CPU, so that a file which overflows
on a GPU is finite there, and a comparison on the CPU says nothing about it. So the float32 graph is
asked how large its tensors become.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .fp16 import nodes_in_fp16
from .graph import Array, elem_type_of, initializers, network_inputs
from .precision_graph import key_of, restore_weights_fp32
from .running import GraphRunner

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
