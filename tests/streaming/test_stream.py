from __future__ import annotations

import gc
import threading
import time
import weakref
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from dwpose_infer import PoseResult, Predictor
from dwpose_infer.errors import InferenceError, InputError, InvalidArgumentError
from dwpose_infer.images import read_image
from dwpose_infer.media import VideoWriter
from dwpose_infer.media.frames import Frame
from dwpose_infer.similarity import box_areas
from dwpose_infer.streaming import FrameResult, Stream, StreamSettings
from dwpose_infer.tracking import SmootherSettings, TrackerSettings
from stream_samples import ChainPrediction, ListSource, damaged, frame
from tolerances import BATCH_KEYPOINT_PX, BATCH_SCORE


@pytest.fixture(scope="module")
def predictor():
    with Predictor(threads=1) as bundled:
        yield bundled


def walk(astronaut, count):
    """A portrait that moves to the right."""
    portrait = read_image(astronaut)
    frames = []
    for index in range(count):
        image = np.full((520, 640, 3), 114, np.uint8)
        image[4:516, 4 * index : 4 * index + 512] = portrait
        frames.append(Frame(index, index / 25, image))
    return frames


def networks_alive():
    return [t for t in threading.enumerate() if t.name == "dwpose networks" and t.is_alive()]


@pytest.mark.slow
def test_every_frame_equals_the_picture(predictor, astronaut):
    frames = walk(astronaut, 6)
    alone = [predictor(each.image_bgr) for each in frames]
    for batch, tolerance in ((1, 0.0), (4, BATCH_KEYPOINT_PX)):
        with predictor.stream(ListSource(frames), batch_frames=batch) as stream:
            got = list(stream)
        assert [each.index for each in got] == list(range(6))
        for each, expected in zip(got, alone, strict=True):
            assert each.result.ids is None
            np.testing.assert_array_equal(each.result.boxes_xyxy, expected.boxes_xyxy)
            np.testing.assert_array_equal(each.result.box_scores, expected.box_scores)
            np.testing.assert_allclose(
                each.result.keypoints, expected.keypoints, rtol=0, atol=tolerance
            )
            np.testing.assert_allclose(
                each.result.scores, expected.scores, rtol=0, atol=tolerance and BATCH_SCORE
            )


@pytest.mark.slow
def test_frames_take_the_flip_test_of_their_predictor(predictor, astronaut):
    pytest.importorskip("onnx")
    frames = walk(astronaut, 3)
    with Predictor(threads=1, flip_test=True) as both:
        alone = [both(each.image_bgr) for each in frames]
        with both.stream(ListSource(frames), batch_frames=3) as stream:
            got = [each.result for each in stream]
    assert len(got) == len(frames)
    for each, expected, shown in zip(got, alone, frames, strict=True):
        np.testing.assert_allclose(
            each.keypoints, expected.keypoints, rtol=0, atol=BATCH_KEYPOINT_PX
        )
        assert not np.array_equal(each.keypoints, predictor(shown.image_bgr).keypoints)


def test_followed_frames_are_near_the_searched_ones(predictor, astronaut):
    frames = walk(astronaut, 6)
    with predictor.stream(ListSource(frames), detect_every=3, track=True, smooth=True) as stream:
        got = list(stream)
        assert stream.report.searched_frames == 2
    assert all(each.result.ids.tolist() == [1] for each in got)
    for each in got:
        assert each.found.ids is None
        sure = each.found.scores[0] > 0.5
        assert sure.sum() > 60
        searched = predictor(each.image_bgr).keypoints[0][sure]
        apart = np.linalg.norm(each.found.keypoints[0][sure] - searched, axis=1)
        assert np.median(apart) < 12  # of 512 pixels; a pixel of the crop is about three


def test_a_frame_prints_in_a_line_without_its_picture():
    nobody = PoseResult.empty(image_size=(640, 480), source="clip.mp4")
    frame = FrameResult(3, 0.12, nobody, nobody, np.zeros((480, 640, 3), np.uint8))
    assert "\n" not in repr(frame)
    assert repr(frame).startswith("FrameResult(index=3, time_s=0.12, result=PoseResult(0 persons,")


def test_the_report_counts_and_times(predictor, astronaut):
    with predictor.stream(ListSource(walk(astronaut, 4)), detect_every=4) as stream:
        for _ in stream:
            time.sleep(0.01)
    report = stream.report
    assert (report.frames, report.searched_frames) == (4, 1)
    assert [stage.name for stage in report.stages] == ["read", "networks", "caller"]
    assert str(report).startswith("4 frames, 1 searched; at work: read ")
    _, networks, caller = report.stages
    assert networks.working_s > 0 and networks.waiting_s >= 0
    assert caller.working_s >= 0.03
    assert 0 < networks.share_at_work <= 1


def test_damaged_frames_raise_after_what_came_before():
    items = [frame(0), frame(1), damaged(2), frame(3)]
    with Stream(ListSource(items), ChainPrediction()) as stream:
        assert [next(stream).index, next(stream).index] == [0, 1]
        with pytest.raises(InputError, match="frame 2 is damaged"):
            next(stream)
        with pytest.raises(StopIteration):
            next(stream)


def test_damaged_frames_are_skipped_counted_and_told():
    items = [damaged(0), frame(1), damaged(2), frame(3), damaged(4, is_last=True)]
    with Stream(ListSource(items), ChainPrediction(), StreamSettings(on_error="skip")) as stream:
        assert [each.index for each in stream] == [1, 3]
    assert (stream.report.damaged_frames, stream.report.broke_off) == (3, True)
    assert ", 3 damaged, broke off; at work: " in str(stream.report)
    assert [str(error) for error in stream.report.damaged] == [
        f"frame {index} is damaged" for index in (0, 2, 4)
    ]


def test_a_source_that_breaks_off_and_a_network_that_fails():
    source = ListSource([frame(0), InputError("the stream broke off")])
    stream = Stream(source, ChainPrediction())
    assert next(stream).index == 0
    with pytest.raises(InputError, match="broke off"):
        next(stream)
    assert source.closed.is_set()

    def fail(images, boxes):
        raise InferenceError("out of order")

    with pytest.raises(InferenceError, match="out of order"):
        list(Stream(ListSource([frame(0)]), fail))
    assert not networks_alive()


def test_leaving_early_ends_the_threads():
    source = ListSource([frame(index) for index in range(5000)])
    with Stream(source, ChainPrediction()) as stream:
        next(stream)
    assert source.closed.is_set()
    assert source.given < 100  # nothing runs far ahead
    assert not networks_alive()
    assert list(stream) == []


def test_a_forgotten_stream_ends_too():
    source = ListSource([frame(index) for index in range(5000)])
    stream = Stream(source, ChainPrediction())
    next(stream)
    gone = weakref.ref(stream)
    del stream
    gc.collect()
    assert gone() is None
    assert source.closed.is_set()
    assert not networks_alive()


def test_who_is_slow_gets_the_latest_frame_of_a_live_source():
    items = [frame(index) for index in range(60)]
    source = ListSource(items, is_live=True, pause_s=0.005)
    with Stream(source, ChainPrediction()) as stream:
        first = next(stream).index
        time.sleep(0.1)
        second = next(stream).index
        assert second - first >= 5
        assert stream.report.dropped_frames >= second - first - 2


def test_networks_and_caller_overlap():
    """Each takes 0.4 s; one after the other it would be 0.8 s."""
    source = ListSource([frame(index) for index in range(32)])
    predict = ChainPrediction(delay_s=0.05)
    began = time.perf_counter()
    for _ in Stream(source, predict, StreamSettings(batch_frames=4)):
        time.sleep(0.0125)
    assert len(predict.batches) == 8
    assert time.perf_counter() - began < 0.75


def test_time_stamps_that_run_backwards_do_not_stop_the_tracker():
    frames = [Frame(i, t, frame(i).image_bgr) for i, t in enumerate((0.0, 0.2, 0.1, 0.3))]
    settings = StreamSettings(tracker=TrackerSettings(), smoother=SmootherSettings())
    got = list(Stream(ListSource(frames), ChainPrediction(), settings))
    assert [each.time_s for each in got] == [0.0, 0.2, 0.1, 0.3]
    assert all(each.result.ids.tolist() == [1] for each in got)


class Numbering:
    """Numbers the persons of each frame, and remembers what it was shown."""

    def __init__(self):
        self.seen = []

    def update(self, result, *, time_s):
        self.seen.append((time_s, len(result), result.ids))
        return replace(result, ids=np.arange(len(result)) + 40)


@pytest.mark.parametrize("smooth", [False, True])
def test_a_tracker_of_the_caller_s_own(predictor, astronaut, smooth):
    times_s = (0.0, 0.2, 0.1)
    frames = [
        replace(each, time_s=time_s)
        for each, time_s in zip(walk(astronaut, 3), times_s, strict=True)
    ]
    tracker = Numbering()
    with predictor.stream(
        ListSource(frames), track=tracker, smooth=smooth, max_persons=1
    ) as stream:
        got = list(stream)
    assert [each.result.ids.tolist() for each in got] == [[40], [40], [40]]
    assert tracker.seen == [(0.0, 1, None), (0.2, 1, None), (0.2, 1, None)]


def test_what_is_no_tracker_is_refused_before_anything_is_read(predictor):
    with pytest.raises(InvalidArgumentError, match="a tracker is True, TrackerSettings or"):
        predictor.stream(ListSource([frame(0)]), track="bytetrack")


def test_no_frame_at_all():
    assert list(Stream(ListSource([]), ChainPrediction())) == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"detect_every": 0}, "detect_every is 0"),
        ({"detect_every": 2.5}, "detect_every is 2.5"),
        ({"batch_frames": 0}, "batch_frames is 0"),
        ({"max_persons": 0}, "max_persons is 0"),
        ({"on_error": "ignore"}, "on_error is 'ignore'"),
        ({"stride": 2}, "is open already"),
    ],
)
def test_impossible_arguments(predictor, arguments, complaint):
    with pytest.raises(InvalidArgumentError, match=complaint):
        predictor.stream(ListSource([frame(0)]), **arguments)


@pytest.mark.parametrize("prefer", ["score", "largest"])
def test_max_persons_without_a_tracker_keeps_those_the_detector_prefers(astronaut, prefer):
    """The second portrait is larger and out of focus, and the detector less sure of it."""
    portrait = read_image(astronaut)
    image = np.full((800, 1400, 3), 114, np.uint8)
    image[40:552, 20:532] = portrait
    image[16:784, 600:1368] = cv2.GaussianBlur(cv2.resize(portrait, (768, 768)), (0, 0), 8)
    frames = [Frame(index, index / 25, image) for index in range(2)]
    with Predictor(threads=1) as everybody:
        found = everybody(image)
    chosen = {"score": found.box_scores, "largest": box_areas(found.boxes_xyxy)}
    assert chosen["score"].argmax() != chosen["largest"].argmax()
    with (
        Predictor(threads=1, prefer=prefer) as predictor,
        predictor.stream(ListSource(frames), max_persons=1, detect_every=2) as stream,
    ):
        results = [each.result for each in stream]
    assert [len(result) for result in results] == [1, 1]
    wanted = found.boxes_xyxy[chosen[prefer].argmax()]
    np.testing.assert_array_equal(results[0].boxes_xyxy, wanted[None])


def test_without_detector():
    with Predictor(detector=None, threads=1) as pose_only:
        with pytest.raises(InvalidArgumentError, match="whole_image=True"):
            pose_only.stream(ListSource([frame(0)]))
        (got,) = pose_only.stream(ListSource([frame(0)]), whole_image=True)
        np.testing.assert_array_equal(got.result.boxes_xyxy, [[0, 0, 64, 48]])


def test_smoothing_needs_a_tracker():
    with pytest.raises(InvalidArgumentError, match="give a tracker"):
        StreamSettings(smoother=SmootherSettings())


@pytest.mark.parametrize(
    ("size_wh", "detect_every", "is_live", "frames"),
    [
        ((1280, 720), 5, False, 20),
        ((1280, 720), 1, False, 4),
        ((1920, 1080), 5, False, 15),
        ((3840, 2160), 5, False, 1),  # one batch would be 41 million pixels
        ((1280, 720), 5, True, 1),
    ],
)
def test_frames_worked_on_together(size_wh, detect_every, is_live, frames):
    settings = StreamSettings(detect_every=detect_every)
    assert settings.window_frames(size_wh, is_live=is_live) == frames


def test_pixels_that_are_not_square_are_said(predictor, astronaut):
    """DV and AVCHD are stored squeezed; whoever measures in points has to know."""
    source = ListSource(walk(astronaut, 2))
    source.pixel_aspect_ratio = Fraction(64, 45)
    with predictor.stream(source) as stream:
        (first, second) = (each.result.notes for each in stream)
    said = "points are in stored pixels, which are shown 1.422 times as wide as high"
    assert first == second == (said,)
    with predictor.stream(ListSource(walk(astronaut, 1))) as stream:
        assert next(iter(stream)).result.notes == ()


def test_a_cut_leaves_no_skeleton_on_what_is_shown_next(predictor, astronaut, tmp_path):
    """The followed box after a cut had a skeleton with a mean score of .02 on the background."""
    pytest.importorskip("av")
    shown = cv2.resize(read_image(astronaut), (256, 256), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(0).normal(114, 40, shown.shape).astype(np.float32)
    empty = cv2.GaussianBlur(noise, (0, 0), 3).clip(0, 255).astype(np.uint8)
    with VideoWriter(tmp_path / "cut.mp4", frame_rate=25) as writer:
        for image_bgr in [shown] * 7 + [empty] * 6:
            writer.write(image_bgr)
    with predictor.stream(tmp_path / "cut.mp4", detect_every=5) as stream:
        assert [len(found.result) for found in stream] == [1] * 7 + [0] * 6
        assert stream.report.searched_frames == 4
