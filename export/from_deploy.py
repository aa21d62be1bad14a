"""Deploy form -> official form: what `deploy` put around a network is taken off again.

So a file in deploy form, such as the bundled models, can be a source like any other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from ..arrays import Array
from ..errors import ModelFormatError
from ..estimator import MEAN_RGB, STD_RGB
from ..simcc import SPLIT_RATIO
from ..zoo import ModelKind
from .deploy import DEPLOY_INPUTS
from .graph import (
    BATCH,
    consumers,
    initializers,
    network_inputs,
    points_of,
    remove_unused,
    rename_tensor,
    replace_nodes,
    shape_of,
    tensor_info,
)
from .metadata import forget_facts, read_facts
from .padded_columns import join_columns
from .running import GraphRunner

OFFICIAL_INPUTS = {"pose": "input", "detector": "images"}
OFFICIAL_OUTPUTS = {"pose": ("simcc_x", "simcc_y"), "detector": ("output",)}

_BEFORE = "preprocess/"


def deploy_kind(model: onnx.ModelProto) -> ModelKind | None:
    """Tells by its outputs whether a model is in deploy form, and of which kind it is."""
    outputs = {value.name for value in model.graph.output}
    if outputs == {"keypoints", "scores"}:
        return "pose"
    return "detector" if outputs == {"boxes_xyxy", "scores"} else None


def to_official(deploy: onnx.ModelProto, kind: ModelKind) -> onnx.ModelProto:
    """Takes preprocessing and decoding off a graph that this package's exporter wrote.

    Args:
        deploy: A graph in deploy form whose weights are plain float32 tensors.
        kind: What it is, from `deploy_kind`.

    Returns:
        The network in official form: `input` -> `simcc_x`, `simcc_y`, or `images` -> `output`.

    Raises:
        ModelFormatError: The graph was not written by this exporter, or it computes in half
            precision or integers, which cannot be undone.
    """
    require_reversible(deploy)
    model = onnx.ModelProto()
    model.CopyFrom(deploy)
    del model.graph.value_info[:]
    facts = read_facts({entry.key: entry.value for entry in model.metadata_props})
    forget_facts(model)
    (fed,) = network_inputs(model)
    batch, height, width, _ = shape_of(fed)
    if facts is not None and (height is None or width is None):
        width, height = facts.input_size_wh  # a detector that takes any: this is its own size
    if height is None or width is None:
        raise ModelFormatError(f"the input {fed.name} has no fixed height and width")
    points = points_of(model) if kind == "pose" else 0
    outputs = OFFICIAL_OUTPUTS[kind]
    if not set(outputs) <= {name for node in model.graph.node for name in node.output}:
        raise ModelFormatError(f"the graph has no tensors {' and '.join(outputs)}")
    del model.graph.output[:]
    model.graph.output.extend(_output(name, kind, width, height, points) for name in outputs)
    if kind == "pose":
        join_columns(model)
        _restore_first_convolution(model)
    else:
        _disconnect(model)
        rename_tensor(model, f"{_BEFORE}planes", "images")
    official_input = OFFICIAL_INPUTS[kind]
    before = [node for node in model.graph.node if node.output[0] == official_input]
    replace_nodes(model, [node for node in model.graph.node if node not in before])
    del model.graph.input[:]
    sides = (BATCH if batch is None else batch, 3, height, width)
    model.graph.input.append(tensor_info(official_input, TensorProto.FLOAT, sides))
    remove_unused(model)
    inferred: onnx.ModelProto = shape_inference.infer_shapes(model, strict_mode=True)
    del inferred.graph.value_info[:]
    for value in inferred.graph.output:
        first = value.type.tensor_type.shape.dim[0]
        first.CopyFrom(inferred.graph.input[0].type.tensor_type.shape.dim[0])
    onnx.checker.check_model(inferred, full_check=True)
    return inferred


def deploy_reference(
    deploy: onnx.ModelProto, kind: ModelKind
) -> Callable[[Array], dict[str, Array]]:
    """Returns a function that runs a deploy graph on official inputs.

    It gives the raw outputs inside the graph for (N, 3, H, W) float32 inputs that were made
    from pictures; the pictures' bytes are restored exactly.
    """
    opened = onnx.ModelProto()
    opened.CopyFrom(deploy)
    outputs = OFFICIAL_OUTPUTS[kind]
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    run = GraphRunner(opened)
    name = DEPLOY_INPUTS[kind]

    def reference(inputs: Array) -> dict[str, Array]:
        values = inputs.transpose(0, 2, 3, 1).astype(np.float64)
        if kind == "pose":
            values = (values * STD_RGB + MEAN_RGB)[..., ::-1]
        pictures = np.ascontiguousarray(np.rint(values).clip(0, 255).astype(np.uint8))
        found = run({name: pictures})
        return {output: found[output] for output in outputs}

    return reference


def require_reversible(model: onnx.ModelProto) -> None:
    """Raises unless the exporter wrote the graph in a precision that keeps the weights.

    Raises:
        ModelFormatError: It did not.
    """
    facts = read_facts({entry.key: entry.value for entry in model.metadata_props})
    if facts is None:
        raise ModelFormatError(
            "the model is in deploy form but was not written by dwpose-export; export from the "
            "checkpoint or from the file in official form"
        )
    if facts.precision not in ("fp32", "fp16-stored"):
        raise ModelFormatError(
            f"the model computes in {facts.precision}, which cannot be undone; export from the "
            "checkpoint, or from a file in fp32 or fp16-stored"
        )


def _output(
    name: str, kind: ModelKind, width: int, height: int, points: int
) -> onnx.ValueInfoProto:
    if kind == "detector":
        return onnx.ValueInfoProto(name=name)  # its sizes come from shape inference
    bins = int((width if name == "simcc_x" else height) * SPLIT_RATIO)
    return tensor_info(name, TensorProto.FLOAT, (BATCH, points, bins))


def _disconnect(model: onnx.ModelProto) -> None:
    """Drops the nodes that make the detector's planes, whose name the input will take."""
    kept = [node for node in model.graph.node if not node.output[0].startswith(_BEFORE)]
    replace_nodes(model, kept)


def _restore_first_convolution(model: onnx.ModelProto) -> None:
    """Undoes `deploy`'s rewriting of the first convolution to rows of interleaved pixels."""
    normalised = f"{_BEFORE}normalised"
    readers = [node for node in consumers(model, normalised) if node.op_type == "Conv"]
    if not readers:
        return  # the planes form: `input` is made by a node, which is dropped
    (first,) = readers
    weight = initializers(model)[first.input[1]]
    rows = numpy_helper.to_array(weight)  # (out, 1, high, 3 * wide), pixels interleaved BGR
    out_channels, _, high, wide = rows.shape
    kernel = rows.reshape(out_channels, high, wide // 3, 3).transpose(0, 3, 1, 2)[:, ::-1]
    weight.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(kernel), weight.name))
    attributes = {entry.name: helper.get_attribute_value(entry) for entry in first.attribute}
    down, across = attributes["strides"]
    top, left, bottom, right = attributes["pads"]
    del first.attribute[:]
    for name, values in (
        ("kernel_shape", [high, wide // 3]),
        ("strides", [down, across // 3]),
        ("pads", [top, left // 3, bottom, right // 3]),
    ):
        first.attribute.append(helper.make_attribute(name, values))
    first.input[0] = OFFICIAL_INPUTS["pose"]
