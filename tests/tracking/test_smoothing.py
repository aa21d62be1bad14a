from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.results import PoseResult
from dwpose_infer.tracking import KeypointSmoother, SmootherSettings

AS_IN_THE_PAPER = SmootherSettings(follow_person=False, score_power=0, beta=3.0)


def person(points, scores=0.7, number=1, size=200.0):
    """One person whose box has the longer side `size`; `points` is broadcast to (133, 2)."""
    keypoints = np.broadcast_to(np.asarray(points, np.float32), (133, 2))
    return PoseResult(
        keypoints=keypoints[None].copy(),
        scores=np.broadcast_to(np.asarray(scores, np.float32), (133,))[None].copy(),
        boxes_xyxy=np.array([[0, 0, size / 2, size]], np.float32),
        ids=np.array([number]),
    )


def smoothed(way, settings=None, *, fps=30.0, **options):
    """x of the first point after each frame, for points that go along `way` (x, y)."""
    smoother = KeypointSmoother(settings)
    return [
        smoother.update(person(point, **options), time_s=index / fps).keypoints[0, 0].tolist()
        for index, point in enumerate(way)
    ]


def one_euro(values, times_s, *, min_cutoff, beta, d_cutoff):
    """Casiez 2012, algorithm 1, for one number after another."""

    def alpha(cutoff, step):
        tau = 1 / (2 * math.pi * cutoff)
        return 1 / (1 + tau / step)

    hat, speed = values[0], 0.0
    filtered = [hat]
    for before, now, value in zip(times_s[:-1], times_s[1:], values[1:], strict=True):
        step = now - before
        speed += alpha(d_cutoff, step) * ((value - hat) / step - speed)
        hat += alpha(min_cutoff + beta * abs(speed), step) * (value - hat)
        filtered.append(hat)
    return filtered


def test_the_papers_filter_with_irregular_time_stamps(rng):
    times_s = np.cumsum(rng.uniform(0.02, 0.08, 50))
    values = 100 + np.cumsum(rng.normal(0, 3, 50))
    smoother = KeypointSmoother(AS_IN_THE_PAPER)
    ours = [
        smoother.update(person((value, 5)), time_s=time).keypoints[0, 7, 0]
        for value, time in zip(values, times_s, strict=True)
    ]
    expected = one_euro(
        (values / 200).tolist(), times_s.tolist(), min_cutoff=1.0, beta=3.0, d_cutoff=1.0
    )
    np.testing.assert_allclose(ours, np.array(expected) * 200, rtol=1e-6)


def test_a_constant_stays_exactly():
    assert smoothed([(123.456, 78.9)] * 40) == [[np.float32(123.456), np.float32(78.9)]] * 40


def test_a_steady_walk_is_followed_without_lag():
    way = [(10 * index, 2 * index) for index in range(90)]
    out = np.array(smoothed(way))
    np.testing.assert_allclose(out[-1], way[-1], atol=0.05)
    behind = np.array(smoothed(way, SmootherSettings(follow_person=False)))[-1]
    assert way[-1][0] - behind[0] > 1


def test_picture_size_and_place_do_not_matter(rng):
    way = np.cumsum(rng.normal(0, 5, (40, 2)), axis=0)
    plain = np.array(smoothed(way))
    large = np.array(smoothed(way * 4 + 1000, size=800.0))
    np.testing.assert_allclose((large - 1000) / 4, plain, atol=1e-3)


@pytest.mark.slow
def test_frame_rate_does_not_matter():
    def lagging(fps):
        way = [(100 * math.sin(index / fps), 0) for index in range(int(3 * fps) + 1)]
        return smoothed(way, AS_IN_THE_PAPER, fps=fps)[-1][0]

    assert lagging(480) == pytest.approx(lagging(240), abs=0.6)
    assert lagging(480) > 100 * math.sin(3) + 1  # it does lag


def test_an_uncertain_point_moves_a_certain_one_little():
    def after_a_jump(score):
        smoother = KeypointSmoother(SmootherSettings(beta=0, follow_person=False))
        for index in range(20):
            smoother.update(person((100, 100)), time_s=index / 30)
        return smoother.update(person((150, 100), score), time_s=20 / 30).keypoints[0, 3, 0] - 100

    certain, doubtful, hardly = after_a_jump(0.7), after_a_jump(0.2), after_a_jump(0.001)
    assert certain == pytest.approx(50 * 0.1731, rel=1e-3)  # 1 / (1 + 30 / (2 pi)), min_cutoff 1
    share = 0.1731 * 0.04 / (0.1731 * 0.04 + 0.8269 * 0.49)
    assert doubtful == pytest.approx(50 * share, rel=1e-3)
    assert 0 < hardly < 1e-3


def test_the_same_score_throughout_is_no_different_from_no_scores(rng):
    way = np.cumsum(rng.normal(0, 5, (30, 2)), axis=0)
    low = smoothed(way, scores=0.15)
    np.testing.assert_allclose(low, smoothed(way, scores=0.9), atol=1e-4)
    plain = smoothed(way, SmootherSettings(score_power=0))
    np.testing.assert_allclose(low, plain, atol=1e-4)


def test_a_certain_point_takes_over_from_an_uncertain_one():
    smoother = KeypointSmoother()
    for index in range(10):
        smoother.update(person((500, 500), 0.02), time_s=index / 30)
    seen = smoother.update(person((100, 100), 0.9), time_s=10 / 30).keypoints[0, 0]
    np.testing.assert_allclose(seen, (100, 100), atol=5)


def test_absent_points_stay_absent_and_come_back():
    smoother = KeypointSmoother()
    whole = person((100, 100))
    holes = replace(whole, keypoints=whole.keypoints.copy(), scores=whole.scores.copy())
    holes.keypoints[0, 91:112] = np.nan
    holes.scores[0, 91:112] = 0
    smoother.update(whole, time_s=0.0)
    out = smoother.update(holes, time_s=0.1)
    assert np.isnan(out.keypoints[0, 91:112]).all()
    assert np.isfinite(out.keypoints[0, :91]).all()
    np.testing.assert_array_equal(smoother.update(whole, time_s=0.2).keypoints, whole.keypoints)
    smoother.update(holes, time_s=0.3)
    late = smoother.update(person((140, 140)), time_s=0.9).keypoints[0]
    np.testing.assert_array_equal(late[91:112], np.full((21, 2), 140))  # afresh after 0.5 s


def test_somebody_new_starts_afresh():
    smoother = KeypointSmoother()
    for index in range(10):
        smoother.update(person((100, 100)), time_s=index / 30)
    out = smoother.update(person((300, 300), number=2), time_s=10 / 30)
    np.testing.assert_array_equal(out.keypoints[0, 0], (300, 300))


def test_persons_do_not_touch_one_another(rng):
    ways = {number: np.cumsum(rng.normal(0, 5, (25, 2)), axis=0) for number in (1, 2, 3)}
    together = KeypointSmoother()
    for index in range(25):
        numbers = rng.permutation([1, 2, 3])
        people = [person(ways[number][index], number=number) for number in numbers]
        crowd = PoseResult(
            *(
                np.concatenate([getattr(one, name) for one in people])
                for name in ("keypoints", "scores", "boxes_xyxy")
            ),
            ids=numbers,
        )
        out = together.update(crowd, time_s=index / 30)
    for row, number in enumerate(numbers):
        expected = smoothed(ways[number])[-1]
        np.testing.assert_allclose(out.keypoints[row, 0], expected, rtol=1e-6)


def test_somebody_hidden_for_a_moment_goes_on(rng):
    smoother = KeypointSmoother(SmootherSettings(max_gap_s=0.5))
    smoother.update(person((100, 100)), time_s=0.0)
    nobody = replace(person(0).select([]), ids=np.zeros(0, np.int64))
    assert len(smoother.update(nobody, time_s=0.2)) == 0
    back = smoother.update(person((110, 100)), time_s=0.4).keypoints[0, 0, 0]
    assert 100 < back < 110
    smoother.update(nobody, time_s=0.8)
    assert smoother.update(person((150, 100)), time_s=1.0).keypoints[0, 0, 0] == 150


def test_a_repeated_frame_changes_nothing():
    smoother = KeypointSmoother()
    smoother.update(person((100, 100)), time_s=0.0)
    once = smoother.update(person((110, 100)), time_s=0.1)
    twice = smoother.update(person((130, 100)), time_s=0.1)
    np.testing.assert_array_equal(once.keypoints, twice.keypoints)


def test_reset_is_a_new_smoother(rng):
    way = np.cumsum(rng.normal(0, 5, (25, 2)), axis=0)
    smoother = KeypointSmoother()
    runs = []
    for _ in range(2):
        runs.append([smoother.update(person(point)).keypoints for point in way])
        smoother.reset()
    np.testing.assert_array_equal(*runs)


def test_everything_but_the_keypoints_stays():
    result = replace(person((1, 2)), image_size=(30, 40), source="clip.mp4")
    out = KeypointSmoother().update(result)
    assert out.keypoints.dtype == np.float32
    for name in ("scores", "boxes_xyxy", "box_scores", "ids", "image_size", "source"):
        assert getattr(out, name) is getattr(result, name)


def test_who_is_who_must_be_known():
    with pytest.raises(InvalidArgumentError, match=r"Tracker\.update"):
        KeypointSmoother().update(replace(person(0), ids=None))
    twins = person(0).select([0, 0])
    with pytest.raises(InvalidArgumentError, match="share an id"):
        KeypointSmoother().update(twins)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"min_cutoff_hz": 0}, "min_cutoff_hz is 0, must be above 0"),
        ({"d_cutoff_hz": float("nan")}, "d_cutoff_hz is nan"),
        ({"beta": -1}, "beta is -1"),
        ({"max_gap_s": -1}, "max_gap_s is -1"),
        ({"frame_rate": -30}, "frame_rate is -30"),
    ],
)
def test_impossible_settings(wrong, message):
    with pytest.raises(InvalidArgumentError, match=message):
        SmootherSettings(**wrong)
