"""SimOTA: which cells of YOLOX answer for which labelled person (arXiv 2107.08430, section 2.1).

The numbers are those of the official code, yolox/models/yolo_head.py.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from .cells import Cells, overlaps

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
