"""Options of `dwpose-infer`: each applies to something, to pictures and clips alike."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from dwpose_infer.cli.infer import main
from dwpose_infer.images import read_image
from dwpose_infer.media import VideoWriter, read_frame_log
from dwpose_infer.tracking import Tracker

pytest.importorskip("av")


@pytest.fixture
def folder(tmp_path, astronaut, monkeypatch):
    """A working folder with photo.jpg and clip.mp4, a frame of grey."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(astronaut, "photo.jpg")
    with VideoWriter(Path("clip.mp4"), frame_rate=10) as writer:
        writer.write(np.full((64, 64, 3), 114, np.uint8))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--track"], "--track is for videos and cameras, and no input is one"),
        (["--smooth", "--stride", "1"], "--stride, --smooth are for videos and cameras"),
        (["--start", "1", "--end", "2"], "--start, --end are for videos and cameras"),
        (["--detect-every", "2"], "--detect-every is for videos"),
        (["--preview"], "--preview is for videos"),
        (["--face-clip", "--max-persons", "1"], "--face-clip is for videos and cameras"),
        (["--face-clip"], "--face-clip follows one person, so it needs --track, or --max-persons"),
        (["--face-size", "256"], "--face-size goes with --face-clip only"),
        (
            ["--face-clip", "--max-persons", "1", "--face-person", "1"],
            "--face-person is an id, and only --track gives ids",
        ),
        (["--face-clip", "--track", "--face-size", "5000"], "--face-size is 2 to 4096 pixels"),
        (["--prefer", "largest"], "--prefer says whom --max-persons keeps"),
        (["--frame-rate", "10"], "--frame-rate is for --sequence"),
        (["--sequence"], "--sequence takes folders and patterns"),
        (
            ["--canvas-size", "64"],
            "--canvas-size goes with --draw openpose or --format openpose only",
        ),
        (["--boxes", "--draw", "openpose"], "--boxes goes with --draw overlay only"),
        (["--boxes", "--json"], "--boxes goes with --draw overlay only"),
        (["--line-scale", "2", "--draw", "none"], "--line-scale is for drawings"),
        (["--openpose-body", "18"], "--openpose-body goes with --format openpose only"),
        (["--pupils", "eyes"], "--pupils goes with --format openpose only"),
        (["--annotations", "gt.json"], "--annotations goes with --format coco only"),
        (["--skip-existing", "--json"], "--skip-existing goes by files"),
    ],
)
def test_options_that_apply_to_nothing(folder, capsys, arguments, message):
    assert main(["photo.jpg", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "dwpose-out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-pixels", "9"], "--max-pixels is for pictures that are no videos"),
        (["--sequence"], "--sequence takes folders and patterns for videos, and no input is one"),
    ],
)
def test_options_of_pictures_with_clips_alone(folder, capsys, arguments, message):
    assert main(["clip.mp4", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_options_may_apply_to_some_of_the_inputs(folder):
    options = ["--max-pixels", "300000", "--stride", "1", "--draw", "none", "--threads", "1"]
    assert main(["photo.jpg", "clip.mp4", *options]) == 0


@pytest.mark.slow
def test_max_persons_keeps_those_preferred(folder, astronaut):
    """The second portrait is larger and out of focus, and the detector less sure of it."""
    portrait = cv2.imread(str(astronaut))
    image = np.full((800, 1400, 3), 114, np.uint8)
    image[40:552, 20:532] = portrait
    image[16:784, 600:1368] = cv2.GaussianBlur(cv2.resize(portrait, (768, 768)), (0, 0), 8)
    cv2.imwrite("two.png", image)
    lefts = {}
    for prefer in ("score", "largest", "center"):
        options = ["--draw", "none", "--max-persons", "1", "--prefer", prefer, "--threads", "1"]
        assert main(["two.png", "--out", prefer, *options]) == 0
        (person,) = json.loads(Path(prefer, "two.json").read_text())["persons"]
        lefts[prefer] = person["box_xyxy"][0]
    assert lefts["score"] < 532 < 590 < lefts["largest"]
    assert lefts["center"] > 590  # 232 pixels from the middle; the other's centre is 457 away


@pytest.mark.slow
def test_pictures_are_limited_and_the_tracker_of_a_clip_beside_them_sees_everybody(
    folder, monkeypatch
):
    shown = []
    honest = Tracker.update

    def update(self, result, **options):
        shown.append(len(result))
        return honest(self, result, **options)

    monkeypatch.setattr(Tracker, "update", update)
    portrait = read_image("photo.jpg")
    pair = np.concatenate([portrait, portrait], axis=1)
    cv2.imwrite("picture.png", pair)
    with VideoWriter(Path("pair.mp4"), frame_rate=10) as writer:
        for _ in range(2):
            writer.write(pair)
    options = [
        "--max-persons",
        "1",
        "--track",
        "--draw",
        "none",
        "--out",
        "poses",
        "--threads",
        "1",
    ]
    assert main(["picture.png", "pair.mp4", *options]) == 0
    assert len(json.loads(Path("poses/picture.json").read_text())["persons"]) == 1
    assert [len(each.result) for each in read_frame_log(Path("poses/pair.jsonl"))] == [1, 1]
    assert len(shown) == 2 and min(shown) >= 2
