from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from detector_samples import SIDE

from dwpose_infer.models.training.cli import main
from dwpose_infer.models.training.loop.checkpoint import list_checkpoints

PAGE = Path(__file__).parents[4] / "docs/training-detector.md"
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("dwpose-train detector")
]

SMALL = [
    *("--set", f"input_height={SIDE}", "--set", f"input_width={SIDE}", "--set", "batch_size=4"),
    *("--set", "data.workers=0", "--set", "epochs=1", "--set", "log_every=1"),
]


def data_of(pictures):
    return ["--data", str(pictures / "labels.json"), str(pictures)]


def test_a_run_goes_on_from_its_folder_alone(pictures, teacher, tmp_path, capsys):
    out = ["--out", str(tmp_path / "run")]
    given = ["detector", "--teacher", str(teacher), *data_of(pictures), *SMALL, *out]
    assert main([*given, "--max-steps", "1"]) == 0
    said = capsys.readouterr()
    assert "10 pictures with 9 labelled persons" in said.err
    assert "dwpose-train detector --teacher" in said.err
    assert "--resume" in said.err
    (checkpoint,) = list_checkpoints(tmp_path / "run" / "checkpoints")
    assert said.out.strip() == str(checkpoint)
    report = tmp_path / "report.json"
    assert main(["detector", *out, "--resume", "--report", str(report)]) == 0
    assert json.loads(report.read_text())["finished"] is True
    assert "going on from" in capsys.readouterr().err


def test_settings_are_printed_and_read(pictures, teacher, tmp_path, capsys):
    given = ["detector", "--teacher", str(teacher), "--size", "tiny", *data_of(pictures)]
    validation = ["--validation", str(pictures / "labels.json"), str(pictures)]
    assert main([*given, *validation, "--set", "epochs=7", "--print"]) == 0
    text = capsys.readouterr().out
    plain = json.loads(text)
    assert (plain["size"], plain["epochs"], plain["teacher"]) == ("tiny", 7, str(teacher))
    assert plain["data"]["validation"] == plain["data"]["train"][0]
    stored = tmp_path / "settings.json"
    stored.write_text(text)
    assert main(["detector", "--settings", str(stored), "--print"]) == 0
    assert capsys.readouterr().out == text
    assert main(["detector", "--settings", str(stored), "--print", "keys"]) == 0
    assert "epochs = 7" in capsys.readouterr().out.splitlines()
    # other pictures are not measured on the old ones
    assert main(["detector", "--settings", str(stored), *data_of(pictures), "--print"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["validation"] is None


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        ([], 2, "name the detector to learn from: --teacher FILE"),
        (["--teacher", "none.onnx"], 4, "should hold the teacher"),
        (["--set", "epoch=3"], 2, "did you mean epochs"),
        (["--set", "scenes.flip_probability=3"], 2, "is a probability"),
        (["--settings", "none.json"], 1, "none.json"),
    ],
)
def test_what_is_wrong_is_said(given, status, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["detector", *given]) == status
    assert message in capsys.readouterr().err


def test_a_teacher_alone_is_not_enough(teacher, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["detector", "--teacher", str(teacher), *SMALL]) == 1
    assert "no pictures to train on are named; give --data" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_page_are_understood(command, capsys):
    """As far as they go without data: their settings are printed."""
    assert main([*shlex.split(command)[1:], "--print"]) == 0
    settings = json.loads(capsys.readouterr().out)
    assert settings["teacher"].endswith("yolox_nano.onnx")
    assert (settings["learns"] == "blocks") == ("learns=blocks" in command)


def test_the_page_has_the_way_through_blocks():
    assert len(COMMANDS) == 3
    assert sum("learns=blocks" in command for command in COMMANDS) == 1
