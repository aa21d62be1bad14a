"""Angles, speeds and lengths of points whose values are known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from format_samples import full, ramp

from dwpose_infer.errors import InputError, InvalidArgumentError
from dwpose_infer.formats import PoseClip
from dwpose_infer.formats.frame_log import LoggedFrame
from dwpose_infer.keypoints import KEYPOINT_INDEX
from dwpose_infer.plotting import kinematics
from dwpose_infer.plotting.catalogue import ANGLES

NAN = float("nan")


def xy(*values):
    return np.array(values, np.float64)


def body(**points):
    """(133, 2) with the points given, the others absent."""
    keypoints = np.full((133, 2), np.nan)
    for name, place in points.items():
        keypoints[KEYPOINT_INDEX[name]] = place
    return keypoints


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ((5, 20), 180),  # straight on
        ((15, 10), 90),
        ((-3, 10), 90),  # to the other side
        ((15, 0), 45),
        ((5, 4), 0),  # folded back
        ((5 + 3**0.5, 11), 120),
        ((5, 10), NAN),  # on the joint
        ((NAN, 4), NAN),
    ],
)
def test_angle_between_a_line_upwards_and_another(last, expected):
    angle = kinematics.angle_deg(xy(5, 0), xy(5, 10), xy(*last))
    np.testing.assert_allclose(angle, expected, atol=1e-12)


def test_angle_does_not_care_for_order_and_takes_many():
    first, joint, last = np.random.default_rng(5).normal(size=(3, 7, 4, 2))
    angles = kinematics.angle_deg(first, joint, last)
    assert angles.shape == (7, 4)
    np.testing.assert_allclose(angles, kinematics.angle_deg(last, joint, first))


def test_a_bent_knee_by_its_name():
    keypoints = body(left_hip=(0, 0), left_knee=(0, 40), left_ankle=(40, 40))
    assert kinematics.joint_angle_deg(keypoints, "left_knee") == pytest.approx(90)
    assert np.isnan(kinematics.joint_angle_deg(keypoints, "right_knee"))


def test_the_joint_is_in_the_middle_and_all_points_are_of_its_side():
    assert len(ANGLES) == 8
    assert ANGLES["right_shoulder"] == ("right_hip", "right_shoulder", "right_elbow")
    for joint, points in ANGLES.items():
        assert points[1] == joint
        assert {point.split("_")[0] for point in points} == {joint.split("_")[0]}


def test_speed_from_frame_to_frame_with_uneven_times():
    positions = xy((0, 0), (3, 4), (3, 4), (NAN, NAN), (0, 0))
    times, speeds = kinematics.speeds(positions, xy(0, 0.5, 1.5, 2, 3))
    np.testing.assert_array_equal(times, [0.25, 1, 1.75, 2.5])
    np.testing.assert_array_equal(speeds, [10, 0, NAN, NAN])


def test_speeds_of_many_points():
    positions = np.zeros((3, 2, 2))
    positions[:, 1, 0] = [0, 1, 3]
    _, speeds = kinematics.speeds(positions, xy(0, 0.1, 0.2))
    np.testing.assert_allclose(speeds, [[0, 10], [0, 20]])


def test_lengths_are_medians_and_do_not_shrink_in_a_crouch():
    upper = dict(
        left_shoulder=(0, 0), right_shoulder=(40, 0), left_hip=(10, 60), right_hip=(30, 60)
    )
    standing = body(
        **upper,
        left_knee=(10, 100),
        right_knee=(30, 100),
        left_ankle=(10, 135),
        right_ankle=(30, 135),
    )
    crouching = body(
        **upper, left_knee=(50, 60), right_knee=(70, 60), left_ankle=(50, 95), right_ankle=(70, 95)
    )
    cut_off = body(**upper)
    assert kinematics.length_px(np.stack([standing]), "body") == 60 + 40 + 35
    assert kinematics.length_px(np.stack([crouching, cut_off]), "body") == 135
    assert np.isnan(kinematics.length_px(np.stack([cut_off]), "body"))
    clip = np.stack([cut_off, cut_off * 2, cut_off * 10])
    assert kinematics.length_px(clip, "shoulders") == 80
    assert kinematics.length_px(clip, "pixels") == 1


def test_points_below_the_threshold_are_absent():
    points = np.array([[1, 2, 0.3], [3, 4, 0.29], [NAN, NAN, NAN]])
    shown = kinematics.without_low_scores(points, 0.3)
    np.testing.assert_array_equal(shown, [[1, 2], [NAN, NAN], [NAN, NAN]])


def test_presence_and_band_of_scores():
    keypoints = np.array([[[1, 2], [NAN, NAN]], [[NAN, NAN], [NAN, NAN]]])
    np.testing.assert_array_equal(kinematics.presence(keypoints), [0.5, 0])
    scores = np.array([np.arange(11) / 10, np.full(11, np.nan)])
    band = kinematics.score_band(scores)
    np.testing.assert_allclose(band, [[0.1, NAN], [0.5, NAN], [0.9, NAN]])


def test_a_missing_frame_is_a_gap_whatever_the_stride():
    points = np.arange(6, dtype=np.float32).reshape(6, 1)
    times, apart = kinematics.apart_where_frames_miss(
        np.array([0, 3, 9, 12, 15, 30]), xy(0, 0.1, 0.3, 0.4, 0.5, 1), points
    )  # every third frame: one is missing after 3, four after 15
    np.testing.assert_allclose(times, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.9, 1])
    np.testing.assert_array_equal(apart.ravel(), [0, 1, NAN, 2, 3, 4, NAN, NAN, 5])
    same, _ = kinematics.apart_where_frames_miss(np.array([4, 5]), xy(0, 1), points[:2])
    np.testing.assert_array_equal(same, [0, 1])


def clip_of(*frames):
    return PoseClip(tuple(LoggedFrame(*frame) for frame in frames))


def test_tracks_are_by_identity():
    tracks = kinematics.tracks_of(clip_of((0, 0.0, full(2)), (1, 0.5, full(1)), (2, 1.0, full(1))))
    assert (tracks.time_unit, tracks.tracked, tracks.persons.tolist()) == ("s", True, [7, 8])
    assert tracks.points.shape == (3, 2, 133, 3)
    assert tracks.most_present(1) == [7]
    np.testing.assert_array_equal(
        tracks.select([8]).points[0, 0, 3], [103.5, 1006.25, np.float32(0.02)]
    )
    with pytest.raises(InvalidArgumentError, match="no person 3 in the clip; its ids are 7, 8"):
        tracks.select([3])


def test_without_times_frames_are_counted_unless_the_rate_is_known():
    clip = clip_of((10, None, ramp(1)), (11, None, ramp(1)))
    tracks = kinematics.tracks_of(clip)
    assert (tracks.time_unit, tracks.tracked, tracks.times.tolist()) == ("frame", False, [10, 11])
    tracks = kinematics.tracks_of(clip, frame_rate=20)
    assert (tracks.time_unit, tracks.times.tolist()) == ("s", [0.5, 0.55])


def test_nobody_and_times_that_run_backwards():
    with pytest.raises(InputError, match="nobody"):
        kinematics.tracks_of(clip_of((0, 0.0, ramp(0))))
    with pytest.raises(InputError, match="do not ascend"):
        kinematics.tracks_of(clip_of((0, 1.0, ramp(1)), (1, 0.5, ramp(1))))
