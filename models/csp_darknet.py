"""CSP-Darknet, the backbone of YOLOX, and the blocks its feature pyramid is made of too.

The attribute names are those of the published checkpoints.

    picture (3, H, W) -> stem /2 -> dark2 /4 -> dark3 /8 -> dark4 /16 -> dark5 /32
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .layers import ConvBNSiLU, SpatialPyramidPooling


class DepthwiseSeparableConv(nn.Module):
    """A depthwise convolution, then a 1x1 convolution, each normalised and activated.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the depthwise kernel.
        stride: Step of the depthwise kernel.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1
    ) -> None:
        super().__init__()
        self.dconv = ConvBNSiLU(
            in_channels, in_channels, kernel_size, stride=stride, groups=in_channels
        )
        self.pconv = ConvBNSiLU(in_channels, out_channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        output: Tensor = self.pconv(self.dconv(features))
        return output


def conv3x3(in_channels: int, out_channels: int, *, depthwise: bool, stride: int = 1) -> nn.Module:
    """Make a 3x3 convolution, depthwise separable in YOLOX-nano and plain in all others."""
    if depthwise:
        return DepthwiseSeparableConv(in_channels, out_channels, 3, stride=stride)
    return ConvBNSiLU(in_channels, out_channels, 3, stride=stride)


class Bottleneck(nn.Module):
    """A 1x1 convolution, then a 3x3 one, and the input added if wanted.

    Args:
        channels: Channels of input and output.
        shortcut: Whether to add the input to the output.
        depthwise: Whether the 3x3 convolution is depthwise separable.
    """

    def __init__(self, channels: int, *, shortcut: bool, depthwise: bool) -> None:
        super().__init__()
        self.conv1 = ConvBNSiLU(channels, channels, 1)
        self.conv2 = conv3x3(channels, channels, depthwise=depthwise)
        self.shortcut = shortcut

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        output: Tensor = self.conv2(self.conv1(features))
        return output + features if self.shortcut else output


class CSPLayer(nn.Module):
    """A cross-stage partial layer: half the channels pass through bottlenecks, half go round.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output; each half has `out_channels // 2`.
        blocks: Number of bottlenecks.
        shortcut: Whether the bottlenecks add their input.
        depthwise: Whether their 3x3 convolutions are depthwise separable.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, blocks: int, shortcut: bool, depthwise: bool
    ) -> None:
        super().__init__()
        half = out_channels // 2
        self.conv1 = ConvBNSiLU(in_channels, half, 1)
        self.conv2 = ConvBNSiLU(in_channels, half, 1)
        self.conv3 = ConvBNSiLU(2 * half, out_channels, 1)
        self.m = nn.Sequential(
            *(Bottleneck(half, shortcut=shortcut, depthwise=depthwise) for _ in range(blocks))
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        main = self.m(self.conv1(features))
        output: Tensor = self.conv3(torch.cat([main, self.conv2(features)], dim=1))
        return output


class Focus(nn.Module):
    """Halves the resolution by moving each 2x2 square of pixels into the channels.

    Args:
        in_channels: Channels of the picture.
        out_channels: Channels of the output.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = ConvBNSiLU(4 * in_channels, out_channels, 3)

    def forward(self, picture: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / 2, W / 2)."""
        # Column by column: the checkpoints expect top left, bottom left, top right, bottom right.
        squares = [picture[..., row::2, column::2] for column in (0, 1) for row in (0, 1)]
        output: Tensor = self.conv(torch.cat(squares, dim=1))
        return output


class CSPDarknet(nn.Module):
    """The backbone: a stem and four stages, each halving the resolution.

    Args:
        depth: Factor on the number of bottlenecks.
        width: Factor on the number of channels.
        depthwise: Whether the 3x3 convolutions are depthwise separable.
    """

    def __init__(self, *, depth: float, width: float, depthwise: bool) -> None:
        super().__init__()
        channels = int(64 * width)
        blocks = max(round(3 * depth), 1)

        def down(stage: int) -> nn.Module:
            wide = channels * 2**stage
            return conv3x3(wide // 2, wide, depthwise=depthwise, stride=2)

        def csp(stage: int, blocks: int, *, shortcut: bool = True) -> CSPLayer:
            wide = channels * 2**stage
            return CSPLayer(wide, wide, blocks=blocks, shortcut=shortcut, depthwise=depthwise)

        self.stem = Focus(3, channels)
        self.dark2 = nn.Sequential(down(1), csp(1, blocks))
        self.dark3 = nn.Sequential(down(2), csp(2, 3 * blocks))
        self.dark4 = nn.Sequential(down(3), csp(3, 3 * blocks))
        self.dark5 = nn.Sequential(
            down(4),
            SpatialPyramidPooling(16 * channels, 16 * channels),
            csp(4, blocks, shortcut=False),
        )

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map (N, 3, H, W) to the features at strides 8, 16 and 32."""
        stride8: Tensor = self.dark3(self.dark2(self.stem(picture)))
        stride16: Tensor = self.dark4(stride8)
        stride32: Tensor = self.dark5(stride16)
        return stride8, stride16, stride32
