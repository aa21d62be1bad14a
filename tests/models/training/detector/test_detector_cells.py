from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from dwpose_infer.detector import decode_yolox
from dwpose_infer.models.training.detector.cells import LOG_SIZE_MAX, make_cells, overlaps

DECODED = 1e-6
"""Boxes in float32 against NumPy's, relative to the input's size: exp differs by a rounding."""


@pytest.mark.parametrize("input_wh", [(416, 416), (96, 64)])
def test_boxes_are_decoded_as_the_detector_does(rng, input_wh):
    width, height = input_wh
    count = sum((width // stride) * (height // stride) for stride in (8, 16, 32))
    rows = rng.normal(0, 1, (count, 6)).astype(np.float32)
    rows[:, 4:] = 1
    expected, _ = decode_yolox(rows, input_size_wh=input_wh, score_threshold=0.5)
    boxes = make_cells(input_wh).boxes_xyxy(torch.from_numpy(rows[None, :, :4]))
    assert boxes.shape == (1, count, 4)
    np.testing.assert_allclose(boxes[0].numpy(), expected, rtol=DECODED, atol=DECODED * width)


def test_sizes_are_cut_off_while_learning():
    cells = make_cells((32, 32))
    numbers = torch.zeros(21, 4)
    numbers[:, 2:] = 100
    sides = cells.boxes_xyxy(numbers)[:, 2:] - cells.boxes_xyxy(numbers)[:, :2]
    torch.testing.assert_close(sides, (np.exp(LOG_SIZE_MAX) * cells.strides).expand(-1, 2))


def test_centers_of_the_cells():
    centers = make_cells((64, 32)).centers
    assert centers[:2].tolist() == [[4, 4], [12, 4]]
    assert centers[8 * 4 : 8 * 4 + 5].tolist() == [[8, 8], [24, 8], [40, 8], [56, 8], [8, 24]]
    assert centers[-2:].tolist() == [[16, 16], [48, 16]]


def test_overlaps_worked_out_by_hand():
    first = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 3.0, 3.0]])
    second = torch.tensor([[2.0, 0.0, 6.0, 4.0], [6.0, 6.0, 8.0, 8.0], [1.0, 1.0, 3.0, 3.0]])
    iou, giou = overlaps(first, second)
    # 8 of 24, all of it within 24; nothing of 8, within 64; the same box.
    torch.testing.assert_close(iou, torch.tensor([1 / 3, 0.0, 1.0]))
    torch.testing.assert_close(giou, torch.tensor([1 / 3, -56 / 64, 1.0]))


def test_empty_boxes_give_finite_gradients():
    box = torch.zeros(1, 4, requires_grad=True)
    iou, giou = overlaps(box, torch.zeros(1, 4))
    (iou.sum() + giou.sum()).backward()
    assert bool(box.grad.isfinite().all())
