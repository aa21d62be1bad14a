"""Counts of small graphs are worked out by hand; those of the networks are facts."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from dwpose_infer.benchmarks.complexity.onnx_count import count_file, count_model
from dwpose_infer.errors import ModelFormatError
from dwpose_infer.zoo import find_model

F = np.float32
NODE = helper.make_node


def weights(*shape, dtype=F):
    return np.ones(shape, dtype)


# (nodes, input, output, constants, products, parameters)
SMALL = {
    "convolution": (
        [NODE("Conv", ["x", "w", "b"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1])],
        ["N", 3, 8, 6],
        ["N", 4, 4, 3],
        {"w": weights(4, 3, 3, 3), "b": weights(4)},
        4 * 4 * 3 * 27,
        4 * 27 + 4,
    ),
    "depthwise convolution": (
        [NODE("Conv", ["x", "w"], ["y"], group=6, pads=[2, 2, 2, 2])],
        [1, 6, 5, 7],
        [1, 6, 5, 7],
        {"w": weights(6, 1, 5, 5)},
        6 * 5 * 7 * 25,
        6 * 25,
    ),
    "transposed convolution": (
        [NODE("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])],
        [1, 3, 4, 4],
        [1, 5, 8, 8],
        {"w": weights(3, 5, 2, 2)},
        3 * 4 * 4 * 5 * 4,
        3 * 5 * 4,
    ),
    "linear and product of the batch's own": (
        [
            NODE("MatMul", ["x", "w"], ["a"]),
            NODE("Transpose", ["a"], ["t"], perm=[0, 2, 1]),
            NODE("MatMul", ["a", "t"], ["y"]),
        ],
        ["N", 5, 7],
        ["N", 5, 5],
        {"w": weights(7, 11)},
        5 * 7 * 11 + 5 * 11 * 5,
        77,
    ),
    "Gemm": (
        [NODE("Gemm", ["x", "w", "b"], ["y"], transB=1)],
        ["N", 9],
        ["N", 4],
        {"w": weights(4, 9), "b": weights(4)},
        36,
        40,
    ),
    "integers": (
        [
            NODE("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
            NODE("ConvInteger", ["q", "w", "z"], ["i"]),
            NODE("Cast", ["i"], ["y"], to=onnx.TensorProto.FLOAT),
        ],
        ["N", 3, 4, 4],
        ["N", 2, 4, 4],
        {"w": weights(2, 3, 1, 1, dtype=np.uint8)},
        2 * 16 * 3,
        6,
    ),
}


@pytest.mark.parametrize("name", SMALL)
def test_small_graphs(save_graph, name):
    nodes, fed, given, constants, products, parameters = SMALL[name]
    path = save_graph(nodes, {"x": (F, fed)}, {"y": (F, given)}, constants)
    count = count_file(path)
    assert count.products == products
    assert count.parameters == parameters
    assert count.input_shape == (1, *fed[1:])


def test_quantised_convolution_has_its_weights_elsewhere():
    u8 = np.uint8
    scale, zero = np.float32([0.5]), np.zeros(1, u8)
    kernel = weights(4, 3, 3, 3, dtype=u8)
    constants = {"s": scale.reshape(()), "z": zero.reshape(()), "w": kernel}
    graph = helper.make_graph(
        [NODE("QLinearConv", ["x", "s", "z", "w", "s", "z", "s", "z"], ["y"])],
        "quantised",
        [helper.make_tensor_value_info("x", onnx.TensorProto.UINT8, [1, 3, 5, 5])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.UINT8, [1, 4, 3, 3])],
        [onnx.numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    count = count_model(model, origin="quantised")
    assert count.products == 4 * 9 * 27
    assert count.parameters == 4 * 27  # scales and zero points are single numbers


def test_the_model_is_not_changed(save_graph):
    nodes, fed, given, constants, *_ = SMALL["convolution"]
    model = onnx.load(save_graph(nodes, {"x": (F, fed)}, {"y": (F, given)}, constants))
    before = model.SerializeToString()
    count_model(model, origin="it")
    assert model.SerializeToString() == before


def test_bundled_models():
    """The pose network's count is that of facts published for t, without columns of padding."""
    # 12 of 42 places of the 7x7 kernel's columns on a map 8 high, of 384 channels for 133 points.
    padding = 12 * 7 * 8 * 384 * 133
    expected = 0.5481e9 - padding
    assert count_file(find_model("dwpose-t-bundled")).products == pytest.approx(expected, rel=1e-4)
    detector = count_file(find_model("yolox-nano-person-bundled"))
    # YOLOX-nano at 416 with 80 classes has 1.045 GFLOPs, counted twice for each product; here
    # 79 classes are gone, of 64 channels at each of the 52^2 + 26^2 + 13^2 places.
    expected = 1.045e9 / 2 - 79 * 64 * (52**2 + 26**2 + 13**2)
    assert detector.products == pytest.approx(expected, rel=1e-3)
    assert detector.input_shape == (1, 416, 416, 3)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([NODE("Einsum", ["x", "x"], ["y"], equation="nchw,nchw->nchw")], "operator Einsum cannot"),
        ([NODE("Conv", ["x", "w"], ["y"])], "shape of 'y' does not follow from the input's"),
    ],
)
def test_what_cannot_be_counted(save_graph, nodes, message):
    sizes = ["N", 3, "H", "W"]
    constants = {"w": weights(3, 3, 1, 1)}
    path = save_graph(nodes, {"x": (F, sizes)}, {"y": (F, sizes)}, constants)
    with pytest.raises(ModelFormatError, match=message) as caught:
        count_file(path)
    assert str(caught.value).startswith(str(path))


def test_files_that_are_no_model(tmp_path):
    path = tmp_path / "model.onnx"
    for data in (b"", b"no model"):
        path.write_bytes(data)
        with pytest.raises(ModelFormatError, match=r"model\.onnx is not"):
            count_file(path)
