"""Options of drawings on the command line: what they draw, and where they apply to nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from dwpose_infer.cli.infer import main
from dwpose_infer.cli.outputs import JPEG_QUALITY
from dwpose_infer.drawing import draw_openpose, draw_overlay
from dwpose_infer.formats import load


@pytest.fixture
def photo(tmp_path, astronaut, monkeypatch):
    """photo.jpg in the current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(astronaut, "photo.jpg")
    return tmp_path / "photo.jpg"


def test_drawings_are_those_of_the_same_options_in_python(photo):
    """Of a portrait a threshold of 0 draws legs, too, whose points lie below the picture."""
    options = ["--draw-threshold", "0,hands=0.6,face=0.4", "--draw-outside", "drop"]
    options += ["--line-widths", "fixed", "--small-parts", "full", "--canvas-size", "768"]
    assert main(["photo.jpg", "--draw", "openpose,overlay", *options]) == 0
    (result,) = load("dwpose-out/photo.json")
    min_score = {"other": 0.0, "left_hand": 0.6, "right_hand": 0.6, "face": 0.4}
    canvas = cv2.imread("dwpose-out/photo_openpose.png")
    given = {"size": 768, "line_widths": "fixed", "fit_parts": False}
    expected = draw_openpose(result, min_score=min_score, outside=False, **given)
    np.testing.assert_array_equal(canvas, expected)
    for other in (
        draw_openpose(result, outside=False, **given),
        draw_openpose(result, min_score=min_score, **given),
        draw_openpose(result, min_score=min_score, outside=False, size=768),
    ):
        assert (canvas != other).any()
    drawn = draw_overlay(cv2.imread("photo.jpg"), result, min_score=min_score, outside=False)
    _, data = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert Path("dwpose-out/photo_overlay.jpg").read_bytes() == data.tobytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--draw", "none", "--draw-threshold", "0.5"], "--draw-threshold is for drawings"),
        (["--json", "--draw-outside", "drop"], "--draw-outside is for drawings"),
        (["--line-widths", "fixed"], "--line-widths goes with --draw openpose only"),
        (["--small-parts", "full"], "--small-parts goes with --draw openpose only"),
        (
            ["--keypoint-threshold", "0.4", "--draw-threshold", "hands=0.3"],
            "--draw-threshold 0.3 (left_hand) is below --keypoint-threshold 0.4",
        ),
        (
            ["--parts", "body", "--draw-threshold", "face=0.3"],
            "--draw-threshold names face, which --parts body leaves out",
        ),
        (
            ["--draw", "openpose", "--draw-threshold", "feet=0.3"],
            "names feet, which ControlNet's canvas does not have",
        ),
        (["--draw-threshold", "midline=0.3"], "there is no part 'midline' among these 133 points"),
    ],
)
def test_where_nothing_would_be_drawn_differently(photo, capsys, arguments, message):
    assert main(["photo.jpg", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(photo.parent.glob("dwpose-out/*"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hand=0.5", "there is no part 'hand'; the parts are body, feet, face, hands"),
        ("hands=much", "'much' is no score, nor PART=SCORE as hands=0.5"),
        ("nan", "'nan' is no score"),
        ("hands=0.5,left_hand=0.4", "says twice what left_hand needs"),
        ("0.5,0.4", "says twice what other needs"),
    ],
)
def test_thresholds_that_cannot_be_read(capsys, text, message):
    with pytest.raises(SystemExit) as exit_:
        main(["photo.jpg", "--draw-threshold", text])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
