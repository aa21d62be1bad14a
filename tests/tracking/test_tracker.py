from __future__ import annotations

import sys

import numpy as np
import pytest

from identity_score import score_identities
from synthetic_walkers import SIZE_WH, WALKING, Seeing, Walker, film

pytest.importorskip("scipy")

from dwpose_infer.errors import InvalidArgumentError, MissingDependencyError
from dwpose_infer.results import PoseResult
from dwpose_infer.tracking import Tracker, TrackerSettings

LEFT_TO_RIGHT = Walker(200, phase=0.1)
RIGHT_TO_LEFT = Walker(1000, -WALKING, phase=0.4, depth=1)

SCENES = {
    "one": [LEFT_TO_RIGHT],
    "crossing": [LEFT_TO_RIGHT, RIGHT_TO_LEFT],
    "crossing in step": [LEFT_TO_RIGHT, Walker(1000, -WALKING, phase=0.1, depth=1)],
    "overtaking": [Walker(100, 1.2), Walker(300, 0.5, phase=0.3, depth=1)],
    "hidden for 10 frames": [
        Walker(100, hidden=range(30, 40)),
        Walker(900, -0.4, top=100, hidden=range(50, 60)),
    ],
    "hidden for 20 frames": [
        Walker(100, hidden=range(30, 50)),
        Walker(900, -0.4, top=100, hidden=range(50, 70)),
    ],
    "crossing while both are hidden": [
        Walker(200, hidden=range(30, 42)),
        Walker(800, -WALKING, phase=0.4, depth=1, hidden=range(30, 42)),
    ],
    "turning round while hidden": [Walker(300, turns_s=1.2, hidden=range(30, 40))],
    "entering and leaving": [
        Walker(1000),
        Walker(-600, 1.6, phase=0.3),
        Walker(2150, -1.3, phase=0.2),
    ],
    "six in all directions": [
        Walker(
            50 + 100 * index,
            (-1) ** index * WALKING * (0.7 + 0.1 * index),
            height=300 + 20 * index,
            top=150 + 10 * index,
            depth=index,
            phase=0.13 * index,
        )
        for index in range(6)
    ],
}


def track(frames, settings=None):
    tracker = Tracker(settings)
    return [tracker.update(frame.result, time_s=frame.time_s) for frame in frames]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize(
    "seeing",
    [Seeing(), Seeing(0.012, 0.03), Seeing(doubled=0.2)],
    ids=["usual", "noisy", "doubled"],
)
def test_no_identity_switches(scene, seeing, seed):
    frames = film(SCENES[scene], frames=100, seeing=seeing, rng=np.random.default_rng(seed))
    score = score_identities(frames, track(frames))
    assert (score.switches, score.ids, score.doubled) == (0, len(SCENES[scene]), 0)
    assert score.returned > 0.99  # two in one place may count as one for a frame


@pytest.mark.parametrize(
    "scene",
    [
        "one",
        "crossing",
        "overtaking",
        "hidden for 10 frames",
        "turning round while hidden",
        "six in all directions",
    ],
)
def test_missed_detections_do_not_matter(scene):
    for seed in range(5):
        seeing = Seeing(missed=0.15)
        frames = film(SCENES[scene], frames=100, seeing=seeing, rng=np.random.default_rng(seed))
        assert score_identities(frames, track(frames)).switches == 0


@pytest.mark.parametrize("scene", ["crossing", "overtaking"])
def test_points_of_the_person_in_front_do_not_matter(scene):
    """The pose network often gives the box of somebody half hidden the other one's points."""
    for seed in range(5):
        seeing = Seeing(taken_for_front=0.4)
        frames = film(SCENES[scene], frames=100, seeing=seeing, rng=np.random.default_rng(seed))
        score = score_identities(frames, track(frames))
        assert (score.switches, score.doubled) == (0, 0)


@pytest.mark.parametrize("fps", [10.0, 60.0])
def test_other_frame_rates(fps):
    frames = film(SCENES["crossing"], frames=int(3 * fps), rng=np.random.default_rng(0), fps=fps)
    assert score_identities(frames, track(frames)).switches == 0


def test_the_counter_counts():
    frames = film([LEFT_TO_RIGHT, RIGHT_TO_LEFT], frames=3, rng=np.random.default_rng(0))
    tracked = track(frames)
    tracked[2].ids[:] = tracked[2].ids[::-1].copy()
    score = score_identities(frames, tracked)
    assert score.switches == 4  # two walkers with another id, two ids with another walker


def standing(*places, score=0.9, size=SIZE_WH):
    """People standing at places (x in pixels), seen without noise."""
    points = np.array([Walker(x, 1e-9).keypoints(0.0) for x in places]).reshape(-1, 133, 2)
    boxes = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
    return PoseResult(
        keypoints=points.astype(np.float32),
        scores=np.full(points.shape[:2], 0.8, np.float32),
        boxes_xyxy=boxes.astype(np.float32),
        box_scores=np.full(len(points), score, np.float32),
        image_size=size,
    )


def test_ids_start_at_1_from_the_best_person_and_are_not_used_again():
    tracker = Tracker(TrackerSettings(max_hidden_s=0.1))
    result = standing(300, 900)
    result.box_scores[:] = 0.7, 0.8
    first = tracker.update(result)
    assert first.ids.tolist() == [1, 2]
    assert first.boxes_xyxy[0, 0] > first.boxes_xyxy[1, 0]
    for _ in range(4):
        assert len(tracker.update(standing())) == 0
    assert tracker.ids == ()
    assert tracker.update(standing(300, 900)).ids.tolist() == [3, 4]


def test_uncertain_persons_get_an_id_when_seen_often_enough():
    tracker = Tracker(TrackerSettings(birth_frames=3, birth_window=5))
    tracker.update(standing())
    seen = [True, False, True, True, True]
    ids = [tracker.update(standing(*[400] * here, score=0.4)).ids.tolist() for here in seen]
    assert ids == [[], [], [], [1], [1]]


def test_uncertain_persons_of_the_first_frame_get_an_id_at_once():
    tracker = Tracker()
    assert tracker.update(standing(300, 900, score=0.35)).ids.tolist() == [1, 2]
    assert tracker.update(standing(300, 600, 900, score=0.35)).ids.tolist() == [1, 2]


def test_flicker_never_gets_an_id():
    tracker = Tracker()
    tracker.update(standing())
    for frame in range(60):
        assert len(tracker.update(standing(*[400] * (frame % 3 == 0), score=0.4))) == 0
    assert tracker.ids == ()


def test_results_without_box_scores_or_boxes(rng):
    frames = film([LEFT_TO_RIGHT, RIGHT_TO_LEFT], frames=80, rng=rng)
    bare = Tracker(TrackerSettings(order="input"))
    whose = set()
    for frame in frames:
        points_alone = PoseResult(frame.result.keypoints, frame.result.scores)
        result = bare.update(points_alone, time_s=frame.time_s)
        assert result.boxes_xyxy is None
        whose |= set(zip(frame.truth, result.ids.tolist(), strict=True))
    assert sorted(whose) in ([(0, 1), (1, 2)], [(0, 2), (1, 1)])


def test_persons_known_by_their_box_alone():
    tracker = Tracker()
    for frame in range(10):
        result = standing(300 + 5 * frame, 900).masked(min_score=2.0)
        assert np.isnan(result.keypoints).all()
        assert tracker.update(result).ids.tolist() == [1, 2]


def test_a_person_out_of_the_picture_is_gone():
    walker = Walker(1150, 1.5)
    frames = film([walker], frames=20, seeing=Seeing(0, 0), rng=np.random.default_rng(0))
    tracker = Tracker()
    for frame in frames:
        tracker.update(frame.result, time_s=frame.time_s)
    assert frames[-1].truth == []
    assert frames[-1].time_s - max(f.time_s for f in frames if f.truth) < 0.3
    assert tracker.ids == ()


def test_order():
    result = standing(900, 300)
    result.box_scores[:] = 0.7, 0.8
    by_id = Tracker().update(result)
    assert by_id.ids.tolist() == [1, 2]
    as_given = Tracker(TrackerSettings(order="input")).update(result)
    assert as_given.ids.tolist() == [2, 1]
    np.testing.assert_array_equal(as_given.keypoints, result.keypoints)


def test_everything_else_of_the_result_stays(rng):
    (frame,) = film([LEFT_TO_RIGHT], frames=1, rng=rng)
    tracked = Tracker().update(frame.result)
    for name in ("keypoints", "scores", "boxes_xyxy", "box_scores"):
        np.testing.assert_array_equal(getattr(tracked, name), getattr(frame.result, name))
    assert tracked.image_size == SIZE_WH
    assert tracked.ids.dtype == np.int64


def test_reset_is_a_new_tracker(rng):
    frames = film(SCENES["six in all directions"], frames=20, rng=rng)
    tracker = Tracker(TrackerSettings(max_persons=3))
    first = [tracker.update(frame.result, time_s=frame.time_s) for frame in frames]
    tracker.reset()
    again = [tracker.update(frame.result, time_s=frame.time_s) for frame in frames]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.ids, other.ids)
        np.testing.assert_array_equal(one.keypoints, other.keypoints)


def test_nobody():
    tracker = Tracker()
    for _ in range(3):
        assert tracker.update(PoseResult.empty()).ids.tolist() == []


def test_time_does_not_run_backwards():
    tracker = Tracker()
    tracker.update(standing(300), time_s=1.0)
    assert tracker.update(standing(300), time_s=1.0).ids.tolist() == [1]  # cameras repeat stamps
    with pytest.raises(InvalidArgumentError, match=r"0\.5, before the last frame's 1\.0"):
        tracker.update(standing(300), time_s=0.5)
    with pytest.raises(InvalidArgumentError, match="must be a number"):
        tracker.update(standing(300), time_s=float("nan"))
    tracker.reset()
    tracker.update(standing(300), time_s=0.5)


def test_scipy_is_named_when_it_is_missing(monkeypatch):
    tracker = Tracker()
    tracker.update(standing(300))
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "dwpose-infer\[video\]"'):
        tracker.update(standing(300))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"min_similarity": 0}, "min_similarity is 0"),
        ({"duplicate_oks": 1.5}, "duplicate_oks is 1.5"),
        ({"max_hidden_s": -1}, "max_hidden_s is -1"),
        ({"frame_rate": 0}, "frame_rate is 0"),
        ({"frame_rate": float("nan")}, "frame_rate is nan"),
        ({"birth_frames": 6}, "from 1 to birth_window"),
        ({"max_persons": 0}, "max_persons is 0"),
        ({"prefer": "smallest"}, "score, largest, center"),
        ({"order": "name"}, "id, input"),
    ],
)
def test_impossible_settings(wrong, message):
    with pytest.raises(InvalidArgumentError, match=message):
        TrackerSettings(**wrong)
