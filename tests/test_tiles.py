from __future__ import annotations

import cv2
import numpy as np
import pytest

from dwpose_infer import Predictor
from dwpose_infer.detector import DetectorOptions
from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.tiles import is_whole, tile_windows


@pytest.mark.parametrize(
    ("image_wh", "side", "windows"),
    [
        ((100, 80), 100, []),
        ((150, 80), 100, [(0, 0, 100, 80), (50, 0, 150, 80)]),
        ((200, 40), 100, [(0, 0, 100, 40), (50, 0, 150, 40), (100, 0, 200, 40)]),
        ((101, 100), 100, [(0, 0, 100, 100), (1, 0, 101, 100)]),
    ],
)
def test_tiles(image_wh, side, windows):
    assert tile_windows(image_wh, side) == windows


def test_whoever_is_half_a_tile_large_is_whole_in_one():
    for length in (300, 401, 999, 2345):
        windows = tile_windows((length, length), 200)
        assert windows[0][:2] == (0, 0) and windows[-1][2:] == (length, length)
        for start in range(0, length - 100, 7):
            assert any(left <= start and start + 100 <= right for left, _, right, _ in windows)


def test_boxes_that_a_tile_cuts_off():
    boxes = np.array(
        [[100, 0, 150, 50], [110, 10, 190, 90], [150, 20, 199, 99], [120, 20, 180, 200]], np.float32
    )
    assert is_whole(boxes, (100, 0, 200, 100), (1000, 100)).tolist() == [False, True, False, True]
    assert is_whole(boxes, (100, 0, 200, 100), (200, 300)).tolist() == [False, True, False, False]


def test_a_tile_of_a_few_pixels():
    with pytest.raises(InvalidArgumentError, match="tile_side is 8, must be at least 64"):
        DetectorOptions(tile_side=8)


@pytest.mark.slow
def test_persons_of_512_pixels_on_a_picture_16000_wide(astronaut):
    photo = cv2.imread(str(astronaut))
    wide = np.full((600, 16000, 3), 114, np.uint8)
    lefts = [200 + 2000 * index + 37 * index for index in range(8)]
    for left in lefts:
        wide[88:, left : left + 512] = photo
    with Predictor() as whole, Predictor(tile_side=1200) as tiled:
        missed, found = whole(wide), tiled(wide)
        same = tiled(photo)
        (alone,) = whole(photo).boxes_xyxy
    assert len(missed) == 0
    (note,) = missed.notes
    assert note.startswith("searched for persons at 1/38 of its size")
    assert found.notes == same.notes == ()
    assert len(same) == 1
    centers = found.boxes_xyxy.reshape(-1, 2, 2).mean(axis=1)
    for left in lefts:  # some take the flag behind her for somebody else
        of_photo = (centers[:, 0] > left) & (centers[:, 0] < left + 512)
        boxes = found.boxes_xyxy[of_photo] - np.array([left, 88, left, 88], np.float32)
        assert iou_with(boxes, alone).max() > 0.6
        assert 1 <= of_photo.sum() <= 2
    assert len(found) <= 16


def iou_with(boxes, other):
    low, high = np.maximum(boxes[:, :2], other[:2]), np.minimum(boxes[:, 2:], other[2:])
    shared = (high - low).clip(0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (other[2:] - other[:2]).prod()
    return shared / (areas - shared)
