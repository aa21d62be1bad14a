from __future__ import annotations

import numpy as np
import pytest

from dwpose_infer import Predictor
from dwpose_infer.doubtful import believable
from dwpose_infer.images import read_image
from dwpose_infer.results import PoseResult


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
