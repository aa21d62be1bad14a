"""CSPNeXt, the backbone of RTMPose and DWPose.

A CSP-Darknet whose bottleneck ends in a depthwise 5x5 convolution and whose stages weigh their
channels (RTMDet, arXiv 2212.07784). The attribute names are those of the published checkpoints.

    picture (3, H, W) -> stem /2 -> stage1 /4 -> stage2 /8 -> stage3 /16 -> stage4 /32
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .layers import ConvBNSiLU, SpatialPyramidPooling

STRIDE = 32  # of the last stage: five convolutions of stride 2


@dataclass(frozen=True)
class StagePlan:
    """One stage of the full-size (l) network, before it is scaled.

    Attributes:
        out_channels: Channels of the stage's output.
        blocks: Number of bottlenecks.
        shortcut: Whether every bottleneck adds its input to its output.
        pyramid_pooling: Whether spatial pyramid pooling comes before the bottlenecks.
    """

    out_channels: int
    blocks: int
    shortcut: bool
    pyramid_pooling: bool


# The "P5" arrangement of RTMDet and RTMPose.
STEM_CHANNELS = 64
STAGES = (
    StagePlan(128, 3, shortcut=True, pyramid_pooling=False),
    StagePlan(256, 6, shortcut=True, pyramid_pooling=False),
    StagePlan(512, 6, shortcut=True, pyramid_pooling=False),
    StagePlan(1024, 3, shortcut=False, pyramid_pooling=True),
)


class DepthwiseSeparableConv(nn.Module):
    """A depthwise convolution, then a 1x1 convolution, each normalised and activated.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the depthwise kernel.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.depthwise_conv = ConvBNSiLU(in_channels, in_channels, kernel_size, groups=in_channels)
        self.pointwise_conv = ConvBNSiLU(in_channels, out_channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        output: Tensor = self.pointwise_conv(self.depthwise_conv(features))
        return output


class CSPNeXtBlock(nn.Module):
    """The bottleneck: a plain 3x3 convolution, then a depthwise separable 5x5 one.

    Args:
        channels: Channels of input and output.
        shortcut: Whether to add the input to the output.
    """

    def __init__(self, channels: int, *, shortcut: bool) -> None:
        super().__init__()
        self.conv1 = ConvBNSiLU(channels, channels, 3)
        self.conv2 = DepthwiseSeparableConv(channels, channels, 5)
        self.shortcut = shortcut

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        output: Tensor = self.conv2(self.conv1(features))
        return output + features if self.shortcut else output


class ChannelAttention(nn.Module):
    """Multiplies each channel by a factor in 0..1 worked out from the means of all channels.

    Args:
        channels: Channels of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Conv2d(channels, channels, 1)
        self.act = nn.Hardsigmoid()

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        factors: Tensor = self.act(self.fc(self.pool(features)))
        return features * factors


class CSPLayer(nn.Module):
    """A cross-stage partial layer: half the channels pass through bottlenecks, half go round.

    Args:
        channels: Channels of input and output; each half has `channels // 2`.
        blocks: Number of bottlenecks.
        shortcut: Whether the bottlenecks add their input.
    """

    def __init__(self, channels: int, *, blocks: int, shortcut: bool) -> None:
        super().__init__()
        half = channels // 2
        self.main_conv = ConvBNSiLU(channels, half, 1)
        self.short_conv = ConvBNSiLU(channels, half, 1)
        self.final_conv = ConvBNSiLU(2 * half, channels, 1)
        self.blocks = nn.Sequential(*(CSPNeXtBlock(half, shortcut=shortcut) for _ in range(blocks)))
        self.attention = ChannelAttention(2 * half)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        main = self.blocks(self.main_conv(features))
        joined = torch.cat([main, self.short_conv(features)], dim=1)
        output: Tensor = self.final_conv(self.attention(joined))
        return output


class CSPNeXt(nn.Module):
    """The backbone: a stem of three convolutions and four stages.

    Args:
        deepen: Factor on the number of bottlenecks of every stage; at least one remains.
        widen: Factor on the number of channels.

    Attributes:
        out_channels: Channels of the last stage.
    """

    def __init__(self, *, deepen: float, widen: float) -> None:
        super().__init__()
        channels = int(STEM_CHANNELS * widen)
        half = int(STEM_CHANNELS * widen // 2)
        self.stem = nn.Sequential(
            ConvBNSiLU(3, half, 3, stride=2),
            ConvBNSiLU(half, half, 3),
            ConvBNSiLU(half, channels, 3),
        )
        stages: list[nn.Sequential] = []
        for plan in STAGES:
            out_channels = int(plan.out_channels * widen)
            layers: list[nn.Module] = [ConvBNSiLU(channels, out_channels, 3, stride=2)]
            if plan.pyramid_pooling:
                layers.append(SpatialPyramidPooling(out_channels, out_channels))
            blocks = max(round(plan.blocks * deepen), 1)
            layers.append(CSPLayer(out_channels, blocks=blocks, shortcut=plan.shortcut))
            stages.append(nn.Sequential(*layers))
            channels = out_channels
        self.stage1, self.stage2, self.stage3, self.stage4 = stages
        self.out_channels = channels
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights as mmpose does: convolutions Kaiming uniform, biases zero.

        With a = sqrt(5), as mmpose has it, that is what torch does by itself; only the biases of
        the channel attention differ.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, picture: Tensor) -> Tensor:
        """Work out the features of the last stage.

        Args:
            picture: (N, 3, H, W) float, normalised RGB; H and W are multiples of 32.

        Returns:
            (N, out_channels, H / 32, W / 32) float.
        """
        return self.stage_features(picture)[-1]

    def stage_features(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Work out the features of all four stages.

        Args:
            picture: As for `forward`.

        Returns:
            (N, channels, h, w) at a 4th, 8th, 16th and 32nd of the resolution; the channels of
            each are half those of the next.
        """
        first: Tensor = self.stage1(self.stem(picture))
        second: Tensor = self.stage2(first)
        third: Tensor = self.stage3(second)
        fourth: Tensor = self.stage4(third)
        return first, second, third, fourth

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile in place, as `nn.Module.compile`, what `stage_features` and `forward` do.

        Args:
            *args: As for `torch.compile`.
            **kwargs: As for `torch.compile`.
        """
        # Both run this attribute; torch's own method would leave out stage_features.
        vars(self)["stage_features"] = torch.compile(self.stage_features, *args, **kwargs)
