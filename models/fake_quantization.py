"""Rounding to 8-bit integers and back in float32, as ONNX's QuantizeLinear and DequantizeLinear do.

Scales, zero points and roundings are those that `dwpose_infer.export.int8` writes with ONNX
Runtime's quantiser: activations unsigned with a zero point, weights signed and symmetric with a
scale per output channel, biases in 32 bits on the scale of the products.

Torch's own `fake_quantize_per_tensor_affine` multiplies by the reciprocal of the scale where ONNX
divides: of a million values about one goes to the next integer, and more where values lie half
way, as sums of rounded values do. On a CPU, with its gradient, it also takes four times as long
(torch 2.13).
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

ACTIVATION_LARGEST: Final = 255  # unsigned
WEIGHT_LARGEST: Final = 127  # signed; -128 is left out, so that the range is symmetric


class _Round(torch.autograd.Function):
    """Rounds to the grid; the gradient passes unchanged within the range and is 0 outside it."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, scale: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(values)
        ctx.limits = low, high
        ctx.scale = float(scale)
        return values.div(scale).round_().clamp_(low, high).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (values,) = ctx.saved_tensors
        # Half a step beyond the last integers is still rounded to them.
        low, high = (ctx.limits[0] - 0.5) * ctx.scale, (ctx.limits[1] + 0.5) * ctx.scale
        return torch.ops.aten.hardtanh_backward(gradients[0], values, low, high), None, None, None


def round_activations(values: Tensor, scale: Tensor, zero_point: float) -> Tensor:
    """Rounds a tensor to unsigned 8-bit integers and back.

    Args:
        values: Any shape, float32.
        scale: Step between two integers, float32 scalar; see `activation_scales`.
        zero_point: The integer that stands for 0, 0 to 255.

    Returns:
        The nearest values on the grid, halves to the even integer; float32. The gradient passes
        unchanged where values lie within the range of the integers, and is 0 elsewhere.
    """
    apply: Any = _Round.apply  # torch states no types
    rounded: Tensor = apply(values, scale, -zero_point, ACTIVATION_LARGEST - zero_point)
    return rounded


def activation_scales(ranges: Tensor) -> tuple[Tensor, Tensor]:
    """Works out scale and zero point of ranges, as ONNX Runtime's quantiser does.

    Args:
        ranges: (N, 2) float32, smallest and largest value; 0 is taken into the range.

    Returns:
        Scales (N,) float32 and zero points (N,), whole numbers in float32. An empty range has
        the scale 1 and the zero point 0.
    """
    low, high = ranges[:, 0].clamp(max=0).double(), ranges[:, 1].clamp(min=0).double()
    scale = (high - low) / ACTIVATION_LARGEST
    empty = scale < torch.finfo(torch.float32).tiny
    scale = torch.where(empty, 1.0, scale)
    zero_point = torch.where(empty, 0.0, (-low / scale).round())
    return scale.float(), zero_point.float()


def round_weights(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Rounds a convolution's weights to signed 8-bit integers and back, by output channel.

    Args:
        weight: (out, ...) float32.

    Returns:
        The rounded weights, and the scale of every output channel (out,) float32. The gradient
        passes unchanged: the range is that of the weights, nothing lies outside.
    """
    with torch.no_grad():
        largest = weight.flatten(1).abs().amax(dim=1).double()
        scale = 2 * largest / (2 * WEIGHT_LARGEST)
        scale = torch.where(scale < torch.finfo(torch.float32).tiny, 1.0, scale).float()
        steps = scale.view(-1, *(1,) * (weight.ndim - 1))
        change = weight.div(steps).round_().clamp_(-WEIGHT_LARGEST, WEIGHT_LARGEST)
        rounded = change.mul_(steps)
    return _straight_through(weight, rounded), scale


def round_bias(bias: Tensor, scale: Tensor) -> Tensor:
    """Rounds a bias to 32-bit integers and back.

    Args:
        bias: (out,) float32.
        scale: (out,) float32: the input's scale times those of the weights.

    Returns:
        The rounded bias; the gradient passes unchanged.
    """
    with torch.no_grad():
        rounded = (bias.double() / scale.double()).round().float() * scale
    return _straight_through(bias, rounded)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, _values: Tensor, rounded: Tensor) -> Tensor:
        return rounded.view_as(rounded)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0], None


def _straight_through(values: Tensor, rounded: Tensor) -> Tensor:
    """Returns the rounded values exactly, with the gradient of the others."""
    apply: Any = _StraightThrough.apply
    result: Tensor = apply(values, rounded)
    return result
