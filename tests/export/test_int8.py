from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from dwpose_infer.errors import InvalidArgumentError, ModelFormatError
from dwpose_infer.export.deploy import to_deploy_pose
from dwpose_infer.export.fp16 import store_weights_fp16
from dwpose_infer.export.int8 import float_nodes, quantize_int8
from dwpose_infer.export.running import GraphRunner
from small_networks import small_pose_network, small_samples

INTEGER = {"c2", "gate_logit", "c3"}
FLOAT = {"c0", "c1", "maps", "tokens", "value", "affinity", "mixed", "updated"}


def integer_nodes(model):
    """Names of the nodes that read and give integers only."""
    rounded = {node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    made_by = {name: node.op_type for node in model.graph.node for name in node.output}
    return {
        node.name
        for node in model.graph.node
        if node.op_type in ("Conv", "MatMul", "Sigmoid", "Mul", "Add", "GlobalAveragePool")
        and all(made_by.get(name) == "DequantizeLinear" for name in node.input)
        and node.output[0] in rounded
    }


def outputs_of(model, samples):
    with GraphRunner(model) as run:
        parts = [run(sample) for sample in samples]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def relative_error(actual, expected):
    return max(
        np.sqrt(np.mean((actual[name] - expected[name]) ** 2) / np.mean(expected[name] ** 2))
        for name in expected
    )


@pytest.fixture(scope="module")
def quantized():
    return quantize_int8(small_pose_network(), small_samples(16))


def test_float_nodes_are_the_first_and_the_last():
    kept = set(float_nodes(small_pose_network()))
    assert FLOAT | {"simcc_x", "simcc_y", "s0", "a0", "s1", "a1", "length"} <= kept
    assert not INTEGER & kept


def test_integers_stand_around_the_chosen_nodes_only(quantized):
    integers = integer_nodes(quantized)
    assert INTEGER | {"s2", "a2", "joined", "pooled", "gated"} <= integers
    assert not (FLOAT | {"simcc_x", "simcc_y"}) & integers
    # Read by nothing but the float head: rounding it would only add an error.
    assert not {"s3", "a3"} & integers


def test_weights_are_signed_per_channel_and_activations_unsigned(quantized):
    stored = {tensor.name: tensor for tensor in quantized.graph.initializer}
    (conv,) = (node for node in quantized.graph.node if node.name == "c2")
    made_by = {node.output[0]: node for node in quantized.graph.node}
    weight, scale, _ = (stored[name] for name in made_by[conv.input[1]].input)
    assert weight.data_type == TensorProto.INT8
    assert list(scale.dims) == [8]
    assert stored[made_by[conv.input[0]].input[2]].data_type == TensorProto.UINT8


def test_the_error_is_small(quantized):
    samples = small_samples(8, seed=6)
    expected = outputs_of(small_pose_network(), samples)
    assert 0 < relative_error(outputs_of(quantized, samples), expected) < 0.05


def test_interface_and_given_model_are_kept(quantized):
    model = small_pose_network()
    before = model.SerializeToString(deterministic=True)
    onnx.checker.check_model(quantized, full_check=True)
    for ours, given in ((quantized.graph.input, model.graph.input),
                        (quantized.graph.output, model.graph.output)):  # fmt: skip
        assert [value.SerializeToString() for value in ours] == [
            value.SerializeToString() for value in given
        ]
    quantize_int8(model, small_samples(1))
    assert model.SerializeToString(deterministic=True) == before


def test_nodes_can_be_kept_in_float_by_name():
    result = quantize_int8(small_pose_network(), small_samples(2), keep_float=["c2", "s2", "a2"])
    integers = integer_nodes(result)
    assert not {"c2", "s2", "a2"} & integers
    assert {"c1", "c3"} <= integers  # the default no longer counts


def test_weights_stored_in_16_bits_and_several_samples_in_one_array_are_fine(quantized):
    samples = small_samples(16)
    batch = [{"input": np.concatenate([sample["input"] for sample in samples])}]
    result = quantize_int8(store_weights_fp16(small_pose_network()), batch)
    assert integer_nodes(result) == integer_nodes(quantized)


@pytest.mark.slow
def test_bundled_pose_network_in_deploy_form(pose_source, noise):
    model = to_deploy_pose(pose_source.model)
    samples = [{"crops": noise(pose_source, 1)} for _ in range(2)]
    result = quantize_int8(model, samples)
    onnx.checker.check_model(result, full_check=True)
    convolutions = [node.name for node in result.graph.node if node.op_type == "Conv"]
    integers = [name for name in convolutions if name in integer_nodes(result)]
    assert len(convolutions) - len(integers) == 3  # two at the beginning, one at the end
    assert len(result.SerializeToString()) < 0.75 * len(
        quantize_int8(model, samples, keep_float=[n.name for n in model.graph.node])
        .SerializeToString()
    )  # fmt: skip
    outputs = outputs_of(result, samples)
    assert outputs["keypoints"].shape == (2, 133, 2)
    assert np.isfinite(outputs["scores"]).all()


def with_channels(sample, channels):
    return {"input": np.repeat(sample["input"][:, :1], channels, axis=1)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda sample: {"other": sample["input"]}, "other"),
        (lambda sample: {"input": sample["input"].astype(np.float64)}, "float64"),
        (lambda sample: {"input": sample["input"][0]}, "float32"),
        (lambda sample: with_channels(sample, 4), "4"),
        (lambda sample: {"input": sample["input"] * np.nan}, "finite"),
        (lambda sample: {"input": sample["input"][:0]}, "0"),
    ],
)
def test_samples_that_do_not_fit_are_refused(change, message):
    (sample,) = small_samples(1)
    with pytest.raises(InvalidArgumentError, match=message):
        quantize_int8(small_pose_network(), [change(sample)])


def test_no_samples_and_unknown_names_are_refused():
    model, samples = small_pose_network(), small_samples(1)
    with pytest.raises(InvalidArgumentError, match="single sample"):
        quantize_int8(model, [])
    with pytest.raises(InvalidArgumentError, match="nowhere"):
        quantize_int8(model, samples, keep_float=["nowhere"])


def test_an_old_operator_set_is_refused():
    model = small_pose_network()
    model.opset_import[0].version = 12
    with pytest.raises(ModelFormatError, match="opset 12"):
        quantize_int8(model, small_samples(1))
