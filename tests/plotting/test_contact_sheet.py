"""Frames on a sheet: where they stand, what is drawn on them, what is refused."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from format_samples import full

from dwpose_infer.errors import InputError, InvalidArgumentError
from dwpose_infer.formats import PoseClip
from dwpose_infer.formats.frame_log import FrameLog, LoggedFrame
from dwpose_infer.plotting import cli
from dwpose_infer.plotting.contact_sheet import GAP_PX, SheetSettings, contact_sheet
from dwpose_infer.results import PoseResult

SIZE_WH = (160, 120)
STRIP_PX = 12
DARK = 24


def persons(count=1, **fields):
    """Persons 7, 8 and so on, each point of person N at (40 N - 250, 60): dots alone."""
    still = full(count)
    keypoints = np.empty_like(still.keypoints)
    for row, number in enumerate(still.ids.tolist()):
        keypoints[row] = 40 * number - 250, 60
    scores = np.full_like(still.scores, 0.9)
    known = {"ids": still.ids, "image_size": SIZE_WH} | fields
    return PoseResult(keypoints=keypoints, scores=scores, **known)


def clip_of(*results):
    return PoseClip(tuple(LoggedFrame(i, i / 10, each) for i, each in enumerate(results)))


def cells(sheet, columns, rows, cell_wh=SIZE_WH):
    """The cells of a sheet, by rows, without their captions."""
    width, height = cell_wh
    step_y = height + STRIP_PX + GAP_PX
    assert sheet.shape == (rows * step_y + GAP_PX, columns * (width + GAP_PX) + GAP_PX, 3)
    corners = [
        (GAP_PX + row * step_y, GAP_PX + column * (width + GAP_PX))
        for row in range(rows)
        for column in range(columns)
    ]
    return [sheet[top : top + height, left : left + width] for top, left in corners]


def drawn_at(cell, x, y=60):
    return (cell[y - 3 : y + 4, x - 3 : x + 4] > 100).any()


def test_frames_are_spread_evenly_and_show_their_persons():
    """Of 9 frames 0, 2, 4, 6, 8; in frame 4 two persons, frame 6 is damaged, in frame 8 nobody."""
    results = [persons() for _ in range(9)]
    results[4], results[6], results[8] = persons(2), None, persons().select([])
    settings = SheetSettings(frames=5, columns=3, cell_width=160)
    sheet = contact_sheet(clip_of(*results), settings)
    shown = cells(sheet, 3, 2)
    first, second = [drawn_at(cell, 30) for cell in shown], [drawn_at(cell, 70) for cell in shown]
    assert first == [True, True, True, False, False, True]  # the last place is empty: white
    assert second == [False, False, True, False, False, True]
    assert (shown[3] == DARK).all() and (shown[4] == DARK).all() and (shown[5] == 255).all()
    only = cells(contact_sheet(clip_of(*results), replace(settings, persons=[8])), 3, 2)
    assert [drawn_at(cell, 30) for cell in only[:5]] == [False] * 5
    assert [drawn_at(cell, 70) for cell in only[:5]] == [False, False, True, False, False]
    sure = cells(contact_sheet(clip_of(*results), replace(settings, min_score=0.95)), 3, 2)
    assert not drawn_at(sure[0], 30)


def test_columns_come_near_to_a_sheet_of_16_to_10():
    """24 cells of 80 x 60 + 12: five columns and rows are 400 x 360, six and four 480 x 288."""
    settings = SheetSettings(cell_width=80)
    sheet = contact_sheet(clip_of(*[persons()] * 30), settings)
    assert sheet.shape[1] == 6 * 84 + GAP_PX and sheet.shape[0] == 4 * 76 + GAP_PX


def test_openpose_drawings_and_a_size_that_is_unknown():
    """No size: up to the farthest points, (70, 60)."""
    settings = SheetSettings(cell_width=140, style="openpose", frames=1)
    sheet = contact_sheet(clip_of(persons(2, image_size=None)), settings)
    (cell,) = cells(sheet, 1, 1, (140, 120))
    assert drawn_at(cell, 60, 116)
    assert cell[:60].max() == DARK


@pytest.fixture
def video(tmp_path):
    """Frames whose grey levels are 60 + 10 times their number, 10 a second."""
    pytest.importorskip("av")
    from dwpose_infer.media import VideoWriter

    path = tmp_path / "clip.mp4"
    with VideoWriter(path, frame_rate=10) as writer:
        for index in range(12):
            writer.write(np.full((120, 160, 3), 60 + 10 * index, np.uint8))
    return path


def test_the_video_is_below_the_skeletons(video, monkeypatch):
    from dwpose_infer.media import open_source

    with open_source(video) as source:
        decoded = [frame.image_bgr for frame in source]
    frames = [LoggedFrame(index, index / 10, persons()) for index in (1, 4, 8, 11)]
    settings = SheetSettings(cell_width=160, columns=4)
    for far in (300, 2):  # decoded through, or looked up anew
        monkeypatch.setattr("dwpose_infer.plotting.contact_sheet.FAR_FRAMES", far)
        shown = cells(contact_sheet(PoseClip(tuple(frames)), settings, video=video), 4, 1)
        levels = [float(np.median(cell)) for cell in shown]
        assert levels == [float(np.median(decoded[frame.index])) for frame in frames]
        assert np.diff(levels).tolist() == pytest.approx([30, 40, 30], abs=2)
    half = SheetSettings(cell_width=80, columns=4)
    small = contact_sheet(PoseClip(tuple(frames)), half, video=video)
    assert small[20, 20].tolist() == decoded[1][20, 20].tolist()


def test_what_is_refused(video):
    clip = clip_of(*[persons()] * 13)
    with pytest.raises(InputError, match="has no frame 12, of which there are poses"):
        contact_sheet(clip, video=video)
    with pytest.raises(InvalidArgumentError, match="the points were found in one of 400x100"):
        contact_sheet(clip_of(persons(image_size=(400, 100))), video=video)
    with pytest.raises(InvalidArgumentError, match="no person 3 in the clip; its ids are 7"):
        contact_sheet(clip, SheetSettings(persons=[7, 3]))
    with pytest.raises(InvalidArgumentError, match="no person 2 in the clip; its places are 0, 1"):
        contact_sheet(clip_of(persons(2, ids=None)), SheetSettings(persons=[2]))
    with pytest.raises(InvalidArgumentError, match=r"would have 78004x\d+ pixels: take fewer"):
        contact_sheet(clip, SheetSettings(cell_width=5996, columns=13))
    with pytest.raises(InputError, match="the clip has no frame"):
        contact_sheet(PoseClip(()))


@pytest.fixture
def log(tmp_path, monkeypatch):
    """run.jsonl of 30 frames, in the current folder."""
    monkeypatch.chdir(tmp_path)
    with FrameLog("run.jsonl") as file:
        for index in range(30):
            file.write(index, index / 10, persons())
    return tmp_path


def test_the_command(log, capsys):
    assert cli.main(["run.jsonl", "--sheet", "--cell-width", "80"]) == 0
    out, said = capsys.readouterr()
    assert out == "run_sheet.png\n"
    assert said == "dwpose-plot: 24 of 30 frames are shown; --frames shows more\n"
    assert cv2.imread("run_sheet.png").shape == (4 * 76 + GAP_PX, 6 * 84 + GAP_PX, 3)
    arguments = ["--frames", "4", "--columns", "1", "--draw", "openpose", "--out", "a.jpg"]
    assert cli.main(["run.jsonl", "--sheet", *arguments, "--cell-width", "80"]) == 0
    assert cv2.imread("a.jpg").shape == (4 * 76 + GAP_PX, 84 + GAP_PX, 3)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sheet", "--points", "nose"], "--points is of plots, not of --sheet"),
        (["--sheet", "--speed-unit", "pixels"], "--speed-unit is of plots, not of --sheet"),
        (["--frames", "3"], "--frames is of --sheet; give it, too"),
        (["--video", "clip.mp4"], "--video is of --sheet"),
        (["--sheet", "--out", "a.svg"], "a.svg: a sheet is written as .png, .jpg, .jpeg"),
    ],
)
def test_options_that_apply_to_nothing(log, capsys, arguments, message):
    assert cli.main(["run.jsonl", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in log.iterdir()] == ["run.jsonl"]
