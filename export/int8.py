"""Eight-bit integers for CPUs: static quantisation with measured ranges, heads left in float.

ONNX Runtime's quantiser writes the graph (Quantize and Dequantize pairs around the chosen nodes);
here is decided which nodes, from the structure of the graph and not from names:

* Integers stand between the first and the last convolutions. The first two in a row stay in
  float32, and so does the last one on the way to each output with everything after it: for
  DWPose the 7x7 convolution of the head with ScaleNorm, attention and SimCC, for YOLOX the 1x1
  predictions with their decoding. Measured why: quantised alone, on a
  trained DWPose-t, each product of the head changes the SimCC values by 1 to 4 percent and its
  convolution by 0.9, each of the first two convolutions by 1.0 to 1.3, and one in the middle by
  0.2 to 0.8 (one reaches 1.1). The first two cost no time in float.
* The result of a node that only float nodes read is not rounded to 8 bits at all.
* Activations between the convolutions are integer too: DWPose-l with its SiLUs in float between
  integer convolutions took 1.35 times as long, most of it in conversions.

Weights are signed with a scale per output channel, activations unsigned with a zero point: the
pairing that ONNX Runtime's kernels for x86 with VNNI are made for.

A network that was trained with these roundings (`models.quantized_dwpose`) comes with the grid of
every rounded result: its graph has a QuantizeLinear and a DequantizeLinear there.
`quantize_trained` takes exactly these grids; nothing is measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import onnx
from onnx import numpy_helper

from ..arrays import Array
from ..errors import InvalidArgumentError, ModelFormatError
from .graph import initializers, remove_unused, replace_nodes
from .precision_graph import PRODUCTS, copy_of, downstream, key_of, upstream
from .precision_quantizer import (
    QUANTIZED_OPERATORS,
    Grid,
    checked_samples,
    measure_ranges,
    prepare,
    quantized,
)

CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})

FIRST_CONVOLUTIONS = 2
"""Convolutions in a row that stay in float at the beginning: they see 3 and a few dozen channels,
so integers gain no time there."""


def quantize_int8(
    model: onnx.ModelProto,
    calibration: Iterable[Mapping[str, Array]],
    *,
    keep_float: Sequence[str] | None = None,
) -> onnx.ModelProto:
    """Makes a model that computes in 8-bit integers where `float_nodes` does not forbid it.

    Args:
        model: A float32 model of either network, in official or in deploy form. It is left as it
            is. Weights stored in 16 bits are fine.
        calibration: Samples that stand for what the model will see, each as the model takes it:
            input name -> array of any batch size. A hundred varied pictures are enough.
        keep_float: Names of the nodes to leave in float32; None chooses by `float_nodes`. Nodes
            before the first and after the last convolution or product stay so anyway.

    Returns:
        A model with QuantizeLinear and DequantizeLinear around the chosen nodes. Inputs and
        outputs keep names, types and shapes.

    Raises:
        InvalidArgumentError: There is no sample, a sample does not fit the inputs or holds
            something that is not a number, or `keep_float` names no node.
        ModelFormatError: The model is too old, computes in half precision, or ONNX Runtime
            cannot run it.
        MissingDependencyError: ONNX Runtime is not installed.
    """
    prepared = prepare(model)
    samples = checked_samples(prepared, calibration)
    kept = float_nodes(prepared) if keep_float is None else list(keep_float)
    names = {node.name for node in prepared.graph.node}
    unknown = [name for name in kept if name not in names]
    if unknown:
        raise InvalidArgumentError(f"the graph has no node {unknown[0]!r} to keep in float")
    chosen = _integer_nodes(prepared, kept)
    result = quantized(prepared, measure_ranges(prepared, samples), chosen)
    onnx.checker.check_model(result, full_check=True)
    return result


def quantize_trained(model: onnx.ModelProto) -> onnx.ModelProto:
    """Makes the int8 model of a network that was trained for it.

    Args:
        model: In official or in deploy form, with the marks that `has_trained_grids` finds.

    Returns:
        As `quantize_int8` returns it, with the trained scales and zero points.

    Raises:
        ModelFormatError: The marks are not where the exporter rounds, so the network was trained
            for another arrangement; or as for `quantize_int8`.
        MissingDependencyError: ONNX Runtime is not installed.
    """
    plain, grids = take_trained_grids(model)
    prepared = prepare(plain)
    chosen = _integer_nodes(prepared, float_nodes(prepared))
    result = quantized(prepared, grids, chosen)
    _require_same_grids(result, grids)
    onnx.checker.check_model(result, full_check=True)
    return result


def has_trained_grids(model: onnx.ModelProto) -> bool:
    """Tells whether the graph of a checkpoint is of a network that was trained for int8."""
    return any(node.op_type == "QuantizeLinear" for node in model.graph.node)


def take_trained_grids(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, Grid]]:
    """Takes the marks out of a graph.

    Returns:
        The float model, and tensor -> the grid that its mark says.
    """
    result = copy_of(model)
    stored = initializers(result)
    grids: dict[str, Grid] = {}
    plain_names: dict[str, str] = {}
    kept = []
    for node in result.graph.node:
        if node.op_type == "QuantizeLinear":
            tensor, scale, zero_point = node.input
            grids[tensor] = Grid(
                numpy_helper.to_array(stored[scale]), numpy_helper.to_array(stored[zero_point])
            )
            plain_names[node.output[0]] = tensor
        elif node.op_type == "DequantizeLinear":
            plain_names[node.output[0]] = plain_names[node.input[0]]
        else:
            for index, name in enumerate(node.input):
                node.input[index] = plain_names.get(name, name)
            kept.append(node)
    replace_nodes(result, kept)
    remove_unused(result)
    return result, grids


def _require_same_grids(result: onnx.ModelProto, grids: Mapping[str, Grid]) -> None:
    """Makes sure that what is rounded is what was trained so."""
    stored = initializers(result)
    found = {}
    for node in result.graph.node:
        if node.op_type == "QuantizeLinear":
            scale, zero_point = (numpy_helper.to_array(stored[name]) for name in node.input[1:])
            found[node.input[0]] = Grid(scale, zero_point)
    missing = sorted(set(grids) - set(found))
    # Maxima are rounded on their input's grid, which changes nothing.
    known = {(float(grid.scale), int(grid.zero_point)) for grid in grids.values()}
    strange = sorted(
        name
        for name, grid in found.items()
        if (float(grid.scale), int(grid.zero_point)) not in known
        or (name in grids and grid != grids[name])
    )
    if missing or strange:
        raise ModelFormatError(
            "the network was trained with other roundings than the exporter makes: of "
            f"{len(grids)} trained ones {len(missing)} are missing and {len(strange)} others are "
            f"there ({', '.join([*missing, *strange][:3])}); it may be of another version"
        )


def float_nodes(model: onnx.ModelProto) -> list[str]:
    """Finds the nodes that are to stay in float32: around the first and the last convolutions.

    Args:
        model: A model whose nodes have names.

    Returns:
        Names of the nodes up to the second convolution in a row with its activation, and of
        those from which no further convolution is reached; of all nodes if the model has no
        convolution.
    """
    nodes = list(model.graph.node)
    convolutions = {key_of(node) for node in nodes if node.op_type in CONVOLUTIONS}
    inner = upstream(nodes, convolutions)
    depths: dict[str, int] = {}  # tensor -> convolutions in a row before it
    kept = []
    for node in nodes:
        depth = max((depths.get(name, 0) for name in node.input), default=0)
        depth += node.op_type in CONVOLUTIONS
        depths.update(dict.fromkeys(node.output, depth))
        if depth <= FIRST_CONVOLUTIONS or key_of(node) not in inner:
            kept.append(node.name)
    return kept


def _integer_nodes(model: onnx.ModelProto, kept: Sequence[str]) -> list[str]:
    """Names of the nodes to quantise, given those that must not be."""
    nodes = list(model.graph.node)
    stored = initializers(model)
    products = {
        key_of(node) for node in nodes if node.op_type in PRODUCTS and node.input[1] in stored
    }
    between = downstream(nodes, products) & upstream(nodes, products)
    forbidden = set(kept)
    chosen: list[str] = []
    read_as_integers: set[str] = set()
    for node in reversed(nodes):
        possible = node.op_type in QUANTIZED_OPERATORS and node.name not in forbidden
        inside = key_of(node) in between and not read_as_integers.isdisjoint(node.output)
        if possible and (key_of(node) in products or inside):
            chosen.append(node.name)
            read_as_integers.update(node.input)
    return chosen
