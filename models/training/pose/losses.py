"""The losses of DWPose, with the reductions of the official code.

All three compare distributions or features of one batch and return a scalar in float32, whatever
the precision of the networks. The reductions differ and are part of the recipe: the label loss
averages over bins and sums over the batch, the logit loss sums over bins and averages over the
batch, the feature loss is a sum divided by the batch.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from ....keypoints import PARTS
from ..settings.pose import LossSettings

LABEL_BETA: Final = 10.0
"""Factor before the softmax (mmpose's RTMPose configurations, `beta` of KLDiscretLoss)."""

FEATURE_ALPHA: Final = 7e-5
"""Factor on the feature loss (DWPose's stage-1 configurations, `alpha_fea`)."""


def _divergence(
    outputs: Tensor, targets: Tensor, *, beta: float, target_softmax: bool = True
) -> Tensor:
    """Returns targets * (log targets - log softmax(beta * outputs)) bin by bin, float32."""
    log_probabilities = functional.log_softmax(outputs.float() * beta, dim=-1)
    if not target_softmax:
        return functional.kl_div(log_probabilities, targets.float(), reduction="none")
    log_targets = functional.log_softmax(targets.float() * beta, dim=-1)
    # From logarithms: torch takes several times as long to take those of probabilities.
    return functional.kl_div(log_probabilities, log_targets, reduction="none", log_target=True)


def label_loss(
    outputs_xy: tuple[Tensor, Tensor],
    targets_xy: tuple[Tensor, Tensor],
    keypoint_weights: Tensor | None,
    *,
    beta: float = LABEL_BETA,
    label_softmax: bool = True,
    reference_samples: int | None = None,
) -> Tensor:
    """Works out the loss against the labels (mmpose's KLDiscretLoss).

    The divergence of every point and axis is averaged over the bins, multiplied by the point's
    weight, summed over axes, points and samples, and divided by the number of points. It is not
    divided by the number of samples, so it grows with the batch.

    Args:
        outputs_xy: The network's outputs, (N, K, bins along x) and (N, K, bins along y).
        targets_xy: Gaussians of the same shapes, peak 1.
        keypoint_weights: (N, K), 0 for a point that does not count; none counts all.
        beta: Factor on outputs and targets before their softmax.
        label_softmax: Whether the targets pass through a softmax too.
        reference_samples: Scale the sum over the samples to what that many would give on
            average; none leaves the plain sum.

    Returns:
        The loss, a scalar.
    """
    per_point = sum(
        _divergence(outputs, targets, beta=beta, target_softmax=label_softmax).mean(dim=-1)
        for outputs, targets in zip(outputs_xy, targets_xy, strict=True)
    )
    if keypoint_weights is not None:
        per_point = per_point * keypoint_weights
    samples, points = outputs_xy[0].shape[:2]
    total = torch.as_tensor(per_point).sum() / points
    return total if reference_samples is None else total * (reference_samples / samples)


def loss_weights(keypoint_weights: Tensor, settings: LossSettings) -> Tensor:
    """Returns how much each point of each sample counts in the losses against the labels.

    Args:
        keypoint_weights: (N, 133), 0 for points that are not labelled.
        settings: Whether that counts, and the factors of the parts.
    """
    if not settings.use_keypoint_weights:
        keypoint_weights = torch.ones_like(keypoint_weights)
    return keypoint_weights * point_factors(*settings.part_weights).to(keypoint_weights)


def point_factors(body: float, feet: float, face: float, hands: float) -> Tensor:
    """Returns factors on the weights of the points, (133,) float32, from one for each part."""
    factors = {"body": body, "feet": feet, "face": face, "left_hand": hands, "right_hand": hands}
    return torch.cat([torch.full((_length(PARTS[part]),), factors[part]) for part in PARTS])


def _length(points: slice) -> int:
    return len(range(points.stop)[points])


class LogitLoss(nn.Module):
    """The loss between the outputs of student and teacher (DWPose's KDLoss).

    The divergence is summed over the bins, axes and points, averaged over the samples, and
    divided by the number of points. Points that are not labelled count like all others: the
    teacher has an opinion about them.

    Args:
        weight: Factor on the loss: 0.1 in stage 1, 1 in stage 2.
        beta: Factor on both outputs before their softmax, that of the label loss.
    """

    def __init__(self, *, weight: float, beta: float = LABEL_BETA) -> None:
        super().__init__()
        self.weight = weight
        self.beta = beta

    def forward(
        self, student_xy: tuple[Tensor, Tensor], teacher_xy: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Works out the loss.

        Args:
            student_xy: The student's outputs, (N, K, bins along x) and (N, K, bins along y).
            teacher_xy: The teacher's, of the same shapes; no gradient flows into them.

        Returns:
            The loss, a scalar.
        """
        samples, points = student_xy[0].shape[:2]
        total = sum(
            _divergence(student, teacher.detach(), beta=self.beta).sum()
            for student, teacher in zip(student_xy, teacher_xy, strict=True)
        )
        return torch.as_tensor(total) / samples / points * self.weight


class FeatureLoss(nn.Module):
    """The loss between the features of student and teacher (DWPose's FeaLoss).

    Sum of the squared differences divided by the number of samples, times `alpha`. Where the
    numbers of channels differ, a learnt 1x1 convolution first brings the student's features to
    the teacher's; it is thrown away after the training.

    Args:
        student_channels: Channels of the student's features.
        teacher_channels: Channels of the teacher's features.
        alpha: Factor on the loss.

    Attributes:
        align: That convolution, or none. The name is that of the official checkpoints.
    """

    def __init__(
        self, student_channels: int, teacher_channels: int, *, alpha: float = FEATURE_ALPHA
    ) -> None:
        super().__init__()
        self.alpha = alpha
        self.align: nn.Conv2d | None = None
        if student_channels != teacher_channels:
            self.align = nn.Conv2d(student_channels, teacher_channels, kernel_size=1)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Works out the loss.

        Args:
            student: The student's features, (N, student_channels, h, w).
            teacher: The teacher's, (N, teacher_channels, h, w); no gradient flows into them.

        Returns:
            The loss, a scalar.
        """
        aligned = student if self.align is None else self.align(student)
        squares = functional.mse_loss(aligned.float(), teacher.detach().float(), reduction="sum")
        return squares / len(teacher) * self.alpha
