from __future__ import annotations

import cv2
import numpy as np
import pytest

from dwpose_infer.letterbox import letterbox


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
