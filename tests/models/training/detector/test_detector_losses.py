from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from detector_samples import SIDE

from dwpose_infer.models.training.detector.blocks import BlockRecord
from dwpose_infer.models.training.detector.cells import make_cells
from dwpose_infer.models.training.detector.losses import (
    detector_losses,
    score_divergence,
)
from dwpose_infer.models.training.detector.samples import DetectorBatch
from dwpose_infer.models.training.detector.settings import DetectorLossSettings
from dwpose_infer.models.training.detector.teacher import TeacherAnswer

CELLS = make_cells((SIDE, SIDE))
COUNT = len(CELLS.strides)
PLAIN = DetectorLossSettings(score_focus=0.0)


def make_batch(*, samples=1, labels=(), on=()):
    return DetectorBatch(
        torch.zeros(samples, SIDE, SIDE, 3, dtype=torch.uint8),
        torch.tensor(labels, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(on, dtype=torch.int64),
    )


def answer_of(*, scores=None, boxes=None, samples=1):
    shape = (samples, COUNT)
    return TeacherAnswer(
        torch.zeros(shape) if scores is None else scores,
        torch.zeros(*shape, 4) if boxes is None else boxes,
        BlockRecord({}, {}),
    )


def outputs_of(numbers, objectness, person):
    return torch.cat([numbers, objectness[..., None], person[..., None]], dim=-1)


def test_a_student_that_says_the_same_has_nothing_to_learn():
    torch.manual_seed(0)
    numbers, objectness, person = (
        torch.randn(2, COUNT, 4),
        torch.rand(2, COUNT),
        torch.rand(2, COUNT),
    )
    losses = detector_losses(
        outputs_of(numbers, objectness, person),
        answer_of(scores=objectness * person, boxes=numbers),
        make_batch(samples=2),
        CELLS,
        DetectorLossSettings(),
    )
    for name, loss in losses.items():
        assert abs(float(loss)) < 1e-4, name


def test_numbers_worked_out_by_hand():
    """One cell of stride 8 in which the teacher sees someone: 0.5 against 0.25 (0.5 x 0.5)."""
    scores, boxes = torch.zeros(1, COUNT), torch.zeros(1, COUNT, 4)
    scores[0, 0] = 0.5
    numbers = torch.zeros(1, COUNT, 4)
    numbers[0, 0, 0] = 0.5  # 4 of 8 pixels to the right
    sure = torch.zeros(1, COUNT)
    sure[0, 0] = 0.5
    answer = answer_of(scores=scores, boxes=boxes)
    losses = detector_losses(outputs_of(numbers, sure, sure), answer, make_batch(), CELLS, PLAIN)
    # 0.5 ln(0.5 / 0.25) + 0.5 ln(0.5 / 0.75), times 1 / max(sum of scores, 1)
    assert float(losses["loss_score"]) == pytest.approx(0.143841, abs=1e-6)
    # IoU 32 / 96 of a box that is moved by half: outer box is the union, so GIoU is 1/3 too
    assert float(losses["loss_iou"]) == pytest.approx(0.5 * 2 / 3, abs=1e-6)
    assert float(losses["loss_l1"]) == pytest.approx(0.25, abs=1e-6)
    total = 2 * 0.143841 + 5 / 3 + 0.25
    assert float(losses["loss"]) == pytest.approx(total, abs=1e-5)
    focused = detector_losses(
        outputs_of(numbers, sure, sure),
        answer,
        make_batch(),
        CELLS,
        replace(PLAIN, score_focus=2.0),
    )
    assert float(focused["loss_score"]) == pytest.approx(1.5 * 0.143841, abs=1e-6)


def test_boxes_count_where_the_teacher_sees_someone():
    scores = torch.zeros(1, COUNT)
    scores[0, :2] = torch.tensor([0.05, 0.8])
    numbers = torch.randn(1, COUNT, 4).requires_grad_()
    outputs = outputs_of(numbers, torch.full((1, COUNT), 0.5), torch.full((1, COUNT), 0.5))
    losses = detector_losses(outputs, answer_of(scores=scores), make_batch(), CELLS, PLAIN)
    (losses["loss_iou"] + losses["loss_l1"]).backward()
    moved = numbers.grad.abs().sum(dim=-1)[0] > 0
    assert moved.nonzero().flatten().tolist() == [1]


@pytest.mark.parametrize("score", [1e-12, 1e-4, 0.5, 1 - 1e-6])
@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_the_score_loss_is_finite_and_points_the_right_way(score, target):
    log_score = torch.tensor(score).log().requires_grad_()
    loss = score_divergence(log_score, torch.tensor(target))
    loss.backward()
    assert float(loss.detach()) >= -1e-6
    assert bool(loss.isfinite())
    assert bool(log_score.grad.isfinite())
    if abs(score - target) > 1e-5:
        assert float(log_score.grad) * (score - target) > 0


def test_labels_pull_where_the_teacher_is_blind():
    """The teacher sees nobody; one label at (24, 24), predicted by a cell beside it."""
    numbers = torch.zeros(1, COUNT, 4)
    numbers[..., 2:] = -9  # next to nothing
    numbers[0, 18] = torch.tensor([1.0, 1.0, 1.0, 1.0])
    sure = torch.full((1, COUNT), 0.3).requires_grad_()
    batch = make_batch(labels=[[10, 10, 38, 38]], on=[0])
    settings = DetectorLossSettings(label_weight=1.0, score_weight=1.0)
    losses = detector_losses(outputs_of(numbers, sure, sure), answer_of(), batch, CELLS, settings)
    losses["loss_label"].backward()
    pulled = sure.grad[0].nonzero().flatten().tolist()
    assert pulled == [18]
    assert float(sure.grad[0, 18]) < 0
    without = detector_losses(outputs_of(numbers, sure, sure), answer_of(), batch, CELLS, PLAIN)
    assert "loss_label" not in without
    nobody = detector_losses(
        outputs_of(numbers, sure, sure), answer_of(), make_batch(), CELLS, settings
    )
    assert float(nobody["loss_label"].detach()) == 0
