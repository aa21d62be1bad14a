"""`dwpose-retarget`: what it writes, what it says, with which status it ends."""

from __future__ import annotations

import numpy as np
import pytest
from figures import LENGTHS, dance, figure, result

from dwpose_infer.cli.retarget import main
from dwpose_infer.drawing import draw_openpose
from dwpose_infer.formats import load, load_clip, save
from dwpose_infer.formats.clip_files import save_clip, save_openpose_frame
from dwpose_infer.media import VideoWriter, open_source
from dwpose_infer.retargeting import retarget

pytest.importorskip("av")

FEW = ["--threads", "1"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """dance.npz, 5 frames, 10 a second, of id 1; other.json, twice as large but for the head."""
    monkeypatch.chdir(tmp_path)
    frames = [result(each, image_size=(500, 400), ids=np.array([1])) for each in dance(5)]
    save_clip(frames, "dance.npz", indices=range(5), times_s=[i / 10 for i in range(5)])
    lengths = {name: 2 * length for name, length in LENGTHS.items()} | {"head": 60.0}
    save(result(figure((400, 300), lengths), image_size=(800, 600)), "other.json")
    return tmp_path


def test_poses_and_a_video_are_written_beside_the_clip(here, capsys):
    assert main(["dance.npz", "other.json", "--format", "json,openpose"]) == 0
    out, said = capsys.readouterr()
    names = [
        "dance_retargeted.jsonl",
        "dance_retargeted_keypoints",
        "dance_retargeted_openpose.mp4",
    ]
    assert out.splitlines() == names
    assert (
        "dwpose-retarget: id 1: the reference is 2.00 times as large; spine 2.00, shoulders 2.00, "
        "hips 2.00, upper arms 2.00, forearms 2.00, thighs 2.00, shins 2.00, neck 2.00, head 6.00, "
        "hands 2.00, feet 2.00 (far from the whole: head; "
    ) in said
    assert "aligned at the reference by: ankles" in said
    expected = retarget(load_clip("dance.npz"), load("other.json")[0]).clip
    written = load_clip("dance_retargeted.jsonl")
    np.testing.assert_array_equal(written.as_array(), expected.as_array())
    np.testing.assert_array_equal(written.times_s, np.arange(5) / 10)
    with open_source("dance_retargeted_openpose.mp4") as source:
        assert (source.size_wh, source.frame_rate) == ((800, 600), 10)
        shown = [frame.image_bgr for frame in source]
    assert len(shown) == 5
    drawn = draw_openpose(expected[2].result)
    assert np.abs(shown[2].astype(int) - drawn).mean() < 2  # of the video's compression


def test_options_of_the_drawing(here):
    given = ["--canvas-size", "320x200", "--line-widths", "fixed", "--parts", "body", "--quiet"]
    given += ["--draw-threshold", "body=0.5", "--draw-outside", "drop", "--out", "to/here"]
    assert main(["dance.npz", "other.json", "--format", "none", *given]) == 0
    assert [path.name for path in here.glob("to/here/*")] == ["dance_retargeted_openpose.mp4"]
    with open_source("to/here/dance_retargeted_openpose.mp4") as source:
        assert source.size_wh == (320, 200)


def test_a_picture_as_reference(here, astronaut, capsys):
    given = ["--draw", "overlay", "--align", "neck", "--format", "none", *FEW]
    assert main(["dance.npz", str(astronaut), *given]) == 0
    assert "aligned at the reference by: neck" in capsys.readouterr().err
    with open_source("dance_retargeted_overlay.mp4") as source:
        assert source.size_wh == (512, 512)
        image = next(iter(source)).image_bgr
    assert image.mean() > 60  # the portrait below the skeleton


def test_a_clip_without_times(here, capsys):
    for index, each in enumerate(dance(2)):
        save_openpose_frame(result(each, image_size=(500, 400)), "op", stem="clip", index=index)
    assert main(["op", "other.json"]) == 2
    assert "the clip has no times: --frame-rate says" in capsys.readouterr().err
    assert main(["op", "other.json", "--frame-rate", "12", "--format", "none"]) == 0
    with open_source("op_retargeted_openpose.mp4") as source:
        assert source.frame_rate == 12
    assert main(["dance.npz", "other.json", "--frame-rate", "12", "--format", "none"]) == 0
    assert "--frame-rate is not used: the clip has times" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["other.json", "--person", "2"], 2, "there is no person 2 in the clip: its ids are [1]"),
        (["other.json", "--reference-person", "1"], 2, "other.json has 1 person, from 0"),
        (["other.json", "--draw", "overlay"], 2, "and other.json is none"),
        (["other.json", "--format", "coco"], 2, "--format coco is for pictures, not for clips"),
        (["other.json", "--draw", "none", "--line-scale", "2"], 2, "--line-scale is for drawings"),
        (["other.json", "--draw", "none", "--parts", "body"], 2, "--parts is for drawings"),
        (["other.json", "--draw", "none", "--canvas-size", "9"], 2, "--canvas-size goes with"),
        (["dance.jsonl"], 2, "dance.jsonl holds the frames of a clip"),
        (["dance.npz"], 1, "dance.npz has the poses of 5 pictures, not of one"),
        (["nobody.json"], 1, "nobody.json: nobody was found there"),
        (["sizeless.json"], 2, "sizeless.json does not say how large its picture is"),
    ],
)
def test_what_cannot_be_done(here, capsys, arguments, status, message):
    save(result(figure()).select([]), "nobody.json")
    save(result(figure()), "sizeless.json")
    assert main(["dance.npz", *arguments]) == status
    assert message in capsys.readouterr().err
    assert not list(here.glob("*_retargeted*"))


def test_more_persons_in_the_reference_are_said(here, capsys):
    save(result(figure(), figure() + 9.0, image_size=(500, 400)), "two.json")
    assert main(["dance.npz", "two.json", "--draw", "none"]) == 0
    assert "two.json has 2 persons; the surest is taken" in capsys.readouterr().err


def test_a_video_is_no_reference(here, capsys):
    with VideoWriter("clip.mp4", frame_rate=5) as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8))
    assert main(["dance.npz", "clip.mp4", *FEW]) == 1
    assert "clip.mp4" in capsys.readouterr().err
