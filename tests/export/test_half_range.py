from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

from dwpose_infer.export.exporter import ExportOptions, convert
from dwpose_infer.export.fp16 import LARGEST_ON_PICTURES, measure_half_range, to_mixed_fp16
from dwpose_infer.export.precision_graph import copy_of
from small_networks import small_pose_network, small_samples


def scaled(model, weight, factor):
    """A copy of a model, one of whose weights is larger."""
    larger = copy_of(model)
    (tensor,) = [each for each in larger.graph.initializer if each.name == weight]
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * factor, weight))
    return larger


def run_reference(model, samples):
    with np.errstate(all="ignore"):
        return ReferenceEvaluator(model).run(None, {"input": samples})


@pytest.fixture
def samples():
    return np.concatenate([sample["input"] for sample in small_samples(6)])


@pytest.fixture
def large_model():
    return scaled(small_pose_network(), "conv1_weight", np.float32(5e4))


def test_the_largest_number_is_that_of_the_float32_graph(samples):
    model = small_pose_network()
    found = measure_half_range(model, samples)
    opened = copy_of(model)
    opened.graph.output.append(onnx.ValueInfoProto(name=found.tensor))
    values = ReferenceEvaluator(opened).run([found.tensor], {"input": samples})[0]
    assert found.largest == pytest.approx(np.abs(values).max(), rel=1e-5)
    assert found.too_large == {}


def test_what_would_overflow_on_a_gpu_stays_in_float32(samples, large_model):
    """The reference of onnx rounds every tensor of half precision, as a GPU does."""
    found = measure_half_range(large_model, samples)
    assert found.largest > LARGEST_ON_PICTURES
    assert {"c1", "a1"} <= set(found.too_large)
    assert "c0" not in found.too_large
    expected = run_reference(large_model, samples)
    assert not np.isfinite(run_reference(to_mixed_fp16(large_model), samples)[0]).all()
    island = to_mixed_fp16(large_model, too_large=found.too_large)
    for reference, values in zip(expected, run_reference(island, samples), strict=True):
        assert np.abs(values - reference).max() < 0.02 * np.abs(reference).max()
    inferred = onnx.shape_inference.infer_shapes(island).graph.value_info
    types = {value.name: value.type.tensor_type.elem_type for value in inferred}
    assert (types["c0"], types["c1"]) == (TensorProto.FLOAT16, TensorProto.FLOAT)


@pytest.mark.slow
def test_exports_look_for_it_and_say_so(pose_source):
    options = ExportOptions(precision="fp16", form="official")
    said = []
    convert(pose_source, options, progress=said.append)
    assert said == []
    convolution = next(node for node in pose_source.model.graph.node if node.op_type == "Conv")
    large = replace(pose_source, model=scaled(pose_source.model, convolution.input[1], 3e3))
    convert(large, options, progress=said.append)
    (line,) = said
    assert "half precision ends at 65,504" in line
    assert "stays in float32" in line
