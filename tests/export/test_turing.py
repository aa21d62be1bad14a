from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper

from dwpose_infer.errors import ModelFormatError
from dwpose_infer.export.engine_source import load_engine_source
from dwpose_infer.export.exporter import ExportOptions, gate_samples
from dwpose_infer.export.parity import check_parity
from dwpose_infer.export.running import GraphRunner
from dwpose_infer.export.turing import to_turing_form


def products_in(model):
    """Element types of the results of matrix products."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.value_info, *graph.output)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return [types[node.output[0]] for node in model.graph.node if node.op_type == "MatMul"]


def product_model(left, right, *, stored=None, operator="MatMul"):
    inputs = [helper.make_tensor_value_info("left", TensorProto.FLOAT, left)]
    constants = []
    last = (right if stored is None else stored.shape)[-1]
    if stored is None:
        inputs.append(helper.make_tensor_value_info("right", TensorProto.FLOAT, right))
    else:
        constants.append(numpy_helper.from_array(stored, "right"))
    graph = helper.make_graph(
        [helper.make_node(operator, ["left", "right"], ["product"])],
        "product",
        inputs,
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, [*left[:-1], last])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_product_with_weights_is_a_convolution(rng):
    weights = rng.standard_normal((64, 96), np.float32)
    points = rng.standard_normal((3, 133, 64), np.float32)
    turned = to_turing_form(product_model(["N", 133, 64], None, stored=weights))
    assert [node.op_type for node in turned.graph.node].count("Conv") == 1
    assert products_in(turned) == []
    with GraphRunner(turned) as run:
        found = run({"left": points})["product"]
    np.testing.assert_allclose(found, points @ weights, rtol=1e-5, atol=1e-5)


def test_a_product_of_two_computed_matrices_is_a_sum(rng):
    left = rng.standard_normal((3, 133, 64), np.float32)
    right = rng.standard_normal((3, 64, 50), np.float32)
    turned = to_turing_form(product_model(["N", 133, 64], ["N", 64, 50]))
    assert products_in(turned) == []
    with GraphRunner(turned) as run:
        found = run({"left": left, "right": right})["product"]
    np.testing.assert_allclose(found, left @ right, rtol=1e-5, atol=1e-5)


def test_products_of_other_matrices_are_refused():
    with pytest.raises(ModelFormatError, match=r"not one of \(N, K, D\) matrices"):
        to_turing_form(product_model([2, 3], [3, 4]))
    with pytest.raises(ModelFormatError, match=r"not one of \(N, K, D\) matrices"):
        to_turing_form(product_model([2, 3], [3, 4], operator="Gemm"))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
@pytest.mark.parametrize("name", ["dwpose-t-bundled", "dwpose-s-bundled"])
def test_bundled_networks_stay_within_the_gate(name, precision):
    """fp32: sums in another order, 1.5e-6 of the largest output; s is sure of fingers, too."""
    options = ExportOptions(precision=precision, fixed_size=True)
    read = load_engine_source(name, options)
    turned = to_turing_form(read.model)
    assert set(products_in(turned)) <= {TensorProto.FLOAT16}
    samples = gate_samples(read.source, options)
    report = check_parity(read.source, turned, samples, form="deploy", precision=precision)
    assert report.violations == ()
    if name == "dwpose-s-bundled":
        assert report.points.parts["fingers"].worst_px <= 0.5
    if precision == "fp32":
        assert report.raw["simcc_x"].largest < 1e-5
