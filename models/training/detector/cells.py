"""YOLOX's cells in torch: where they are, and the boxes that their numbers mean.

The same arithmetic as `dwpose_infer.detector.decode_yolox`, for whole batches and with gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from ...yolox import STRIDES

LOG_SIZE_MAX: Final = 6.0
"""Logarithms of sizes are cut off here while learning: e^6 cells are 3227 pixels at stride 8,
wider than any input, and larger ones would only make the loss infinite."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The cells of one input size, in the order of YOLOX's output rows.

    Attributes:
        corners: (A, 2) float32, column and row.
        strides: (A, 1) float32, pixels per cell.
    """

    corners: Tensor
    strides: Tensor

    @property
    def centers(self) -> Tensor:
        """Centres of the cells, (A, 2), x then y, pixels of the input."""
        return (self.corners + 0.5) * self.strides

    def boxes_xyxy(self, numbers: Tensor) -> Tensor:
        """Decodes boxes.

        Args:
            numbers: (..., A, 4): offset of the centre from the cell's corner, then logarithm of
                the size, both in strides.

        Returns:
            (..., A, 4), left, top, right, bottom in pixels of the input.
        """
        center = (numbers[..., :2] + self.corners) * self.strides
        half = numbers[..., 2:4].clamp(max=LOG_SIZE_MAX).exp() * self.strides / 2
        return torch.cat([center - half, center + half], dim=-1)


def make_cells(input_wh: tuple[int, int], device: torch.device | str = "cpu") -> Cells:
    """Lists the cells of an input of this width and height."""
    width, height = input_wh
    corners, strides = [], []
    for stride in STRIDES:
        rows, columns = torch.meshgrid(
            torch.arange(height // stride), torch.arange(width // stride), indexing="ij"
        )
        corners.append(torch.stack([columns.flatten(), rows.flatten()], dim=1).float())
        strides.append(torch.full((rows.numel(), 1), float(stride)))
    return Cells(torch.cat(corners).to(device), torch.cat(strides).to(device))


def overlaps(first_xyxy: Tensor, second_xyxy: Tensor) -> tuple[Tensor, Tensor]:
    """Compares boxes one by one.

    Args:
        first_xyxy: (..., 4), left, top, right, bottom.
        second_xyxy: The same, of a shape that broadcasts.

    Returns:
        Intersection over union, and the generalised IoU (arXiv 1902.09630), each (...).
    """
    low = torch.maximum(first_xyxy[..., :2], second_xyxy[..., :2])
    high = torch.minimum(first_xyxy[..., 2:], second_xyxy[..., 2:])
    inside = (high - low).clamp(min=0).prod(dim=-1)
    union = _areas(first_xyxy) + _areas(second_xyxy) - inside
    union = union.clamp(min=torch.finfo(union.dtype).tiny)
    outer_low = torch.minimum(first_xyxy[..., :2], second_xyxy[..., :2])
    outer_high = torch.maximum(first_xyxy[..., 2:], second_xyxy[..., 2:])
    outer = (outer_high - outer_low).prod(dim=-1).clamp(min=torch.finfo(union.dtype).tiny)
    iou = inside / union
    return iou, iou - (outer - union) / outer


def _areas(boxes_xyxy: Tensor) -> Tensor:
    return (boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]).prod(dim=-1)
