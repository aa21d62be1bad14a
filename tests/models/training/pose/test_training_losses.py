from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from dwpose_infer.models.training.pose.losses import (
    FeatureLoss,
    LogitLoss,
    label_loss,
    point_factors,
)
from tolerances import LOSS_GRADIENT_NORM, TRAINING_LOSS

EPOCHS = {"s1_l-t": 270, "s2_t-t": 60}


def tensors(path):
    with np.load(path) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def pair(arrays, kind):
    return arrays[f"{kind}_x"], arrays[f"{kind}_y"]


@pytest.mark.parametrize("index", [0, 1])
def test_the_label_loss_is_the_reference_one(reference, index):
    name = f"256x192_{index}"
    golden = json.loads((reference / "simcc/golden.json").read_text())[f"klloss_{name}"]
    outputs = tensors(reference / f"simcc/decode_{name}.npz")
    labels = tensors(reference / f"simcc/encode_{name}.npz")
    outputs_xy = tuple(outputs[f"simcc_{axis}"].requires_grad_() for axis in "xy")
    targets = labels["x_labels"], labels["y_labels"]

    loss = label_loss(outputs_xy, targets, labels["weights"])
    loss.backward()

    assert loss.item() == pytest.approx(golden["loss"], rel=TRAINING_LOSS)
    for output, axis in zip(outputs_xy, "xy", strict=True):
        norm = golden[f"grad_{axis}_norm"]
        assert output.grad.norm().item() == pytest.approx(norm, rel=LOSS_GRADIENT_NORM)
    unweighted = label_loss(outputs_xy, targets, None)
    assert unweighted.item() == pytest.approx(golden["loss_no_weight"], rel=TRAINING_LOSS)


@pytest.mark.parametrize("epoch", [0, 50, 269])
def test_the_losses_of_stage_1_are_the_reference_ones(reference, epoch):
    golden = json.loads((reference / "distill/golden.json").read_text())["s1_l-t"]
    expected = golden["losses"]["eval"][f"epoch{epoch}"]
    arrays = tensors(reference / "distill/s1_l-t.eval.npz")
    features = FeatureLoss(arrays["fea_s"].shape[1], arrays["fea_t"].shape[1])
    features.load_state_dict(
        {"align.weight": arrays["align_weight"], "align.bias": arrays["align_bias"]}
    )
    factor = 1 - epoch / EPOCHS["s1_l-t"]

    loss_kpt = label_loss(pair(arrays, "logit_s"), pair(arrays, "gt"), arrays["weights"])
    loss_fea = factor * features(arrays["fea_s"], arrays["fea_t"])
    loss_logit = factor * LogitLoss(weight=0.1)(pair(arrays, "logit_s"), pair(arrays, "logit_t"))

    assert loss_kpt.item() == pytest.approx(expected["loss_kpt"], rel=TRAINING_LOSS)
    assert loss_fea.item() == pytest.approx(expected["loss_fea"], rel=TRAINING_LOSS)
    assert loss_logit.item() == pytest.approx(expected["loss_logit"], rel=TRAINING_LOSS)
    total = (loss_kpt + loss_fea + loss_logit).item()
    assert total == pytest.approx(expected["total"], rel=TRAINING_LOSS)


@pytest.mark.parametrize("epoch", [0, 50])
def test_the_loss_of_stage_2_is_the_reference_one(reference, epoch):
    golden = json.loads((reference / "distill/golden.json").read_text())["s2_t-t"]
    arrays = tensors(reference / "distill/s2_t-t.eval.npz")
    loss = LogitLoss(weight=1.0)(pair(arrays, "logit_s"), pair(arrays, "logit_t"))
    expected = golden["losses"]["eval"][f"epoch{epoch}"]
    assert loss.item() == pytest.approx(expected["loss_logit"], rel=TRAINING_LOSS)


def example(samples, seed=0, points=3):
    generator = torch.Generator().manual_seed(seed)
    outputs = tuple(torch.randn(samples, points, bins, generator=generator) for bins in (8, 10))
    targets = tuple(torch.rand(samples, points, bins, generator=generator) for bins in (8, 10))
    return outputs, targets, torch.ones(samples, points)


def test_the_label_loss_sums_over_the_samples_and_the_others_average():
    outputs, targets, weights = example(2)
    doubled = tuple(torch.cat([part, part]) for part in outputs)
    twice = tuple(torch.cat([part, part]) for part in targets)
    once = label_loss(outputs, targets, weights)
    again = label_loss(doubled, twice, torch.cat([weights, weights]))
    assert again.item() == pytest.approx(2 * once.item(), rel=TRAINING_LOSS)

    logit = LogitLoss(weight=1.0)
    assert logit(doubled, twice).item() == pytest.approx(logit(outputs, targets).item(), rel=1e-6)
    feature = FeatureLoss(4, 4)
    maps, others = torch.randn(2, 4, 3, 3), torch.randn(2, 4, 3, 3)
    assert feature.align is None
    assert feature(torch.cat([maps, maps]), torch.cat([others, others])).item() == pytest.approx(
        feature(maps, others).item(), rel=1e-6
    )


def test_with_reference_samples_the_label_loss_does_not_depend_on_how_a_batch_is_split():
    outputs, targets, weights = example(8)
    whole = label_loss(outputs, targets, weights, reference_samples=4)
    halves = [
        label_loss(
            tuple(part[half] for part in outputs),
            tuple(part[half] for part in targets),
            weights[half],
            reference_samples=4,
        )
        for half in (slice(0, 4), slice(4, 8))
    ]
    assert torch.stack(halves).mean().item() == pytest.approx(whole.item(), rel=TRAINING_LOSS)
    # where the batch has that many samples it is the official sum
    official = label_loss(*(tuple(p[:4] for p in parts) for parts in (outputs, targets)), None)
    assert halves[0].item() == pytest.approx(official.item(), rel=TRAINING_LOSS)


def test_points_without_weight_do_not_count_and_get_no_gradient():
    outputs, targets, weights = example(2)
    outputs = tuple(part.requires_grad_() for part in outputs)
    weights[:, 1] = 0
    label_loss(outputs, targets, weights).backward()
    for part in outputs:
        assert part.grad[:, 1].abs().max() == 0
        assert part.grad[:, 0].abs().max() > 0


def test_targets_can_be_used_without_a_softmax():
    outputs, _, weights = example(1)
    certain = tuple(
        torch.nn.functional.one_hot(part.argmax(-1), part.shape[-1]) for part in outputs
    )
    loss = label_loss(outputs, certain, weights, beta=1.0, label_softmax=False)
    # the divergence from a single bin is minus the logarithm of that bin's probability
    expected = sum(-part.log_softmax(-1).amax(-1).sum().item() / part.shape[-1] for part in outputs)
    assert loss.item() == pytest.approx(expected / 3, rel=1e-5)


def test_half_precision_outputs_give_a_float32_loss():
    outputs, targets, weights = example(2)
    half = tuple(part.bfloat16() for part in outputs)
    rounded = tuple(part.float() for part in half)
    loss = label_loss(half, targets, weights)
    assert loss.dtype == torch.float32
    assert loss.item() == label_loss(rounded, targets, weights).item()
    features = FeatureLoss(4, 4)(torch.ones(1, 4, 2, 2).bfloat16(), torch.zeros(1, 4, 2, 2))
    assert features.dtype == torch.float32
    assert features.item() == pytest.approx(16 * 7e-5)


def test_no_gradient_reaches_the_teacher():
    outputs, targets, _ = example(2)
    teacher = tuple(part.requires_grad_() for part in targets)
    student = tuple(part.requires_grad_() for part in outputs)
    LogitLoss(weight=1.0)(student, teacher).backward()
    assert all(part.grad is None for part in teacher)
    assert all(part.grad.abs().max() > 0 for part in student)


def test_factors_go_to_the_points_of_their_part():
    factors = point_factors(2.5, 2.0, 0.5, 1.25).tolist()
    assert factors == [2.5] * 17 + [2.0] * 6 + [0.5] * 68 + [1.25] * 42
