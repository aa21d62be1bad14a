"""Graphs with the parts of the two networks that decide about precision, small enough to read."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

CHANNELS, SIDE, POINTS, CELLS, HIDDEN = 8, 16, 5, 16, 16

POSE_TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
small_pose (float[batch, 3, 16, 16] input)
    => (float[batch, 5, 24] simcc_x, float[batch, 5, 32] simcc_y)
{
    c0 = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (input, conv0_weight, conv0_bias)
    s0 = Sigmoid (c0)
    a0 = Mul (c0, s0)
    c1 = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (a0, conv1_weight, conv1_bias)
    s1 = Sigmoid (c1)
    a1 = Mul (c1, s1)
    c2 = Conv <pads = [1, 1, 1, 1]> (a1, conv2_weight, conv2_bias)
    s2 = Sigmoid (c2)
    a2 = Mul (c2, s2)
    joined = Add (a1, a2)
    pooled = GlobalAveragePool (joined)
    gate_logit = Conv (pooled, gate_weight)
    gate = HardSigmoid (gate_logit)
    gated = Mul (joined, gate)
    c3 = Conv (gated, conv3_weight)
    s3 = Sigmoid (c3)
    a3 = Mul (c3, s3)
    maps = Conv <pads = [1, 1, 1, 1]> (a3, final_weight, final_bias)
    flat_shape = Constant <value = int64[3] {0, 0, -1}> ()
    flat = Reshape (maps, flat_shape)
    length = ReduceL2 <axes = [-1], keepdims = 1> (flat)
    quarter = Constant <value = float {0.25}> ()
    rms = Mul (length, quarter)
    normed = Div (flat, rms)
    tokens = MatMul (normed, mlp_weight)
    value = MatMul (normed, value_weight)
    turned = Transpose <perm = [0, 2, 1]> (tokens)
    affinity = MatMul (tokens, turned)
    positive = Relu (affinity)
    attention = Mul (positive, positive)
    mixed = MatMul (attention, value)
    updated = MatMul (mixed, out_weight)
    summed = Add (tokens, updated)
    simcc_x = MatMul (summed, x_weight)
    simcc_y = MatMul (summed, y_weight)
}
"""

SHAPES = {
    "conv0_weight": (CHANNELS, 3, 3, 3),
    "conv0_bias": (CHANNELS,),
    "conv1_weight": (CHANNELS, CHANNELS, 3, 3),
    "conv1_bias": (CHANNELS,),
    "conv2_weight": (CHANNELS, CHANNELS, 3, 3),
    "conv2_bias": (CHANNELS,),
    "gate_weight": (CHANNELS, CHANNELS, 1, 1),
    "conv3_weight": (CHANNELS, CHANNELS, 1, 1),
    "final_weight": (POINTS, CHANNELS, 3, 3),
    "final_bias": (POINTS,),
    "mlp_weight": (CELLS, HIDDEN),
    "value_weight": (CELLS, HIDDEN),
    "out_weight": (HIDDEN, HIDDEN),
    "x_weight": (HIDDEN, 24),
    "y_weight": (HIDDEN, 32),
}


def small_pose_network():
    """Returns a network like DWPose: convolutions with SiLU, channel attention, ScaleNorm, GAU."""
    model = onnx.parser.parse_model(POSE_TEXT)
    random = np.random.default_rng(3)
    for name, shape in SHAPES.items():
        scale = np.prod(shape[1:]) ** -0.5 if len(shape) == 4 else shape[0] ** -0.5
        values = (random.standard_normal(shape) * scale).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    for node in model.graph.node:
        node.name = node.output[0]
    onnx.checker.check_model(model, full_check=True)
    return model


def small_samples(count, *, seed=5):
    """Returns samples for `small_pose_network`."""
    random = np.random.default_rng(seed)
    return [
        {"input": random.standard_normal((1, 3, SIDE, SIDE)).astype(np.float32)}
        for _ in range(count)
    ]
