from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dwpose_infer.simcc import decode_simcc


def simcc(columns, rows, peak_x=1.0, peak_y=1.0, size=(192, 256)):
    x = np.zeros((1, len(columns), 2 * size[0]), np.float32)
    y = np.zeros((1, len(rows), 2 * size[1]), np.float32)
    x[0, np.arange(len(columns)), columns] = peak_x
    y[0, np.arange(len(rows)), rows] = peak_y
    return x, y


@given(st.lists(st.tuples(st.integers(0, 383), st.integers(0, 511)), min_size=1, max_size=20))
def test_peaks_are_found_at_half_pixels(peaks):
    columns, rows = zip(*peaks, strict=True)
    keypoints, scores = decode_simcc(*simcc(columns, rows))
    np.testing.assert_array_equal(keypoints[0], np.array(peaks) / 2)
    assert (scores == 1).all()


def test_score_is_the_smaller_maximum():
    _, scores = decode_simcc(*simcc([5, 6], [7, 8], peak_x=0.25, peak_y=1.5))
    np.testing.assert_array_equal(scores, [[0.25, 0.25]])


def test_where_nothing_is_positive_the_location_is_minus_one_before_halving():
    x, y = simcc([5], [7])
    keypoints, scores = decode_simcc(x * 0, y)
    np.testing.assert_array_equal(keypoints, [[[-0.5, -0.5]]])
    assert scores[0, 0] == 0
    _, scores = decode_simcc(x - 3, y)
    assert scores[0, 0] == -2


def test_of_equal_peaks_the_first_counts():
    x, y = simcc([5], [7])
    x[0, 0, 9] = 1.0
    assert decode_simcc(x, y)[0][0, 0, 0] == 2.5


def test_equal_to_the_reference(reference):
    for index in range(2):
        golden = np.load(reference / f"simcc/decode_256x192_{index}.npz")
        keypoints, scores = decode_simcc(golden["simcc_x"], golden["simcc_y"])
        np.testing.assert_array_equal(keypoints, golden["keypoints"])
        np.testing.assert_array_equal(scores, golden["scores"])


def test_nobody():
    keypoints, scores = decode_simcc(
        np.zeros((0, 133, 384), np.float32), np.zeros((0, 133, 512), np.float32)
    )
    assert keypoints.shape == (0, 133, 2)
    assert scores.shape == (0, 133)
