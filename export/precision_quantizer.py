"""Driving ONNX Runtime's quantiser: preparing a graph, measuring ranges, writing integers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper

from ..arrays import Array
from ..errors import InvalidArgumentError, ModelFormatError, needs_extra
from .graph import network_inputs, opset_of, shape_of
from .precision_graph import (
    copy_of,
    drop_listed_weights,
    element_types,
    key_of,
    restore_weights_fp32,
)

QUANTIZED_OPERATORS = (
    *("Conv", "ConvTranspose", "Gemm", "MatMul", "Sigmoid", "Mul", "Add", "Relu", "LeakyRelu"),
    *("Concat", "MaxPool", "GlobalAveragePool", "AveragePool", "Resize"),
    *("Reshape", "Transpose", "Slice", "Split"),
)
"""Operators that ONNX Runtime's CPU provider runs on integers."""

MIN_OPSET = 13  # the first with scales per channel


class Grid(NamedTuple):
    """The integers of a tensor: what QuantizeLinear takes.

    Attributes:
        scale: Step between two integers, float32 scalar.
        zero_point: The integer that stands for 0, uint8 scalar.
    """

    scale: Array
    zero_point: Array


def prepare(model: onnx.ModelProto) -> onnx.ModelProto:
    """Makes a copy with float32 weights, named nodes and the types of all tensors written down.

    Raises:
        ModelFormatError: The model is too old, breaks the rules of ONNX, has branches or loops,
            or computes in half precision.
    """
    if opset_of(model) < MIN_OPSET:
        raise ModelFormatError(
            f"the model is written in opset {opset_of(model)}; int8 needs {MIN_OPSET} or later"
        )
    prepared = restore_weights_fp32(model)
    drop_listed_weights(prepared)
    element_types(prepared)  # refuses what is not float32
    taken: set[str] = set()
    for node in prepared.graph.node:
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{key_of(node)}"
        taken.add(node.name)
    inferred: onnx.ModelProto = onnx.shape_inference.infer_shapes(prepared, strict_mode=True)
    return inferred


def checked_samples(
    model: onnx.ModelProto, calibration: Iterable[Mapping[str, Array]]
) -> list[dict[str, Array]]:
    """Collects the samples, once each of them is known to fit the inputs.

    Raises:
        InvalidArgumentError: There is none, or one has other names, types or shapes than the
            inputs, is empty, or holds something that is not a number.
    """
    expected = {value.name: value for value in network_inputs(model)}
    samples = [dict(sample) for sample in calibration]
    if not samples:
        raise InvalidArgumentError("there is not a single sample to calibrate with")
    for sample in samples:
        if sample.keys() != expected.keys():
            raise InvalidArgumentError(
                f"a calibration sample is for {sorted(sample)}, the inputs are {sorted(expected)}"
            )
        for name, array in sample.items():
            value = expected[name]
            dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
            shape = shape_of(value)
            fits = len(shape) == array.ndim and all(
                side in (None, given) for side, given in zip(shape, array.shape, strict=True)
            )
            if array.dtype != dtype or not fits or not array.size:
                raise InvalidArgumentError(
                    f"a calibration sample for {name} is {array.dtype} {array.shape}, the input "
                    f"is {dtype} {shape}"
                )
            if not np.isfinite(array).all():
                raise InvalidArgumentError(f"a calibration sample for {name} is not finite")
    return samples


class _Reader:
    """Samples in the way that ONNX Runtime's calibration asks for them."""

    def __init__(self, samples: Iterable[dict[str, Array]]) -> None:
        self._samples = iter(samples)

    def get_next(self) -> dict[str, Array] | None:
        return next(self._samples, None)


def measure_ranges(model: onnx.ModelProto, samples: Sequence[dict[str, Array]]) -> Any:
    """Measures the range of every tensor over all samples.

    Returns:
        Smallest and largest values, in the type that ONNX Runtime's quantiser takes.

    Raises:
        MissingDependencyError: ONNX Runtime is not installed.
    """
    quantization = _import_quantization()
    with tempfile.TemporaryDirectory(prefix="dwpose-export-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        calibrator = quantization.create_calibrator(
            path,
            QUANTIZED_OPERATORS,
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
        calibrator.collect_data(_Reader(samples))
        return calibrator.compute_data()


def quantized(
    model: onnx.ModelProto, ranges: Any | Mapping[str, Grid], chosen: Sequence[str]
) -> onnx.ModelProto:
    """Writes the chosen nodes in integers.

    Args:
        model: What `prepare` made; it is left as it is.
        ranges: What `measure_ranges` found for it, or tensor -> the grid it is to have.
        chosen: Names of the nodes; with none of them the result is a copy.

    Raises:
        MissingDependencyError: ONNX Runtime is not installed.
    """
    result = copy_of(model)
    if chosen:  # the quantiser takes an empty list for "all"
        quantization = _import_quantization()
        given: dict[str, Any] = {}
        if isinstance(ranges, dict):
            given["TensorQuantOverrides"] = {
                name: [{"scale": grid.scale, "zero_point": grid.zero_point}]
                for name, grid in ranges.items()
            }
            ranges = _ranges_of(ranges)
        quantizer = quantization.QDQQuantizer(
            result,
            per_channel=True,
            reduce_range=False,
            weight_qType=quantization.QuantType.QInt8,
            activation_qType=quantization.QuantType.QUInt8,
            tensors_range=ranges,
            nodes_to_quantize=list(chosen),
            nodes_to_exclude=[],
            op_types_to_quantize=list(QUANTIZED_OPERATORS),
            extra_options=given,
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
        result = copy_of(quantizer.model.model)
        result.producer_name, result.producer_version = model.producer_name, model.producer_version
    del result.graph.value_info[:]
    return result


def _ranges_of(grids: Mapping[str, Grid]) -> Any:
    """The ranges of grids, in the type that ONNX Runtime's quantiser takes."""
    from onnxruntime.quantization.calibrate import TensorsData

    quantization = _import_quantization()
    ranges = {}
    for name, (scale, zero_point) in grids.items():
        low, high = (np.float32((limit - int(zero_point)) * scale) for limit in (0, 255))
        ranges[name] = (np.array(low), np.array(high))
    return TensorsData(quantization.CalibrationMethod.MinMax, ranges)


def _import_quantization() -> Any:
    with needs_extra("int8 needs ONNX Runtime's quantisation tools", "export"):
        from onnxruntime import quantization
    return quantization
