from __future__ import annotations

import os
import signal
import subprocess

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("pycocotools")

from dwpose_infer.errors import InvalidArgumentError, ModelFormatError, TrainingError
from dwpose_infer.models.checkpoints import load_model, read_state_dict
from dwpose_infer.models.dwpose import DWPose, DWPoseArchitecture
from dwpose_infer.models.training.loop.checkpoint import list_checkpoints, load_state
from dwpose_infer.models.training.loop.csv_log import read_table
from dwpose_infer.models.training.overrides import from_plain
from dwpose_infer.models.training.pose import run as pose_run
from dwpose_infer.models.training.pose.run import PoseLearner
from dwpose_infer.models.training.trainer import RunOptions, train
from training_samples import ONE_THREAD, run_command, small_settings, start_run, write_set

TIMES = ("samples_per_s", "data_wait_share", "memory_mb")


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Ten persons: two steps of four and one of two in each epoch."""
    return write_set(tmp_path_factory.mktemp("set"), persons=10)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("teacher") / "teacher.pth"
    torch.save(DWPose(DWPoseArchitecture("s", 64, 64)).state_dict(), path)
    return path


def without_validation(samples, **changes):
    data = {"validation": None} | changes.pop("data", {})
    return small_settings(samples, data=data, **changes)


def losses(folder):
    table = read_table(folder / "log.csv")
    return {name: values for name, values in table.items() if name not in TIMES}


def final_weights(folder):
    return load_state(list_checkpoints(folder / "checkpoints")[-1])


def assert_same_run(folder, other):
    assert losses(folder) == losses(other)
    first, second = final_weights(folder), final_weights(other)
    assert first.step == second.step
    for name in ("weights", "averaged"):
        for key, value in getattr(first, name).items():
            torch.testing.assert_close(
                getattr(second, name)[key], value, rtol=0, atol=0, msg=f"{name} {key}"
            )


def test_a_killed_run_goes_on_as_if_nothing_had_happened(samples, tmp_path):
    """Killed in step 6, between two rows of the log, with checkpoints of steps 3 and 5."""
    settings = small_settings(samples, log_every=2)
    whole = train(from_plain(settings), tmp_path / "whole")
    assert whole.finished
    options = {"checkpoint_steps": 5, "keep_checkpoints": 2}
    killed = start_run(settings, tmp_path / "killed", kill_at=6, **options)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    checkpoints = list_checkpoints(tmp_path / "killed" / "checkpoints")
    assert [load_state(path).step for path in checkpoints] == [3, 5]
    resumed = start_run(settings, tmp_path / "killed", resume=True, **options)
    assert resumed.returncode == 0, resumed.stderr
    assert "going on from" in resumed.stdout
    assert "finished True at step 9" in resumed.stdout
    assert_same_run(tmp_path / "whole", tmp_path / "killed")
    assert losses(tmp_path / "killed")["step"] == [2, 4, 6, 8]
    validations = [read_table(tmp_path / run / "validation.csv") for run in ("whole", "killed")]
    assert validations[0] == validations[1]
    assert validations[0]["step"] == [3, 6, 9]
    assert max(validations[0]["PCK"]) == whole.best_value


@pytest.mark.parametrize("kind", ["stage 1", "bf16", "fp16", "channels last, workers", "maps"])
def test_every_kind_of_run_can_be_interrupted_anywhere(samples, teacher, tmp_path, kind):
    changes = {
        "stage 1": {
            "distill": {"stage": 1, "teacher_size": "s", "teacher_checkpoint": str(teacher)},
            "optimizer": {"clip_norm": 1.0},
        },
        "bf16": {
            "precision": "bf16",
            "ema": {"average_buffers": False},
            "input_height": 128,
            "input_width": 96,
        },
        "fp16": {"precision": "fp16"},
        "channels last, workers": {"channels_last": True, "data": {"workers": 1}},
        "maps": {"loss": {"map_weight": 1.0}},
    }[kind]
    settings = from_plain(without_validation(samples, epochs=2, **changes))
    assert train(settings, tmp_path / "whole").finished
    for last in (1, 4, None):
        options = RunOptions(resume=True, max_steps=last)
        summary = train(settings, tmp_path / "parts", options)
        assert summary.stopped_by == ("max_steps" if last else None)
        assert summary.step == (last or 6)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    if kind == "stage 1":
        names = {name.split(".")[0] for name in read_state_dict_names(tmp_path / "whole")}
        assert names == {"student", "teacher", "distill_losses"}
        table = losses(tmp_path / "whole")
        parts = np.add(np.add(table["loss_kpt"], table["loss_fea"]), table["loss_logit"])
        np.testing.assert_allclose(table["loss"], parts, rtol=1e-6)


def test_bf16_on_a_cpu_refuses_inputs_for_which_torch_is_wrong(samples, tmp_path):
    settings = from_plain(without_validation(samples, precision="bf16"))
    with pytest.raises(InvalidArgumentError, match="at least 96 pixels in height, not 64"):
        train(settings, tmp_path / "run")


def read_state_dict_names(folder):
    return list(final_weights(folder).weights)


def test_checkpoints_hold_the_averaged_network_for_all_other_programs(samples, tmp_path):
    summary = train(from_plain(small_settings(samples, epochs=2)), tmp_path / "run")
    state = load_state(summary.checkpoint)
    assert summary.best == tmp_path / "run" / "best.pth"
    assert (summary.step, summary.epochs, summary.finished) == (6, 2, True)
    for path in (summary.checkpoint, summary.best):
        model = load_model(path)
        assert model.architecture == DWPoseArchitecture("t", 64, 64)
        assert not model.training
    assert list(read_state_dict(summary.checkpoint)) == list(model.state_dict())
    for name, value in load_model(summary.checkpoint).state_dict().items():
        torch.testing.assert_close(value, state.averaged[name], rtol=0, atol=0)
    name = "head.cls_x.weight"
    assert (state.averaged[name] != state.weights[name]).any()
    assert (tmp_path / "run" / "curves.png").stat().st_size > 10_000
    assert from_plain(state.settings).name == "small"


def test_a_signal_ends_the_run_with_a_checkpoint_and_a_hint(samples, tmp_path, monkeypatch):
    said = []
    whole_step = PoseLearner.training_step

    def interrupted(self, *arguments, **keywords):
        signal.raise_signal(signal.SIGTERM)
        return whole_step(self, *arguments, **keywords)

    monkeypatch.setattr(PoseLearner, "training_step", interrupted)
    settings = from_plain(without_validation(samples))
    summary = train(settings, tmp_path, RunOptions(say=said.append))
    assert (summary.step, summary.finished, summary.stopped_by) == (1, False, "SIGTERM")
    assert load_state(summary.checkpoint).step == 1
    assert "stopped by SIGTERM after step 1 of 9" in said[-1]
    assert str(summary.checkpoint) in said[-1]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_signal_to_all_processes_ends_a_run_in_good_order(samples, tmp_path, processes):
    """As a terminal or a batch system sends it: workers and torchrun get it, too."""
    settings = without_validation(samples, epochs=10_000, data={"workers": 1})
    command = run_command(settings, tmp_path / "run", processes=processes)
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ONE_THREAD,
        start_new_session=True,
    ) as process:
        for line in process.stdout:
            if "step 2 of" in line:
                break
        os.killpg(process.pid, signal.SIGTERM)
        output, errors = process.communicate(timeout=120)
    assert "stopped by SIGTERM after step" in output, errors
    (newest,) = list_checkpoints(tmp_path / "run" / "checkpoints")
    assert load_state(newest).step >= 2
    if processes == 1:
        assert process.returncode == 0, errors


def test_a_signal_during_validation_loses_nothing(samples, tmp_path, monkeypatch):
    settings = from_plain(small_settings(samples, epochs=1))
    whole_validation = pose_run.validate

    def interrupted(*arguments, **keywords):
        signal.raise_signal(signal.SIGINT)
        return whole_validation(*arguments, **keywords)

    monkeypatch.setattr(pose_run, "validate", interrupted)
    summary = train(settings, tmp_path)
    assert (summary.step, summary.finished, summary.best) == (3, False, None)
    monkeypatch.undo()
    summary = train(settings, tmp_path, RunOptions(resume=True))
    assert summary.finished
    assert read_table(tmp_path / "validation.csv")["step"] == [3]
    assert losses(tmp_path)["step"] == [1, 2, 3]


def test_a_damaged_checkpoint_gives_way_to_the_one_before(samples, tmp_path):
    settings = from_plain(without_validation(samples))
    train(settings, tmp_path / "whole")
    train(settings, tmp_path / "run", RunOptions(max_steps=5, checkpoint_steps=2))
    newest = list_checkpoints(tmp_path / "run" / "checkpoints")[-1]
    newest.write_bytes(newest.read_bytes()[:-1000])
    said = []
    train(settings, tmp_path / "run", RunOptions(resume=True, say=said.append))
    (warning,) = [line for line in said if line.startswith("warning")]
    assert newest.name in warning
    assert "\n" not in warning
    assert any("step_00000004.pth" in line and "going on" in line for line in said)
    assert_same_run(tmp_path / "whole", tmp_path / "run")
    for path in list_checkpoints(tmp_path / "run" / "checkpoints"):
        path.write_bytes(b"")
    with pytest.raises(ModelFormatError, match="none of the"):
        train(settings, tmp_path / "run", RunOptions(resume=True))


def test_a_run_does_not_go_on_as_another(samples, tmp_path):
    settings = without_validation(samples)
    train(from_plain(settings), tmp_path / "run", RunOptions(max_steps=2))
    with pytest.raises(InvalidArgumentError, match="holds a run"):
        train(from_plain(settings), tmp_path / "run")
    other = settings | {"epochs": 4, "optimizer": {"learning_rate": 0.001}}
    with pytest.raises(InvalidArgumentError) as caught:
        train(from_plain(other), tmp_path / "run", RunOptions(resume=True))
    assert "epochs was 3, is 4" in str(caught.value)
    assert "optimizer.learning_rate was 0.004, is 0.001" in str(caught.value)
    fewer = write_set(tmp_path / "fewer", persons=9)
    moved = without_validation(fewer)
    with pytest.raises(InvalidArgumentError, match=r"run\.samples was 10, is 9"):
        train(from_plain(moved), tmp_path / "run", RunOptions(resume=True))
    harmless = settings | {"name": "other", "log_every": 2, "checkpoint_every": 1}
    assert train(from_plain(harmless), tmp_path / "run", RunOptions(resume=True)).finished


def test_resuming_without_a_checkpoint_begins(samples, tmp_path):
    settings = from_plain(without_validation(samples, epochs=1))
    assert train(settings, tmp_path, RunOptions(resume=True)).step == 3


def test_a_loss_that_is_not_a_number_is_found_and_not_saved(samples, tmp_path, monkeypatch):
    whole_step = PoseLearner.training_step
    done = 0

    def spoilt(self, batch, **keywords):
        nonlocal done
        done += 1
        if done == 4:
            with torch.no_grad():
                next(iter(self.stage.parameters())).fill_(torch.nan)
        return whole_step(self, batch, **keywords)

    monkeypatch.setattr(PoseLearner, "training_step", spoilt)
    settings = from_plain(without_validation(samples, log_every=9))
    with pytest.raises(TrainingError, match=r"not a number at step 4; .* of step 3"):
        train(settings, tmp_path, RunOptions(checkpoint_steps=3))
    (path,) = list_checkpoints(tmp_path / "checkpoints")
    assert load_state(path).step == 3


def test_weights_that_are_not_numbers_are_not_saved(samples, tmp_path, monkeypatch):
    whole_step = PoseLearner.training_step

    def spoilt(self, batch, **keywords):
        result = whole_step(self, batch, **keywords)
        with torch.no_grad():
            next(iter(self.stage.parameters())).fill_(torch.inf)
        return result

    monkeypatch.setattr(PoseLearner, "training_step", spoilt)
    settings = from_plain(without_validation(samples, epochs=1, batch_size=10))
    with pytest.raises(TrainingError, match="some weights became infinite"):
        train(settings, tmp_path)
    assert list_checkpoints(tmp_path / "checkpoints") == []


@pytest.mark.parametrize("name", ["max_steps", "checkpoint_steps", "keep_checkpoints"])
def test_options_below_1_are_refused(name):
    with pytest.raises(InvalidArgumentError, match=name):
        RunOptions(**{name: 0})
