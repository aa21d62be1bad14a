from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import nn

from dwpose_infer.errors import InvalidArgumentError, ModelFormatError
from dwpose_infer.models.dwpose import DWPose, DWPoseArchitecture
from dwpose_infer.models.training.loop.learner import MovingAverage
from dwpose_infer.models.training.loop.optimizer import (
    build_optimizer,
    clip_gradients,
    learning_rate,
    set_learning_rate,
    split_by_decay,
)
from dwpose_infer.models.training.settings import (
    EmaSettings,
    OptimizerSettings,
    ScheduleSettings,
)
from tolerances import MOVING_AVERAGE, SCHEDULE


def test_the_groups_are_the_reference_ones(reference):
    golden = json.loads((reference / "extra/optim_groups_t-256x192.json").read_text())
    with torch.device("meta"):
        model = DWPose(DWPoseArchitecture("t"))
    settings = OptimizerSettings()
    optimizer = build_optimizer(model, settings)

    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {
        names[id(parameter)]: (group["weight_decay"], group["lr"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert found == {name: (decay, rate) for name, decay, rate in golden["groups"]}
    for group in optimizer.param_groups:
        assert list(group["betas"]) == golden["betas"]
        assert group["eps"] == golden["eps"]
    assert settings.clip_norm == golden["clip_grad"]


def test_what_is_frozen_is_left_out_and_shared_parameters_are_listed_once():
    shared = nn.Linear(3, 3)
    module = nn.ModuleDict(
        {"a": shared, "b": shared, "norm": nn.LayerNorm(3), "c": nn.Linear(3, 3)}
    )
    module["c"].requires_grad_(False)
    decayed, plain = split_by_decay(module)
    assert list(decayed) == ["a.weight"]
    assert list(plain) == ["a.bias", "norm.weight", "norm.bias"]
    with pytest.raises(InvalidArgumentError, match="nothing is to be trained"):
        build_optimizer(module.requires_grad_(False), OptimizerSettings())


def test_the_rate_is_set_in_every_group():
    optimizer = build_optimizer(nn.Linear(2, 2), OptimizerSettings())
    set_learning_rate(optimizer, 0.125)
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.125]


@pytest.mark.parametrize(("limit", "kept"), [(None, 5.0), (10.0, 5.0), (1.0, 1.0)])
def test_gradients_are_clipped_to_their_common_length(limit, kept):
    first, second, idle = (nn.Parameter(torch.zeros(1)) for _ in range(3))
    first.grad, second.grad = torch.tensor([3.0]), torch.tensor([4.0])
    assert clip_gradients([first, second, idle], limit).item() == pytest.approx(5)
    after = torch.cat([first.grad, second.grad]).norm().item()
    assert after == pytest.approx(kept, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "epochs", "settings"),
    [
        ("lr_main_270ep_len20", 270, ScheduleSettings()),
        (
            "lr_stage2_60ep_config_as_written_len20",
            60,
            ScheduleSettings(decay_begin_epoch=135, decay_end_epoch=270),
        ),
    ],
)
def test_the_rates_are_the_reference_ones(reference, name, epochs, settings):
    with np.load(reference / f"extra/{name}.npz") as arrays:
        expected, steps_per_epoch = arrays["lr"], int(arrays["epoch_length"])
    assert len(expected) == epochs * steps_per_epoch
    rates = [
        learning_rate(
            step,
            steps_per_epoch=steps_per_epoch,
            epochs=epochs,
            highest=4e-3,
            settings=settings,
        )
        for step in range(len(expected))
    ]
    np.testing.assert_allclose(rates, expected, rtol=SCHEDULE)


def rate(step, settings, epochs=60):
    return learning_rate(step, steps_per_epoch=20, epochs=epochs, highest=4e-3, settings=settings)


def test_the_second_stage_can_be_told_to_decay():
    settings = ScheduleSettings(warmup_steps=0)
    assert rate(599, settings) == 4e-3
    assert rate(900, settings) == pytest.approx((4e-3 + 2e-4) / 2)  # half of the cosine
    assert rate(1200, settings) == pytest.approx(2e-4)
    assert rate(5000, settings) == pytest.approx(2e-4)  # stays there


@given(step=st.integers(0, 1198), warmup=st.integers(0, 600))
def test_the_rate_never_exceeds_the_highest_and_falls_after_the_middle(step, warmup):
    settings = ScheduleSettings(warmup_steps=warmup)
    here, next_one = rate(step, settings), rate(step + 1, settings)
    assert 0 < here <= 4e-3
    assert next_one >= here if step + 1 < 600 else next_one <= here or step < 600


def test_the_averages_are_the_reference_ones(reference):
    with np.load(reference / "extra/ema.npz") as arrays:
        golden = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    names = list(module.state_dict())
    average = MovingAverage(module, EmaSettings())
    for index in range(12):
        module.load_state_dict({name: golden[f"src{index}.{name}"] for name in names})
        average.update(module)
        assert average.steps == golden[f"ema{index}.steps"]
        for name in names:
            torch.testing.assert_close(
                average.averages[name],
                golden[f"ema{index}.module.{name}"],
                rtol=0,
                atol=MOVING_AVERAGE,
            )


def drifting(seed, *, frozen=False):
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    module[0].requires_grad_(not frozen)
    return module


def step(module):
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter))
        module[1].running_mean.add_(1)
        module[1].num_batches_tracked.add_(1)


def test_the_share_of_new_weights_falls_to_the_momentum():
    average = MovingAverage(drifting(0), EmaSettings(momentum=0.01, gamma=10))
    shares = []
    for _ in range(200):
        shares.append(average.momentum())
        average.update(drifting(1))
    assert shares[0] == pytest.approx(0.99 * np.exp(-0.1) + 0.01)
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == pytest.approx(0.01, abs=1e-6)


def test_running_statistics_can_be_copied():
    module = drifting(0)
    average = MovingAverage(module, EmaSettings(average_buffers=False))
    for _ in range(3):
        step(module)
        average.update(module)
    state = module.state_dict()
    assert torch.equal(average.averages["1.running_mean"], state["1.running_mean"])
    assert average.averages["1.num_batches_tracked"] == 3
    assert not torch.equal(average.averages["0.weight"], state["0.weight"])


def test_frozen_parameters_and_the_module_itself_stay_as_they_are():
    module = drifting(0, frozen=True)
    average = MovingAverage(module, EmaSettings())
    for _ in range(3):
        step(module)
        before = {name: value.clone() for name, value in module.state_dict().items()}
        average.update(module)
        assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert torch.equal(average.averages["0.weight"], module[0].weight)
    assert not torch.equal(average.averages["1.weight"], module[1].weight)


def test_going_on_from_loaded_averages_is_exact():
    module = drifting(0)
    average = MovingAverage(module, EmaSettings())
    for _ in range(2):
        step(module)
        average.update(module)
    resumed = MovingAverage(module, EmaSettings())
    resumed.load(average.averages, steps=average.steps)
    step(module)
    for one in (average, resumed):
        one.update(module)
    assert resumed.steps == average.steps == 3
    for name, value in average.averages.items():
        assert torch.equal(value, resumed.averages[name])
    with pytest.raises(ModelFormatError, match="another network"):
        resumed.load({"0.weight": torch.zeros(1)}, steps=1)
