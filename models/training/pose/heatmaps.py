"""A heat map of every point from the features inside the backbone, while training.

A departure from the official runs, off by default (`LossSettings.map_weight`). The SimCC head
learns each point's place as two classifications over all positions, which tells the backbone
little until the head itself has learnt much. Here 1x1 convolutions on the last two stages have
to say in which cell of their maps a point lies; that is learnt sooner, and the features that say
it are those the head needs: in a trial from scratch at 128x96 the label loss of step 850 was
reached by step 350. The convolutions are thrown away after the
training: the network handed out is the plain one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...dwpose import DWPose
from ..settings.pose import LossSettings

SUPERVISED_STAGES: Final = 2
"""Last stages of the backbone, at a 16th and a 32nd of the resolution."""

_EVERYWHERE: Final = 1e-6
"""Part of every cell in the targets: a point without a Gaussian has a flat map, none is 0."""


class MapSupervision(nn.Module):
    """The loss of the heat maps.

    Args:
        channels: Channels of the features of each stage.
        keypoints: Number of points.

    Attributes:
        maps: A convolution for each stage.
    """

    def __init__(self, channels: Sequence[int], keypoints: int) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Conv2d(count, keypoints, 1) for count in channels)

    def forward(
        self,
        features: Sequence[Tensor],
        targets_x: Tensor,
        targets_y: Tensor,
        keypoint_weights: Tensor,
    ) -> Tensor:
        """Works out the loss.

        Args:
            features: (N, channels, h, w) of each stage.
            targets_x: (N, K, bins along x), Gaussians.
            targets_y: (N, K, bins along y), Gaussians.
            keypoint_weights: (N, K), 0 for points that do not count.

        Returns:
            The divergence between the softmax of each map and its target, summed over the
            cells and divided by the mean number of bins of an axis, then reduced as in
            `losses.label_loss`: a float32 scalar of the same order.
        """
        points = keypoint_weights.shape[1]
        bins = (targets_x.shape[-1] + targets_y.shape[-1]) / 2
        per_point = torch.stack(
            [
                _divergence(convolution(stage), targets_x, targets_y)
                for convolution, stage in zip(self.maps, features, strict=True)
            ]
        ).sum(dim=0)
        return (per_point * keypoint_weights).sum() / points / bins


def new_map_supervision(model: DWPose, settings: LossSettings) -> MapSupervision | None:
    """Returns the layers that supervise a network's maps; None where none are wanted."""
    if settings.map_weight == 0:
        return None
    channels = model.backbone.out_channels
    return MapSupervision((channels // 2, channels), model.architecture.keypoints)


def map_targets(targets_x: Tensor, targets_y: Tensor, *, height: int, width: int) -> Tensor:
    """Spreads the Gaussians of both axes over the cells of a map.

    Args:
        targets_x: (N, K, bins along x).
        targets_y: (N, K, bins along y).
        height: Rows of the map.
        width: Columns of the map.

    Returns:
        (N, K, height * width) float32, the share of each cell, row by row; sums to 1.
    """
    columns = functional.adaptive_avg_pool1d(targets_x.float(), width)
    rows = functional.adaptive_avg_pool1d(targets_y.float(), height)
    cells = (rows[..., :, None] * columns[..., None, :]).flatten(2) + _EVERYWHERE
    return cells / cells.sum(dim=-1, keepdim=True)


def _divergence(maps: Tensor, targets_x: Tensor, targets_y: Tensor) -> Tensor:
    """Returns the divergence of every sample and point, (N, K) float32."""
    height, width = maps.shape[2:]
    targets = map_targets(targets_x, targets_y, height=height, width=width)
    log_shares = functional.log_softmax(maps.float().flatten(2), dim=-1)
    return functional.kl_div(log_shares, targets, reduction="none").sum(dim=-1)
