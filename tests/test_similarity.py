from __future__ import annotations

import math

import numpy as np
import pytest

from dwpose_infer.keypoints import BODY, SIGMAS
from dwpose_infer.similarity import box_areas, box_iou, weighted_oks


def coco_oks(first, second, visible, area):
    """COCO's definition, point by point: exp(-d^2 / (2 s^2 k^2)) with k = 2 sigma, s^2 = area."""
    likeness = [
        math.exp(-(math.dist(a, b) ** 2) / (2 * area * (2 * sigma) ** 2))
        for a, b, sigma, seen in zip(first, second, SIGMAS, visible, strict=True)
        if seen
    ]
    return sum(likeness) / len(likeness)


def test_box_iou():
    overlaps = box_iou(np.array([[0, 0, 10, 10.0]]), np.array([[5, 0, 15, 10], [20, 20, 30, 30.0]]))
    assert overlaps.tolist() == [[pytest.approx(1 / 3), 0.0]]


def test_boxes_without_area():
    inside_out = np.array([[10, 10, 0, 0.0]])
    assert box_areas(inside_out).tolist() == [0.0]
    assert box_iou(inside_out, inside_out).tolist() == [[0.0]]
    assert box_iou(np.zeros((0, 4)), inside_out).shape == (0, 1)


def test_oks_with_weights_of_0_and_1_is_cocos(rng):
    first = rng.uniform(0, 300, (2, 133, 2))
    second = first[:1] + rng.normal(0, 8, (1, 133, 2))
    visible = rng.random(133) < 0.6
    oks = weighted_oks(
        first,
        second,
        first_weights=np.ones((2, 133)),
        second_weights=visible[None].astype(float),
        areas=np.full((2, 1), 9000.0),
    )
    for row in range(2):
        expected = coco_oks(first[row], second[0], visible, 9000.0)
        assert oks[row, 0] == pytest.approx(expected, rel=1e-12)


def test_points_without_weight_may_be_absent(rng):
    points = rng.uniform(0, 300, (1, 133, 2))
    holes = points.copy()
    holes[0, 5] = np.nan
    weights = np.ones((1, 133))
    weights[0, 5] = 0
    area = np.array([[100.0]])
    args = {"first_weights": weights, "second_weights": np.ones((1, 133)), "areas": area}
    assert weighted_oks(holes, points, **args, points=BODY).tolist() == [[1.0]]
    args["first_weights"] = np.zeros((1, 133))
    assert np.isnan(weighted_oks(holes, points, **args)).all()


def test_heavier_points_count_more():
    first, second = np.zeros((1, 133, 2)), np.zeros((1, 133, 2))
    second[0, 0] = 1000  # far off: likeness 0
    weights = np.zeros((1, 133))
    weights[0, :2] = 0.25, 0.75
    oks = weighted_oks(
        first, second, first_weights=weights, second_weights=weights, areas=np.array([[1e4]])
    )
    assert oks[0, 0] == pytest.approx(0.75)
