import numpy as np
import pytest

from dwpose_infer import keypoints as kp
from dwpose_infer import openpose_layout as layout
from dwpose_infer.errors import InvalidArgumentError

# Index in the OpenPose order -> index among the 133, written out by hand.
COCO_OF_18 = {0: 0, 2: 6, 3: 8, 4: 10, 5: 5, 6: 7, 7: 9, 8: 12, 9: 14, 10: 16, 11: 11, 12: 13,
              13: 15, 14: 2, 15: 1, 16: 4, 17: 3}  # fmt: skip
COCO_OF_25 = {0: 0, 2: 6, 3: 8, 4: 10, 5: 5, 6: 7, 7: 9, 9: 12, 10: 14, 11: 16, 12: 11, 13: 13,
              14: 15, 15: 2, 16: 1, 17: 4, 18: 3, 19: 17, 20: 18, 21: 19, 22: 20, 23: 21,
              24: 22}  # fmt: skip


def points() -> tuple[np.ndarray, np.ndarray]:
    index = np.arange(133, dtype=np.float32)
    keypoints = np.stack([index, 10 * index], axis=-1)[None]
    return keypoints, (index[None] + 1) / 200


@pytest.mark.parametrize(("size", "expected"), [(18, COCO_OF_18), (25, COCO_OF_25)])
def test_maps_are_those_of_openpose(size, expected):
    source = layout.body_from_coco(size)
    assert {index: coco for index, coco in enumerate(source) if coco is not None} == expected
    assert len(layout.body_names(size)) == len(source) == size


def test_named_places():
    assert layout.OPENPOSE_18_NAMES[1] == layout.OPENPOSE_25_NAMES[1] == "Neck"
    assert layout.OPENPOSE_25_NAMES[8] == "MidHip"
    assert layout.OPENPOSE_25_NAMES[19:] == (
        "LBigToe", "LSmallToe", "LHeel", "RBigToe", "RSmallToe", "RHeel",
    )  # fmt: skip
    assert [kp.KEYPOINT_NAMES[index] for index in layout.PUPILS_FROM_COCO] == [
        "right_eye",
        "left_eye",
    ]


@pytest.mark.parametrize(("size", "expected"), [(18, COCO_OF_18), (25, COCO_OF_25)])
def test_measured_points_are_moved_unchanged(size, expected):
    keypoints, scores = points()
    body, confidences = layout.body_points(keypoints, scores, layout=size)
    assert body.shape == (1, size, 2)
    assert body.dtype == confidences.dtype == np.float32
    for index, coco in expected.items():
        assert body[0, index].tolist() == keypoints[0, coco].tolist()
        assert confidences[0, index] == scores[0, coco]


def test_derived_points_are_middles_with_the_smaller_score():
    keypoints, scores = points()
    body, confidences = layout.body_points(keypoints, scores, layout=25)
    assert body[0, 1].tolist() == [5.5, 55.0]  # shoulders 5 and 6
    assert confidences[0, 1] == scores[0, 5]
    assert body[0, 8].tolist() == [11.5, 115.0]  # hips 11 and 12
    assert confidences[0, 8] == scores[0, 11]


def test_derived_points_are_absent_with_their_sources():
    keypoints, scores = points()
    keypoints[0, 6], scores[0, 6] = np.nan, 0
    body, confidences = layout.body_points(keypoints, scores, layout=25)
    assert np.isnan(body[0, 1]).all()
    assert confidences[0, 1] == 0
    assert body[0, 8].tolist() == [11.5, 115.0]


@pytest.mark.parametrize(
    ("left", "right", "expected"), [(0.31, 0.9, 1.0), (0.3, 0.9, 0.0), (0.9, 0.1, 0.0)]
)
def test_official_neck_score(left, right, expected):
    keypoints, scores = points()
    scores[0, 5], scores[0, 6] = left, right
    body, confidences = layout.body_points(keypoints, scores, layout=18, neck_score="official")
    assert confidences[0, 1] == expected
    assert body[0, 1].tolist() == [5.5, 55.0]


def test_nobody():
    nothing = np.zeros((0, 133, 2), np.float32)
    body, confidences = layout.body_points(nothing, nothing[..., 0], layout=18)
    assert body.shape == (0, 18, 2)
    assert confidences.shape == (0, 18)


def test_bad_arguments():
    keypoints, scores = points()
    with pytest.raises(InvalidArgumentError, match="18 or 25 points, not 17"):
        layout.body_points(keypoints, scores, layout=17)
    with pytest.raises(InvalidArgumentError, match="neck_score is 'max'"):
        layout.body_points(keypoints, scores, layout=18, neck_score="max")
