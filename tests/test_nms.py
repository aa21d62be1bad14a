from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwpose_infer.nms import nms


def legacy_iou(a, b):
    """One pixel more than the difference of coordinates, written out for two boxes."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + 1)

    def area(box):
        return (box[2] - box[0] + 1) * (box[3] - box[1] + 1)

    return width * height / (area(a) + area(b) - width * height)


def test_better_box_removes_the_overlapping_one():
    boxes = np.array([[0, 0, 99, 99], [0, 0, 99, 79], [200, 200, 250, 250]], np.float32)
    kept = nms(boxes, np.array([0.5, 0.9, 0.7], np.float32), iou_threshold=0.45)
    np.testing.assert_array_equal(kept, [1, 2])


@pytest.mark.parametrize(("threshold", "kept"), [(0.49, 1), (0.5, 2)])
def test_one_pixel_is_added_and_equality_keeps_the_box(threshold, kept):
    # 10 x 10 and 10 x 5 pixels counted with the ends: IoU exactly 0.5 (without them, 0.444).
    boxes = np.array([[0, 0, 9, 9], [0, 0, 9, 4]], np.float32)
    assert len(nms(boxes, np.array([0.9, 0.8], np.float32), iou_threshold=threshold)) == kept


boxes_strategy = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 60), st.integers(1, 60)),
    min_size=1,
    max_size=25,
)


@given(boxes_strategy, st.floats(0.1, 0.9), st.randoms())
def test_laws_of_greedy_suppression(quads, threshold, random):
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h in quads], np.float32)
    scores = np.array(random.sample(range(1000), len(boxes)), np.float32) / 1000
    kept = list(nms(boxes, scores, iou_threshold=threshold))
    assert list(scores[kept]) == sorted(scores[kept], reverse=True)
    for place, index in enumerate(kept):
        for other in kept[:place]:
            assert legacy_iou(boxes[index], boxes[other]) <= threshold + 1e-6
    for index in set(range(len(boxes))) - set(kept):
        assert any(
            scores[other] >= scores[index]
            and legacy_iou(boxes[index], boxes[other]) > threshold - 1e-6
            for other in kept
        )


def test_nothing():
    assert nms(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), iou_threshold=0.5).size == 0
