from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwpose_infer.streaming.following import Follower
from dwpose_infer.streaming.settings import StreamSettings
from stream_samples import ChainPrediction, frame


def run(count, *, window, detect_every, lost=frozenset(), known=None):
    predict = ChainPrediction(lost=lost)
    settings = StreamSettings(detect_every=detect_every)
    follow = Follower(predict, settings, known=known)
    frames = [frame(index) for index in range(count)]
    results = [
        result
        for start in range(0, count, window)
        for result in follow(frames[start : start + window])
    ]
    return predict, follow, results


def same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        for name in ("keypoints", "scores", "boxes_xyxy", "box_scores"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@settings(deadline=None, max_examples=30)
@given(
    count=st.integers(0, 40),
    window=st.integers(1, 25),
    detect_every=st.integers(1, 7),
    lost=st.frozensets(st.integers(0, 40), max_size=8),
)
def test_how_many_frames_come_together_changes_nothing(count, window, detect_every, lost):
    """Windows may begin in the middle of a chain."""
    one, _, alone = run(count, window=1, detect_every=detect_every, lost=lost)
    many, follow, together = run(count, window=window, detect_every=detect_every, lost=lost)
    same(alone, together)
    assert one.searched == many.searched
    assert follow.searched_frames == len(many.searched)


def test_chains_share_batches():
    predict, _, _ = run(20, window=20, detect_every=5)
    assert predict.batches == [
        [(0, True), (5, True), (10, True), (15, True)],
        *([(step + 5 * chain, False) for chain in range(4)] for step in range(1, 5)),
    ]


def test_frames_searched_all_share_one_batch():
    predict, _, _ = run(8, window=4, detect_every=1)
    assert predict.batches == [[(i, True) for i in range(4)], [(i, True) for i in range(4, 8)]]


def test_a_frame_whose_person_is_lost_is_searched_and_the_one_after_it_too():
    """The second where the first search found nobody to follow either."""
    predict, _, _ = run(10, window=10, detect_every=5, lost=frozenset({2}))
    assert sorted(predict.searched) == [0, 2, 3, 5]


def test_followed_persons_keep_the_score_of_their_detection():
    _, _, results = run(6, window=6, detect_every=3)
    scores = [float(result.box_scores[0]) for result in results]
    assert scores == pytest.approx([0.75, 0.75, 0.75, 0.72, 0.72, 0.72])


def test_another_size_is_searched_at_once():
    predict = ChainPrediction()
    follow = Follower(predict, StreamSettings(detect_every=10))
    frames = [frame(0), frame(1), frame(2, (80, 40)), frame(3, (80, 40))]
    results = follow(frames)
    assert predict.searched == [0, 2]
    assert [result.image_size for result in results] == [(64, 48)] * 2 + [(80, 40)] * 2


@pytest.mark.parametrize("known_frames", [0, 1, 7, 20])
def test_what_is_known_is_not_predicted_again(known_frames):
    lost = frozenset({3, 11})
    _, _, whole = run(20, window=10, detect_every=5, lost=lost)
    known = dict(enumerate(whole[:known_frames]))
    predict, _, resumed = run(20, window=10, detect_every=5, lost=lost, known=known)
    same(whole, resumed)
    predicted = sorted(index for batch in predict.batches for index, _ in batch)
    twice = [index for index in lost if index >= known_frames]  # followed, then searched
    assert predicted == sorted([*range(known_frames, 20), *twice])
