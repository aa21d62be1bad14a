from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("scipy")

from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.results import PoseResult
from dwpose_infer.tracking import Tracker, TrackerSettings

BOXES = {  # 1000 x 600 picture; scores fall from left to right, so ids rise
    1: (50, 200, 150, 500),
    2: (480, 250, 540, 430),
    3: (650, 50, 900, 590),
}


def frame(*persons: int) -> PoseResult:
    boxes = np.array([BOXES[person] for person in persons], np.float32).reshape(-1, 4)
    return PoseResult(
        keypoints=np.full((len(persons), 133, 2), np.nan, np.float32),
        scores=np.zeros((len(persons), 133), np.float32),
        boxes_xyxy=boxes,
        box_scores=np.array([1 - person / 10 for person in persons], np.float32),
        image_size=(1000, 600),
    )


@pytest.mark.parametrize(
    ("prefer", "chosen"),
    [("score", [1, 2]), ("largest", [1, 3]), ("center", [2, 3])],
)
def test_which_ones(prefer, chosen):
    tracker = Tracker(TrackerSettings(max_persons=2, prefer=prefer))
    assert tracker.update(frame(1, 2, 3)).ids.tolist() == chosen


def test_all_without_a_limit():
    assert Tracker().update(frame(3, 1, 2)).ids.tolist() == [1, 2, 3]


def test_ids_asked_for():
    tracker = Tracker(TrackerSettings(keep_ids=(3, 2), max_persons=1, prefer="largest"))
    assert tracker.update(frame(1, 2, 3)).ids.tolist() == [3]
    tracker = Tracker(TrackerSettings(keep_ids=(2, 3, 99)))
    assert tracker.update(frame(1, 2, 3)).ids.tolist() == [2, 3]


def test_a_place_is_held_while_the_person_is_hidden():
    tracker = Tracker(TrackerSettings(max_persons=1, prefer="largest", max_hidden_s=0.2))
    assert tracker.update(frame(1)).ids.tolist() == [1]
    assert tracker.update(frame(1, 3)).ids.tolist() == [1]  # 2 is larger, but came later
    hidden = [tracker.update(frame(3)).ids.tolist() for _ in range(8)]
    assert hidden == [[]] * 6 + [[2]] * 2  # 0.2 s are 6 frames
    assert tracker.ids == (2,)


def test_chosen_anew_in_every_frame():
    tracker = Tracker(TrackerSettings(max_persons=1, prefer="largest", hold=False))
    ids = [tracker.update(frame(*persons)).ids.tolist() for persons in ((1,), (1, 3), (1,))]
    assert ids == [[1], [2], [1]]


def test_the_middle_needs_the_size_of_the_picture():
    tracker = Tracker(TrackerSettings(max_persons=1, prefer="center"))
    with pytest.raises(InvalidArgumentError, match="no image_size"):
        tracker.update(replace(frame(1, 2), image_size=None))
