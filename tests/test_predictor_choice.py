"""Who is kept: given boxes, thresholds, and nobody at all."""

from __future__ import annotations

import numpy as np
import pytest

from dwpose_infer import Predictor
from dwpose_infer.errors import (
    InvalidArgumentError,
)


def test_given_boxes_keep_their_order_and_skip_the_detector(predictor, astronaut):
    boxes = [[100, 100, 200, 200], [20, 10, 400, 500]]
    result = predictor(astronaut, boxes=boxes)
    np.testing.assert_array_equal(result.boxes_xyxy, boxes)
    assert result.box_scores.tolist() == [1, 1]
    assert len(predictor(astronaut, boxes=[])) == 0
    assert len(predictor(astronaut, boxes=boxes[0])) == 1


def test_boxes_of_several_pictures(predictor, photos):
    one = [[20, 10, 400, 500]]
    results = predictor(photos[:2], boxes=[one, None])
    np.testing.assert_array_equal(results[0].boxes_xyxy, one)
    np.testing.assert_array_equal(results[1].boxes_xyxy, predictor(photos[1]).boxes_xyxy)


@pytest.mark.parametrize(
    ("boxes", "complaint"),
    [
        ([[1, 2, 3]], r"shape \(1, 3\)"),
        ([[10, 10, 5, 20]], "left < right"),
        ([[0, 0, np.nan, 20]], "left < right"),
        ([["a", "b", "c", "d"]], "not numbers"),
    ],
)
def test_bad_boxes(predictor, astronaut, boxes, complaint):
    with pytest.raises(InvalidArgumentError, match=complaint):
        predictor(astronaut, boxes=boxes)


def test_as_many_boxes_as_pictures(predictor, photos):
    with pytest.raises(InvalidArgumentError, match="1 entries for 2 pictures"):
        predictor(photos[:2], boxes=[[[0, 0, 9, 9]]])


def test_nobody_is_an_empty_result_unless_the_whole_picture_is_asked_for(predictor):
    grey = np.full((200, 300, 3), 114, np.uint8)
    nobody = predictor(grey)
    assert len(nobody) == 0
    assert nobody.keypoints.shape == (0, 133, 2)
    assert nobody.image_size == (300, 200)
    guess = predictor(grey, whole_image=True)
    np.testing.assert_array_equal(guess.boxes_xyxy, [[0, 0, 300, 200]])
    assert guess.box_scores.tolist() == [0]


def test_without_detector(astronaut):
    with Predictor(detector=None) as pose_only:
        assert len(pose_only(astronaut, whole_image=True)) == 1
        with pytest.raises(InvalidArgumentError, match="no detector"):
            pose_only(astronaut)


@pytest.mark.slow
def test_max_persons_and_thresholds(photos):
    greedily = {"score_threshold": 0.05, "nms_threshold": 0.9, "keep_doubtful": True}
    with Predictor(**greedily, max_persons=2) as greedy:
        result = greedy(photos[0])
    assert len(result) == 2
    with Predictor(score_threshold=1.0) as strict:
        assert len(strict(photos[0])) == 0


def test_weak_hands_option(astronaut):
    with Predictor(detector=None, drop_weak_hands=True) as careful:
        hidden = careful(astronaut, boxes=[[100, 0, 320, 200]])
    with Predictor(detector=None) as plain:
        shown = plain(astronaut, boxes=[[100, 0, 320, 200]])
    expected = shown.without_weak_hands()
    np.testing.assert_array_equal(hidden.keypoints, expected.keypoints)
    assert np.isfinite(shown.keypoints).all()


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((-3e38, -3e38, 3e38, 3e38), "none of them beyond 10 million"),
        ((0.1, 0.2, 0.8, 0.9), "smaller than a pixel: boxes are in pixels, so multiply fractions"),
        ((64, 0, 80, 64), r"\(64, 0, 80, 64\) is wholly outside its picture of 64x48 pixels"),
        ((-20, 5, 0, 20), "wholly outside"),
    ],
)
def test_boxes_that_cannot_be_meant(box, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Predictor(detector=None)(np.zeros((48, 64, 3), np.uint8), boxes=[box])


@pytest.mark.slow
def test_thresholds_of_a_call_are_of_this_call_alone(predictor, photos):
    everybody = predictor(photos[0], score_threshold=0.02)
    usual = predictor(photos[0])
    assert len(everybody) > len(usual) >= 1  # 0.2 is the predictor's own
    with Predictor(score_threshold=0.02) as greedy:
        expected = greedy(photos[0])
        largest, *_ = greedy([photos[0]], max_persons=1, prefer="largest")
    np.testing.assert_array_equal(everybody.boxes_xyxy, expected.boxes_xyxy)
    areas = np.prod(expected.boxes_xyxy[:, 2:] - expected.boxes_xyxy[:, :2], axis=1)
    np.testing.assert_array_equal(largest.boxes_xyxy, expected.boxes_xyxy[[areas.argmax()]])
    assert [len(each) for each in predictor(iter(photos), score_threshold=1)] == [0] * len(photos)
    assert len(predictor(photos[0])) == len(usual)


def test_a_call_may_keep_more_than_the_predictor_does(photos):
    with Predictor(score_threshold=0.05, keep_doubtful=True, max_persons=1) as predictor:
        assert len(predictor(photos[0])) == 1
        assert len(predictor(photos[0], max_persons=2)) == 2


@pytest.mark.slow
def test_a_threshold_of_a_call_replaces_the_product_of_scores(photos):
    with Predictor() as bundled, Predictor(score_threshold=0.3) as plain:
        np.testing.assert_array_equal(
            bundled(photos[0], score_threshold=0.3).boxes_xyxy, plain(photos[0]).boxes_xyxy
        )


def test_thresholds_that_choose_nothing(predictor, astronaut):
    with pytest.raises(InvalidArgumentError, match=r"score_threshold is 1.5, must be between"):
        predictor(astronaut, score_threshold=1.5)
    with pytest.raises(InvalidArgumentError, match="max_persons is 0"):
        predictor([], max_persons=0)
    with pytest.raises(InvalidArgumentError, match="prefer is 'best'"):
        predictor(astronaut, prefer="best")
    with pytest.raises(InvalidArgumentError, match="all boxes are given"):
        predictor(astronaut, boxes=[[0, 0, 300, 300]], max_persons=1)
    with (
        Predictor(detector=None) as blind,
        pytest.raises(InvalidArgumentError, match="no detector, and score_threshold would be"),
    ):
        blind(astronaut, whole_image=True, score_threshold=0.5)
