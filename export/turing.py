"""A graph for Turing (compute capability 7.5): no matrix product in float32.

TensorRT for RTX refuses any such product for these GPUs ("FP32 GEMM is not supported"), and the
head of the pose network keeps several in float32 on purpose. The same sums can be written
otherwise, in float32 throughout and with nothing rounded that was not rounded before:

* a product with a stored matrix is a convolution of 1x1, the points standing for pixels;
* a product of two computed matrices, as in the attention between points, is every pair of rows
  multiplied and summed.

Products in half precision are taken there and stay as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..errors import ModelFormatError
from .graph import add_constant, initializers, remove_unused, replace_nodes
from .precision_graph import copy_of

PREFIX = "turing/"


def to_turing_form(model: onnx.ModelProto) -> onnx.ModelProto:
    """Writes matrix products in float32 as convolutions and sums.

    Args:
        model: A model in the types it computes in. It is left as it is.

    Returns:
        A model that computes the same, with the same inputs, outputs and names of tensors.

    Raises:
        ModelFormatError: A product in float32 is not one of matrices of points, (N, K, D).
    """
    result = copy_of(model)
    inferred = onnx.shape_inference.infer_shapes(result, check_type=True, strict_mode=True).graph
    values = (*inferred.value_info, *inferred.input, *inferred.output)
    types = {value.name: value.type.tensor_type for value in values}
    stored = initializers(result)
    nodes: list[onnx.NodeProto] = []
    for node in result.graph.node:
        made = types.get(node.output[0])
        product = node.op_type in ("MatMul", "Gemm")
        if not product or made is None or made.elem_type != TensorProto.FLOAT:
            nodes.append(node)
        elif node.op_type == "Gemm" or len(made.shape.dim) != 3:
            raise ModelFormatError(
                f"the product {node.name or node.output[0]} cannot be written for Turing: it is "
                "not one of (N, K, D) matrices"
            )
        elif node.input[1] in stored:
            nodes += _as_convolution(result, node, stored[node.input[1]])
        else:
            nodes += _as_sum(result, node)
    replace_nodes(result, nodes)
    remove_unused(result)
    del result.graph.value_info[:]
    onnx.checker.check_model(result, full_check=True)
    return result


def _as_convolution(
    model: onnx.ModelProto, node: onnx.NodeProto, weights: onnx.TensorProto
) -> list[onnx.NodeProto]:
    """(N, K, D) x (D, E): the depths D become planes, the points K a column of pixels."""
    target = node.output[0]
    name = PREFIX + target
    matrix = numpy_helper.to_array(weights)
    planes = np.ascontiguousarray(matrix.T)[:, :, None, None]
    last = add_constant(model, f"{name}/last", np.array([3], np.int64))
    kernel = add_constant(model, f"{name}/weights", planes)
    return [
        _node("Transpose", [node.input[0]], f"{name}/planes", perm=[0, 2, 1]),
        _node("Unsqueeze", [f"{name}/planes", last], f"{name}/column"),
        _node("Conv", [f"{name}/column", kernel], f"{name}/product", kernel_shape=[1, 1]),
        _node("Squeeze", [f"{name}/product", last], f"{name}/rows"),
        _node("Transpose", [f"{name}/rows"], target, perm=[0, 2, 1]),
    ]


def _as_sum(model: onnx.ModelProto, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """(N, K, D) x (N, D, E): sums over D of (N, K, 1, D) times (N, 1, E, D)."""
    target = node.output[0]
    name = PREFIX + target
    second = add_constant(model, f"{name}/second", np.array([2], np.int64))
    first = add_constant(model, f"{name}/first", np.array([1], np.int64))
    last = add_constant(model, f"{name}/last", np.array([3], np.int64))
    return [
        _node("Transpose", [node.input[1]], f"{name}/columns", perm=[0, 2, 1]),
        _node("Unsqueeze", [node.input[0], second], f"{name}/left"),
        _node("Unsqueeze", [f"{name}/columns", first], f"{name}/right"),
        _node("Mul", [f"{name}/left", f"{name}/right"], f"{name}/pairs"),
        _node("ReduceSum", [f"{name}/pairs", last], target, keepdims=0),
    ]


def _node(operator: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    node: onnx.NodeProto = helper.make_node(
        operator, inputs, [output], name=f"{output}_{operator}", **attributes
    )
    return node
