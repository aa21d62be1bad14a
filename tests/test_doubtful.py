from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from dwpose_infer import Predictor
from dwpose_infer.detector import DetectorOptions
from dwpose_infer.doubtful import believable
from dwpose_infer.images import read_image
from dwpose_infer.pipeline import detector_options
from dwpose_infer.results import PoseResult
from dwpose_infer.zoo import DEFAULT_DETECTOR


def persons(*kinds, spread_px=60.0):
    """Persons at given places, each (x, score)."""
    base = np.random.default_rng(3).random((133, 2)) * spread_px
    return PoseResult(
        keypoints=np.stack([base + np.array([x, 0]) for x, _ in kinds]).astype(np.float32),
        scores=np.stack([np.full(133, score) for _, score in kinds]).astype(np.float32),
        boxes_xyxy=np.array([[x, 0, x + spread_px, spread_px] for x, _ in kinds], np.float32),
    )


def test_nobody_is_left_out():
    assert believable(persons((0, 0.6), (200, 0.09), (400, 0.11))).tolist() == [True, False, True]
    assert believable(PoseResult.empty()).tolist() == []


def test_box_and_points_are_weighed_together():
    """All are somebody by their points; a sure box may have weaker ones, and vice versa."""
    found = persons((0, 0.5), (200, 0.2), (400, 0.3))
    found = replace(found, box_scores=np.array([0.3, 0.9, 0.35], np.float32))
    assert believable(found, person_threshold=0.12).tolist() == [True, True, False]
    assert believable(found).tolist() == [True, True, True]


def test_the_bundled_detector_weighs_unless_a_threshold_is_given():
    weighed = detector_options(DEFAULT_DETECTOR)
    assert (weighed.score_threshold, weighed.person_threshold) == (0.3, 0.085)
    assert detector_options("yolox-nano") == DetectorOptions()  # as the official demo
    assert detector_options(DEFAULT_DETECTOR, score_threshold=0.3) == DetectorOptions()
    boxes_alone = detector_options(DEFAULT_DETECTOR, with_points=False)
    assert (boxes_alone.score_threshold, boxes_alone.person_threshold) == (0.4, 0.0)


@pytest.mark.slow
def test_the_predictor_weighs(astronaut):
    """What it keeps by default is what the product keeps of the boxes above the same threshold."""
    image_bgr = np.tile(cv2.resize(read_image(astronaut), None, fx=0.4, fy=0.4), (2, 3, 1))
    with Predictor(score_threshold=0.3, keep_doubtful=True) as predictor:
        everybody = predictor(image_bgr)
    with Predictor() as predictor:
        weighed = predictor(image_bgr)
    kept = believable(everybody, person_threshold=0.085)
    assert kept.sum() == len(weighed) >= 1
    np.testing.assert_array_equal(weighed.box_scores, everybody.box_scores[kept])


def test_a_face_alone_is_somebody():
    """Portraits have no legs: the mean of the body counts, which head and shoulders carry."""
    portrait = persons((0, 0.0))
    scores = portrait.scores.copy()
    scores[0, :7] = 0.5
    portrait = PoseResult(portrait.keypoints, scores, portrait.boxes_xyxy)
    assert believable(portrait).tolist() == [True]


@pytest.mark.parametrize(("shift_px", "kept"), [(0.0, False), (0.5, False), (30.0, True)])
def test_the_second_skeleton_on_one_body_is_left_out(shift_px, kept):
    assert believable(persons((0, 0.6), (shift_px, 0.6))).tolist() == [True, kept]


def test_a_twin_of_nobody_stays():
    found = believable(persons((0, 0.05), (0, 0.6), (0.2, 0.6)))
    assert found.tolist() == [False, True, False]


def test_only_what_the_detector_found_is_left_out():
    """Noise has no persons: whatever box is given, its points say so, and it stays."""
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    with Predictor() as predictor:
        assert len(predictor(noise, boxes=[[0, 0, 300, 300]] * 2)) == 2
        assert len(predictor(noise, whole_image=True)) == 1


@pytest.mark.slow
def test_the_option(astronaut):
    """A threshold near 0 gives boxes of anything; a few of them are persons."""
    image_bgr = read_image(astronaut)
    with Predictor(score_threshold=0.02, keep_doubtful=True) as predictor:
        everything = predictor(image_bgr)
    with Predictor(score_threshold=0.02) as predictor:
        believed = predictor(image_bgr)
    kept = believable(everything)
    assert 1 <= kept.sum() < len(everything)
    np.testing.assert_array_equal(believed.keypoints, everything.select(kept).keypoints)
