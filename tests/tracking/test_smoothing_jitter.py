"""How much jitter the default filter takes out of a walk, and how far it lags behind."""

from __future__ import annotations

import numpy as np
import pytest

from dwpose_infer.results import PoseResult
from dwpose_infer.tracking import KeypointSmoother, SmootherSettings
from synthetic_walkers import WALKING, Walker, truth_box

HEIGHT = 400.0
NOISE_PX = 0.008 * HEIGHT  # about what a network's points jitter by from frame to frame
BODY = slice(0, 17)


def walk(speed, *, fps, seconds=4):
    walker = Walker(0, speed, height=HEIGHT)
    return np.array([walker.keypoints(index / fps) for index in range(int(seconds * fps))])


def smooth(points, *, fps, settings=None):
    smoother = KeypointSmoother(settings)
    out = []
    for index, frame in enumerate(points):
        result = PoseResult(
            keypoints=frame[None].astype(np.float32),
            scores=np.full((1, 133), 0.7, np.float32),
            boxes_xyxy=truth_box(frame, HEIGHT)[None].astype(np.float32),
            ids=np.array([1]),
        )
        out.append(smoother.update(result, time_s=index / fps).keypoints[0].astype(np.float64))
    return np.array(out)


def jitter(points):
    """Standard deviation of the second differences from frame to frame, pixels."""
    return np.diff(points, 2, axis=0).std()


def lag_frames(out, truth):
    """Frames by which the truth has to be late to be nearest to `out` (least squares)."""
    lags = np.arange(0, 3, 0.02)
    frames = np.arange(3, len(out))
    errors = []
    for lag in lags:
        low = np.floor(frames - lag).astype(int)
        part = (frames - lag - low)[:, None, None]
        late = truth[low] * (1 - part) + truth[np.minimum(low + 1, len(truth) - 1)] * part
        errors.append(np.square(out[frames] - late).sum())
    return lags[int(np.argmin(errors))]


def measure(speed, *, fps=30, settings=None, noise_px=NOISE_PX, seed=0):
    """Ratio of jitter after and before, lag of all points, lag of the worst body point."""
    rng = np.random.default_rng(seed)
    truth = walk(speed, fps=fps)
    noise = rng.normal(0, noise_px, truth.shape)
    out = smooth(truth + noise, fps=fps, settings=settings)
    settled = slice(fps, None)  # after a second
    out, truth, noise = out[settled], truth[settled], noise[settled]
    worst = max(lag_frames(out[:, [point]], truth[:, [point]]) for point in range(17))
    return jitter(out - truth) / jitter(noise), lag_frames(out, truth), worst


def test_the_measures_measure():
    truth = walk(WALKING, fps=30)
    assert lag_frames(truth[:-2][2:], truth[2:][2:]) == pytest.approx(2, abs=0.021)
    noise = np.random.default_rng(0).normal(0, 2, (4000, 1, 2))
    assert jitter(noise) == pytest.approx(2 * np.sqrt(6), rel=0.03)


@pytest.mark.parametrize("seed", [0, 1])
def test_walking_has_half_the_jitter_at_less_than_a_frame_of_lag(seed):
    share, lag, worst = measure(WALKING, seed=seed)
    assert share < 0.45
    assert lag < 0.2
    assert worst < 0.5


@pytest.mark.parametrize("fps", [15, 60])
def test_at_other_frame_rates_too(fps):
    share, lag, worst = measure(WALKING, fps=fps)
    assert share < 0.5
    assert lag < 0.5
    assert worst < 1


def test_standing_is_much_steadier():
    still = walk(1e-9, fps=30)
    noise = np.random.default_rng(0).normal(0, NOISE_PX, still.shape)
    out = smooth(still + noise, fps=30)[30:] - still[30:]
    assert jitter(out) / jitter(noise) < 0.25
    assert out.std() / noise.std() < 0.5  # also the distance from the truth is halved


def test_following_the_person_is_what_makes_the_lag_small():
    """With a cut-off low enough to halve a walker's jitter, the plain filter lags several times."""
    plain = SmootherSettings(follow_person=False, beta=5.0)
    share, lag, _ = measure(WALKING, settings=plain)
    followed_share, followed_lag, _ = measure(WALKING)
    assert followed_share < share
    assert followed_lag < lag / 2


def test_stopping_at_once_overshoots_by_less_than_a_thirtieth_of_the_height():
    """A figure slides at walking speed for two seconds, then stands."""
    slide_px = WALKING * HEIGHT * np.minimum(np.arange(90), 60) / 30
    points = walk(1e-9, fps=30, seconds=3)[:1] + slide_px[:, None, None] * [1.0, 0.0]
    beyond = (smooth(points, fps=30) - points)[60:, :, 0]
    assert beyond.max() < HEIGHT / 30
    assert np.abs(beyond[-1]).max() < 0.5
