from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from dwpose_infer.models.training.detector.cells import make_cells
from dwpose_infer.models.training.detector.losses import assign


@pytest.fixture
def cells():
    return make_cells((64, 64))


def empty_boxes(cells):
    return torch.zeros(len(cells.strides), 4)


def test_the_cells_whose_boxes_fit_best_answer(cells):
    label = torch.tensor([[8.0, 8.0, 40.0, 40.0]])
    boxes = empty_boxes(cells)
    near = [18, 19, 26]  # columns 2, 3 of row 2 and column 2 of row 3, around (24, 24)
    for index, right in zip(near, (40, 36, 32), strict=True):
        boxes[index] = torch.tensor([8.0, 8.0, right, 40.0])
    far = 63  # a perfect box at the other end of the picture
    boxes[far] = label[0]
    chosen = assign(cells, boxes, torch.full((len(boxes),), 0.5), label)
    # IoUs 1, 28/32 and 24/32 sum up to 2.6: two cells.
    assert sorted(chosen.cells.tolist()) == near[:2]
    assert chosen.persons.tolist() == [0, 0]


def test_the_score_decides_between_equal_boxes(cells):
    label = torch.tensor([[8.0, 8.0, 40.0, 40.0]])
    boxes = empty_boxes(cells)
    boxes[[18, 19]] = torch.tensor([8.0, 8.0, 40.0, 24.0])  # IoU 1/2 each: one cell
    for better in (18, 19):
        scores = torch.full((len(boxes),), 0.2)
        scores[better] = 0.9
        assert assign(cells, boxes, scores, label).cells.tolist() == [better]


def test_every_person_gets_a_cell_and_every_cell_one_person(cells):
    labels = torch.tensor([[8.0, 8.0, 40.0, 40.0], [10.0, 10.0, 42.0, 42.0]])
    boxes = empty_boxes(cells)
    boxes[:] = torch.tensor([9.0, 9.0, 41.0, 41.0])
    chosen = assign(cells, boxes, torch.full((len(boxes),), 0.5), labels)
    assert len(set(chosen.cells.tolist())) == len(chosen.cells)
    lonely = assign(cells, empty_boxes(cells), torch.full((84,), 0.5), labels[:1])
    assert len(lonely.cells) == 1


def test_nobody_needs_no_cells(cells):
    chosen = assign(cells, empty_boxes(cells), torch.full((84,), 0.5), torch.zeros(0, 4))
    assert chosen.cells.shape == chosen.persons.shape == (0,)
