from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from dwpose_infer.errors import ModelFormatError
from dwpose_infer.export.deploy import to_deploy_detector, to_deploy_pose
from dwpose_infer.export.fp16 import store_weights_fp16, to_mixed_fp16
from dwpose_infer.export.precision_graph import restore_weights_fp32
from dwpose_infer.export.running import GraphRunner
from small_networks import small_pose_network, small_samples

REDUCTIONS = ("ReduceL2", "GlobalAveragePool", "ArgMax", "TopK", "Div", "Exp", "GatherElements")


def result_types(model):
    """Element type of each node's first output, by node."""
    graph = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
    types = {value.name: value.type.tensor_type.elem_type for value in graph.value_info}
    types |= {value.name: value.type.tensor_type.elem_type for value in graph.output}
    return [(node, types[node.output[0]]) for node in graph.node]


def precision_of(model, operator):
    return {kind for node, kind in result_types(model) if node.op_type == operator}


def interface(model):
    return [
        (value.name, value.type.SerializeToString())
        for value in (*model.graph.input, *model.graph.output)
    ]


def stored(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


@pytest.fixture(scope="module")
def mixed():
    return to_mixed_fp16(small_pose_network())


def test_stored_weights_are_the_rounded_ones():
    model = small_pose_network()
    small = store_weights_fp16(model)
    half = stored(small)["conv1_weight/fp16"]
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, stored(model)["conv1_weight"].astype(np.float16))
    assert "conv1_weight" not in stored(small)
    assert stored(small)["conv1_bias"].dtype == np.float32  # tiny


def test_stored_weights_compute_in_float32_with_rounded_weights():
    model = small_pose_network()
    small = store_weights_fp16(model)
    halved = {name for name, value in stored(small).items() if value.dtype == np.float16}
    for tensor in model.graph.initializer:
        if tensor.name + "/fp16" in halved:
            rounded = numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))
    (sample,) = small_samples(1)
    with GraphRunner(small) as run, GraphRunner(model) as run_rounded:
        actual, expected = run(sample), run_rounded(sample)
    for name in expected:
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-6, atol=1e-6)


def test_storing_halves_the_bundled_network_and_can_be_undone(pose_source):
    full = restore_weights_fp32(pose_source.model)
    small = store_weights_fp16(full)
    assert len(small.SerializeToString()) < 0.52 * len(full.SerializeToString())
    onnx.checker.check_model(small, full_check=True)
    assert interface(small) == interface(full)
    again = stored(restore_weights_fp32(small))
    assert again.keys() == stored(full).keys()
    for name, value in stored(full).items():
        np.testing.assert_allclose(again[name], value, rtol=2**-11, atol=2**-24)


def test_weights_handed_on_by_identity_become_stored_tensors():
    model = small_pose_network()
    handed_on = onnx.helper.make_node("Identity", ["conv0_bias"], ["same_bias"])
    model.graph.node.insert(0, handed_on)
    (conv,) = (node for node in model.graph.node if node.name == "c1")
    conv.input[2] = "same_bias"
    restored = restore_weights_fp32(model)
    assert not any(node.op_type == "Identity" for node in restored.graph.node)
    np.testing.assert_array_equal(stored(restored)["same_bias"], stored(model)["conv0_bias"])


@pytest.mark.parametrize("value", [70_000.0, -np.inf, np.nan])
@pytest.mark.parametrize("convert", [store_weights_fp16, to_mixed_fp16])
def test_weights_beyond_the_range_are_refused(convert, value):
    model = small_pose_network()
    (weight,) = (tensor for tensor in model.graph.initializer if tensor.name == "conv1_weight")
    changed = numpy_helper.to_array(weight).copy()
    changed[0, 0, 0, 0] = value
    weight.CopyFrom(numpy_helper.from_array(changed, weight.name))
    with pytest.raises(ModelFormatError, match="conv1_weight"):
        convert(model)


def test_the_given_model_is_left_alone():
    model = small_pose_network()
    before = model.SerializeToString(deterministic=True)
    store_weights_fp16(model)
    to_mixed_fp16(model)
    assert model.SerializeToString(deterministic=True) == before


def test_each_node_computes_in_its_precision(mixed):
    half = {
        node.output[0]
        for node, kind in result_types(mixed)
        if kind == TensorProto.FLOAT16 and node.op_type != "Cast"
    }
    convolutions = {"c0", "c1", "c2", "gate_logit", "c3", "maps"}
    between = {"s0", "a0", "s1", "a1", "s2", "a2", "joined", "gate", "gated", "s3", "a3", "flat"}
    assert half == convolutions | between | {"tokens", "value"}


def test_products_that_are_not_bounded_stay_in_float32(mixed):
    full = {node.output[0] for node, kind in result_types(mixed) if kind == TensorProto.FLOAT}
    assert {"affinity", "attention", "mixed", "updated", "simcc_x", "simcc_y"} <= full
    assert {"length", "rms", "normed", "pooled"} <= full


def test_casts_stand_only_where_the_precision_changes(mixed):
    kinds = {node.output[0]: kind for node, kind in result_types(mixed)}
    kinds |= {value.name: value.type.tensor_type.elem_type for value in mixed.graph.input}
    casts = [node for node in mixed.graph.node if node.op_type == "Cast"]
    produced_by_cast = {node.output[0] for node in casts}
    for node in casts:
        assert kinds[node.input[0]] != kinds[node.output[0]]
        assert node.input[0] not in produced_by_cast
    pairs = [(node.input[0], kinds[node.output[0]]) for node in casts]
    assert len(set(pairs)) == len(pairs)


def test_a_square_before_a_reduction_stays_in_float32():
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    g (float[1, 2, 4] x) => (float[1, 2, 4] y)
    <float[4, 4] a = {1,0,0,0, 0,1,0,0, 0,0,1,0, 0,0,0,1},
     float[4, 4] b = {1,0,0,0, 0,1,0,0, 0,0,1,0, 0,0,0,1}>
    {
        p = MatMul (x, a)
        double = Add (p, p)
        square = Mul (double, double)
        axes = Constant <value = int64[1] {-1}> ()
        sum = ReduceSum (square, axes)
        root = Sqrt (sum)
        unit = Div (double, root)
        y = MatMul (unit, b)
    }
    """
    kinds = {
        node.output[0]: kind
        for node, kind in result_types(to_mixed_fp16(onnx.parser.parse_model(text)))
    }
    assert kinds["double"] == TensorProto.FLOAT16
    assert all(kinds[name] == TensorProto.FLOAT for name in ("square", "sum", "root", "unit", "y"))


def test_mixed_results_are_close_on_a_small_network(mixed):
    with GraphRunner(mixed) as run, GraphRunner(small_pose_network()) as run_full:
        for sample in small_samples(8):
            actual, expected = run(sample), run_full(sample)
            for name, reference in expected.items():
                assert actual[name].dtype == np.float32
                limit = 5e-3 * np.abs(reference).max()
                assert np.abs(actual[name] - reference).max() < limit


@pytest.mark.parametrize("form", ["official", "deploy"])
@pytest.mark.parametrize("kind", ["pose", "detector"])
def test_both_networks_in_both_forms(kind, form, pose_source, detector_source, noise):
    source = pose_source if kind == "pose" else detector_source
    model = source.model
    if form == "deploy":
        model = to_deploy_pose(model) if kind == "pose" else to_deploy_detector(model)
    result = to_mixed_fp16(model)
    onnx.checker.check_model(result, full_check=True)
    assert interface(result) == interface(model)
    assert precision_of(result, "Conv") == {TensorProto.FLOAT16}
    for operator in REDUCTIONS:
        assert TensorProto.FLOAT16 not in precision_of(result, operator)
    half = [t for t in result.graph.initializer if t.data_type == TensorProto.FLOAT16]
    assert len(half) > 30
    assert len(result.SerializeToString()) < 0.7 * len(
        restore_weights_fp32(model).SerializeToString()
    )


@pytest.mark.slow
def test_mixed_bundled_pose_network_keeps_its_simcc(pose_source, astronaut):
    import cv2

    from dwpose_infer.estimator import MEAN_RGB, STD_RGB

    picture = cv2.resize(cv2.imread(str(astronaut)), pose_source.input_size_wh)
    planes = ((picture[..., ::-1] - np.array(MEAN_RGB)) / np.array(STD_RGB)).transpose(2, 0, 1)
    sample = {"input": planes[None].astype(np.float32)}
    with (
        GraphRunner(to_mixed_fp16(pose_source.model)) as run,
        GraphRunner(pose_source.model) as ref,
    ):
        actual, expected = run(sample), ref(sample)
    for name, reference in expected.items():
        assert np.abs(actual[name] - reference).max() < 0.01 * np.abs(reference).max()
        moved = np.abs(actual[name].argmax(-1) - reference.argmax(-1))
        assert np.percentile(moved, 95) <= 1


def test_a_network_in_half_precision_is_refused(mixed):
    with pytest.raises(ModelFormatError, match="half precision already"):
        to_mixed_fp16(mixed)


def test_types_that_do_not_fit_are_refused():
    model = small_pose_network()
    (bias,) = (tensor for tensor in model.graph.initializer if tensor.name == "conv0_bias")
    bias.CopyFrom(
        numpy_helper.from_array(numpy_helper.to_array(bias).astype(np.float64), bias.name)
    )
    with pytest.raises(ModelFormatError, match="types"):
        to_mixed_fp16(model)


def test_branches_are_refused():
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    g (bool c, float[1] x) => (float[1] y)
    {
        y = If (c) <then_branch = t () => (float[1] u) { u = Identity (x) },
                    else_branch = e () => (float[1] v) { v = Neg (x) }>
    }
    """
    with pytest.raises(ModelFormatError, match="branches"):
        to_mixed_fp16(onnx.parser.parse_model(text))
