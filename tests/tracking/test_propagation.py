from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from dwpose_infer import Predictor
from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.results import PoseResult
from dwpose_infer.similarity import box_iou
from dwpose_infer.tracking import boxes_from_keypoints
from synthetic_walkers import SIZE_WH, Seeing, Walker, film


@pytest.fixture(scope="module")
def predictor():
    pytest.importorskip("onnxruntime")
    with Predictor(threads=1) as predictor:
        yield predictor


def one(points, scores=0.8, **fields):
    """One person with the given body points at its first rows, all others below every score."""
    keypoints = np.zeros((1, 133, 2), np.float32)
    keypoints[0, : len(points)] = np.reshape(points, (-1, 2))
    score = np.zeros((1, 133), np.float32)
    score[0, : len(points)] = scores
    return PoseResult(keypoints, score, **fields)


def test_detected_boxes_are_met_on_photographs(predictor, photos):
    """IoU 0.852, 0.695, 0.844 with the bundled detector on three photographs, 0.725 on 326."""
    results = predictor(photos)
    ious = []
    for result in results:
        propagated = boxes_from_keypoints(result, pull=1.0)
        assert propagated.dropped == 0
        ious.append(box_iou(propagated.boxes_xyxy, result.boxes_xyxy).max())
    assert min(ious) > 0.66
    assert np.mean(ious) > 0.77


@pytest.mark.slow
def test_boxes_do_not_wander_off(predictor, astronaut):
    """Thirty boxes, each from the points in the one before: still the same person."""
    image = cv2.imread(str(astronaut))
    first = result = predictor(image)
    for _ in range(30):
        result = predictor(image, boxes=boxes_from_keypoints(result).boxes_xyxy)
    assert box_iou(result.boxes_xyxy, first.boxes_xyxy)[0, 0] > 0.6
    sure = (first.scores[0] > 0.4) & (result.scores[0] > 0.4)
    assert sure.sum() > 60
    size = (first.boxes_xyxy[0, 2:] - first.boxes_xyxy[0, :2]).max()
    apart = np.linalg.norm(result.keypoints - first.keypoints, axis=2)[0, sure] / size
    assert np.median(apart) < 0.03


@pytest.mark.parametrize("sizes_per_s", [0.82, 2.5])
def test_a_moving_person_is_not_lost(predictor, astronaut, sizes_per_s):
    """The photograph slides by at walking and at running speed, 30 frames a second."""
    picture = cv2.imread(str(astronaut))
    step_px = round(sizes_per_s * 470 / 30)
    result = None
    for frame in range(12):
        canvas = np.full((512, 1000, 3), 127, np.uint8)
        left = frame * step_px
        canvas[:, left : left + 512] = picture
        boxes = None if result is None else boxes_from_keypoints(result)
        assert boxes is None or boxes.dropped == 0
        result = predictor(canvas, boxes=None if boxes is None else boxes.boxes_xyxy)
    direct = predictor(canvas)
    sure = (direct.scores[0] > 0.4) & (result.scores[0] > 0.4)
    apart = np.linalg.norm(result.keypoints - direct.keypoints, axis=2)[0, sure] / 470
    assert sure.sum() > 50
    assert np.median(apart) < 0.04


def test_nobody_is_followed_on_background(predictor):
    empty = predictor(np.full((400, 400, 3), 127, np.uint8), boxes=[[50, 50, 200, 350]])
    propagated = boxes_from_keypoints(empty)
    assert len(propagated) == 0
    assert propagated.dropped == 1


def test_margins_are_in_longer_sides_of_the_points():
    result = one([(100, 200), (300, 600)])
    result.scores[0, :17] = 0.8
    result.keypoints[0, 2:17] = 200, 400
    box = boxes_from_keypoints(result, margins=(0.1, 0.2, 0.05)).boxes_xyxy
    np.testing.assert_allclose(box, [[60, 120, 340, 620]], rtol=1e-6)


def test_pull():
    result = one([(100, 200), (300, 600)] + [(200, 400)] * 15)
    result = replace(result, boxes_xyxy=np.array([[50, 100, 250, 500]], np.float32))
    half = boxes_from_keypoints(result, margins=(0, 0, 0), pull=0.5)
    np.testing.assert_allclose(half.boxes_xyxy, [[75, 150, 275, 550]])
    whole = boxes_from_keypoints(result, margins=(0, 0, 0), pull=1.0)
    np.testing.assert_allclose(whole.boxes_xyxy, [[100, 200, 300, 600]])


def test_hands_and_doubtful_points_do_not_count():
    result = one([(100, 200), (300, 600)] + [(200, 400)] * 15)
    result.keypoints[0, 91:] = 5000
    result.scores[0, 91:] = 1
    result.keypoints[0, 40] = -5000
    result.scores[0, 40] = 0.03
    box = boxes_from_keypoints(result, margins=(0, 0, 0)).boxes_xyxy
    np.testing.assert_allclose(box, [[100, 200, 300, 600]])


def test_who_is_dropped(rng):
    (frame,) = film([Walker(200), Walker(600), Walker(900)], frames=1, rng=rng)
    result = frame.result
    result.scores[1] = 0.05  # not believed any more
    result.keypoints[2] += [2 * SIZE_WH[0], 0]  # out of the picture
    result.boxes_xyxy[2] += [2 * SIZE_WH[0], 0] * 2
    propagated = boxes_from_keypoints(result)
    assert propagated.rows.tolist() == [0]
    assert propagated.dropped == 2
    np.testing.assert_array_equal(propagated.box_scores, result.box_scores[:1])
    assert box_iou(propagated.boxes_xyxy, result.boxes_xyxy[:1])[0, 0] > 0.7


def test_boxes_stay_in_the_picture():
    (frame,) = film([Walker(30)], frames=1, seeing=Seeing(0, 0), rng=np.random.default_rng(0))
    inside = boxes_from_keypoints(frame.result).boxes_xyxy
    assert inside[0, 0] == 0
    unknown = replace(frame.result, image_size=None)
    assert boxes_from_keypoints(unknown, pull=1.0).boxes_xyxy[0, 0] < 0


def test_persons_without_points_are_dropped():
    result = one([]).masked(parts=[])
    assert boxes_from_keypoints(result).dropped == 1
    with_box = replace(result, boxes_xyxy=np.array([[0, 0, 9, 9]], np.float32))
    assert boxes_from_keypoints(with_box, min_mean_score=0).dropped == 1


def test_nobody():
    propagated = boxes_from_keypoints(PoseResult.empty(image_size=(10, 10)))
    assert propagated.boxes_xyxy.shape == (0, 4)
    assert (len(propagated), propagated.dropped) == (0, 0)


def test_scores_are_1_where_not_known():
    assert boxes_from_keypoints(one([(0, 0), (9, 9)] * 9)).box_scores.tolist() == [1.0]


def test_impossible_options():
    with pytest.raises(InvalidArgumentError, match="margins"):
        boxes_from_keypoints(one([]), margins=(0, -1, 0))
    with pytest.raises(InvalidArgumentError, match="pull is 0"):
        boxes_from_keypoints(one([]), pull=0)
