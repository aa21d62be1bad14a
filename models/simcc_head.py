"""The SimCC head of RTMPose: feature maps in, two one-dimensional distributions per point out.

SimCC (arXiv 2107.03332) turns locating a point into two classifications: which of the bins along
x, and which along y. RTMPose (arXiv 2303.07399) puts a gated attention unit in front, in which
the points look at one another. The attribute names are those of the published checkpoints.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

SPLIT_RATIO = 2  # bins per pixel of the input picture
HIDDEN_CHANNELS = 256  # length of one point's token
FINAL_KERNEL_SIZE = 7
GAU_EXPANSION = 2
GAU_QUERY_CHANNELS = 128
SCALE_NORM_EPS = 1e-5


class ScaleNorm(nn.Module):
    """Divides each vector by its root mean square and multiplies it by one learnt number.

    Args:
        channels: Length of the vectors.
        eps: Smallest divisor.
    """

    def __init__(self, channels: int, eps: float = SCALE_NORM_EPS) -> None:
        super().__init__()
        self.scale = channels**-0.5
        self.eps = eps
        self.g = nn.Parameter(torch.ones(1))

    def forward(self, vectors: Tensor) -> Tensor:
        """Map (..., channels) to the same shape."""
        length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True) * self.scale
        normalised: Tensor = vectors / length.clamp(min=self.eps) * self.g
        return normalised


class ResidualScale(nn.Module):
    """Multiplies each channel of the shortcut by a learnt number, one at first.

    Args:
        channels: Length of the vectors.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, vectors: Tensor) -> Tensor:
        """Map (..., channels) to the same shape."""
        return vectors * self.scale


class GatedAttentionUnit(nn.Module):
    """Self-attention between the points, gated, with a squared ReLU in place of the softmax.

    After "Transformer Quality in Linear Time" (arXiv 2202.10447), as RTMPose uses it: without
    positions, biases or dropout.

    Args:
        channels: Length of the tokens in and out.
        expansion: Length of gate and value as a multiple of `channels`.
        query_channels: Length of queries and keys.
    """

    def __init__(
        self,
        channels: int,
        *,
        expansion: int = GAU_EXPANSION,
        query_channels: int = GAU_QUERY_CHANNELS,
    ) -> None:
        super().__init__()
        hidden = channels * expansion
        self.splits = [hidden, hidden, query_channels]
        self.divisor = math.sqrt(query_channels)
        # Queries and keys are two learnt scalings and shifts of one shared vector.
        self.gamma = nn.Parameter(torch.rand(2, query_channels))
        self.beta = nn.Parameter(torch.rand(2, query_channels))
        self.o = nn.Linear(hidden, channels, bias=False)
        self.uv = nn.Linear(channels, sum(self.splits), bias=False)
        self.ln = ScaleNorm(channels)
        self.res_scale = ResidualScale(channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (N, K, channels) to the same shape."""
        projected = functional.silu(self.uv(self.ln(tokens)))
        gate, value, shared = torch.split(projected, self.splits, dim=2)
        query, key = (shared.unsqueeze(2) * self.gamma + self.beta).unbind(dim=2)
        affinity = torch.bmm(query, key.transpose(1, 2)) / self.divisor
        attention = functional.relu(affinity).square()
        update: Tensor = self.o(gate * torch.bmm(attention, value))
        shortcut: Tensor = self.res_scale(tokens)
        return shortcut + update


class SimCCHead(nn.Module):
    """One map per point -> one token per point -> attention -> bins along x and along y.

    Args:
        in_channels: Channels of the backbone's features.
        keypoints: Number of points.
        features_hw: Height and width of the backbone's features.
        bins_xy: Number of bins along x and along y.
    """

    def __init__(
        self,
        in_channels: int,
        keypoints: int,
        *,
        features_hw: tuple[int, int],
        bins_xy: tuple[int, int],
    ) -> None:
        super().__init__()
        cells = features_hw[0] * features_hw[1]
        self.final_layer = nn.Conv2d(
            in_channels, keypoints, FINAL_KERNEL_SIZE, padding=FINAL_KERNEL_SIZE // 2
        )
        self.mlp = nn.Sequential(ScaleNorm(cells), nn.Linear(cells, HIDDEN_CHANNELS, bias=False))
        self.gau = GatedAttentionUnit(HIDDEN_CHANNELS)
        self.cls_x = nn.Linear(HIDDEN_CHANNELS, bins_xy[0], bias=False)
        self.cls_y = nn.Linear(HIDDEN_CHANNELS, bins_xy[1], bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights as mmpose does: normal, 0.001 for convolutions, 0.01 for Linears."""
        if self.final_layer.weight.is_meta:
            return  # no memory to fill; asking torch all the same costs it a second of imports
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.001)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Work out the distributions.

        Args:
            features: (N, in_channels, h, w) float, of the backbone.

        Returns:
            simcc_x (N, K, 2 * input width) and simcc_y (N, K, 2 * input height): raw scores per
            bin, not passed through a softmax.
        """
        maps: Tensor = self.final_layer(features)
        tokens: Tensor = self.gau(self.mlp(maps.flatten(2)))
        return self.cls_x(tokens), self.cls_y(tokens)
