"""The way of pictures through networks that are known, and reading ahead."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from dwpose_infer import picture_groups
from dwpose_infer import pipeline as pipeline_module
from dwpose_infer.backends.device import Device
from dwpose_infer.detector import Detector, DetectorOptions
from dwpose_infer.errors import InferenceError, InputError, InvalidArgumentError
from dwpose_infer.estimator import PoseEstimator
from dwpose_infer.given_boxes import given_persons
from dwpose_infer.picture_groups import PictureInput, read_groups
from dwpose_infer.pipeline import Found, Pipeline, open_pipeline
from dwpose_infer.runtime import Runtime
from fake_backend import FakeBackend, spec

BOXES = np.array([[10, 10, 20, 20], [4, 4, 60, 60], [25, 25, 40, 40]], np.float32)
SCORES = np.array([0.9, 0.5, 0.7], np.float32)


def pipeline(*, batches=None, fails=(), **options) -> Pipeline:
    """A detector of the three persons above, and a pose network that sees the top left byte."""
    seen = [] if batches is None else batches

    def detect(images):
        seen.append(("detector", len(images)))
        if any(image[0, 0, 0] in fails for image in images):
            raise InferenceError("the detector failed")
        shape = (len(images), *BOXES.shape)
        return {
            "boxes_xyxy": np.broadcast_to(BOXES, shape),
            "scores": np.broadcast_to(SCORES, shape[:2]),
        }

    def place(crops):
        seen.append(("pose", len(crops)))
        keypoints = np.zeros((len(crops), 133, 2), np.float32)
        return {"keypoints": keypoints, "scores": np.ones((len(crops), 133), np.float32)}

    detector = FakeBackend(
        spec("images", None, 64, 64, 3, dtype=np.uint8),
        spec("boxes_xyxy", None, 3, 4),
        spec("scores", None, 3),
        answer=detect,
    )
    pose = FakeBackend(
        spec("crops", None, 64, 48, 3, dtype=np.uint8),
        spec("keypoints", None, 133, 2),
        spec("scores", None, 133),
        answer=place,
    )
    return Pipeline(Detector(detector, DetectorOptions(**options)), PoseEstimator(pose))


def picture(value: int, side: int = 64, **known) -> PictureInput:
    image = np.full((side, side, 3), value, np.uint8)
    return PictureInput(lambda: image, source=str(value), **known)


def unreadable(name: str) -> PictureInput:
    def read():
        raise InputError(f"{name} is broken")

    return PictureInput(read, source=name)


def test_pictures_share_batches_in_their_order():
    batches = []
    groups = list(pipeline(batches=batches).run([picture(value) for value in range(20)]))
    assert [found.result.source for group in groups for found in group] == [
        str(value) for value in range(20)
    ]
    detected = [count for name, count in batches if name == "detector"]
    posed = [count for name, count in batches if name == "pose"]
    assert detected == [8, 8, 4]
    assert posed == [16, 8, 16, 8, 12]
    assert all(found.image_bgr is None for group in groups for found in group)


def test_large_pictures_are_searched_one_by_one(monkeypatch):
    monkeypatch.setattr(picture_groups, "GROUP_PIXELS", 64 * 64)
    batches = []
    list(pipeline(batches=batches).run([picture(value) for value in range(3)]))
    assert [count for name, count in batches if name == "detector"] == [1, 1, 1]


@pytest.mark.parametrize("ahead", [True, False])
def test_an_error_of_reading_is_its_picture_s_alone(ahead):
    pictures = [picture(1), unreadable("b"), picture(3)]
    (group,) = pipeline().run(pictures, on_error="return", read_ahead=ahead)
    assert [type(found) for found in group] == [Found, InputError, Found]
    with pytest.raises(InputError, match="b is broken"):
        list(pipeline().run(pictures, read_ahead=ahead))


def test_an_error_of_the_networks_is_its_group_s():
    pictures = [picture(value) for value in range(10)]
    groups = list(pipeline(fails=(9,)).run(pictures, on_error="return", keep_images=True))
    assert [isinstance(found, Found) for group in groups for found in group] == [True] * 8 + [
        False,
        False,
    ]
    assert groups[0][3].image_bgr[0, 0, 0] == 3
    with pytest.raises(InferenceError):
        list(pipeline(fails=(9,)).run(pictures))


def test_nothing_readable_asks_no_network():
    batches = []
    (group,) = pipeline(batches=batches).run([unreadable("a")], on_error="return")
    assert isinstance(group[0], InputError) and batches == []


@pytest.mark.parametrize(
    ("prefer", "kept"), [("score", [0, 2]), ("largest", [2, 1]), ("center", [2, 1])]
)
def test_who_is_kept(prefer, kept):
    """They stay in the order of their scores."""
    for chosen in (
        pipeline(prefer=prefer).keeping(2),
        pipeline(prefer=prefer, max_persons=2).keeping(3),
        pipeline(prefer=prefer, max_persons=2),
    ):
        ((found,),) = chosen.run([picture(1)])
        np.testing.assert_array_equal(found.result.boxes_xyxy, BOXES[kept])
    ((found,),) = pipeline(prefer=prefer).run([picture(1)])
    np.testing.assert_array_equal(found.result.boxes_xyxy, BOXES[[0, 2, 1]])
    with pytest.raises(InvalidArgumentError, match="score, largest, center"):
        DetectorOptions(prefer="tallest")


def test_known_persons_are_not_searched_and_all_kept():
    batches = []
    known = picture(1, persons=given_persons(BOXES))
    ((found,),) = pipeline(batches=batches).keeping(1).run([known])
    assert len(found.result) == 3 and batches == [("pose", 3)]


def test_boxes_alone():
    detector = pipeline().detector
    (group,) = Pipeline(detector, None).run([picture(1), picture(2)])
    for found in group:
        np.testing.assert_array_equal(found.result.boxes_xyxy, BOXES[[0, 2, 1]])
        assert np.isnan(found.result.keypoints).all() and not found.result.scores.any()


def test_reading_goes_on_meanwhile_but_not_far():
    read = []

    def reader(value):
        return lambda: read.append(value) or np.zeros((4, 4, 3), np.uint8)

    pictures = [PictureInput(reader(value)) for value in range(30)]
    groups = read_groups(pictures, on_error="raise", ahead=True)
    next(groups)
    until = time.monotonic() + 5
    wanted = picture_groups.GROUP_PICTURES + picture_groups.READ_AHEAD
    while len(read) < wanted and time.monotonic() < until:
        time.sleep(0.01)
    assert wanted <= len(read) <= wanted + 1
    groups.close()
    assert read == sorted(read)


def test_reading_ahead_waits_while_large_pictures_are_not_taken(monkeypatch):
    monkeypatch.setattr(picture_groups, "GROUP_PIXELS", 16)
    read = []

    def reader(value):
        return lambda: read.append(value) or np.zeros((4, 4, 3), np.uint8)

    groups = read_groups(
        [PictureInput(reader(value)) for value in range(10)], on_error="raise", ahead=True
    )
    next(groups)
    time.sleep(0.2)
    assert len(read) <= 2  # the one taken, and one that fills what may lie ahead
    assert len(list(groups)) == 9 and read == list(range(10))


def test_leaving_early_ends_the_thread():
    groups = read_groups([picture(value) for value in range(30)], on_error="raise", ahead=True)
    next(groups)
    groups.close()
    until = time.monotonic() + 5
    while any("read pictures" in each.name for each in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("on_error", ["return", "raise"])
def test_overlap_changes_nothing_but_the_threads(on_error):
    pictures = [picture(value) for value in range(40)]
    if on_error == "return":
        pictures[9] = unreadable("9")
    threads = set()
    plain = pipeline()
    overlapped = replace(pipeline(), overlap=True)
    place = overlapped.estimator.backend.answer

    def placed(crops):
        threads.add(threading.current_thread().name)
        return place(crops)

    overlapped.estimator.backend.answer = placed
    expected = [each for group in plain.run(pictures, on_error=on_error) for each in group]
    found = [each for group in overlapped.run(pictures, on_error=on_error) for each in group]
    assert [type(each) for each in found] == [type(each) for each in expected]
    assert len(found) == 40
    for one, other in zip(found, expected, strict=True):
        if isinstance(one, Found):
            assert one.result.source == other.result.source
            np.testing.assert_array_equal(one.result.keypoints, other.result.keypoints)
    assert all(name.startswith("keypoints") for name in threads)


def test_overlap_ends_its_thread_where_nobody_goes_on():
    groups = replace(pipeline(), overlap=True).run([picture(value) for value in range(40)])
    next(groups)
    groups.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("keypoints")]


def test_overlap_raises_what_the_pose_network_raises():
    broken = replace(pipeline(), overlap=True)

    def fail(_crops):
        raise InferenceError("the pose network failed")

    broken.estimator.backend.answer = fail
    with pytest.raises(InferenceError, match="pose network failed"):
        list(broken.run([picture(value) for value in range(40)]))


@pytest.mark.parametrize(("device", "said"), [("cuda", 1), ("cpu", 0)])
def test_what_a_gpu_takes_first_is_said_once(device, said, monkeypatch, capsys):
    networks, asked = pipeline(), []
    backends = {"detector": networks.detector.backend, "pose": networks.estimator.backend}
    monkeypatch.setattr(pipeline_module, "check_backend", lambda *_: Device(device))
    monkeypatch.setattr(
        pipeline_module,
        "open_networks",
        lambda models, *_, **how: asked.append(how) or {kind: backends[kind] for kind in models},
    )
    for progress in (True, False):
        opened = open_pipeline("p", "d", Runtime(progress=progress), DetectorOptions())
        assert opened.overlap == asked[-1]["side_by_side"] == (device == "cuda")
    assert capsys.readouterr().err.count("preparing the GPU") == said
