from __future__ import annotations

import cv2
import numpy as np
import pytest

from dwpose_infer.letterbox import LEAST_PADDING, fitting_size, letterbox


def test_same_size_is_copied(rng):
    image = rng.integers(0, 256, (640, 640, 3), np.uint8)
    canvas, ratio = letterbox(image, size_wh=(640, 640))
    np.testing.assert_array_equal(canvas, image)
    assert ratio == 1
    assert not np.shares_memory(canvas, image)


@pytest.mark.parametrize(
    ("height", "width", "scaled_height", "scaled_width"),
    [(720, 1280, 360, 640), (1280, 720, 640, 360), (333, 500, 426, 640), (100, 50, 640, 320)],
)
def test_picture_stands_top_left_and_sizes_are_truncated(
    rng, height, width, scaled_height, scaled_width
):
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    canvas, ratio = letterbox(image, size_wh=(640, 640))
    assert ratio == min(640 / height, 640 / width)
    resized = cv2.resize(image, (scaled_width, scaled_height), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(canvas[:scaled_height, :scaled_width], resized)
    assert (canvas[scaled_height:] == 114).all()
    assert (canvas[:, scaled_width:] == 114).all()


def test_very_long_picture_keeps_a_row():
    canvas, ratio = letterbox(np.zeros((8, 20000, 3), np.uint8), size_wh=(416, 416))
    assert ratio == 416 / 20000
    assert (canvas[0] == 0).all()
    assert (canvas[1:] == 114).all()


def test_equal_to_the_reference(reference):
    golden = np.load(reference / "prepost/img0.npz")
    canvas, ratio = letterbox(golden["image_bgr"], size_wh=(640, 640))
    np.testing.assert_array_equal(canvas.transpose(2, 0, 1), golden["letterbox"])
    assert ratio == golden["letterbox_ratio"]


@pytest.mark.parametrize(
    ("picture_wh", "canvas_wh"),
    [
        ((1280, 720), (416, 256)),  # 234 rows and 16 of grey fit into 256
        ((720, 1280), (256, 416)),
        ((640, 480), (416, 352)),  # 312 and 16: one more step than 320
        ((1500, 1000), (416, 320)),
        ((500, 500), (416, 416)),
        ((20000, 8), (416, 32)),
        ((8, 20000), (32, 416)),
    ],
)
def test_a_canvas_cut_to_the_picture(picture_wh, canvas_wh):
    assert fitting_size(picture_wh, size_wh=(416, 416), step=32) == canvas_wh
    width, height = picture_wh
    picture = np.zeros((height, width, 3), np.uint8)
    canvas, ratio = letterbox(picture, size_wh=canvas_wh)
    whole, expected = letterbox(picture, size_wh=(416, 416))
    assert ratio == expected  # boxes are scaled back the same way
    np.testing.assert_array_equal(canvas, whole[: canvas_wh[1], : canvas_wh[0]])
    grey = min((canvas == 114).all(axis=(1, 2)).sum(), (canvas == 114).all(axis=(0, 2)).sum())
    assert max(picture_wh) == min(picture_wh) or grey == 0
    padded = canvas_wh[1] - (canvas[:, 0] == 0).all(axis=1).sum()
    assert width < height or width == height or padded >= LEAST_PADDING
