"""What a detector learns: the teacher's outputs at every cell, and labelled boxes where wanted.

Which cells of YOLOX answer for which labelled person is chosen by SimOTA (arXiv 2107.08430,
section 2.1). The numbers are those of the official code, yolox/models/yolo_head.py.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from .cells import Cells, overlaps
from .samples import DetectorBatch
from .settings import DetectorLossSettings
from .teacher import TeacherAnswer

CENTER_RADIUS: Final = 1.5
"""Cells are candidates whose centre is so many strides or less from a person's, along each axis."""

IOU_COST_WEIGHT: Final = 3.0
"""Factor on -log IoU, beside the cross-entropy of the score."""

MOST_CELLS: Final = 10
"""A person gets as many cells as the best so many IoUs sum up to, and at least one."""

_OUTSIDE_COST: Final = 1e6
_EPS: Final = 1e-8


class Assignment(NamedTuple):
    """Cells that answer for a labelled person.

    Attributes:
        cells: (K,) int64, indices of cells, each once.
        persons: (K,) int64, index of the person each answers for.
    """

    cells: Tensor
    persons: Tensor


@torch.no_grad()
def assign(cells: Cells, boxes_xyxy: Tensor, scores: Tensor, labels_xyxy: Tensor) -> Assignment:
    """Chooses the cells for the labelled persons of one picture.

    Args:
        cells: All cells.
        boxes_xyxy: (A, 4) boxes that the network predicts at them, pixels.
        scores: (A,) scores for a person that it predicts, 0 to 1.
        labels_xyxy: (G, 4) labelled boxes, pixels.

    Returns:
        The cells chosen; a cell that several persons want goes to the one it suits best.
    """
    near = _near(cells, labels_xyxy)
    (candidates,) = torch.nonzero(near.any(dim=0), as_tuple=True)
    if not len(candidates):
        nothing = torch.zeros(0, dtype=torch.int64, device=boxes_xyxy.device)
        return Assignment(nothing, nothing)
    iou, _ = overlaps(labels_xyxy[:, None], boxes_xyxy[candidates])
    # The official code takes the square root of objectness times class.
    score_cost = -0.5 * scores[candidates].clamp(min=_EPS).log()
    cost = score_cost - IOU_COST_WEIGHT * (iou + _EPS).log()
    cost = cost + _OUTSIDE_COST * ~near[:, candidates]
    best = iou.topk(min(MOST_CELLS, len(candidates)), dim=1).values
    wanted = best.sum(dim=1).int().clamp(min=1)
    chosen = cost.argsort(dim=1).argsort(dim=1) < wanted[:, None]
    several = chosen.sum(dim=0) > 1
    cheapest = cost.argmin(dim=0)
    alone = torch.zeros_like(chosen).scatter_(0, cheapest[None], True)
    chosen = torch.where(several, alone, chosen)
    persons, places = torch.nonzero(chosen, as_tuple=True)
    return Assignment(candidates[places], persons)


def _near(cells: Cells, labels_xyxy: Tensor) -> Tensor:
    """(G, A) bool: whether a cell's centre is near a labelled person's."""
    centers = (labels_xyxy[:, :2] + labels_xyxy[:, 2:]) / 2
    distances = (cells.centers[None] - centers[:, None]).abs()
    return (distances < CENTER_RADIUS * cells.strides[None]).all(dim=-1)


_LEAST: Final = 1e-12  # scores below have no logarithm worth having
_MOST: Final = 1 - 1e-6  # float32 has few numbers between this and 1


class _Outputs(NamedTuple):
    """What the student says about a batch: logarithms of its scores, box numbers, boxes."""

    log_scores: Tensor
    numbers: Tensor
    boxes: Tensor


def detector_losses(
    outputs: Tensor,
    answer: TeacherAnswer,
    batch: DetectorBatch,
    cells: Cells,
    settings: DetectorLossSettings,
) -> dict[str, Tensor]:
    """Works out the losses of a batch.

    Args:
        outputs: (N, A, 6), what the student gives: box numbers, objectness, person (both 0..1).
        answer: What the teacher gives.
        batch: The labels.
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
    parts = _teacher_losses(student, answer, cells, settings)
    total = (
        settings.score_weight * parts["loss_score"]
        + settings.iou_weight * parts["loss_iou"]
        + settings.l1_weight * parts["loss_l1"]
    )
    if settings.label_weight > 0:
        parts["loss_label"] = _label_loss(student, batch, cells, settings)
        total = total + settings.label_weight * parts["loss_label"]
    return {"loss": total, **parts}


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
    student: _Outputs, answer: TeacherAnswer, cells: Cells, settings: DetectorLossSettings
) -> dict[str, Tensor]:
    log_scores, targets = student.log_scores, answer.scores
    total = targets.sum().clamp(min=1)
    difference = (targets - log_scores.detach().exp()).abs()
    divergence = score_divergence(log_scores, targets)
    learnt = targets > settings.box_score
    shares = targets[learnt]
    _, giou = overlaps(student.boxes[learnt], cells.boxes_xyxy(answer.boxes)[learnt])
    distance = (student.numbers[learnt] - answer.boxes[learnt]).abs().sum(dim=-1)
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
