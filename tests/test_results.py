from __future__ import annotations

import copy
import pickle

import cv2
import numpy as np
import pytest
from format_samples import assert_same, full, ramp

from dwpose_infer import keypoints as kp
from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.results import PoseResult


@pytest.fixture
def result(rng):
    return PoseResult(
        keypoints=rng.uniform(0, 500, (3, 133, 2)).astype(np.float32),
        scores=rng.uniform(0.31, 1, (3, 133)).astype(np.float32),
        boxes_xyxy=rng.uniform(0, 500, (3, 4)).astype(np.float32),
        box_scores=np.array([0.9, 0.8, 0.7], np.float32),
        ids=np.array([4, 2, 9]),
        image_size=(640, 480),
    )


def test_persons_and_parts(result):
    assert len(result) == 3
    person = result[1]
    np.testing.assert_array_equal(person.keypoints, result.keypoints[1])
    assert person.id == 2
    assert person.box_score == pytest.approx(0.8)
    for name, size in [("body", 17), ("feet", 6), ("face", 68)]:
        assert len(getattr(person, name)) == size
    assert person.left_hand.names[0] == "left_hand_root"
    np.testing.assert_array_equal(person.right_hand.keypoints, result.keypoints[1, 112:])
    assert [p.id for p in result] == [4, 2, 9]


def test_empty():
    empty = PoseResult.empty(image_size=(10, 20))
    assert len(empty) == 0
    assert empty.keypoints.shape == (0, 133, 2)
    assert empty.boxes_xyxy.shape == (0, 4)
    assert empty.persons == []


def test_shapes_are_checked():
    with pytest.raises(InvalidArgumentError, match=r"scores has shape \(2, 17\)"):
        PoseResult(np.zeros((2, 133, 2), np.float32), np.zeros((2, 17), np.float32))
    with pytest.raises(InvalidArgumentError, match="boxes_xyxy"):
        PoseResult(
            np.zeros((2, 133, 2), np.float32),
            np.zeros((2, 133), np.float32),
            boxes_xyxy=np.zeros((1, 4), np.float32),
        )


def test_select(result):
    picked = result.select([2, 0])
    assert picked.ids.tolist() == [9, 4]
    assert picked.image_size == (640, 480)
    assert len(result.select(slice(0, 2))) == 2
    assert len(result.select(result.box_scores > 0.75)) == 2
    assert len(result.select([])) == 0


def test_masked_by_part_and_score(result):
    result.scores[0, 5] = 0.1
    masked = result.masked(parts=["body", "left_hand"], min_score=0.3)
    assert np.isnan(masked.keypoints[0, 5]).all()
    assert masked.scores[0, 5] == 0
    for name, span in kp.PARTS.items():
        shown = np.isfinite(masked.keypoints[1, span]).all()
        assert shown == (name in ("body", "left_hand"))
    assert np.isfinite(result.keypoints).all()


def test_unknown_part(result):
    with pytest.raises(InvalidArgumentError, match="the parts are body, feet"):
        result.masked(parts=["tail"])
    with pytest.raises(InvalidArgumentError, match="unknown part"):
        result[0].part("tail")


def test_weak_hands_are_dropped_one_by_one(result):
    result.scores[0, kp.LEFT_WRIST] = 0.1  # wrist not seen
    result.scores[1, kp.RIGHT_HAND] = 0.2  # hand not seen
    kept = result.without_weak_hands()
    assert np.isnan(kept.keypoints[0, kp.LEFT_HAND]).all()
    assert np.isfinite(kept.keypoints[0, kp.RIGHT_HAND]).all()
    assert np.isnan(kept.keypoints[1, kp.RIGHT_HAND]).all()
    assert np.isfinite(kept.keypoints[2]).all()
    np.testing.assert_array_equal(kept.keypoints[:, :91], result.keypoints[:, :91])
    assert np.isnan(result.without_weak_hands(min_mean_score=2).keypoints[:, 91:]).all()


def test_results_print_in_a_line():
    result = full(2, source="photo.jpg")
    assert repr(result) == "PoseResult(2 persons, 640x480 pixels, ids 7, 8, source 'photo.jpg')"
    assert repr(result[1]) == (
        "Person(id 8, box [1.1, 1.2, 51.3, 81.4], box score 0.80, 133 of 133 points)"
    )
    hidden = result.masked(parts=["body"])[0]
    assert repr(hidden.left_hand) == "Part(left_hand, 0 of 21 points)"
    assert repr(ramp(1)) == "PoseResult(1 person)"
    assert repr(ramp(1)[0]) == "Person(133 of 133 points)"
    assert repr(full(100)).count(",") < 15


def test_results_and_persons_are_pickled_whole():
    result = full(2)
    again = pickle.loads(pickle.dumps(result))
    assert_same(again, result)
    assert_same(copy.deepcopy(ramp(1)), ramp(1))
    person = pickle.loads(pickle.dumps(result[1]))
    np.testing.assert_array_equal(person.keypoints, result[1].keypoints)
    assert (person.id, person.box_score) == (8, result[1].box_score)


def shown(result):
    data = result._repr_png_()
    return None if data is None else cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def test_a_notebook_shows_the_picture_or_an_empty_canvas(tmp_path):
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), np.full((900, 1200, 3), 90, np.uint8))
    over = shown(PoseResult.empty(image_size=(1200, 900), source=str(path)))
    assert over.shape == (600, 800, 3)
    assert np.unique(over).tolist() == [90]
    for source in (None, "https://example.org/a.jpg", str(tmp_path / "gone.png")):
        canvas = shown(PoseResult.empty(image_size=(640, 480), source=source))
        assert canvas.shape == (480, 640, 3)
        assert canvas.max() == 0
    assert shown(full(1, source=None)).max() > 0
    other = PoseResult.empty(image_size=(640, 480), source=str(path))  # it has changed since
    assert shown(other).max() == 0
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"no picture")
    assert shown(PoseResult.empty(image_size=(64, 48), source=str(clip))).max() == 0
    assert shown(ramp(1)) is None
