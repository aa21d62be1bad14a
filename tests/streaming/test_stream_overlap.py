"""Two windows of a clip in the works at a time, as on a GPU."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from dwpose_infer.errors import InferenceError, InputError
from dwpose_infer.pipeline import Pipeline
from dwpose_infer.streaming import Stream, StreamSettings
from dwpose_infer.streaming.opening import open_stream
from dwpose_infer.tracking import TrackerSettings
from stream_samples import ChainPrediction, ListSource, damaged, frame

FRAMES = [frame(index) for index in range(26)]


class TwoAtATime(ChainPrediction):
    """Goes on only when a second call is under way; a call of the last window need not wait."""

    def __init__(self, calls, **options):
        super().__init__(**options)
        self.meeting, self.left, self.lock = threading.Barrier(2), calls, threading.Lock()

    def __call__(self, images_bgr, boxes):
        with self.lock:
            self.left -= 1
            waits = self.left >= 0
        if waits:
            self.meeting.wait(timeout=30)
        return super().__call__(images_bgr, boxes)


@pytest.mark.parametrize("detect_every", [1, 3])
def test_the_next_window_is_in_the_works_and_nothing_else_changes(detect_every):
    settings = StreamSettings(
        detect_every=detect_every, batch_frames=2, tracker=TrackerSettings(), smoother=None
    )
    expected = list(Stream(ListSource(FRAMES), ChainPrediction(), settings))
    # Windows of 2 and of 6 frames, in 1 and 3 calls each: as many calls as come in pairs.
    predict = TwoAtATime(calls=12)
    with Stream(ListSource(FRAMES), predict, settings, overlap=True) as stream:
        got = list(stream)
        report = stream.report
    assert [each.index for each in got] == list(range(26))
    assert report.searched_frames == len(range(0, 26, detect_every))
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one.result.keypoints, other.result.keypoints)
        np.testing.assert_array_equal(one.result.ids, other.result.ids)
    assert not [t for t in threading.enumerate() if t.name.startswith("dwpose")]


def test_frames_that_follow_those_before_are_worked_on_in_turn():
    """Frames so large that one is a window: every third is searched, the others follow."""
    settings = StreamSettings(detect_every=3)
    source = ListSource(FRAMES)
    source.size_wh = (8000, 6000)
    running = []

    def predict(images_bgr, boxes):
        running.append(threading.current_thread().name)
        return ChainPrediction()(images_bgr, boxes)

    assert len(list(Stream(source, predict, settings, overlap=True))) == 26
    assert set(running) == {"dwpose networks"}


def test_live_frames_are_not_held_back():
    running = []

    def predict(images_bgr, boxes):
        running.append(threading.current_thread().name)
        return ChainPrediction()(images_bgr, boxes)

    list(Stream(ListSource(FRAMES, is_live=True), predict, overlap=True))
    assert set(running) == {"dwpose networks"}


def test_errors_come_after_all_that_was_before_them():
    got = []
    with pytest.raises(InputError, match="frame 9 is damaged"):
        for each in Stream(
            ListSource([*FRAMES[:9], damaged(9), *FRAMES[10:]]), ChainPrediction(), overlap=True
        ):
            got.append(each.index)
    assert got == list(range(9))

    def fail(images_bgr, boxes):
        if images_bgr[0][0, 0, 1] >= 8:
            raise InferenceError("out of memory")
        return ChainPrediction()(images_bgr, boxes)

    got = []
    with pytest.raises(InferenceError, match="out of memory"):
        for each in Stream(ListSource(FRAMES), fail, overlap=True):
            got.append(each.index)
    assert got == list(range(8))
    assert not [t for t in threading.enumerate() if t.name.startswith("dwpose")]


def test_leaving_early_ends_the_threads():
    with Stream(ListSource(FRAMES), ChainPrediction(delay_s=0.01), overlap=True) as stream:
        next(stream)
    assert not [t for t in threading.enumerate() if t.name.startswith("dwpose")]


@pytest.mark.parametrize("overlap", [True, False])
def test_the_pipeline_says_whether(overlap):
    pipeline = Pipeline(None, None, overlap=overlap)
    stream = open_stream(pipeline, ListSource(FRAMES), StreamSettings(whole_image=True))
    assert stream._worker._overlap is overlap
