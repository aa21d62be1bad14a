"""Arguments, names and places that ended `dwpose-infer` with a traceback: one line each now."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dwpose_infer import Predictor
from dwpose_infer.cli.exit_status import printable
from dwpose_infer.cli.infer import main
from dwpose_infer.errors import InputError, InvalidArgumentError
from dwpose_infer.images import read_image
from dwpose_infer.picture_url import without_password
from dwpose_infer.zoo.places import cache_folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch, astronaut: Path) -> Path:
    """The current folder, with one picture in it."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(astronaut, tmp_path / "a.jpg")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["photos/**.jpg"], 1, "** stands for any folders and has to be a part of its own"),
        (["a.jpg", "--pose", "~nosuchuser/x.onnx"], 2, "no home folder is known for ~nosuchuser"),
        (["a.jpg", "--threads", "100000"], 2, "must be a whole number from 1 to 1024"),
        (["a.jpg", "--threads", "9" * 20], 2, "must be a whole number from 1 to 1024"),
        (["a.jpg", "--pose", "p" * 300 + ".onnx"], 4, "there is no model file"),
    ],
)
def test_what_ends_a_run(here, capsys, arguments, status, message):
    assert main(arguments) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("dwpose-infer: error: ")
    assert message in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["http://[bad/x.jpg"], "http://[bad/x.jpg is no URL"),
        (["http://me:secret@[::1/x.jpg"], "http://me:***@[::1/x.jpg is no URL"),
        (["b" * 300 + ".jpg", "--skip-existing"], "File name too long"),
        (["data:image/png;base64," + "A" * 200_000], "is a data URL: decode it and pass the bytes"),
        (["no\x1b2Jsuch.jpg"], "no\\x1b2Jsuch.jpg: no such file"),
    ],
)
def test_what_costs_one_picture(here, capsys, arguments, message):
    assert main(["a.jpg", *arguments, "--draw", "none"]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "1 picture, 1 person; 1 failed" in error
    assert len(error) < 1000
    assert "\x1b" not in error
    assert "secret" not in error
    assert (here / "dwpose-out" / "a.json").is_file()


def test_a_name_that_leaves_no_room_for_an_ending(here, capsys):
    name = "c" * 250
    (here / "a.jpg").rename(here / f"{name}.jpg")
    assert main([f"{name}.jpg", "--skip-existing", "--format", "openpose", "--draw", "none"]) == 1
    assert "the name is too long" in capsys.readouterr().err


def test_a_canvas_beyond_any_memory(here, capsys):
    status = main(["a.jpg", "--draw", "openpose", "--canvas-size", "1000000x1000000"])
    assert status == 1
    assert "a canvas of 1000000x1000000 pixels is larger than the limit" in capsys.readouterr().err


def test_a_threshold_that_is_no_number(here, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["a.jpg", "--keypoint-threshold", "nan"])
    assert "'nan' is not a number" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_standard_output(here):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "dwpose_infer", "a.jpg", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    said = "dwpose-infer: error: cannot write the output: no space is left on the disk\n"
    assert done.stderr == said


@pytest.mark.parametrize(
    "options", [{"device": 0}, {"device": ["cpu"]}, {"threads": "two"}, {"pose": 5}]
)
def test_options_of_another_type(options):
    with pytest.raises(InvalidArgumentError, match=r"must be|is no path"):
        Predictor(**options)


def test_long_names_are_not_repeated():
    for source in (
        "data:image/png;base64," + "A" * 200_000,
        "x" * 200_000,
        "http://a/" + "x" * 99_999,
    ):
        with pytest.raises(InputError) as caught:
            read_image(source)
        assert len(str(caught.value)) < 300


@pytest.mark.skipif(os.name != "posix", reason="only there are users without a home")
def test_a_user_without_a_home(monkeypatch):
    monkeypatch.delenv("DWPOSE_HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for an unknown number
    if sys.platform != "darwin":
        with pytest.raises(InvalidArgumentError, match="no home folder: set DWPOSE_HOME"):
            cache_folder()


def test_what_reaches_the_terminal():
    assert printable("a\x1b[2J\x07\x9b\u202egpj.b\ud800 \u00fc\n") == (
        "a\\x1b[2J\\x07\\x9b\\u202egpj.b\\ud800 \u00fc\n"
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://me:p@ss@host:8/x", "rtsp://me:***@host:8/x"),
        ("http://me:secret@[::1", "http://me:***@[::1"),
        ("http://host:80/a:b@c", "http://host:80/a:b@c"),
        ("http://host/?q=a:b@c", "http://host/?q=a:b@c"),
    ],
)
def test_passwords_are_not_shown(url, shown):
    assert without_password(url) == shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "nwb,json"], "--format nwb is for videos, not for pictures: use json, open"),
        (["--format", "trc"], "needs --track, or --max-persons 1"),
        (["--metres-per-pixel", "0.01"], "--metres-per-pixel goes with --format trc only"),
    ],
)
def test_formats_of_clips(arguments, message, astronaut, tmp_path, capsys):
    assert main([str(astronaut), "--out", str(tmp_path / "out"), *arguments]) == 2
    assert message in capsys.readouterr().err
