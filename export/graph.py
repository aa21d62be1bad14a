"""Reading and editing ONNX graphs: the few steps that all conversions are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ..arrays import Array
from ..keypoints import NUM_KEYPOINTS

BATCH = "batch"
"""Name of the free first dimension in every exported graph."""


def opset_of(model: onnx.ModelProto) -> int:
    """Version of the standard operator set that a model is written in."""
    return int(
        next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    )


def shape_of(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    """Shape of an input or output; None where a side is free."""
    return tuple(
        int(side.dim_value) if side.HasField("dim_value") and side.dim_value > 0 else None
        for side in value.type.tensor_type.shape.dim
    )


def elem_type_of(value: onnx.ValueInfoProto) -> int:
    """Element type of an input or output, as `onnx.TensorProto` numbers them."""
    return int(value.type.tensor_type.elem_type)


def network_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """The inputs that a caller feeds; old files list their weights among the inputs too."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def points_of(model: onnx.ModelProto) -> int:
    """Returns the number of keypoints of a pose network, official or deploy.

    A graph that does not say it counts as DWPose, with 133.
    """
    shapes = {value.name: shape_of(value) for value in model.graph.output}
    shape = shapes.get("simcc_x") or shapes.get("keypoints") or ()
    return (shape[1] if len(shape) > 1 else None) or NUM_KEYPOINTS


def initializers(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """The stored tensors by name."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def consumers(model: onnx.ModelProto, name: str) -> list[onnx.NodeProto]:
    """The nodes that read a tensor."""
    return [node for node in model.graph.node if name in node.input]


def add_constant(model: onnx.ModelProto, name: str, value: Array) -> str:
    """Stores a tensor in the graph and returns its name."""
    model.graph.initializer.append(numpy_helper.from_array(value, name))
    return name


def constants_to_initializers(model: onnx.ModelProto) -> None:
    """Turns every Constant node that holds a tensor into a stored tensor of the same name."""
    kept: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensor = onnx.TensorProto()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = node.output[0]
            model.graph.initializer.append(tensor)
        else:
            kept.append(node)
    replace_nodes(model, kept)


def replace_nodes(model: onnx.ModelProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Gives the graph these nodes, in this order."""
    kept = list(nodes)
    del model.graph.node[:]
    model.graph.node.extend(kept)


def rename_tensor(model: onnx.ModelProto, old: str, new: str) -> None:
    """Renames a tensor wherever it is produced, read, fed or returned."""
    if old == new:
        return
    for node in model.graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new
    graph = model.graph
    for entry in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        if entry.name == old:
            entry.name = new


def remove_unused(model: onnx.ModelProto) -> None:
    """Drops nodes and stored tensors that no output depends on."""
    needed = {value.name for value in model.graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    replace_nodes(model, reversed(kept))
    stored = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    del model.graph.initializer[:]
    model.graph.initializer.extend(stored)
    fed = [value for value in network_inputs(model)]
    del model.graph.input[:]
    model.graph.input.extend(fed)


def tensor_info(name: str, elem_type: int, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    """Description of an input or output; a text in the shape names a free side."""
    info: onnx.ValueInfoProto = helper.make_tensor_value_info(name, elem_type, list(shape))
    return info


def free_batch(model: onnx.ModelProto) -> None:
    """Lets a graph made for one sample take any number of them.

    Inputs and outputs get a free first side, and every Reshape whose target starts with the
    batch keeps the side it finds. Whether the graph then treats samples independently is for
    a run to show, see `dwpose_infer.export.sources`.
    """
    for value in (*network_inputs(model), *model.graph.output):
        first = value.type.tensor_type.shape.dim[0]
        first.Clear()
        first.dim_param = BATCH
    stored = initializers(model)
    for number, node in enumerate(model.graph.node):
        if node.op_type != "Reshape" or node.input[1] not in stored:
            continue
        target = numpy_helper.to_array(stored[node.input[1]]).copy()
        if target.size and target[0] == 1:
            target[0] = 0  # "the size of this side of the input"
            node.input[1] = add_constant(model, f"free_batch/shape_{number}", target)
    del model.graph.value_info[:]  # holds sizes worked out for the old batch


def remove_identities(model: onnx.ModelProto) -> None:
    """Drops Identity nodes, with which torch shares equal weights between layers."""
    returned = {value.name for value in model.graph.output}
    sources: dict[str, str] = {}
    kept: list[onnx.NodeProto] = []
    for node in model.graph.node:  # in order: what a node reads is known before
        for index, name in enumerate(node.input):
            node.input[index] = sources.get(name, name)
        if node.op_type == "Identity" and node.output[0] not in returned:
            sources[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    replace_nodes(model, kept)


def simplify_flattening(model: onnx.ModelProto) -> None:
    """Replaces shapes worked out at run time by constants, where only the batch is free.

    A flattening is traced as Reshape(x, Concat(Slice(Shape(x), 0, k), rest)); the target
    (0, ..., 0, rest) says the same without the three nodes.
    """
    stored = initializers(model)
    made_by = {name: node for node in model.graph.node for name in node.output}
    for number, node in enumerate(model.graph.node):
        if node.op_type != "Reshape":
            continue
        concat = made_by.get(node.input[1])
        if concat is None or concat.op_type != "Concat" or len(concat.input) != 2:
            continue
        leading, rest = made_by.get(concat.input[0]), stored.get(concat.input[1])
        if leading is None or rest is None or leading.op_type != "Slice":
            continue
        shape = made_by.get(leading.input[0])
        bounds = [stored[name] for name in leading.input[1:3] if name in stored]
        if shape is None or shape.op_type != "Shape" or shape.input[0] != node.input[0]:
            continue
        if len(bounds) != 2:
            continue
        start, stop = (int(numpy_helper.to_array(bound).item()) for bound in bounds)
        if start == 0 and stop > 0:
            target = np.concatenate([np.zeros(stop, np.int64), numpy_helper.to_array(rest)])
            node.input[1] = add_constant(model, f"flatten/shape_{number}", target)
    remove_unused(model)


def count_operators(model: onnx.ModelProto) -> dict[str, int]:
    """Number of nodes of each operator, the most frequent first."""
    counts: dict[str, int] = {}
    for node in model.graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
