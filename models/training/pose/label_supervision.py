"""What a network learns from labels: its answer to a batch, and the losses against them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ...cspnext import CSPNeXt
from ...dwpose import DWPose
from ..settings.pose import LossSettings
from .heatmaps import SUPERVISED_STAGES, MapSupervision
from .losses import label_loss, point_factors


class Labels(NamedTuple):
    """What the samples of a batch should give, see `distillation.TrainingStage.forward`."""

    targets_x: Tensor
    targets_y: Tensor
    keypoint_weights: Tensor

    def weighted(self, settings: LossSettings) -> Labels:
        """Returns the same with the weights that count in the losses."""
        weights = self.keypoint_weights
        if not settings.use_keypoint_weights:
            weights = torch.ones_like(weights)
        factors = point_factors(*settings.part_weights).to(weights)
        return self._replace(keypoint_weights=weights * factors)


class Answer(NamedTuple):
    """What a network made of a batch.

    Attributes:
        features: Of the backbone.
        outputs_xy: Of the head, along x and along y.
        losses: `loss_kpt`, and `loss_map` where maps are supervised; factors included.
    """

    features: Tensor
    outputs_xy: tuple[Tensor, Tensor]
    losses: dict[str, Tensor]


def new_map_supervision(model: DWPose, settings: LossSettings) -> MapSupervision | None:
    """Returns the layers that supervise a network's maps; None where none are wanted."""
    if settings.map_weight == 0:
        return None
    channels = model.backbone.out_channels
    return MapSupervision((channels // 2, channels), model.architecture.keypoints)


def answer_labels(
    backbone: CSPNeXt,
    head: nn.Module,
    supervision: MapSupervision | None,
    *,
    crops: Tensor,
    labels: Labels,
    settings: LossSettings,
) -> Answer:
    """Runs a network and compares it with the labels.

    Args:
        backbone: Its backbone.
        head: Its head.
        supervision: From `new_map_supervision`.
        crops: (N, 3, height, width) float, normalised.
        labels: What it should say.
        settings: How that counts.
    """
    labels = labels.weighted(settings)
    stages = (backbone(crops),) if supervision is None else backbone.stage_features(crops)
    features = stages[-1]
    outputs_xy: tuple[Tensor, Tensor] = head(features)
    losses = {
        "loss_kpt": label_loss(
            outputs_xy,
            (labels.targets_x, labels.targets_y),
            labels.keypoint_weights,
            beta=settings.beta,
            label_softmax=settings.label_softmax,
            reference_samples=settings.reference_samples,
        )
    }
    if supervision is not None:
        loss: Tensor = supervision(stages[-SUPERVISED_STAGES:], *labels)
        reference = settings.reference_samples
        share = 1.0 if reference is None else reference / len(crops)
        losses["loss_map"] = loss * (share * settings.map_weight)
    return Answer(features, outputs_xy, losses)
