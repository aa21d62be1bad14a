from __future__ import annotations

import numpy as np
import pytest

from dwpose_infer.canvas import Canvas, canvas_for
from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.results import PoseResult


@pytest.mark.parametrize(
    ("image_wh", "size", "options", "size_wh", "scale_xy", "offset_xy"),
    [
        ((640, 480), None, {}, (640, 480), (1, 1), (0, 0)),
        ((640, 480), 240, {}, (320, 240), (0.5, 0.5), (0, 0)),
        ((640, 480), (320, 320), {}, (320, 320), (0.5, 0.5), (0, 40)),
        ((640, 480), (960, 480), {}, (960, 480), (1, 1), (160, 0)),
        ((640, 480), (320, 320), {"fit": "stretch"}, (320, 320), (0.5, 2 / 3), (0, 0)),
        ((1000, 500), None, {"multiple": 64}, (1024, 512), (1.024, 1.024), (0, 0)),
        ((1000, 500), 510, {"multiple": 8}, (1024, 512), (1.024, 1.024), (0, 0)),
        ((100, 10), None, {"multiple": 64}, (128, 64), (1.28, 1.28), (0, 25.6)),
        ((96, 160), None, {"multiple": 64}, (128, 192), (1.2, 1.2), (6.4, 0)),
    ],
)
def test_canvas(image_wh, size, options, size_wh, scale_xy, offset_xy):
    canvas = canvas_for(image_wh, size, **options)
    assert canvas.size_wh == size_wh
    assert canvas.scale_xy == pytest.approx(scale_xy)
    assert canvas.offset_xy == pytest.approx(offset_xy)


@pytest.mark.parametrize(
    ("size", "options"),
    [(0, {}), (-5, {}), (None, {"multiple": 0}), (None, {"multiple": 1.5}), (5, {"fit": "crop"})],
)
def test_impossible_canvases(size, options):
    with pytest.raises(InvalidArgumentError):
        canvas_for((64, 48), size, **options)


def test_points_and_boxes_go_to_their_place():
    keypoints = np.full((1, 133, 2), np.nan, np.float32)
    keypoints[0, 0] = 10, 20
    result = PoseResult(
        keypoints,
        np.ones((1, 133), np.float32),
        boxes_xyxy=np.array([[0, 0, 64, 48]], np.float32),
        image_size=(64, 48),
    )
    placed = Canvas((128, 128), (2, 2), (0, 16)).place(result)
    assert placed.keypoints[0, 0].tolist() == [20, 56]
    assert np.isnan(placed.keypoints[0, 1:]).all()
    assert placed.boxes_xyxy.tolist() == [[0, 16, 128, 112]]
    assert placed.image_size == (128, 128)
