from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from dwpose_infer.models.fake_quantization import (
    activation_scales,
    round_activations,
    round_bias,
    round_weights,
)

RANGES = ([-0.278, 6.3], [-11.0, 9.0], [0.0, 1.0], [0.5, 3.0], [-2.0, -0.5])


def quantized_by_onnx(values, scale, zero_point, axis=1):
    """QuantizeLinear and DequantizeLinear as ONNX Runtime computes them."""
    onnx = pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    kind = {np.uint8: "uint8", np.int8: "int8"}[zero_point.dtype.type]
    sides = str(len(scale)) if scale.ndim else ""
    grid = f"float[{sides}] scale, {kind}[{sides}] zero".replace("[]", "")
    model = onnx.parser.parse_model(f"""
        <ir_version: 8, opset_import: ["" : 17]>
        rounding (float[{",".join(map(str, values.shape))}] x, {grid}) => (float[M] y)
        {{
            q = QuantizeLinear <axis = {axis}> (x, scale, zero)
            y = DequantizeLinear <axis = {axis}> (q, scale, zero)
        }}
    """)
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options)
    (result,) = session.run(None, {"x": values, "scale": scale, "zero": zero_point})
    return result


@pytest.mark.parametrize("limits", RANGES)
def test_activations_are_rounded_as_onnx_rounds_them(limits):
    scales, zero_points = activation_scales(torch.tensor([limits]))
    scale, zero_point = scales[0], int(zero_points[0])
    random = np.random.default_rng(1)
    values = (random.standard_normal((4, 50_000)) * max(map(abs, limits))).astype(np.float32)
    # Half way between two integers, where even ones win: the sums of the grid with half a step.
    values[:, :400] = (np.arange(-200, 200) + np.float32(0.5)) * scale.numpy()
    ours = round_activations(torch.from_numpy(values), scale, zero_point).numpy()
    theirs = quantized_by_onnx(values, scale.numpy(), np.array(zero_point, np.uint8))
    np.testing.assert_array_equal(ours, theirs)


def test_torchs_own_rounding_is_another():
    """The reason for one of our own; when torch rounds as ONNX says, this one can go."""
    scales, zero_points = activation_scales(torch.tensor([[-11.0, 9.0]]))
    scale, zero_point = scales[0], int(zero_points[0])
    values = (torch.arange(-200, 200) + 0.5) * scale
    theirs = torch.fake_quantize_per_tensor_affine(values, scale.item(), zero_point, 0, 255)
    differ = theirs != round_activations(values, scale, zero_point)
    assert 0 < differ.sum() < 100  # 59 with torch 2.13: the reciprocal of the scale is not exact


@pytest.mark.parametrize("limits", RANGES)
def test_scales_are_those_of_onnx_runtimes_quantiser(limits):
    tools = pytest.importorskip("onnxruntime.quantization.quant_utils")
    low, high = (np.array(limit, np.float32) for limit in limits)
    edges = (np.array(edge, np.uint8) for edge in (0, 255))
    zero_point, scale = tools.compute_scale_zp(low, high, *edges)
    scales, zero_points = activation_scales(torch.tensor([limits]))
    assert (scales[0].item(), zero_points[0].item()) == (scale.item(), zero_point.item())


def test_an_empty_range_has_a_scale_all_the_same():
    scales, zero_points = activation_scales(torch.zeros(1, 2))
    assert (scales.item(), zero_points.item()) == (1, 0)


def test_weights_are_rounded_by_channel_as_onnx_rounds_them():
    torch.manual_seed(2)
    weight = torch.randn(6, 5, 3, 3) * torch.logspace(-4, 1, 6).view(-1, 1, 1, 1)
    weight[3] = 0
    ours, scales = round_weights(weight)
    theirs = quantized_by_onnx(weight.numpy(), scales.numpy(), np.zeros(6, np.int8), axis=0)
    np.testing.assert_array_equal(ours.numpy(), theirs)
    assert scales[3] == 1
    assert scales[5] == torch.tensor(weight[5].abs().max().item() / 127)


def test_a_bias_is_rounded_on_the_scale_of_the_products():
    bias, scale = torch.tensor([0.3, -1.26, 0.0]), torch.tensor([0.25, 0.5, 1e-4])
    torch.testing.assert_close(
        round_bias(bias, scale), torch.tensor([0.25, -1.5, 0.0]), rtol=0, atol=0
    )


def test_the_gradient_passes_within_the_range_and_not_outside():
    scale, zero_point = torch.tensor(0.1), 55  # -5.5 to 20
    values = torch.tensor([-5.6, -5.54, -5.5, 0.0, 0.123, 20.0, 20.04, 20.06, 300.0])
    values.requires_grad_()
    round_activations(values, scale, zero_point).backward(torch.full((9,), 3.0))
    # Half a step beyond the last integer is still rounded to it.
    assert values.grad.tolist() == [0, 3, 3, 3, 3, 3, 3, 0, 0]


def test_the_gradient_of_weights_and_biases_passes_unchanged():
    weight, bias = torch.randn(2, 3, requires_grad=True), torch.randn(2, requires_grad=True)
    rounded, scales = round_weights(weight)
    factors = torch.randn(2, 3)
    ((rounded * factors).sum() + 2 * round_bias(bias, scales).sum()).backward()
    assert torch.equal(weight.grad, factors)
    assert bias.grad.tolist() == [2, 2]
