from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from dwpose_infer.errors import InputError, InvalidArgumentError
from dwpose_infer.media import DamagedFrame, Frame, open_source
from dwpose_infer.media.image_sequence import natural_key


@pytest.fixture
def folder(tmp_path):
    """frame1.png to frame12.png, each as bright as its number."""
    for number in range(1, 13):
        picture = np.full((24, 32, 3), 10 * number, np.uint8)
        assert cv2.imwrite(str(tmp_path / f"frame{number}.png"), picture)
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def brightness(items):
    return [int(item.image_bgr[0, 0, 0]) for item in items]


@pytest.mark.parametrize("how", ["folder", "pattern", "list"])
def test_pictures_come_in_natural_order(folder, how):
    paths = [folder / f"frame{number}.png" for number in range(1, 13)]
    given = {"folder": folder, "pattern": str(folder / "frame*.png"), "list": paths}[how]
    with open_source(given, frame_rate=10) as source:
        assert source.size_wh == (32, 24)
        assert (source.frame_count, source.frame_rate) == (12, 10)
        assert source.time_base == Fraction(1, 10)
        assert not source.is_live and source.path is None
        frames = list(source)
    assert brightness(frames) == [10 * number for number in range(1, 13)]
    assert [frame.time_s for frame in frames] == [index / 10 for index in range(12)]
    assert {frame.duration_s for frame in frames} == {0.1}


def test_a_list_keeps_its_order(folder):
    with open_source([folder / "frame3.png", str(folder / "frame1.png")]) as source:
        assert source.frame_rate == 25
        assert brightness(source) == [30, 10]


def test_parts(folder):
    with open_source(folder, frame_rate=10, start=0.2, end="9f", stride=3) as source:
        assert source.frame_count == 3
        assert source.frame_rate == Fraction(10, 3)
        assert [frame.index for frame in source] == [2, 5, 8]


def test_one_picture_is_a_clip_of_one_frame(folder):
    with open_source(folder / "frame7.png") as source:
        assert brightness(source) == [70]


def test_damaged_pictures_are_told_one_by_one(folder):
    for number in (1, 5):
        (folder / f"frame{number}.png").write_bytes(b"no picture")
    with open_source(folder) as source:
        assert source.size_wh == (32, 24)
        items = list(source)
    assert [item.index for item in items] == list(range(12))
    damaged = [item for item in items if isinstance(item, DamagedFrame)]
    assert [item.index for item in damaged] == [0, 4]
    assert all(not item.is_last and item.time_s == item.index / 25 for item in damaged)
    assert "frame5.png" in str(damaged[1].error)
    assert sum(isinstance(item, Frame) for item in items) == 10


def test_pictures_of_several_sizes(folder):
    cv2.imwrite(str(folder / "frame13.png"), np.zeros((40, 20, 3), np.uint8))
    with open_source(folder) as source:
        assert [item.image_bgr.shape for item in source][-2:] == [(24, 32, 3), (40, 20, 3)]


def test_nothing_there(tmp_path):
    for source, message in (
        (tmp_path, "no picture in this folder"),
        (str(tmp_path / "*.png"), "no file matches"),
        (tmp_path / "clip.mp4", "no such file or folder"),
        ([], "the list of pictures is empty"),
        ([tmp_path / "absent.png"], "no such file"),
        ("nonesuch://host/x", "URLs of this kind"),
    ):
        with pytest.raises(InputError, match=message):
            open_source(source)


def test_bad_arguments(folder):
    for rate in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InvalidArgumentError, match="frame_rate is"):
            open_source(folder, frame_rate=rate)
    with pytest.raises(InputError, match="there are 12"):
        open_source(folder, start=99)


def test_natural_order():
    names = ["b1", "a10b2", "a10b10", "a2", "a"]
    paths = sorted((Path(name) for name in names), key=natural_key)
    assert [path.name for path in paths] == ["a", "a2", "a10b2", "a10b10", "b1"]
