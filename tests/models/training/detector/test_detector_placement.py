from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwpose_infer.letterbox import PAD_VALUE, letterbox
from dwpose_infer.models.training.detector.scenes import Placement, fit

PICTURE_WH = (23, 17)
BOX = (5, 4, 12, 15)
"""Left, top, right, bottom of a white box on the black picture."""


def white_box():
    picture = np.zeros((PICTURE_WH[1], PICTURE_WH[0], 3), np.uint8)
    picture[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 255
    return picture


def bounds(canvas):
    """Where a canvas is bright: left, top, right, bottom."""
    rows, columns = np.nonzero(canvas[..., 0] >= 128)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@settings(deadline=None)
@given(
    left=st.integers(0, 9),
    top=st.integers(0, 8),
    right=st.integers(10, 23),
    bottom=st.integers(9, 17),
    turns=st.integers(0, 3),
    flip=st.booleans(),
    factor=st.sampled_from([1, 2, 4]),
    corner=st.tuples(st.integers(0, 8), st.integers(0, 8)),
)
def test_a_box_stays_on_what_it_was_on(left, top, right, bottom, turns, flip, factor, corner):
    """Exactly: enlarged by 2 or 4, linear interpolation crosses half of white at the edge."""
    crop = (left, top, right, bottom)
    size = ((right - left) * factor, (bottom - top) * factor)
    placement = Placement(crop, size[::-1] if turns % 2 else size, corner, turns, flip)
    canvas = np.zeros((100, 110, 3), np.uint8)
    placement.paste(canvas, placement.cut(white_box()))
    (box,) = placement.boxes(np.array([BOX], np.float32)) if keeps(crop) else [None]
    if box is None:
        return
    assert box.dtype == np.float32
    np.testing.assert_array_equal(box, bounds(canvas))


def keeps(crop):
    """Whether at least a fifth of the white box and two pixels each way are in a crop."""
    wide = min(BOX[2], crop[2]) - max(BOX[0], crop[0])
    high = min(BOX[3], crop[3]) - max(BOX[1], crop[1])
    return min(wide, high) >= 2 and wide * high >= 0.2 * 7 * 11


def test_numbers_worked_out_by_hand():
    """Crop 40x20 at (10, 20), turned left to 20x40, mirrored, scaled to 60x80, moved by (5, 7)."""
    placement = Placement((10, 20, 50, 40), (60, 80), (5, 7), turns=1, flip=True)
    boxes = placement.boxes(np.array([[12, 24, 22, 30]], np.float32))
    # In the crop 2..12 x 4..10; turned x = y = 4..10, y = 40 - x = 28..38; mirrored x = 10..16;
    # times 3 and 2; moved.
    np.testing.assert_array_equal(boxes, [[35, 63, 53, 83]])


def test_boxes_end_at_the_edge_of_the_piece_or_go():
    placement = Placement((10, 10, 30, 30), (40, 40))
    boxes = np.array(
        [[0, 12, 20, 20], [0, 12, 11.9, 20], [40, 40, 50, 50], [12, 12, 12.5, 20]], np.float32
    )
    # A half is left; less than a fifth; nothing; narrower than two pixels of the canvas.
    np.testing.assert_array_equal(placement.boxes(boxes), [[0, 4, 20, 20]])
    assert placement.boxes(np.zeros((0, 4), np.float32)).shape == (0, 4)


@pytest.mark.parametrize("size_wh", [(448, 298), (300, 448), (416, 416), (31, 5)])
def test_a_whole_picture_lies_as_the_letterbox_puts_it(rng, size_wh):
    picture = rng.integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)
    whole = (0, 0, *size_wh)
    placement = Placement(whole, fit(whole, (416, 416)))
    canvas = np.full((416, 416, 3), PAD_VALUE, np.uint8)
    placement.paste(canvas, placement.cut(picture))
    expected, ratio = letterbox(picture, size_wh=(416, 416))
    np.testing.assert_array_equal(canvas, expected)
    box = np.array([[2, 1, size_wh[0] - 3, size_wh[1] - 1]], np.float32)
    # The letterbox truncates the size, which moves an edge by less than one pixel.
    assert np.abs(placement.boxes(box) - box * ratio).max() < 1


def test_fit_keeps_the_ratio_and_one_pixel():
    assert fit((0, 0, 200, 100), (100, 100)) == (100, 50)
    assert fit((0, 0, 200, 100), (100, 100), turned=True) == (50, 100)
    assert fit((0, 0, 200, 100), (100, 100), scale=0.5) == (50, 25)
    assert fit((0, 0, 200, 100), (100, 100), aspect=0.5) == (100, 100)
    assert fit((0, 0, 1000, 1), (100, 100)) == (100, 1)
