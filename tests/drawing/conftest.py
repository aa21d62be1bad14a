"""A figure drawn by hand: it stands upright, facing the viewer, symmetrical about x = 256."""

from __future__ import annotations

import numpy as np
import pytest

from dwpose_infer import keypoints as kp
from dwpose_infer.results import PoseResult

SIDE = 512
MIDDLE_X = 256.0

# Offsets from the middle towards the person's left, which the viewer sees on the right.
_LEFT_BODY = {
    "left_eye": (10, 80),
    "left_ear": (20, 85),
    "left_shoulder": (50, 150),
    "left_elbow": (75, 220),
    "left_wrist": (100, 280),
    "left_hip": (30, 300),
    "left_knee": (35, 390),
    "left_ankle": (40, 470),
    "left_big_toe": (55, 490),
    "left_small_toe": (65, 485),
    "left_heel": (35, 480),
}


def _left_hand():
    """Five straight fingers that spread downwards from the root."""
    root = np.array([104.0, 290.0])
    points = [root]
    for angle in np.deg2rad([20.0, 50.0, 75.0, 100.0, 125.0]):
        direction = np.array([np.cos(angle), np.sin(angle)])
        points += [root + 12.0 * joint * direction for joint in range(1, 5)]
    return np.array(points)


def _standing():
    points = np.full((kp.NUM_KEYPOINTS, 2), np.nan)
    points[kp.KEYPOINT_INDEX["nose"]] = 0.0, 95.0
    for name, offset in _LEFT_BODY.items():
        points[kp.KEYPOINT_INDEX[name]] = offset
    points[kp.LEFT_HAND] = _left_hand()
    # A face of any shape will do as long as it is symmetrical: points on an ellipse.
    for index in range(kp.FACE.start, kp.FACE.stop):
        mirror = kp.FLIP_INDICES[index]
        share = min(index, mirror) - kp.FACE.start
        across = 0.0 if index == mirror else 30.0 if index > mirror else -30.0
        points[index] = across * np.cos(share * 0.04), 70.0 + share
    for index, mirror in enumerate(kp.FLIP_INDICES):
        if np.isnan(points[index]).any():
            points[index] = points[mirror] * (-1.0, 1.0)
    return points + np.array([MIDDLE_X, 0.0])


@pytest.fixture
def standing():
    """(133, 2) float32, x then y, pixels of a 512 x 512 picture."""
    return _standing().astype(np.float32)


@pytest.fixture
def make_result():
    """Builds a result of a 512 x 512 picture from the points of its persons."""

    def make(*persons, scores=0.9, image_size=(SIDE, SIDE), **fields):
        keypoints = np.array(persons, np.float32).reshape(-1, kp.NUM_KEYPOINTS, 2)
        return PoseResult(
            keypoints,
            np.full(keypoints.shape[:2], scores, np.float32),
            image_size=image_size,
            **fields,
        )

    return make


@pytest.fixture
def make_points():
    """Builds (133, 2) points of which only those named are present."""

    def make(**named):
        points = np.full((kp.NUM_KEYPOINTS, 2), np.nan, np.float32)
        for name, point in named.items():
            points[kp.KEYPOINT_INDEX[name]] = point
        return points

    return make
