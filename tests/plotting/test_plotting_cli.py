"""`dwpose-plot`: what it draws, what it says, with which status it ends."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from format_samples import full, ramp

from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.formats import load_clip
from dwpose_infer.formats.clip_files import save_clip, save_openpose_frame
from dwpose_infer.formats.frame_log import FrameLog
from dwpose_infer.keypoints import KEYPOINT_INDEX
from dwpose_infer.plotting import cli, panels
from dwpose_infer.plotting.kinematics import tracks_of
from dwpose_infer.results import PoseResult

pytest.importorskip("matplotlib")

WRIST = KEYPOINT_INDEX["left_wrist"]


def moved(pixels, *, wrist_score=0.9, persons=1):
    """Persons 7, 8 and so on, moved to the right."""
    still = full(persons)
    scores = np.full_like(still.scores, 0.8)
    scores[:, WRIST] = wrist_score
    return PoseResult(
        keypoints=still.keypoints + np.float32([pixels, 0]), scores=scores, ids=still.ids
    )


@pytest.fixture
def clip(tmp_path):
    """5 frames, 10 a second: the wrist is not seen in the third, person 8 only in the first."""
    path = tmp_path / "run $x.jsonl"
    with FrameLog(path) as log:
        for index, (pixels, score) in enumerate(
            [(0, 0.9), (10, 0.9), (15, 0.1), (20, 0.9), (60, 0.9)]
        ):
            log.write(index, index / 10, moved(pixels, wrist_score=score, persons=1 + (index == 0)))
    return path


def figure_of(path, **settings):
    return panels.draw(tracks_of(load_clip(path)), panels.PlotSettings(**settings))


def lines_of(axes):
    return {line.get_label(): line for line in axes.lines}


def test_lines_have_gaps_and_units(clip):
    figure = figure_of(clip, points=("left_wrist", "nose"), panels=("position", "speeds"))
    x, _, y, _, speed, _ = figure.axes  # person 7, person 8, by rows
    assert [axes.get_title() for axes in (x, figure.axes[1])] == ["id 7", "id 8"]
    assert [x.get_ylabel(), x.get_xlabel()] == ["x, pixels", "time, s"]
    assert y.yaxis_inverted()
    wrist = lines_of(x)["left wrist"]
    np.testing.assert_allclose(wrist.get_xdata(), [0, 0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(wrist.get_ydata() - 9.5, [0, 10, np.nan, 20, 60])
    assert speed.get_ylabel() == "speed, pixels/s"
    wrist = lines_of(speed)["left wrist"]
    np.testing.assert_allclose(wrist.get_xdata(), [0.05, 0.15, 0.25, 0.35])
    np.testing.assert_allclose(wrist.get_ydata(), [100, np.nan, np.nan, 400], rtol=1e-5)
    assert wrist.get_markevery() == [0, 3]  # alone between gaps: dots
    nose = lines_of(speed)["nose"]
    np.testing.assert_allclose(nose.get_ydata(), [100, 50, 50, 400], rtol=1e-5)


def test_speeds_in_widths_of_shoulders(clip):
    figure = figure_of(clip, points=("nose",), panels=("speeds",), speed_unit="shoulders")
    axes = figure.axes[0]
    assert axes.get_ylabel() == "speed, shoulder widths/s"
    assert axes.get_title(loc="right") == "length: 2.2 pixels"
    expected = np.array([100, 50, 50, 400]) / 5**0.5  # shoulders are 1 and 2 pixels apart
    np.testing.assert_allclose(axes.lines[0].get_ydata(), expected, rtol=1e-5)


def test_angles_presence_and_scores(clip):
    figure = figure_of(clip, angles=("left_elbow",), panels=("angles", "presence", "scores"))
    angles, _, presence, _, scores, _ = figure.axes
    (elbow,) = angles.lines
    np.testing.assert_allclose(elbow.get_ydata(), [180, 180, np.nan, 180, 180], atol=0.1)
    assert angles.get_ylabel() == "angle, degrees"
    names = [label.get_text() for label in presence.get_yticklabels()]
    assert names == ["body", "feet", "face", "left hand", "right hand"]
    body = presence.collections[0].get_paths()[0].vertices[:, 1]
    assert body.max() == pytest.approx(panels.LANE)
    assert panels.LANE * 16 / 17 in body  # the third frame
    np.testing.assert_allclose(lines_of(scores)["face"].get_ydata(), 0.8, rtol=1e-6)
    assert lines_of(scores)["threshold"].get_ydata() == [0.3, 0.3]


def test_an_empty_panel_says_so(clip):
    figure = figure_of(clip, points=("nose",), panels=("path", "scores"), min_score=0.95)
    path, _, scores, _ = figure.axes
    assert [text.get_text() for text in path.texts] == [
        "none: points absent or below the threshold"
    ]
    assert not scores.texts


def test_points_that_the_network_does_not_have(clip):
    with pytest.raises(InvalidArgumentError, match=r"coco-wholebody-133\) have no 'neck'"):
        figure_of(clip, points=("neck",))


def test_too_many_persons_for_a_plot(tmp_path):
    save_clip([full(17)], tmp_path / "crowd.npz", indices=[0], times_s=[0.0])
    with pytest.raises(InvalidArgumentError, match="17 persons are too many"):
        figure_of(tmp_path / "crowd.npz")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF-")]
)
def test_files_written(clip, tmp_path, ending, begins, capsys):
    out = tmp_path / "plots" / f"run.{ending}"
    arguments = [
        "--points",
        "left_hand",
        "--angles",
        "elbows",
        "--persons",
        "7",
        "--panels",
        "path",
    ]
    assert cli.main([str(clip), *arguments, "--out", str(out)]) == 0
    assert capsys.readouterr() == (f"{out}\n", "")
    assert out.read_bytes().startswith(begins)


@pytest.mark.slow
def test_the_whole_plot_is_written_beside_the_clip(clip, tmp_path, capsys):
    assert cli.main([str(clip)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'run $x_plot.png'}\n"


def test_what_is_not_known_is_said(tmp_path, capsys):
    for index in range(3):
        save_openpose_frame(ramp(6), tmp_path / "clip_keypoints", stem="clip", index=index)
    out = str(tmp_path / "a.png")
    arguments = [str(tmp_path / "clip_keypoints"), "--panels", "speeds", "--out", out]
    assert cli.main(arguments) == 0
    err = capsys.readouterr().err
    assert "no times: frames are counted; --frame-rate" in err
    assert "no identities (--track gives them)" in err
    assert "the 4 persons who are there longest are shown, of 6" in err
    assert cli.main([*arguments, "--frame-rate", "25", "--persons", "0"]) == 0
    assert "no times" not in capsys.readouterr().err


def test_a_frame_rate_beside_times_is_not_used_and_said(clip, tmp_path, capsys):
    out = str(tmp_path / "a.png")
    arguments = [str(clip), "--frame-rate", "5", "--panels", "presence", "--out", out]
    assert cli.main(arguments) == 0
    assert "--frame-rate is not used: the clip has times" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--persons", "9"], 2, "no person 9 in the clip; its ids are 7, 8"),
        (["--out", "a.gif"], 2, "a.gif: a plot is written as .png, .svg, .pdf"),
    ],
)
def test_errors(clip, arguments, status, message, capsys):
    assert cli.main([str(clip), *arguments]) == status
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--points", "left_wrst"], "no point 'left_wrst'; did you mean left_wrist"),
        (["--angles", "knee"], "did you mean knees"),
        (["--panels", ""], "no panel ''; did you mean path, position"),
        (["--persons", "Ann"], "'Ann' is not a list of numbers"),
        (["--frame-rate", "0"], "'0' is no number of frames per second"),
    ],
)
def test_wrong_usage(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["clip.jsonl", *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_without_a_clip_or_matplotlib(clip, tmp_path, monkeypatch, capsys):
    assert cli.main([str(tmp_path / "absent.jsonl")]) == 1
    assert "absent.jsonl" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert cli.main([str(clip)]) == 3
    assert 'pip install "dwpose-infer[plot]"' in capsys.readouterr().err
