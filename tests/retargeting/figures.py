"""Persons put together from lengths and directions, apart from the code under test."""

from __future__ import annotations

import numpy as np

from dwpose_infer import keypoints as kp
from dwpose_infer.formats import PoseClip
from dwpose_infer.media import LoggedFrame
from dwpose_infer.results import PoseResult

LENGTHS = {
    "spine": 60.0,
    "shoulders": 20.0,
    "hips": 12.0,
    "upper arms": 35.0,
    "forearms": 30.0,
    "thighs": 45.0,
    "shins": 40.0,
    "neck": 25.0,
    "head": 10.0,
    "hands": 10.0,
    "feet": 8.0,
}
"""Pixels; head, hands and feet are the sizes of shapes that do not bend."""

ANGLES_DEG = {
    "spine": -90.0,
    "neck": -90.0,
    "head": 0.0,
    "left_shoulder": 0.0,
    "right_shoulder": 180.0,
    "left_hip": 0.0,
    "right_hip": 180.0,
    "left_elbow": 60.0,
    "right_elbow": 120.0,
    "left_wrist": 80.0,
    "right_wrist": 100.0,
    "left_knee": 85.0,
    "right_knee": 95.0,
    "left_ankle": 90.0,
    "right_ankle": 90.0,
}
"""Directions of limbs, degrees from the right, clockwise as y grows downwards."""


def direction(angle_deg):
    angle = np.deg2rad(angle_deg)
    return np.array([np.cos(angle), np.sin(angle)])


def turned(shape, angle_deg):
    along, across = direction(angle_deg), direction(angle_deg + 90)
    return np.asarray(shape)[..., :1] * along + np.asarray(shape)[..., 1:] * across


def figure(root_xy=(200.0, 150.0), lengths=LENGTHS, **angles_deg):
    """(133, 2): a person with these lengths, whose limbs have these directions."""
    angle = {**ANGLES_DEG, **angles_deg}
    points = np.zeros((kp.NUM_KEYPOINTS, 2))
    place = kp.KEYPOINT_INDEX
    root = np.array(root_xy, float)
    neck = root + lengths["spine"] * direction(angle["spine"])
    nose = neck + lengths["neck"] * direction(angle["neck"])
    points[place["nose"]] = nose
    face = np.random.default_rng(5).uniform(-1, 1, (72, 2))  # any shape that does not bend
    head = nose + lengths["head"] * turned(face, angle["head"])
    points[kp.FACE], points[1:5] = head[:68], head[68:]
    shapes = np.random.default_rng(6).uniform(0, 1, (24, 2))
    for side, hand, toes in (("left", kp.LEFT_HAND, 17), ("right", kp.RIGHT_HAND, 20)):
        for parent, name, length in (
            (neck, "shoulder", "shoulders"),
            ("shoulder", "elbow", "upper arms"),
            ("elbow", "wrist", "forearms"),
            (root, "hip", "hips"),
            ("hip", "knee", "thighs"),
            ("knee", "ankle", "shins"),
        ):
            start = points[place[f"{side}_{parent}"]] if isinstance(parent, str) else parent
            along = direction(angle[f"{side}_{name}"])
            points[place[f"{side}_{name}"]] = start + lengths[length] * along
        wrist, ankle = points[place[f"{side}_wrist"]], points[place[f"{side}_ankle"]]
        points[hand] = wrist + lengths["hands"] * turned(shapes[:21], angle[f"{side}_wrist"])
        points[toes : toes + 3] = ankle + lengths["feet"] * turned(shapes[21:], 0)
    return points


def result(*persons, scores=0.9, **fields):
    keypoints = np.array(persons, np.float32)
    known = np.broadcast_to(np.asarray(scores, np.float32), keypoints.shape[:2]).copy()
    return PoseResult(keypoints, known, **fields)


def clip_of(*results):
    return PoseClip(tuple(LoggedFrame(i, i / 25, each) for i, each in enumerate(results)))


def dance(frames=9, lengths=LENGTHS):
    """(T, 133, 2): a person who sways and walks, with limbs that turn."""
    return np.array(
        [
            figure(
                (200 + 7 * t, 150 + 3 * np.sin(t)),
                lengths,
                spine=-90 + 3 * t,
                head=4 * t,
                left_elbow=60 + 20 * t,
                left_wrist=80 - 15 * t,
                right_knee=95 + 5 * t,
                left_ankle=90 - 6 * t,
            )
            for t in range(frames)
        ]
    )
