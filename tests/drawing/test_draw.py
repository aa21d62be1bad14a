from __future__ import annotations

import cv2
import numpy as np
import pytest

from dwpose_infer.drawing import draw, draw_openpose, draw_overlay
from dwpose_infer.errors import InputError, InvalidArgumentError
from dwpose_infer.results import PoseResult


@pytest.fixture
def picture():
    return np.random.default_rng(2).integers(0, 256, (512, 512, 3), np.uint8)


@pytest.mark.parametrize("style", ["openpose", "overlay"])
def test_rgb_is_bgr_reversed(style, picture, standing, make_result):
    result = make_result(standing, ids=np.array([1]))
    bgr = draw(result, picture, style=style, color="bgr")
    rgb = draw(result, picture[..., ::-1], style=style, color="rgb")
    assert np.array_equal(rgb, bgr[..., ::-1])
    assert rgb.flags.c_contiguous and rgb.dtype == np.uint8


def test_styles_and_options_reach_their_functions(picture, standing, make_result):
    result = make_result(standing)
    canvas = draw(result, parts=["body"], size=256)
    assert np.array_equal(canvas, draw_openpose(result, parts=["body"], size=256))
    overlay = draw(result, picture, style="overlay", alpha=0.5)
    assert np.array_equal(overlay, draw_overlay(picture, result, alpha=0.5))
    assert np.array_equal(result.draw(picture, style="overlay", alpha=0.5), overlay)


def test_the_array_given_is_never_returned(picture):
    result = PoseResult.empty(image_size=(512, 512))
    drawn = draw(result, picture, style="overlay")
    assert np.array_equal(drawn, picture)
    assert not np.shares_memory(drawn, picture)


def test_the_overlay_reads_paths_and_grey_arrays(tmp_path, picture, standing, make_result):
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), picture)
    result = make_result(standing)
    expected = draw_overlay(picture, result)
    assert np.array_equal(draw(result, path, style="overlay"), expected)
    assert np.array_equal(draw(result, path, style="overlay", color="rgb"), expected[..., ::-1])
    grey = draw(result, picture[..., 0], style="overlay")
    assert np.array_equal(grey, draw_overlay(np.dstack([picture[..., 0]] * 3), result))


def test_the_overlay_finds_the_picture_by_itself(tmp_path, picture, standing, make_result):
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), picture)
    result = make_result(standing, source=str(path))
    assert np.array_equal(draw(result, style="overlay"), draw_overlay(picture, result))
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        draw(result, style="overlay")


def test_the_overlay_says_what_to_pass_where_the_picture_is_unknown(standing, make_result):
    with pytest.raises(InvalidArgumentError, match="pass the picture"):
        draw(make_result(standing), style="overlay")


def test_the_canvas_takes_its_size_from_the_picture_where_unknown(picture, standing, make_result):
    expected = draw_openpose(make_result(standing))
    result = make_result(standing, image_size=None)
    assert np.array_equal(draw(result, picture), expected)
    assert draw(result, picture, size=64).shape == (64, 64, 3)
    with pytest.raises(InvalidArgumentError, match="size of the picture"):
        draw(result)


def test_unknown_options_name_the_known_ones(standing, make_result):
    with pytest.raises(InvalidArgumentError, match=r"alpha.*parts, min_score, size"):
        draw(make_result(standing), alpha=0.5)
    with pytest.raises(InvalidArgumentError, match=r"size.*parts, min_score, boxes"):
        draw(make_result(standing), style="overlay", size=5)
    with pytest.raises(InvalidArgumentError, match="no option image_bgr"):
        draw(make_result(standing), style="overlay", image_bgr=5)


def test_unknown_styles_and_colours(standing, make_result):
    with pytest.raises(InvalidArgumentError, match="openpose, overlay"):
        draw(make_result(standing), style="cubist")
    with pytest.raises(InvalidArgumentError, match="bgr or rgb"):
        draw(make_result(standing), color="cmyk")
