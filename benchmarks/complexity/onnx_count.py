"""What an ONNX file computes for one sample, from the file alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...backends.batching import INPUT_SIZE_ENTRY
from ...errors import ModelFormatError, needs_extra

if TYPE_CHECKING:
    import onnx

Shapes = Mapping[str, tuple[int | None, ...]]

_CONVOLUTIONS = ("Conv", "ConvInteger", "QLinearConv")
_PRODUCTS = ("MatMul", "MatMulInteger", "QLinearMatMul")
_NOT_COUNTED = ("Attention", "Einsum", "FusedConv", "GRU", "LSTM", "RNN")
"""Operators that multiply too, but that no network of this package has."""

# Position of the weights among the inputs; the quantised forms have scales in between.
_WEIGHT_INPUT = {"QLinearConv": 3, "QLinearMatMul": 3}


@dataclass(frozen=True, slots=True)
class OnnxCount:
    """What an ONNX file holds and computes.

    Attributes:
        parameters: Numbers stored in the file, in tensors of floats or bytes with more than one.
            Batch normalisation is part of the convolutions there, so there are fewer than the
            torch module has.
        products: Multiply-accumulates in convolutions, Linears and matrix products, one sample.
        input_shape: Shape of the first input, its batch set to 1.
    """

    parameters: int
    products: int
    input_shape: tuple[int, ...]


def count_file(path: Path) -> OnnxCount:
    """Counts what an ONNX file holds and computes.

    Raises:
        MissingDependencyError: The package `onnx` is not installed.
        ModelFormatError: The file is not an ONNX model, or its shapes are not fixed by the input.
    """
    with needs_extra("counting in ONNX files needs onnx", "bench"):
        import onnx
    try:
        model = onnx.load(str(path))
    except Exception as error:  # protobuf's and onnx's exceptions have no common base
        raise ModelFormatError(f"{path} is not an ONNX model: {error}") from error
    return count_model(model, origin=str(path))


def count_model(model: onnx.ModelProto, *, origin: str) -> OnnxCount:
    """Counts what an ONNX model holds and computes.

    Args:
        model: The model; it is not changed.
        origin: What messages call it.

    Raises:
        ModelFormatError: There is no input, or a size does not follow from its shape.
    """
    single = _with_batch_one(model, origin)
    shapes = _inferred_shapes(single, origin)
    stored = {tensor.name for tensor in single.graph.initializer}
    fed = next(value for value in single.graph.input if value.name not in stored)
    products = sum(_products(node, shapes, origin) for node in single.graph.node)
    return OnnxCount(
        parameters=_stored_numbers(single.graph),
        products=products,
        input_shape=_known(fed.name, shapes, origin),
    )


def _with_batch_one(model: onnx.ModelProto, origin: str) -> onnx.ModelProto:
    """A copy with inputs of one sample, of a known size; its shapes are to be found out again."""
    import onnx

    single = onnx.ModelProto()
    single.CopyFrom(model)
    stored = {tensor.name for tensor in single.graph.initializer}
    fed = [value for value in single.graph.input if value.name not in stored]
    if not fed:
        raise ModelFormatError(f"{origin} is not a network: it has no input")
    for value in fed:
        sizes = value.type.tensor_type.shape.dim
        for size, known in zip(sizes, [1, *_own_size_hw(model)], strict=False):
            if not size.HasField("dim_value"):
                size.dim_value = known
    del single.graph.value_info[:]
    for value in single.graph.output:  # may name a free batch, which contradicts the input's
        value.type.tensor_type.ClearField("shape")
    return single


def _own_size_hw(model: onnx.ModelProto) -> list[int]:
    """Height and width that a network was trained for, where its graph takes any."""
    entries = {entry.key: entry.value for entry in model.metadata_props}
    return [int(side) for side in reversed(entries.get(INPUT_SIZE_ENTRY, "").split("x")) if side]


def _inferred_shapes(model: onnx.ModelProto, origin: str) -> Shapes:
    import onnx

    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception as error:  # of no common base in onnx
        raise ModelFormatError(f"{origin}: its shapes contradict one another: {error}") from error
    shapes: dict[str, tuple[int | None, ...]] = {
        value.name: tuple(
            size.dim_value if size.HasField("dim_value") else None
            for size in value.type.tensor_type.shape.dim
        )
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
        if value.type.tensor_type.HasField("shape")
    }
    return shapes | {tensor.name: tuple(tensor.dims) for tensor in inferred.initializer}


def _products(node: onnx.NodeProto, shapes: Shapes, origin: str) -> int:
    """Multiply-accumulates of one node; zero for those that do not multiply in sums."""
    weights = _WEIGHT_INPUT.get(node.op_type, 1)
    if node.op_type in _CONVOLUTIONS:
        kernel = _known(node.input[weights], shapes, origin)
        return math.prod(_known(node.output[0], shapes, origin)) * math.prod(kernel[1:])
    if node.op_type == "ConvTranspose":
        kernel = _known(node.input[1], shapes, origin)
        return math.prod(_known(node.input[0], shapes, origin)) * math.prod(kernel[1:])
    if node.op_type in _PRODUCTS:
        inner = _known(node.input[0], shapes, origin)[-1]
        return math.prod(_known(node.output[0], shapes, origin)) * inner
    if node.op_type == "Gemm":
        first = _known(node.input[0], shapes, origin)
        transposed = any(each.name == "transA" and each.i for each in node.attribute)
        return math.prod(_known(node.output[0], shapes, origin)) * first[0 if transposed else 1]
    if node.op_type in _NOT_COUNTED or any(each.HasField("g") for each in node.attribute):
        raise ModelFormatError(f"{origin}: the operator {node.op_type} cannot be counted")
    return 0


def _known(name: str, shapes: Shapes, origin: str) -> tuple[int, ...]:
    shape = shapes.get(name)
    known = tuple(size for size in shape or () if size is not None)
    if shape is None or len(known) != len(shape):
        raise ModelFormatError(
            f"{origin}: the shape of {name!r} does not follow from the input's; only networks "
            "with an input of fixed height and width can be counted"
        )
    return known


def _stored_numbers(graph: onnx.GraphProto) -> int:
    import onnx

    kinds = onnx.TensorProto
    counted = (kinds.FLOAT, kinds.FLOAT16, kinds.BFLOAT16, kinds.DOUBLE, kinds.INT8, kinds.UINT8)
    tensors: Iterable[onnx.TensorProto] = (
        *graph.initializer,
        *(each.t for node in graph.node if node.op_type == "Constant" for each in node.attribute),
    )
    sizes = [math.prod(tensor.dims) for tensor in tensors if tensor.data_type in counted]
    return sum(size for size in sizes if size > 1)
