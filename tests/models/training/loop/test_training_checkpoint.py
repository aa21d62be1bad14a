from __future__ import annotations

import os

import pytest

torch = pytest.importorskip("torch")

from dwpose_infer.errors import InvalidArgumentError, ModelFormatError, OutputError
from dwpose_infer.models.checkpoints import load_model, read_state_dict
from dwpose_infer.models.dwpose import DWPose, DWPoseArchitecture
from dwpose_infer.models.training.loop import checkpoint
from dwpose_infer.models.training.loop.checkpoint import (
    TrainingState,
    list_checkpoints,
    load_state,
    read_best_value,
    require_same,
    save_best,
    save_state,
)


def _state(step=7, **changes):
    weights = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.count": torch.tensor(step)}
    fields = {
        "step": step,
        "epoch": 1,
        "settings": {"epochs": 3, "data": {"root": "x"}},
        "facts": {"samples": 10},
        "weights": weights,
        "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1}]},
        "scaler": {"scale": 65536.0},
        "meters": {"steps": 2, "sums": {"loss": 0.30000000000000004}},
    }
    return TrainingState(**(fields | changes))


def test_everything_comes_back(tmp_path):
    averaged = {"a.weight": torch.ones(2, 3) / 3, "a.count": torch.tensor(7)}
    state = _state(averaged=averaged, averaged_steps=5)
    again = load_state(save_state(tmp_path, state, keep=3))
    assert (again.step, again.epoch, again.averaged_steps) == (7, 1, 5)
    assert again.settings == state.settings
    assert again.facts == state.facts
    assert again.scaler == state.scaler
    assert again.meters == state.meters
    assert again.optimizer["param_groups"] == [{"lr": 0.1}]
    assert again.optimizer["state"][0]["step"] == 3.0
    for name, value in averaged.items():
        torch.testing.assert_close(again.weights[name], state.weights[name], rtol=0, atol=0)
        torch.testing.assert_close(again.averaged[name], value, rtol=0, atol=0)
    assert again.result is again.averaged


def test_without_an_average_the_weights_are_the_result(tmp_path):
    again = load_state(save_state(tmp_path, _state(), keep=1))
    assert again.averaged is None
    assert again.result is again.weights


def test_the_average_opens_as_a_plain_checkpoint(tmp_path):
    torch.manual_seed(0)
    architecture = DWPoseArchitecture("t", 64, 64)
    raw, average = DWPose(architecture), DWPose(architecture)
    state = _state(weights=raw.state_dict(), averaged=average.state_dict(), averaged_steps=5)
    for path in (
        save_state(tmp_path, state, keep=1),
        save_best(tmp_path, state, metric="AP", value=0.5),
    ):
        model = load_model(path)
        assert model.architecture == architecture
        for name, value in average.state_dict().items():
            torch.testing.assert_close(model.state_dict()[name], value, rtol=0, atol=0)
        assert list(read_state_dict(path)) == list(average.state_dict())


def test_only_the_newest_are_kept(tmp_path):
    for step in (5, 100, 20, 123456789):
        save_state(tmp_path, _state(step), keep=2)
    save_best(tmp_path, _state(5), metric="AP", value=0.1)
    assert [path.name for path in list_checkpoints(tmp_path)] == [
        "step_00000100.pth",
        "step_123456789.pth",
    ]
    assert (tmp_path / "best.pth").exists()


def test_the_best_value_is_that_of_its_metric(tmp_path):
    assert read_best_value(tmp_path, "AP") is None
    save_best(tmp_path, _state(), metric="AP", value=0.25)
    assert read_best_value(tmp_path, "AP") == 0.25
    assert read_best_value(tmp_path, "PCK") is None
    with pytest.raises(ModelFormatError, match="lacks 'optimizer'"):
        load_state(tmp_path / "best.pth")


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "text"])
def test_damage_is_found(tmp_path, harm):
    path = save_state(tmp_path, _state(), keep=1)
    data = bytearray(path.read_bytes())
    if harm == "cut":
        data = data[: len(data) // 2]
    elif harm == "flipped":
        numbers = torch.arange(6.0).numpy().tobytes()
        data[data.index(numbers) + 5] ^= 1
    else:
        data = bytearray() if harm == "empty" else bytearray(b"not a checkpoint")
    path.write_bytes(data)
    with pytest.raises(ModelFormatError, match=r"step_00000007\.pth"):
        load_state(path)


class _Harmful:
    def __reduce__(self):
        return os.system, ("echo harm > harm.txt",)


def test_nothing_in_a_file_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "step_00000001.pth"
    torch.save({"meta": {"format": 1}, "state_dict": {}, "x": _Harmful()}, path)
    with pytest.raises(ModelFormatError, match="not a readable checkpoint"):
        load_state(path)
    assert not (tmp_path / "harm.txt").exists()


def test_a_later_layout_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    path = save_state(tmp_path, _state(), keep=1)
    monkeypatch.undo()
    with pytest.raises(ModelFormatError, match="layout 2"):
        load_state(path)


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    first = save_state(tmp_path, _state(1), keep=1)
    monkeypatch.setattr(checkpoint.os, "fsync", lambda _: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OutputError, match="full"):
        save_state(tmp_path, _state(2), keep=1)
    assert sorted(tmp_path.iterdir()) == [first]
    assert load_state(first).step == 1


def test_differences_are_named_one_by_one(tmp_path):
    stored = {"epochs": 3, "data": {"root": "x", "workers": 2}, "distill": None}
    require_same(stored, dict(stored), harmless=frozenset(), path=tmp_path)
    changed = {"epochs": 4, "data": {"root": "y", "workers": 8}, "distill": {"stage": 1}}
    harmless = frozenset({"data.workers"})
    with pytest.raises(InvalidArgumentError) as caught:
        require_same(stored, changed, harmless=harmless, path=tmp_path)
    text = str(caught.value)
    for difference in (
        "epochs was 3, is 4",
        'data.root was "x", is "y"',
        "distill.stage was null, is 1",
    ):
        assert difference in text
    assert "workers" not in text
    require_same(stored, stored | {"data": {}}, harmless=frozenset({"data"}), path=tmp_path)
