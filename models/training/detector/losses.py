"""What a detector learns: the teacher's outputs at every cell, and labelled boxes where wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor

from ....errors import ModelFormatError
from .assignment import assign
from .cells import Cells, overlaps
from .samples import DetectorBatch
from .settings import DetectorLossSettings

_LEAST: Final = 1e-12  # scores below have no logarithm worth having
_MOST: Final = 1 - 1e-6  # float32 has few numbers between this and 1


class _Outputs(NamedTuple):
    """What the student says about a batch: logarithms of its scores, box numbers, boxes."""

    log_scores: Tensor
    numbers: Tensor
    boxes: Tensor


def detector_losses(
    outputs: Tensor, batch: DetectorBatch, cells: Cells, settings: DetectorLossSettings
) -> dict[str, Tensor]:
    """Works out the losses of a batch.

    Args:
        outputs: (N, A, 6), what the student gives: box numbers, objectness, person (both 0..1).
        batch: What it should give.
        cells: The cells of the input size.
        settings: Weights.

    Returns:
        `loss_score`, `loss_iou` and `loss_l1` against the teacher, unweighted, and with labels
        `loss_label`; all are 0 at their best. `loss` is the weighted sum.
    """
    numbers, sure = outputs[..., :4].float(), outputs[..., 4:].float()
    log_scores = sure.clamp(min=_LEAST).log().sum(dim=-1)
    boxes = cells.boxes_xyxy(numbers)
    student = _Outputs(log_scores, numbers, boxes)
    parts = _teacher_losses(student, batch, cells, settings)
    total = (
        settings.score_weight * parts["loss_score"]
        + settings.iou_weight * parts["loss_iou"]
        + settings.l1_weight * parts["loss_l1"]
    )
    if settings.label_weight > 0:
        parts["loss_label"] = _label_loss(student, batch, cells, settings)
        total = total + settings.label_weight * parts["loss_label"]
    return {"loss": total, **parts}


def feature_loss(levels: Sequence[Tensor], batch: DetectorBatch) -> Tensor:
    """Works out how far the student's features are from the teacher's.

    Args:
        levels: (N, C, H, W) each, what the student's head makes its answers of, stride 8 first.
        batch: What it should give.

    Returns:
        Squared distance in units of the teacher's variance over the batch, a scalar: one half
        the mean over all cells, one half that over persons, cells weighing as the teacher's
        scores do.

    Raises:
        ModelFormatError: The two have another number of features.
    """
    features = torch.cat([level.flatten(2) for level in levels], dim=2).transpose(1, 2).float()
    wanted = batch.teacher_features.float()
    if features.shape != wanted.shape:
        raise ModelFormatError(
            f"the teacher's head works on {wanted.shape[-1]} features, the student's on "
            f"{features.shape[-1]}: loss.feature_weight needs two networks of one width"
        )
    squares = (features - wanted).square().mean(dim=-1) / wanted.var().clamp(min=_LEAST)
    scores = batch.teacher_scores
    return (squares.mean() + (scores * squares).sum() / scores.sum().clamp(min=1)) / 2


def score_divergence(log_scores: Tensor, targets: Tensor) -> Tensor:
    """Returns how far scores are from what they should be, elementwise.

    Args:
        log_scores: Logarithms of the scores.
        targets: What the scores should be, 0 to 1.

    Returns:
        Binary cross-entropy less its smallest possible value: 0 where they are equal.
    """
    absent = torch.log1p(-log_scores.exp().clamp(max=_MOST))
    cross = -(targets * log_scores + (1 - targets) * absent)
    least = -(torch.xlogy(targets, targets) + torch.xlogy(1 - targets, 1 - targets))
    return cross - least


def _teacher_losses(
    student: _Outputs, batch: DetectorBatch, cells: Cells, settings: DetectorLossSettings
) -> dict[str, Tensor]:
    log_scores, targets = student.log_scores, batch.teacher_scores
    total = targets.sum().clamp(min=1)
    difference = (targets - log_scores.detach().exp()).abs()
    divergence = score_divergence(log_scores, targets)
    learnt = targets > settings.box_score
    shares = targets[learnt]
    _, giou = overlaps(student.boxes[learnt], cells.boxes_xyxy(batch.teacher_boxes)[learnt])
    distance = (student.numbers[learnt] - batch.teacher_boxes[learnt]).abs().sum(dim=-1)
    return {
        "loss_score": ((1 + settings.score_focus * difference) * divergence).sum() / total,
        "loss_iou": (shares * (1 - giou)).sum() / total,
        "loss_l1": (shares * distance).sum() / total,
    }


def _label_loss(
    student: _Outputs, batch: DetectorBatch, cells: Cells, settings: DetectorLossSettings
) -> Tensor:
    """Losses at the cells that SimOTA assigns to labelled persons.

    As in YOLOX the score should be the IoU that the box has; the box weighs as it does against
    the teacher.
    """
    log_scores, boxes = student.log_scores, student.boxes
    parts = [boxes.sum() * 0]
    count = 0
    for sample in range(len(boxes)):
        labels = batch.label_boxes_xyxy[batch.label_samples == sample]
        if not len(labels):
            continue
        chosen = assign(cells, boxes[sample], log_scores[sample].exp(), labels)
        found, wanted = boxes[sample, chosen.cells], labels[chosen.persons]
        iou, giou = overlaps(found, wanted)
        scores = score_divergence(log_scores[sample, chosen.cells], iou.detach())
        parts.append((settings.score_weight * scores + settings.iou_weight * (1 - giou)).sum())
        count += len(chosen.cells)
    return torch.stack(parts).sum() / max(count, 1)
