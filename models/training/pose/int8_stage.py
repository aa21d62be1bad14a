"""Training for 8-bit integers: the rounded network learns to do what it did in float.

The teacher is the network itself as it was before, frozen; labels play no part, so nothing is
learnt but to make up for the rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...dwpose import DWPose
from ...quantized_dwpose import QuantizedDWPose
from ..settings.pose import LossSettings, QuantizeSettings
from .losses import FeatureLoss, LogitLoss
from .stages import Outputs, TrainingStage


class Int8Stage(TrainingStage):
    """A network with the roundings of its int8 file learns from itself without them.

    Args:
        teacher: The float network; it is frozen here, and the student starts from its weights.
        settings: Settings of the roundings.
        loss: Settings of the losses, for their sharpness.
    """

    distiller_stage = 1  # in the checkpoint the result is `student.*`, as of a first stage
    learns_labels = False

    def __init__(self, *, teacher: DWPose, settings: QuantizeSettings, loss: LossSettings) -> None:
        super().__init__(teacher.architecture, loss)
        self.student = QuantizedDWPose.from_float(teacher, measured_steps=settings.measured_steps)
        self.teacher = teacher.requires_grad_(False)
        self.distill_losses = nn.ModuleDict()
        if settings.feature_alpha > 0:
            channels = teacher.backbone.out_channels
            self.distill_losses["loss_fea"] = FeatureLoss(
                channels, channels, alpha=settings.feature_alpha
            )
        self.distill_losses["loss_logit"] = LogitLoss(weight=settings.logit_weight, beta=loss.beta)
        self.train()

    def train(self, mode: bool = True) -> Int8Stage:
        """Switches between training and evaluation mode; the teacher stays as it was trained.

        Args:
            mode: True for training.

        Returns:
            The stage.
        """
        super().train(mode)
        self.teacher.eval()
        return self

    def networks(self) -> Sequence[nn.Module]:
        """Returns the modules that do the work, for compiling them in place."""
        return self.teacher.backbone, self.teacher.head, self.student.head

    def _run_networks(self, crops: Tensor) -> tuple[Outputs, Outputs]:
        # While ranges are measured student and teacher are equal, and what little gradient there is
        # would be made large by the optimizer.
        self._factor = 0.0 if self.student.is_measuring() else 1.0
        with torch.no_grad():
            wanted = self.teacher.backbone(crops)
            teacher = Outputs((wanted,), self.teacher.head(wanted))
        features = self.student.features(crops)
        return Outputs((features,), self.student.head(features)), teacher

    def _teacher_losses(self, student: Outputs, teacher: Outputs, epoch: int) -> dict[str, Tensor]:
        pairs = {
            "loss_fea": (student.features[-1], teacher.features[-1]),
            "loss_logit": (student.outputs_xy, teacher.outputs_xy),
        }
        return {
            name: self._factor * loss(*pairs[name]) for name, loss in self.distill_losses.items()
        }

    def _empty_model(self) -> DWPose:
        return QuantizedDWPose(self.architecture)
