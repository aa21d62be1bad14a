from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dwpose_infer.export.exporter import ExportOptions, convert
from dwpose_infer.export.padded_columns import join_columns, split_columns
from dwpose_infer.export.running import GraphRunner
from dwpose_infer.export.serving_device import ServingDevice

HEADS = {
    "t": (384, 8, 6),
    "s": (512, 8, 6),
    "m": (768, 8, 6),
    "l": (1024, 8, 6),
    "l-384": (1024, 12, 9),
}
"""Channels, height and width of the map that the last convolution of each network gets."""


def convolution(channels, height, width, *, kernel=(7, 7), points=133, **attributes):
    """A graph of one convolution that keeps the size of its map, as the head of the networks."""
    random = np.random.default_rng(7)
    shape = (points, channels // attributes.get("group", 1), *kernel)
    weight = random.standard_normal(shape, np.float32) / np.sqrt(np.prod(shape[1:]))
    bias = random.standard_normal(points, np.float32)
    pads = [side // 2 for side in kernel] * 2
    node = helper.make_node(
        "Conv", ["map", "weight", "bias"], ["sums"], "head", kernel_shape=kernel, pads=pads,
        **attributes,
    )  # fmt: skip
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", count, height, width])
        for name, count in (("map", channels), ("sums", points))
    ]
    stored = [
        numpy_helper.from_array(weight.astype(np.float32), "weight"),
        numpy_helper.from_array(bias, "bias"),
    ]
    graph = helper.make_graph([node], "graph", ends[:1], ends[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def operators(model):
    return [node.op_type for node in model.graph.node]


@pytest.mark.slow
@pytest.mark.parametrize("size", HEADS)
def test_the_heads_of_all_networks_are_equal_up_to_rounding(size):
    model = convolution(*HEADS[size])
    apart = split_columns(model)
    onnx.checker.check_model(apart, full_check=True)
    assert operators(apart).count("Conv") == 7
    assert operators(model) == ["Conv"]
    maps = np.random.default_rng(8).standard_normal((3, *HEADS[size]), np.float32)
    with GraphRunner(model) as whole, GraphRunner(apart) as sums:
        expected, found = whole({"map": maps})["sums"], sums({"map": maps})["sums"]
    assert np.abs(expected).max() > 3
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_every_place_of_the_kernel_keeps_its_place():
    """A single pixel through a kernel of different numbers, against sums written out."""
    model = convolution(1, 3, 2, kernel=(3, 3), points=1)
    kernel, bias = (numpy_helper.to_array(each) for each in model.graph.initializer)
    with GraphRunner(split_columns(model)) as sums:
        for row, column in np.ndindex(3, 2):
            pixel = np.zeros((1, 1, 3, 2), np.float32)
            pixel[0, 0, row, column] = 1
            expected = np.full((3, 2), bias[0])
            for y, x in np.ndindex(3, 2):
                if abs(row - y) <= 1:
                    expected[y, x] += kernel[0, 0, row - y + 1, column - x + 1]
            np.testing.assert_allclose(sums({"map": pixel})["sums"][0, 0], expected, atol=1e-6)


@pytest.mark.parametrize("kernel", [(7, 7), (5, 13), (1, 3)])
def test_joined_it_is_the_same_convolution(kernel):
    model = convolution(4, 8, 4, kernel=kernel, points=3)
    joined = split_columns(model)
    assert operators(joined) != ["Conv"]
    join_columns(joined)
    assert operators(joined) == ["Conv"]
    assert joined.graph.node[0].name == "head"
    weight, bias = (
        numpy_helper.to_array(next(each for each in joined.graph.initializer if each.name == name))
        for name in ("weight", "bias")
    )
    expected, expected_bias = (numpy_helper.to_array(each) for each in model.graph.initializer)
    unread = max(0, kernel[1] // 2 - 3)  # a map 4 wide is never met from further away than 3
    np.testing.assert_array_equal(weight, expected[..., unread : kernel[1] - unread])
    np.testing.assert_array_equal(bias, expected_bias)


@pytest.mark.parametrize(
    ("width", "attributes"),
    [
        (40, {}),  # few taps on padding
        (6, {"strides": [2, 2]}),
        (6, {"dilations": [2, 2]}),
        (6, {"group": 2}),
    ],
)
def test_other_convolutions_stay_whole(width, attributes):
    model = convolution(4, 8, width, points=2, **attributes)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    assert operators(split_columns(model)) == ["Conv"]


def test_a_map_of_unknown_width_stays_whole():
    model = convolution(4, 8, 6, points=2)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[3].dim_param = "width"
    assert operators(split_columns(model)) == ["Conv"]


def test_a_network_in_deploy_form_and_back(pose_source, noise):
    whole = convert(pose_source, ExportOptions(whole_kernels=True))
    apart = convert(pose_source, ExportOptions())
    assert operators(apart).count("Conv") == operators(whole).count("Conv") + 6
    crops = noise(pose_source, 3)
    with GraphRunner(whole) as one, GraphRunner(apart) as other:
        expected, found = one({"crops": crops}), other({"crops": crops})
    np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-5)
    assert (found["keypoints"] == expected["keypoints"]).mean() > 0.99  # the rest are ties
    join_columns(apart)
    for before, after in zip(whole.graph.node, apart.graph.node, strict=True):
        assert (before.op_type, before.input, before.output) == (
            after.op_type, after.input, after.output,
        )  # fmt: skip
    stored = {each.name: each for each in apart.graph.initializer}
    assert {each.name: each for each in whole.graph.initializer} == stored


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16-stored", "fp16"])
def test_only_what_cpus_run_is_taken_apart(pose_source, precision):
    count = operators(pose_source.model).count("Conv")
    model = convert(pose_source, ExportOptions(precision=precision))
    assert operators(model).count("Conv") == count + 6 * (precision == "fp16-stored")
    for options in (
        ExportOptions(precision=precision, form="official"),
        ExportOptions(precision=precision, serving=ServingDevice(device="cuda")),
    ):
        assert operators(convert(pose_source, options)).count("Conv") == count


def test_a_bundled_file_becomes_whole_in_official_form(pose_source):
    """The bundled files are taken apart themselves; what is read from them is not."""
    from dwpose_infer import zoo

    bundled = onnx.load(zoo.resolve_model("dwpose-t-bundled"))
    count = operators(bundled).count("Conv")
    assert operators(pose_source.model).count("Conv") == count - 6
