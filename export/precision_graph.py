"""What the conversions to lower precision ask of a graph, and how they put Casts into it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..errors import ModelFormatError
from .graph import (
    constants_to_initializers,
    elem_type_of,
    initializers,
    network_inputs,
    remove_unused,
    replace_nodes,
)

PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""Operators that hold a network's weights and most of its arithmetic."""


def restore_weights_fp32(model: onnx.ModelProto) -> onnx.ModelProto:
    """Undoes the storing: weights followed by a Cast to float32 become float32 weights.

    Tensors handed on by Identity, as exporters write equal biases, become stored tensors too:
    tools look for weights there and nowhere else.

    Args:
        model: Any model. It is left as it is.

    Returns:
        A model that computes the same; its constants are stored tensors, not nodes.
    """
    result = copy_of(model)
    constants_to_initializers(result)
    stored = initializers(result)
    outputs = {value.name for value in result.graph.output}
    kept = []
    for node in result.graph.node:
        tensor = stored.get(node.input[0]) if node.op_type in ("Cast", "Identity") else None
        if tensor is None or node.output[0] in outputs:
            kept.append(node)
        elif node.op_type == "Identity" or cast_target(node) == TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor)
            if node.op_type == "Cast":
                values = values.astype(np.float32)
            stored[node.output[0]] = numpy_helper.from_array(values, node.output[0])
            result.graph.initializer.append(stored[node.output[0]])
        else:
            kept.append(node)
    replace_nodes(result, kept)
    remove_unused(result)
    return result


def downstream(nodes: Iterable[onnx.NodeProto], sources: Set[str]) -> set[str]:
    """Finds what depends on certain nodes.

    Args:
        nodes: The graph's nodes in their order.
        sources: First outputs of those nodes.

    Returns:
        First outputs of all nodes that read, directly or not, from a source.
    """
    reached: set[str] = set()
    found: set[str] = set()
    for node in nodes:
        reads = not reached.isdisjoint(node.input)
        if reads:
            found.add(key_of(node))
        if reads or key_of(node) in sources:
            reached.update(node.output)
    return found


def upstream(nodes: Sequence[onnx.NodeProto], sinks: Set[str]) -> set[str]:
    """Finds what certain nodes depend on: the mirror image of `downstream`."""
    needed: set[str] = set()
    found: set[str] = set()
    for node in reversed(nodes):
        feeds = not needed.isdisjoint(node.output)
        if feeds:
            found.add(key_of(node))
        if feeds or key_of(node) in sinks:
            needed.update(name for name in node.input if name)
    return found


def key_of(node: onnx.NodeProto) -> str:
    """Its first output, which names a node uniquely; names of nodes may be missing or double."""
    return str(node.output[0])


def copy_of(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that shares nothing with the model."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    return result


def cast_node(source: str, target: str, precision: int) -> onnx.NodeProto:
    """A Cast to an element type of `onnx.TensorProto`, named after its output."""
    node: onnx.NodeProto = helper.make_node(
        "Cast", [source], [target], name=f"{target}_Cast", to=precision
    )
    return node


def cast_target(node: onnx.NodeProto) -> int:
    """The element type that a Cast gives."""
    return int(next(attribute.i for attribute in node.attribute if attribute.name == "to"))


def drop_listed_weights(model: onnx.ModelProto) -> None:
    """Takes stored tensors off the list of inputs, where old files have them."""
    fed = network_inputs(model)
    del model.graph.input[:]
    model.graph.input.extend(fed)


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """Element type of every tensor of a float32 graph.

    Raises:
        ModelFormatError: The graph breaks the rules of ONNX, has branches or loops, or computes
            in 16 bits.
    """
    for node in model.graph.node:
        if any(attribute.HasField("g") for attribute in node.attribute):
            raise ModelFormatError(f"the graph has branches or loops: {node.op_type} {node.name}")
    del model.graph.value_info[:]
    try:
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError) as error:
        raise ModelFormatError(f"the types of the graph do not fit: {error}") from error
    graph = inferred.graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for value in (*graph.input, *graph.output, *graph.value_info):
        types[value.name] = elem_type_of(value)
    if TensorProto.FLOAT16 in types.values():
        raise ModelFormatError("the graph computes in half precision already")
    missing = [name for node in graph.node for name in node.output if name and name not in types]
    if missing:
        raise ModelFormatError(f"the type of {missing[0]} cannot be worked out")
    return types
