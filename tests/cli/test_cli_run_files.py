"""Files of a whole run: written as it goes, gone on with, also after a kill."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from dwpose_infer.cli import run as cli_run
from dwpose_infer.cli.infer import main
from dwpose_infer.cli.run_files import JOURNAL_NAME
from dwpose_infer.formats import load

FORMATS = "csv,parquet,coco,coco-dataset"
FILES = ("poses.csv", "poses.parquet", "results_coco.json", "dataset_coco.json")


@pytest.fixture
def here(tmp_path: Path, monkeypatch, astronaut: Path) -> Path:
    """The current folder, with in/a.jpg, in/b.jpg and a grey in/nobody.png."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(astronaut, tmp_path / "in" / name)
    cv2.imwrite("in/nobody.png", np.full((48, 64, 3), 114, np.uint8))
    return tmp_path


def infer(*arguments: str, inputs: str = "in") -> int:
    return main([inputs, "--draw", "none", *arguments])


def journal(folder: str = "dwpose-out") -> Path:
    return Path(folder) / JOURNAL_NAME


def test_nobody_has_a_row_and_a_second_run_has_nothing_to_do(here, capsys, monkeypatch):
    assert infer("--format", FORMATS) == 0
    with Path("dwpose-out/poses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["source"], row["person"]) for row in rows] == [
        ("in/a.jpg", "0"),
        ("in/b.jpg", "0"),
        ("in/nobody.png", ""),
    ]
    assert [len(each) for each in load("dwpose-out/poses.parquet")] == [1, 1, 0]
    written = {name: Path("dwpose-out", name).read_bytes() for name in FILES}
    Path("dwpose-out/poses.csv").unlink()
    monkeypatch.setattr(cli_run, "_open_pipeline", None)  # no network is needed
    capsys.readouterr()
    assert infer("--format", FORMATS, "--skip-existing") == 0
    assert "3 skipped, their results were there already" in capsys.readouterr().err
    assert {name: Path("dwpose-out", name).read_bytes() for name in FILES} == written


@pytest.mark.slow
def test_pictures_are_added_to_the_files(here, capsys, caplog, astronaut):
    assert infer("--format", "csv", inputs="in/b.jpg") == 0
    assert infer("--format", "csv", "--skip-existing", inputs="in/a.jpg") == 0
    assert [each.source for each in load("dwpose-out/poses.csv")] == ["in/b.jpg", "in/a.jpg"]
    assert "1 picture(s) of earlier runs, which are no inputs of this one" in caplog.text
    assert infer("--format", "csv", inputs="in/a.jpg") == 0  # without --skip-existing: anew
    assert [each.source for each in load("dwpose-out/poses.csv")] == ["in/a.jpg"]


@pytest.mark.slow
def test_a_torn_journal_and_other_options(here, capsys, caplog):
    assert infer("--format", "csv") == 0
    expected = Path("dwpose-out/poses.csv").read_bytes()
    Path("dwpose-out/poses.csv").unlink()
    journal().write_bytes(journal().read_bytes()[:-100])  # the last line, of nobody.png
    capsys.readouterr()
    assert infer("--format", "csv", "--skip-existing") == 0
    assert "1 picture, 0 persons; 2 skipped" in capsys.readouterr().err
    assert Path("dwpose-out/poses.csv").read_bytes() == expected
    assert infer("--format", "csv", "--skip-existing", "--parts", "face") == 0
    assert "is of a run with other options: all pictures are done again" in caplog.text
    assert np.isnan(load("dwpose-out/poses.csv")[0].keypoints[:, :17]).all()
    journal().unlink()
    assert infer("--format", "csv", "--skip-existing", inputs="in/nobody.png") == 0
    assert "made without a journal: all pictures are done again" in caplog.text


@pytest.mark.slow
def test_an_interrupted_run_keeps_what_it_found(here, capsys, monkeypatch):
    deliver, calls = cli_run._deliver, []

    def stop_at_second(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        deliver(*arguments)

    monkeypatch.setattr(cli_run, "_deliver", stop_at_second)
    assert infer("--format", "csv") == 130
    assert not Path("dwpose-out/poses.csv").exists()
    assert infer("--format", "csv", "--skip-existing") == 0
    assert "2 pictures, 1 person; 1 skipped" in capsys.readouterr().err
    sources = [each.source for each in load("dwpose-out/poses.csv")]
    assert sources == ["in/a.jpg", "in/b.jpg", "in/nobody.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="locks of files are those of POSIX")
def test_two_runs_at_a_time(here, capsys):
    import fcntl

    Path("dwpose-out").mkdir()
    with journal().open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert infer("--format", "csv") == 1
    error = capsys.readouterr().err
    assert "another run is writing dwpose-out/poses.csv; use another --out" in error


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is of POSIX")
def test_kill_and_resume(here, astronaut):
    for index in range(11):
        shutil.copy(astronaut, here / "in" / f"{index:02d}.jpg")
    command = [sys.executable, "-m", "dwpose_infer", "in", "--draw", "none", "--format", FORMATS]
    assert infer("--format", FORMATS, "--out", "whole") == 0
    skipped = 0
    for least in (3, 8):
        running = subprocess.Popen([*command, "--skip-existing"], stderr=subprocess.DEVNULL)
        while running.poll() is None and lines(journal()) <= least:
            time.sleep(0.02)
        running.send_signal(signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
        assert not any(Path("dwpose-out", name).exists() for name in FILES)
        assert lines(journal()) > skipped
        skipped = lines(journal()) - 1
    done = subprocess.run(
        [*command, "--skip-existing"], stderr=subprocess.PIPE, text=True, check=True
    )
    assert f"{14 - skipped} pictures" in done.stderr
    assert f"{skipped} skipped" in done.stderr
    for name in FILES[:1] + FILES[2:]:
        assert Path("dwpose-out", name).read_bytes() == Path("whole", name).read_bytes()
    assert [each.source for each in load("dwpose-out/poses.parquet")] == [
        each.source for each in load("whole/poses.parquet")
    ]
    images = json.loads(Path("dwpose-out/dataset_coco.json").read_text())["images"]
    assert len(images) == 14


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0
