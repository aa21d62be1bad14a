"""DWPose as it computes in 8-bit integers, for training: what the exporter rounds is rounded here.

In float32 stays what `dwpose_infer.export.int8` leaves there: the first two convolutions, the SiLU
after the last convolution of the backbone, and the whole head with ScaleNorm, attention and SimCC.
All else is rounded: the weights and biases of every convolution, and the results of convolutions,
sigmoids, products, sums, means and joints. A SiLU is three roundings.

Batch normalisation is folded into the convolutions before (`QuantizedDWPose.from_float`): what is
left of it is the bias.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from .cspnext import CSPLayer, CSPNeXtBlock
from .dwpose import DWPose, DWPoseArchitecture
from .fake_quantization import activation_scales, round_activations, round_bias, round_weights
from .layers import ConvBNSiLU, SpatialPyramidPooling, fold_batch_norm

RANGES: Final = "ranges"
"""Name in the state dict by which such a network is told from a plain one."""


class _Rounded(NamedTuple):
    """A tensor on a grid of integers.

    Attributes:
        values: In float32.
        scale: Of the grid, a scalar; none while ranges are measured.
    """

    values: Tensor
    scale: Tensor | None


class QuantizedDWPose(DWPose):
    """The pose network with the roundings of its int8 file.

    In training mode the first `measured_steps` batches pass unrounded while the range of every
    result is measured, from the smallest to the largest value. From then on ranges are fixed.
    (Ranges of the means of each picture's smallest and largest values, which cut off more, were
    worse: AP of the bundled network fell by .03 where whole ranges cost nothing.)

    Args:
        architecture: As of the plain network.

    Attributes:
        ranges: (N, 2) float32, smallest and largest value of every rounded result, in the order
            in which `features` comes by them.
        measured: Batches measured so far.
        measured_steps: Batches to measure.
    """

    ranges: Tensor
    measured: Tensor

    def __init__(self, architecture: DWPoseArchitecture) -> None:
        super().__init__(architecture)
        self.register_buffer(RANGES, torch.zeros(_count_rounded(self.backbone), 2))
        self.register_buffer("measured", torch.zeros((), dtype=torch.int64))
        self.measured_steps = 0

    @classmethod
    def from_float(cls, model: DWPose, *, measured_steps: int) -> QuantizedDWPose:
        """Makes a network of a plain one's weights, batch normalisation folded; without ranges.

        Args:
            model: The plain network; it is left as it is.
            measured_steps: Batches to measure.

        Returns:
            The network in training mode. Factors of the batch normalisation are frozen at 1.
        """
        with torch.device(next(model.parameters()).device):
            quantized = cls(model.architecture)
        quantized.load_state_dict(model.state_dict(), strict=False)
        quantized.measured_steps = measured_steps
        for layer in quantized.modules():
            if isinstance(layer, ConvBNSiLU):
                fold_batch_norm(layer)
        return quantized

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Work out where the points are, as `DWPose.forward` does."""
        simcc: tuple[Tensor, Tensor] = self.head(self.features(crops))
        return simcc

    def features(self, crops: Tensor) -> Tensor:
        """Work out the backbone's features.

        Args:
            crops: (N, 3, input_height, input_width) float32, as for `forward`.

        Returns:
            (N, channels, input_height / 32, input_width / 32) float32.
        """
        if torch.onnx.is_in_onnx_export():
            return _TracedWalk(self)(crops)
        if self.is_measuring():
            walk = _MeasuringWalk(self)
            result = walk(crops)
            walk.keep_ranges()
            return result
        return _Walk(self)(crops)

    def is_measuring(self) -> bool:
        """Tells whether the next batch passes unrounded."""
        return self.training and int(self.measured) < self.measured_steps


class _Walk:
    """The way through the backbone, with the roundings."""

    def __init__(self, model: QuantizedDWPose) -> None:
        self.model = model
        scales, zero_points = activation_scales(model.ranges)
        self._grids: Iterator[Any] = zip(scales, zero_points.tolist(), strict=True)

    def __call__(self, crops: Tensor) -> Tensor:
        backbone: Any = self.model.backbone  # torch knows not what modules a Sequential holds
        first, second, third = backbone.stem
        # In-place activations would overwrite what the roundings of the gradient need.
        maps = functional.silu(_plain(second, functional.silu(_plain(first, crops))))
        x = self.conv(third, self.round(maps))
        for stage in (backbone.stage1, backbone.stage2, backbone.stage3):
            for layer in stage:
                x = self.layer(layer, x)
        *layers, last = backbone.stage4
        for layer in layers:
            x = self.layer(layer, x)
        return functional.silu(
            self.round(self.sum(last.final_conv, self.before_final(last, x))).values
        )

    def layer(self, layer: nn.Module, x: _Rounded) -> _Rounded:
        if isinstance(layer, CSPLayer):
            return self.conv(layer.final_conv, self.before_final(layer, x))
        if isinstance(layer, SpatialPyramidPooling):
            reduced = self.conv(layer.conv1, x).values
            joined = torch.cat([reduced, *(pool(reduced) for pool in layer.pools)], dim=1)
            return self.conv(layer.conv2, self.round(joined))
        assert isinstance(layer, ConvBNSiLU)
        return self.conv(layer, x)

    def before_final(self, layer: CSPLayer, x: _Rounded) -> _Rounded:
        main = self.conv(layer.main_conv, x)
        blocks: Any = layer.blocks
        for block in blocks:
            main = self.block(block, main)
        short = self.conv(layer.short_conv, x)
        joined = self.round(torch.cat([main.values, short.values], dim=1))
        attention = layer.attention
        means = self.round(attention.pool(joined.values))
        logits = self.round(self.product(attention.fc, attention.fc.bias, means))
        factors = self.round(attention.act(logits.values))
        return self.round(joined.values * factors.values)

    def block(self, block: CSPNeXtBlock, x: _Rounded) -> _Rounded:
        separable = block.conv2
        y = self.conv(block.conv1, x)
        y = self.conv(separable.pointwise_conv, self.conv(separable.depthwise_conv, y))
        return self.round(y.values + x.values) if block.shortcut else y

    def conv(self, layer: ConvBNSiLU, x: _Rounded) -> _Rounded:
        y = self.round(self.sum(layer, x)).values
        return self.round(y * self.round(torch.sigmoid(y)).values)

    def sum(self, layer: ConvBNSiLU, x: _Rounded) -> Tensor:
        """A convolution with its bias, before anything is made of it."""
        return self.product(layer.conv, layer.bn.bias, x)

    def product(self, conv: nn.Conv2d, bias: Tensor | None, x: _Rounded) -> Tensor:
        assert bias is not None and x.scale is not None
        weight, scales = round_weights(conv.weight)
        return _convolved(conv, x.values, weight, round_bias(bias, scales * x.scale))

    def round(self, values: Tensor) -> _Rounded:
        scale, zero_point = next(self._grids)
        return _Rounded(round_activations(values, scale, zero_point), scale)


class _FloatWalk(_Walk):
    """The same way with the weights as they are."""

    def product(self, conv: nn.Conv2d, bias: Tensor | None, x: _Rounded) -> Tensor:
        return _convolved(conv, x.values, conv.weight, bias)


class _MeasuringWalk(_FloatWalk):
    """The way without any rounding, while the ranges are measured."""

    def __init__(self, model: QuantizedDWPose) -> None:
        super().__init__(model)
        self._found: list[Tensor] = []

    def round(self, values: Tensor) -> _Rounded:
        self._found.append(torch.stack(values.detach().aminmax()))
        return _Rounded(values, None)

    def keep_ranges(self) -> None:
        """Widens the ranges to those of the batch."""
        low, high = torch.stack(self._found).unbind(dim=1)
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(low, distributed.ReduceOp.MIN)
            distributed.all_reduce(high, distributed.ReduceOp.MAX)
        ranges = self.model.ranges
        torch.minimum(ranges[:, 0], low, out=ranges[:, 0])
        torch.maximum(ranges[:, 1], high, out=ranges[:, 1])
        self.model.measured.add_(1)


class _TracedWalk(_FloatWalk):
    """The way for a tracer: nothing rounded, but every such result marked with its grid."""

    def round(self, values: Tensor) -> _Rounded:
        scale, zero_point = next(self._grids)
        marked = torch.fake_quantize_per_tensor_affine(
            values, float(scale), int(zero_point), 0, 255
        )
        return _Rounded(marked, scale)


def _plain(layer: ConvBNSiLU, x: Tensor) -> Tensor:
    """A folded convolution in float."""
    return _convolved(layer.conv, x, layer.conv.weight, layer.bn.bias)


def _convolved(conv: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    result: Tensor = nn.functional.conv2d(
        x, weight, bias, conv.stride, conv.padding, groups=conv.groups
    )
    return result


def _count_rounded(backbone: nn.Module) -> int:
    """Number of rounded results: see `_Walk`."""
    layers = list(backbone.modules())
    convolutions = sum(isinstance(layer, ConvBNSiLU) for layer in layers)
    # Of the first two in float the last result is rounded, of the last one its sum.
    count = 3 * (convolutions - 3) + 2
    count += sum(isinstance(layer, CSPNeXtBlock) and layer.shortcut for layer in layers)
    count += sum(5 for layer in layers if isinstance(layer, CSPLayer))
    return count + sum(isinstance(layer, SpatialPyramidPooling) for layer in layers)
