"""Detectors in deploy form for pictures of any height and width, instead of one square.

YOLOX is fully convolutional: only the decoding that the exporter put behind it knows how large
the input is. A wide picture fills little more than half of a square, so a detector that takes a
canvas as low as the picture does less work on every one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..detector import STRIDES
from ..errors import DwposeError
from .graph import add_constant, initializers, network_inputs, remove_unused, replace_nodes
from .running import GraphRunner

HEIGHT, WIDTH, PERSONS = "height", "width", "persons"
"""Names of the free sides; both sides of the input have to be multiples of the last stride."""

_REPLACED = ("decode/cell", "decode/stride")


def free_sides(deploy: onnx.ModelProto, *, top_k: int) -> onnx.ModelProto | None:
    """Lets a detector in deploy form take inputs of any height and width.

    Args:
        deploy: What `deploy.to_deploy_detector` made.
        top_k: Boxes handed over at most, as it was told.

    Returns:
        The same network, equal at the size it was made for; or None where something inside
        the network itself is made for one size.
    """
    model = onnx.ModelProto()
    model.CopyFrom(deploy)
    del model.graph.value_info[:]
    (images,) = network_inputs(model)
    _, height, width, _ = images.type.tensor_type.shape.dim
    sides = (int(height.dim_value), int(width.dim_value))
    for side, name in ((height, HEIGHT), (width, WIDTH)):
        side.Clear()
        side.dim_param = name
    for value in model.graph.output:
        kept = value.type.tensor_type.shape.dim[1]
        kept.Clear()
        kept.dim_param = PERSONS
    _set_constant(model, "decode/flat", [0, -1])
    _set_constant(model, "decode/indices", [0, -1, 1])
    nodes = []
    for node in model.graph.node:
        if node.output[0] in _REPLACED:
            continue
        if node.op_type == "TopK" and node.output[0] == "scores":
            nodes += _sizes(model, top_k)
            node.input[1] = "decode/free_count"
        nodes.append(node)
        if node.op_type == "TopK" and node.output[0] == "scores":
            nodes += _cells(model)
    replace_nodes(model, nodes)
    remove_unused(model)
    return model if _runs(model, sides) else None


def _runs(model: onnx.ModelProto, sides_hw: tuple[int, int]) -> bool:
    """Tries another size than the one the network was made for."""
    step = STRIDES[-1]
    height, width = (max(step, side // 2 // step * step) for side in sides_hw)
    try:
        onnx.checker.check_model(model, full_check=True)
        with GraphRunner(model) as run:
            run({"images": np.zeros((1, height, width, 3), np.uint8)})
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, DwposeError):
        return False
    return True


def _sizes(model: onnx.ModelProto, top_k: int) -> list[onnx.NodeProto]:
    """Columns and cells of the three grids, and how many boxes there are to hand over."""
    nodes = [
        _node("Shape", ["images"], "free_shape"),
        _node("Gather", ["decode/free_shape", _number(model, 1)], "free_height", axis=0),
        _node("Gather", ["decode/free_shape", _number(model, 2)], "free_width", axis=0),
    ]
    for stride in STRIDES:
        nodes += [
            _node("Div", ["decode/free_height", _number(model, stride)], f"free_rows_{stride}"),
            _node("Div", ["decode/free_width", _number(model, stride)], f"free_columns_{stride}"),
            _node(
                "Mul",
                [f"decode/free_rows_{stride}", f"decode/free_columns_{stride}"],
                f"free_cells_{stride}",
            ),
        ]
    fine, middle, coarse = (f"decode/free_cells_{stride}" for stride in STRIDES)
    one_side = add_constant(model, "decode/free_one_side", np.array([1]))
    return [
        *nodes,
        _node("Add", [fine, middle], "free_before_coarse"),
        _node("Add", ["decode/free_before_coarse", coarse], "free_all_cells"),
        _node("Min", ["decode/free_all_cells", _number(model, top_k)], "free_fewest"),
        _node("Reshape", ["decode/free_fewest", one_side], "free_count"),
    ]


def _cells(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Column, row and stride of the best cells, worked out from their places in the output.

    With m and c for "in the middle or coarse grid" and "in the coarse grid", 0 or 1, the stride
    is 8 (1 + m) (1 + c), as the three are 8, 16 and 32.
    """
    fine, middle, _ = (f"decode/free_cells_{stride}" for stride in STRIDES)
    one = _number(model, 1)
    last = add_constant(model, "decode/free_last", np.array([-1]))
    nodes = []
    for name, first, skipped in (
        ("middle", fine, fine),
        ("coarse", "decode/free_before_coarse", middle),
    ):
        nodes += [
            _node("GreaterOrEqual", ["decode/best", first], f"free_is_{name}"),
            _node("Cast", [f"decode/free_is_{name}"], f"free_{name}", to=TensorProto.INT64),
            _node("Mul", [f"decode/free_{name}", skipped], f"free_skip_{name}"),
            _node("Add", [f"decode/free_{name}", one], f"free_factor_{name}"),
        ]
    return [
        *nodes,
        _node("Sub", ["decode/best", "decode/free_skip_middle"], "free_place_below"),
        _node("Sub", ["decode/free_place_below", "decode/free_skip_coarse"], "free_place"),
        _node("Mul", ["decode/free_factor_middle", "decode/free_factor_coarse"], "free_factor"),
        _node("Mul", ["decode/free_factor", _number(model, STRIDES[0])], "free_stride"),
        _node("Div", ["decode/free_width", "decode/free_stride"], "free_columns"),
        _node("Div", ["decode/free_place", "decode/free_columns"], "free_row"),
        _node("Mul", ["decode/free_row", "decode/free_columns"], "free_row_start"),
        _node("Sub", ["decode/free_place", "decode/free_row_start"], "free_column"),
        *(
            _node("Unsqueeze", [f"decode/free_{name}", last], f"free_{name}_last")
            for name in ("column", "row", "stride")
        ),
        _node("Concat", ["decode/free_column_last", "decode/free_row_last"], "free_xy", axis=-1),
        _node("Cast", ["decode/free_xy"], "cell", to=TensorProto.FLOAT),
        _node("Cast", ["decode/free_stride_last"], "stride", to=TensorProto.FLOAT),
    ]


def _node(operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> onnx.NodeProto:
    name = f"decode/{output}"
    node: onnx.NodeProto = helper.make_node(
        operator, inputs, [name], name=f"{name}/{operator}", **attributes
    )
    return node


def _number(model: onnx.ModelProto, value: int) -> str:
    name = f"decode/free_{value}"
    return name if name in initializers(model) else add_constant(model, name, np.array(value))


def _set_constant(model: onnx.ModelProto, name: str, values: list[int]) -> None:
    initializers(model)[name].CopyFrom(numpy_helper.from_array(np.array(values), name))
