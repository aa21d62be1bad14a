"""The keypoint orders of OpenPose as data, and how the 133 whole-body points fill them.

OpenPose knows two orders of the body: COCO with 18 points and BODY_25 with 25, which adds the
middle of the hips and the feet. Its face has the 68 points of iBUG 300-W, as COCO-WholeBody has,
then two pupils; its hands have the 21 points of COCO-WholeBody in the same order. Orders and
names are those of OpenPose's output documentation
(https://github.com/CMU-Perceptual-Computing-Lab/openpose/blob/master/doc/02_output.md).
"R" and "L" are the person's own right and left.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from . import keypoints as kp
from .arrays import Float32Array
from .errors import InvalidArgumentError

BodyLayout = Literal[18, 25]
"""Number of body points of an OpenPose order: 18 (COCO) or 25 (BODY_25)."""

WrittenBody = Literal[18, 25, 133]
"""Body points of a file: an OpenPose order, or all 133 in one list as Pose2Sim keeps COCO_133."""

COCO_NAME_OF: Final[dict[str, str]] = {
    "Nose": "nose",
    "RShoulder": "right_shoulder",
    "RElbow": "right_elbow",
    "RWrist": "right_wrist",
    "LShoulder": "left_shoulder",
    "LElbow": "left_elbow",
    "LWrist": "left_wrist",
    "RHip": "right_hip",
    "RKnee": "right_knee",
    "RAnkle": "right_ankle",
    "LHip": "left_hip",
    "LKnee": "left_knee",
    "LAnkle": "left_ankle",
    "REye": "right_eye",
    "LEye": "left_eye",
    "REar": "right_ear",
    "LEar": "left_ear",
    "LBigToe": "left_big_toe",
    "LSmallToe": "left_small_toe",
    "LHeel": "left_heel",
    "RBigToe": "right_big_toe",
    "RSmallToe": "right_small_toe",
    "RHeel": "right_heel",
}
"""OpenPose's name of a body point -> its name in `dwpose_infer.keypoints.KEYPOINT_NAMES`."""

_ARMS: Final = ("RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist")
_LEGS: Final = ("RHip", "RKnee", "RAnkle", "LHip", "LKnee", "LAnkle")
_HEAD: Final = ("REye", "LEye", "REar", "LEar")
_FEET: Final = ("LBigToe", "LSmallToe", "LHeel", "RBigToe", "RSmallToe", "RHeel")

OPENPOSE_18_NAMES: Final[tuple[str, ...]] = ("Nose", "Neck", *_ARMS, *_LEGS, *_HEAD)
"""Names of OpenPose's COCO order, by index."""

OPENPOSE_25_NAMES: Final[tuple[str, ...]] = (
    "Nose", "Neck", *_ARMS, "MidHip", *_LEGS, *_HEAD, *_FEET,
)  # fmt: skip
"""Names of OpenPose's BODY_25 order, by index."""

DERIVED_FROM: Final[dict[str, tuple[int, int]]] = {
    "Neck": (kp.KEYPOINT_INDEX["left_shoulder"], kp.KEYPOINT_INDEX["right_shoulder"]),
    "MidHip": (kp.KEYPOINT_INDEX["left_hip"], kp.KEYPOINT_INDEX["right_hip"]),
}
"""Points that COCO-WholeBody lacks -> the two of its points in whose middle they lie."""


def _from_coco(names: tuple[str, ...]) -> tuple[int | None, ...]:
    return tuple(
        None if name in DERIVED_FROM else kp.KEYPOINT_INDEX[COCO_NAME_OF[name]] for name in names
    )


OPENPOSE_18_FROM_COCO: Final[tuple[int | None, ...]] = _from_coco(OPENPOSE_18_NAMES)
"""Index among the 133 of each point of the COCO order; None for the derived Neck."""

OPENPOSE_25_FROM_COCO: Final[tuple[int | None, ...]] = _from_coco(OPENPOSE_25_NAMES)
"""Index among the 133 of each point of BODY_25; None for the derived Neck and MidHip."""

FACE_POINTS: Final = 70
"""Number of points of an OpenPose face: the 68 of COCO-WholeBody, then the two pupils."""

FACE_PUPILS: Final[tuple[int, int]] = (68, 69)
"""Index of the person's right and left pupil in an OpenPose face."""

PUPILS_FROM_COCO: Final[tuple[int, int]] = (
    kp.KEYPOINT_INDEX["right_eye"],
    kp.KEYPOINT_INDEX["left_eye"],
)
"""The body points nearest to `FACE_PUPILS`: COCO-WholeBody labels no pupils."""

HAND_POINTS: Final = 21
"""Number of points of an OpenPose hand: wrist, then thumb to pinky, base to tip."""


def body_names(layout: BodyLayout) -> tuple[str, ...]:
    """Returns the names of a body order, by index.

    Raises:
        InvalidArgumentError: OpenPose has no such order.
    """
    return OPENPOSE_25_NAMES if _checked(layout) == 25 else OPENPOSE_18_NAMES


def body_from_coco(layout: BodyLayout) -> tuple[int | None, ...]:
    """Returns the index among the 133 of each point of a body order; None where derived.

    Raises:
        InvalidArgumentError: OpenPose has no such order.
    """
    return OPENPOSE_25_FROM_COCO if _checked(layout) == 25 else OPENPOSE_18_FROM_COCO


def body_points(
    keypoints: Float32Array,
    scores: Float32Array,
    *,
    layout: BodyLayout,
    neck_score: Literal["min", "official"] = "min",
    min_shoulder_score: float = 0.3,
) -> tuple[Float32Array, Float32Array]:
    """Returns the body in an order of OpenPose.

    Neck and MidHip are the middle of the shoulders and of the hips, with the smaller score of
    the two; where either of the two is absent they are absent too.

    Args:
        keypoints: (P, 133, 2) float32, x then y, in any unit; NaN where absent.
        scores: (P, 133) float32; 0 where absent.
        layout: 18 for OpenPose's COCO order, 25 for BODY_25.
        neck_score: "min" as said above; "official" gives a neck that is present score 1 where
            both shoulders score above `min_shoulder_score` and 0 elsewhere, as the demo of
            DWPose does.
        min_shoulder_score: Used by "official" only. 0.3 is the demo's value.

    Returns:
        (P, N, 2) float32 coordinates in the unit given, NaN where absent, and (P, N) float32
        scores, with N = `layout`.

    Raises:
        InvalidArgumentError: OpenPose has no such order, or the neck's rule is unknown.
    """
    if neck_score not in ("min", "official"):
        raise InvalidArgumentError(f'neck_score is {neck_score!r}, expected "min" or "official"')
    names, source = body_names(layout), body_from_coco(layout)
    points = np.full((len(keypoints), len(names), 2), np.nan, np.float32)
    confidences = np.zeros((len(keypoints), len(names)), np.float32)

    measured = [index for index, coco in enumerate(source) if coco is not None]
    coco_indices = [coco for coco in source if coco is not None]
    points[:, measured] = keypoints[:, coco_indices]
    confidences[:, measured] = scores[:, coco_indices]

    for name, (left, right) in DERIVED_FROM.items():
        if name not in names:
            continue
        middle = 0.5 * keypoints[:, left] + 0.5 * keypoints[:, right]
        present = ~np.isnan(middle).any(axis=1)
        smaller = np.minimum(scores[:, left], scores[:, right])
        if name == "Neck" and neck_score == "official":
            smaller = (smaller > min_shoulder_score).astype(np.float32)
        points[present, names.index(name)] = middle[present]
        confidences[present, names.index(name)] = smaller[present]
    return points, confidences


def _checked(layout: int) -> int:
    if layout not in (18, 25):
        raise InvalidArgumentError(f"OpenPose bodies have 18 or 25 points, not {layout!r}")
    return layout
