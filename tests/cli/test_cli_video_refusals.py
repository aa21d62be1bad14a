"""Videos and options that `dwpose-infer` refuses, and what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_videos import FEW, files, logged

from dwpose_infer.cli.infer import main

av = pytest.importorskip("av")


def test_files_that_are_no_video(folder, capsys):
    Path("text.mp4").write_text("no video at all")
    Path("empty.mp4").touch()
    with av.open("sound.mp4", "w") as container:
        sound = container.add_stream("aac", rate=44100)
        sound.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    names = ["text.mp4", "empty.mp4", "sound.mp4", "missing.mp4"]
    assert main([*names, *FEW]) == 1
    said = capsys.readouterr().err
    for name in names:
        assert f"error: {name}" in said
    assert "Traceback" not in said
    assert not (folder / "dwpose-out").exists() or not files(folder / "dwpose-out")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["clip.mp4", "--format", "coco"], 2, "use json, openpose, npz, csv, parquet"),
        (["clip.mp4", "--out", "x.avi"], 2, "videos are written as .mp4"),
        (["clip.mp4", "in", "--out", "x.mp4"], 2, "name a folder instead"),
        (["clip.mp4", "in/two.mp4", "--out", "x.mp4"], 2, "name a folder instead"),
        (["clip.mp4", "--out", "x.mp4", "--draw", "overlay,openpose"], 2, "one --draw"),
        (["clip.mp4", "--out", "clip.mp4"], 2, "is an input and would be overwritten"),
        (["in/one.jpg", "--out", "x.mp4"], 2, "not every input is one"),
        (["clip.mp4", "--start", "soon"], 2, "start is 'soon'"),
        (["clip.mp4", "--start", "2", "--end", "1"], 2, "not after the start"),
        (["clip.mp4", "--frame-rate", "10"], 2, "its own frame rate"),
        (["rtsp://user:secret@localhost:1/a", "--start", "1"], 2, "is live"),
        (["rtsp://user:secret@127.0.0.1:9/a"], 1, "rtsp://user:***@127.0.0.1:9/a"),
        (["clip.mp4", "--start", "60"], 1, "clip.mp4"),
        (["--camera", "63"], 1, "camera 63"),
    ],
)
def test_failures(folder, capfd, arguments, status, message):
    assert main([*arguments, "--threads", "1"]) == status
    said = capfd.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert "secret" not in said


@pytest.mark.parametrize(
    "arguments",
    [["--camera", "front"], ["clip.mp4", "--detect-every", "0"], ["a", "--frame-rate", "-1"]],
)
def test_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


def test_folder_that_cannot_be_written(folder, capsys):
    Path("taken").touch()
    assert main(["clip.mp4", "--out", "taken", *FEW]) == 1
    assert "is a file, not a folder" in capsys.readouterr().err


def test_an_open_cv_without_windows_is_told_before_the_work(folder, capsys):
    from dwpose_infer.media.preview import has_gui

    if has_gui():
        pytest.skip("this OpenCV has windows")
    assert main(["clip.mp4", "--preview"]) == 3
    assert "opencv-python has" in capsys.readouterr().err
    assert not (folder / "dwpose-out").exists()


@pytest.mark.parametrize(
    ("package", "options"), [("av", []), ("scipy", ["--track", "--draw", "none"])]
)
def test_a_missing_package_is_told_before_the_work(folder, package, options):
    code = (
        f"import sys\nsys.modules[{package!r}] = None\n"
        "from dwpose_infer.cli.infer import main\n"
        f"sys.exit(main(['clip.mp4', *{options!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert 'pip install "dwpose-infer[video]"' in done.stderr
    assert not (folder / "dwpose-out").exists()


@pytest.mark.slow
def test_without_pyav_opencv_reads(folder):
    code = (
        "import sys\nsys.modules['av'] = None\n"
        "from dwpose_infer.cli.infer import main\n"
        "sys.exit(main(['clip.mp4', '--draw', 'none', '--end', '3f', '--quiet']))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert len(logged("dwpose-out/clip.jsonl")) == 3
