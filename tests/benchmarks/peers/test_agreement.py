from __future__ import annotations

import numpy as np
import pytest

from dwpose_infer import PoseResult
from dwpose_infer.benchmarks.peers.agreement import DisagreementError, check_equal, check_found
from dwpose_infer.benchmarks.peers.baselines import OFFICIAL, OURS, RTMLIB

CROP_WH = (192, 256)


@pytest.fixture
def ours(rng):
    """Two persons with boxes of 154 x 205 pixels: a crop of 192 x 256, a bin of half a pixel."""
    boxes = np.array([[0, 0, 153.6, 204.8], [300, 0, 453.6, 204.8]], np.float32)
    keypoints = rng.uniform(0, 150, (2, 133, 2)) + boxes[:, None, :2]
    return PoseResult(
        keypoints=keypoints.astype(np.float32),
        scores=np.ones((2, 133), np.float32),
        boxes_xyxy=boxes,
    )


def check(ours, theirs, method=RTMLIB):
    return check_found(
        method, theirs, ours.keypoints, ours.boxes_xyxy, crop_wh=CROP_WH, name="a.jpg"
    )


def test_one_bin_is_allowed_and_two_are_not(ours):
    assert check(ours, ours.keypoints + 0.5) == 1
    with pytest.raises(DisagreementError, match=r"only 0\.0 % of the points of official recipe"):
        check(ours, ours.keypoints + 1.0, OFFICIAL)


def test_persons_may_come_in_another_order(ours):
    assert check(ours, ours.keypoints[::-1]) == 1


def test_few_points_may_lie_elsewhere(ours):
    moved = ours.keypoints.copy()
    moved[0, :5] += 80
    assert check(ours, moved) == pytest.approx(1 - 5 / 266)
    moved[0, 5] -= 80
    with pytest.raises(DisagreementError, match=r"a.jpg: only 97.7 %"):
        check(ours, moved)


def test_points_that_are_no_numbers_never_agree(ours):
    with pytest.raises(DisagreementError):
        check(ours, np.full_like(ours.keypoints, np.nan))


def test_other_persons(ours):
    with pytest.raises(DisagreementError, match=r"rtmlib finds 1 persons, dwpose_infer 2"):
        check(ours, ours.keypoints[:1])
    with pytest.raises(DisagreementError, match="one person twice"):
        check(ours, ours.keypoints[[0, 0]])


def test_nobody(ours):
    assert check(ours.select([]), np.zeros((0, 133, 2))) == 1
    with pytest.raises(DisagreementError, match="finds 1 persons"):
        check(ours.select([]), ours.keypoints[:1])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (np.full((2, 133, 2), 2e-3), "differ by 0.002 px"),
        (np.full((2, 133, 2), np.nan), "differ by nan px"),
        (np.zeros((1, 133, 2)), r"shape \(1, 133, 2\)"),
    ],
)
def test_equal_keypoints(other, message):
    ours = np.zeros((2, 133, 2), np.float32)
    check_equal({OURS: ours, "close": ours + 5e-4}, persons=2)
    with pytest.raises(DisagreementError, match=message):
        check_equal({OURS: ours, "other": other}, persons=2)
