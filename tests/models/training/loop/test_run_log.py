from __future__ import annotations

import math
import time

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from dwpose_infer.errors import MissingDependencyError
from dwpose_infer.models.training.loop.csv_log import read_table
from dwpose_infer.models.training.loop.distributed import World
from dwpose_infer.models.training.loop.meters import Meters, Progress
from dwpose_infer.models.training.loop.run_log import RunLog

ALONE = World(torch.device("cpu"))
ROW = {"epoch": 0, "lr": 0.1, "loss": 2.0, "samples_per_s": 5.0, "data_wait_share": 0.25}


def test_meters_average_between_rows_and_go_on_from_their_state():
    meters, half = Meters(ALONE), Meters(ALONE)
    values = [0.1, 0.7, 1e-3]
    for step, value in enumerate(values, 1):
        meters.add({"loss": torch.tensor(value)}, step=step, samples=4)
        if step == 2:
            half.load_state_dict(meters.state_dict())
    half.add({"loss": torch.tensor(values[2])}, step=3, samples=4)
    row, other = meters.take(), half.take()
    expected = sum(float(torch.tensor(value).double()) for value in values) / 3
    assert row["loss"] == other["loss"] == expected
    assert row["memory_mb"] > 10
    assert meters.steps == 0


def test_waiting_and_pausing_are_told_apart():
    meters = Meters(ALONE)
    begin = time.perf_counter()
    with meters.waiting():
        time.sleep(0.05)
    time.sleep(0.05)
    worked_s = time.perf_counter() - begin
    with meters.paused():
        time.sleep(0.3)
        with meters.paused():
            time.sleep(0.1)
    meters.add({"loss": torch.tensor(1.0)}, step=1, samples=8)
    row = meters.take()
    assert 8 / (worked_s + 0.35) < row["samples_per_s"] <= 8 / worked_s * 1.01
    assert 0.05 / (worked_s + 0.35) < row["data_wait_share"] < 1


def test_the_first_step_that_is_no_number_is_remembered():
    meters = Meters(ALONE)
    assert meters.first_bad_step() is None
    for step, value in enumerate([1.0, math.inf, 2.0, math.nan], 1):
        meters.add({"loss": torch.tensor(1.0), "part": torch.tensor(value)}, step=step, samples=1)
    assert meters.first_bad_step() == 2


def test_a_resumed_log_says_every_step_once(tmp_path):
    with RunLog(tmp_path, title="run", step=0, tensorboard=False) as log:
        for step in (1, 2, 3):
            log.add_steps({"step": step, **ROW})
        log.add_validation({"step": 2, "AP": 0.1})
        log.add_validation({"step": 3, "AP": 0.2})
    with RunLog(tmp_path, title="run", step=2, tensorboard=False) as again:
        assert again.validated(2)
        assert not again.validated(3)
        again.add_steps({"step": 3, **ROW})
    assert read_table(tmp_path / "log.csv")["step"] == [1, 2, 3]
    assert read_table(tmp_path / "validation.csv")["AP"] == [0.1]


def test_curves_are_drawn_now_or_after_a_while(tmp_path):
    with RunLog(tmp_path, title="run", step=0, tensorboard=False) as log:
        log.add_steps({"step": 1, **ROW})
        log.draw(now=False)
        curves = tmp_path / "curves.png"
        first = curves.stat().st_mtime_ns
        log.draw(now=False)
        assert curves.stat().st_mtime_ns == first
        log.draw(now=True)
        assert curves.stat().st_mtime_ns > first


def test_tensorboard_gets_the_same_figures(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = RunLog(tmp_path, title="run", step=0, tensorboard=True)
    log.add_steps({"step": 4, **ROW})
    log.add_validation({"step": 4, "AP": math.nan, "PCK": 0.5})
    log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert set(events.Tags()["scalars"]) == {*(f"train/{name}" for name in ROW), "validation/PCK"}
    (event,) = events.Scalars("train/loss")
    assert (event.step, event.value) == (4, 2.0)


def test_a_missing_tensorboard_names_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingDependencyError, match=r"dwpose-infer\[tensorboard\]"):
        RunLog(tmp_path, title="run", step=0, tensorboard=True)


def test_without_a_terminal_rows_are_lines():
    lines: list[str] = []
    progress = Progress(ALONE, total=100, done=0, say=lines.append)
    progress.step(torch.tensor(1.0), Meters(ALONE))
    progress.row({"step": 40, **ROW}, batch_size=10)
    progress.close()
    assert lines == [
        "epoch 0, step 40 of 100: loss 2, rate 0.1, 5.0 samples/s, 25% waiting for data, "
        "0:02:00 left"
    ]
    other = Progress(World(torch.device("cpu"), rank=1, size=2), total=1, done=0, say=print)
    other.say("nothing")
    other.close()
    assert len(lines) == 1
