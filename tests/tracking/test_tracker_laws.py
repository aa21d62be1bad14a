from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_walkers import WALKING, Seeing, Walker, film

pytest.importorskip("scipy")

from dwpose_infer.tracking import Tracker

walkers = st.lists(
    st.builds(
        Walker,
        x=st.integers(0, 1280).map(float),
        speed=st.sampled_from([-1.2, -WALKING, -0.3, 0.3, WALKING, 1.2]),
        height=st.sampled_from([240.0, 300.0, 400.0]),
        top=st.integers(50, 250).map(float),
        depth=st.floats(0, 1),
        phase=st.floats(0, 1),
    ),
    max_size=5,
)
seeing = st.builds(
    Seeing, missed=st.sampled_from([0.0, 0.2]), score=st.sampled_from([0.45, 0.6, 0.8])
)
scenes = st.builds(
    lambda people, how, seed: film(
        people, frames=25, seeing=how, rng=np.random.default_rng(seed), fps=15
    ),
    walkers,
    seeing,
    st.integers(0, 2**32 - 1),
)


def ids_by_box(frames, change=lambda result: result, back=lambda boxes: boxes):
    """What the tracker makes of changed frames: per frame, box as seen -> id."""
    tracker = Tracker()
    named = []
    for frame in frames:
        result = tracker.update(change(frame.result), time_s=frame.time_s)
        boxes = np.round(back(result.boxes_xyxy), 2)
        named.append(dict(zip(map(tuple, boxes.tolist()), result.ids.tolist(), strict=True)))
    return named


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(scenes, st.randoms(use_true_random=False))
def test_the_order_of_the_persons_does_not_matter(frames, random):
    def shuffled(result):
        rows = list(range(len(result)))
        random.shuffle(rows)
        return result.select(rows)

    assert ids_by_box(frames, shuffled) == ids_by_box(frames)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    scenes,
    st.sampled_from([0.25, 0.5, 2.0, 4.0]),
    st.integers(-3000, 3000),
    st.integers(-3000, 3000),
)
def test_shifting_and_scaling_the_picture_does_not_matter(frames, scale, x, y):
    """Without the picture's size, for a shift has no meaning with it."""
    shift = np.array([x, y])

    def sizeless(result):
        return replace(result, image_size=None)

    def changed(result):
        return replace(
            sizeless(result),
            keypoints=((result.keypoints + shift) * scale).astype(np.float32),
            boxes_xyxy=((result.boxes_xyxy + np.tile(shift, 2)) * scale).astype(np.float32),
        )

    def ids(change):
        tracker = Tracker()
        named = []
        for frame in frames:
            result = tracker.update(change(frame.result), time_s=frame.time_s)
            rows = np.lexsort(result.box_scores[None])
            named.append([result.box_scores[rows].tolist(), result.ids[rows].tolist()])
        return named

    assert ids(changed) == ids(sizeless)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(scenes)
def test_ids_are_unique_in_a_frame_and_grow(frames):
    tracker = Tracker()
    largest, gone = 0, set()
    for frame in frames:
        before = set(tracker.ids)
        ids = tracker.update(frame.result, time_s=frame.time_s).ids.tolist()
        assert len(set(ids)) == len(ids)
        new = set(tracker.ids) - before
        assert all(number > largest for number in new)
        assert not gone & set(ids)
        gone |= before - set(tracker.ids)
        largest = max([largest, *new])
