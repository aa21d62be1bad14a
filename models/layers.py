"""The building blocks that CSPNeXt and YOLOX share.

Both networks descend from the same CSP-Darknet, so a convolution with its normalisation and the
spatial pyramid pooling are the same thing in both. The attribute names (`conv`, `bn`, `conv1`,
...) are those of the published checkpoints and must not change.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

SPP_KERNEL_SIZES = (5, 9, 13)  # YOLOv3-SPP; the same in mmpose's CSPNeXt and in YOLOX


class ConvBNSiLU(nn.Module):
    """A convolution without bias, batch normalisation, SiLU.

    The padding keeps the size of the map at stride 1 and halves it (rounded up) at stride 2.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the square kernel, odd.
        stride: Step of the kernel.
        groups: Number of groups; `in_channels` makes the convolution depthwise.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            groups=groups,
            bias=False,
        )
        # torch's own eps 1e-5 and momentum 0.1 are those of RTMPose; YOLOX sets its own.
        self.bn = nn.BatchNorm2d(out_channels)
        self.act = nn.SiLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        output: Tensor = self.act(self.bn(self.conv(features)))
        return output


@torch.no_grad()
def fold_batch_norm(layer: ConvBNSiLU) -> None:
    """Puts the factors of the batch normalisation into the weights; only its bias is left.

    The factors are frozen at 1, so that training afterwards changes weights and biases alone.

    Args:
        layer: Changed in place.
    """
    norm = layer.bn
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    factor = norm.weight / torch.sqrt(variance + norm.eps)
    norm.bias.sub_(mean * factor)
    layer.conv.weight.mul_(factor.view(-1, 1, 1, 1))
    norm.weight.fill_(1).requires_grad_(False)
    mean.zero_()
    variance.fill_(1 - norm.eps)


class SpatialPyramidPooling(nn.Module):
    """Max pooling with several windows side by side, between two 1x1 convolutions.

    It widens the field of view at the lowest resolution without any weights of its own.

    Args:
        in_channels: Channels of the input; half of them are pooled.
        out_channels: Channels of the output.
        kernel_sizes: Sides of the pooling windows, odd.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_sizes: Sequence[int] = SPP_KERNEL_SIZES,
    ) -> None:
        super().__init__()
        hidden = in_channels // 2
        self.conv1 = ConvBNSiLU(in_channels, hidden, 1)
        self.pools = nn.ModuleList(
            nn.MaxPool2d(side, stride=1, padding=side // 2) for side in kernel_sizes
        )
        self.conv2 = ConvBNSiLU(hidden * (len(kernel_sizes) + 1), out_channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        reduced: Tensor = self.conv1(features)
        pooled = [pool(reduced) for pool in self.pools]
        output: Tensor = self.conv2(torch.cat([reduced, *pooled], dim=1))
        return output
