"""Trackers of the caller's own: what is accepted, and what they must give back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.results import PoseResult
from dwpose_infer.streaming import StreamSettings
from dwpose_infer.tracking import PersonTracker, Tracker
from dwpose_infer.tracking.protocol import identified


class Answering:
    """A tracker that gives back what it was made with."""

    def __init__(self, answer):
        self.answer = answer

    def update(self, result, *, time_s):
        return self.answer(result) if callable(self.answer) else self.answer


def persons(count: int) -> PoseResult:
    return PoseResult(np.zeros((count, 133, 2), np.float32), np.zeros((count, 133), np.float32))


def test_the_tracker_of_this_package_is_one():
    assert isinstance(Tracker(), PersonTracker)


@pytest.mark.parametrize(
    "thing", [object(), 0.5, "bytetrack", {"max_persons": 2}, Answering], ids=repr
)
def test_what_has_no_such_method_is_refused(thing):
    with pytest.raises(InvalidArgumentError, match=r"the method update\(result, time_s"):
        StreamSettings(tracker=thing)


def test_ids_come_through():
    tracker = Answering(lambda result: replace(result.select([1]), ids=np.array([7])))
    assert identified(tracker, persons(2), time_s=0.0).ids.tolist() == [7]
    assert len(identified(Answering(lambda result: result), persons(0), time_s=0.0)) == 0


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (None, "gave None"),
        ([1, 2], r"gave \[1, 2\]"),
        (lambda result: result, "gave persons without ids"),
    ],
)
def test_an_answer_without_ids_is_an_error(answer, complaint):
    with pytest.raises(InvalidArgumentError, match=complaint):
        identified(Answering(answer), persons(2), time_s=0.0)
