import json

import numpy as np
import pytest
from format_samples import FLOATS, full, ramp
from hypothesis import given, settings
from hypothesis import strategies as st

from dwpose_infer import keypoints as kp
from dwpose_infer.errors import FormatError, InvalidArgumentError
from dwpose_infer.files.json_text import dump, parse
from dwpose_infer.formats import openpose
from dwpose_infer.results import PoseResult

LENGTHS = {
    "face_keypoints_2d": 210,
    "hand_left_keypoints_2d": 63,
    "hand_right_keypoints_2d": 63,
    "pose_keypoints_3d": 0,
    "face_keypoints_3d": 0,
    "hand_left_keypoints_3d": 0,
    "hand_right_keypoints_3d": 0,
}


def triples(person: dict, name: str) -> list[list[float]]:
    return np.reshape(person[name], (-1, 3)).tolist()


@pytest.mark.parametrize("body", [18, 25])
def test_layout(body):
    document = openpose.result_to_dict(full(2), body=body)
    assert document["version"] == 1.3
    assert (document["canvas_width"], document["canvas_height"]) == (640, 480)
    assert document["dwpose_infer"] == {
        "schema_version": 1,
        "source": "000000000785.jpg",
        "confidence": "real",
    }
    assert len(document["people"]) == 2
    for index, person in enumerate(document["people"]):
        assert person["person_id"] == [7 + index]
        assert len(person["pose_keypoints_2d"]) == 3 * body
        assert {name: len(person[name]) for name in LENGTHS} == LENGTHS
        assert all(type(value) is float for value in person["pose_keypoints_2d"])


def test_numbers():
    person = openpose.result_to_dict(ramp(1))["people"][0]
    assert person["person_id"] == [-1]
    pose = triples(person, "pose_keypoints_2d")
    assert pose[0] == [0.5, 0.25, 0.005]  # nose
    assert pose[1] == [6.0, 11.25, 0.03]  # neck between shoulders 5 and 6
    assert pose[2] == [6.5, 12.25, 0.035]  # right shoulder
    assert triples(person, "face_keypoints_2d")[0] == [23.5, 46.25, 0.12]
    assert triples(person, "face_keypoints_2d")[67] == [90.5, 180.25, 0.455]
    assert triples(person, "hand_left_keypoints_2d")[0] == [91.5, 182.25, 0.46]
    assert triples(person, "hand_right_keypoints_2d")[20] == [132.5, 264.25, 0.665]


def test_unknown_size_leaves_the_canvas_out():
    document = openpose.result_to_dict(ramp(1))
    assert set(document) == {"version", "people", "dwpose_infer"}


def test_pupils():
    zero = openpose.result_to_dict(ramp(1))["people"][0]
    assert triples(zero, "face_keypoints_2d")[68:] == [[0, 0, 0], [0, 0, 0]]
    eyes = openpose.result_to_dict(ramp(1), pupils="eyes")["people"][0]
    right, left = triples(eyes, "face_keypoints_2d")[68:]
    assert right == [2.5, 4.25, 0.015]
    assert left == [1.5, 2.25, 0.01]


def test_absent_parts_are_zeros_of_full_length():
    result = ramp(1).masked(parts=["body"])
    person = openpose.result_to_dict(result, pupils="zero")["people"][0]
    assert person["face_keypoints_2d"] == [0.0] * 210
    assert person["hand_left_keypoints_2d"] == [0.0] * 63
    assert person["pose_keypoints_2d"][:2] == [0.5, 0.25]


def test_binary_confidence():
    person = openpose.result_to_dict(ramp(1), confidence="binary")["people"][0]
    assert person["pose_keypoints_2d"] == [0.0] * 54  # the ramp's bodies score 0.085 at most
    face = np.array(triples(person, "face_keypoints_2d"))[:68]
    present = ramp(1).scores[0, kp.FACE] >= 0.3
    assert face[:, 2].tolist() == present.astype(float).tolist()
    assert (face[~present] == 0).all()
    assert (face[present, 0] == ramp(1).keypoints[0, kp.FACE][present, 0]).all()


def test_min_score():
    result = ramp(1)
    person = openpose.result_to_dict(result, min_score=0.05)["people"][0]
    pose = np.array(triples(person, "pose_keypoints_2d"))
    assert pose[0].tolist() == [0, 0, 0]
    assert pose[10].tolist() == [16.5, 32.25, 0.085]  # right ankle
    low = openpose.result_to_dict(result, confidence="binary", min_score=0.0)["people"][0]
    assert low["pose_keypoints_2d"][2::3] == [1.0] * 18


def test_scores_of_zero_or_less_are_absent():
    result = ramp(1)
    result.scores[0, :2] = 0, -0.5
    pose = triples(openpose.result_to_dict(result)["people"][0], "pose_keypoints_2d")
    assert pose[0] == pose[15] == [0, 0, 0]


def test_nobody():
    document = openpose.result_to_dict(PoseResult.empty(image_size=(64, 48)))
    assert document["people"] == []
    read = openpose.result_from_dict(document)
    assert read.keypoints.shape == (0, 133, 2)
    assert read.image_size == (64, 48)
    assert read.ids is None


@pytest.mark.parametrize("body", [18, 25])
def test_read_back(body):
    read = openpose.result_from_dict(openpose.result_to_dict(full(2), body=body))
    carried = np.ones(133, bool)
    carried[kp.FEET] = body == 25
    expected = full(2)
    np.testing.assert_array_equal(read.keypoints[:, carried], expected.keypoints[:, carried])
    np.testing.assert_array_equal(read.scores[:, carried], expected.scores[:, carried])
    assert np.isnan(read.keypoints[:, ~carried]).all()
    assert (read.scores[:, ~carried] == 0).all()
    assert read.keypoints.dtype == read.scores.dtype == np.float32
    assert read.ids.tolist() == [7, 8]
    assert read.image_size == (640, 480)
    assert read.source == "000000000785.jpg"
    assert read.boxes_xyxy is read.box_scores is None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 132), FLOATS, FLOATS, FLOATS), max_size=20))
def test_whatever_is_present_comes_back_exactly(points):
    result = ramp(1, image_size=(10, 10))
    for index, x, y, score in points:
        result.keypoints[0, index], result.scores[0, index] = (x, y), score
    text = dump(openpose.result_to_dict(result, body=25))
    read = openpose.result_from_dict(parse(text, "a.json"))
    present = (result.scores > 0) & ~np.isnan(result.keypoints).any(axis=2)
    present &= (result.keypoints != 0).any(axis=2)
    np.testing.assert_array_equal(read.keypoints[present], result.keypoints[present])
    np.testing.assert_array_equal(read.scores[present], result.scores[present])
    assert np.isnan(read.keypoints[~present]).all()
    assert (read.scores[~present] == 0).all()


def test_file_of_openpose():
    """A file as OpenPose writes it: BODY_25, no canvas, integers as zeros, empty parts."""
    pose = [0] * 75
    pose[0:3] = [582.349, 507.866, 0.845918]
    pose[3 * 22 : 3 * 23] = [300.5, 400.25, 0.5]
    document = {
        "version": 1.3,
        "people": [
            {
                "person_id": [-1],
                "pose_keypoints_2d": pose,
                "face_keypoints_2d": [],
                "hand_left_keypoints_2d": [],
                "hand_right_keypoints_2d": [],
                "pose_keypoints_3d": [],
            }
        ],
    }
    read = openpose.result_from_dict(document)
    assert read.keypoints[0, 0].tolist() == np.float32([582.349, 507.866]).tolist()
    assert read.keypoints[0, kp.KEYPOINT_INDEX["right_big_toe"]].tolist() == [300.5, 400.25]
    assert (~np.isnan(read.keypoints[..., 0])).sum() == 2
    assert read.image_size is read.source is read.ids is None


def test_file_of_controlnet():
    """A list of pictures with null parts, confidences of 1 and a canvas; 68 points of a face."""
    face = [10.0, 20.0, 1.0] * 68
    person = {"pose_keypoints_2d": [5.0, 6.0, 1.0] * 18, "face_keypoints_2d": face}
    person |= {"hand_left_keypoints_2d": None, "hand_right_keypoints_2d": None}
    pictures = [{"people": [person], "canvas_width": 512, "canvas_height": 768}] * 2
    results = openpose.from_document(pictures, origin="a.json")
    assert len(results) == 2
    assert results[0].image_size == (512, 768)
    assert results[0].keypoints[0, 30].tolist() == [10.0, 20.0]
    assert results[0].scores[0, :17].tolist() == [1.0] * 17
    assert np.isnan(results[0].keypoints[0, kp.LEFT_HAND]).all()


def test_fractions_of_the_canvas():
    person = {"pose_keypoints_2d": [0.5, 0.25, 1.0] * 17 + [1.1, -0.1, 1.0]}
    document = {"people": [person], "canvas_width": 640, "canvas_height": 480}
    read = openpose.result_from_dict(document)
    assert read.keypoints[0, 0].tolist() == [320.0, 120.0]
    assert read.keypoints[0, kp.KEYPOINT_INDEX["left_ear"]].tolist() == [704.0, -48.0]
    without_canvas = openpose.result_from_dict({"people": [person]})
    assert without_canvas.keypoints[0, 0].tolist() == [0.5, 0.25]


def test_small_pixels_of_our_own_are_no_fractions():
    result = ramp(1, image_size=(640, 480))
    result = PoseResult(result.keypoints / 200, result.scores, image_size=(640, 480))
    read = openpose.result_from_dict(openpose.result_to_dict(result, body=25))
    np.testing.assert_array_equal(read.keypoints, result.keypoints)


@pytest.mark.parametrize("person_id", [3, [3]])
def test_ids(person_id):
    people = [{"person_id": person_id}, {"person_id": [4]}]
    assert openpose.result_from_dict({"people": people}).ids.tolist() == [3, 4]
    people[1]["person_id"] = [-1]
    assert openpose.result_from_dict({"people": people}).ids is None


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (3, "a.json: an OpenPose picture is a JSON object"),
        ({}, "people is not a list"),
        ({"people": [3]}, "a person is not an object"),
        (
            {"people": [{"pose_keypoints_2d": [1, 2, 3]}]},
            "person 0: pose_keypoints_2d has 3 numbers, expected 3 for each of 18 or 25 ",
        ),
        ({"people": [{"face_keypoints_2d": [0] * 207}]}, "207 numbers, .* 68 or 70 points"),
        ({"people": [{"hand_left_keypoints_2d": [0] * 60}]}, "60 numbers, .* 21 points"),
        ({"people": [{"hand_left_keypoints_2d": "none"}]}, "is not a list of numbers"),
        ({"people": [], "canvas_width": "wide", "canvas_height": 3}, "size of the canvas"),
        ({"people": [], "canvas_width": 0, "canvas_height": 3}, "the canvas has no such size"),
        ({"people": [], "dwpose_infer": {"schema_version": 2}}, "newer release"),
        ([{"people": []}, {}], "a.json, picture 1: people is not a list"),
    ],
)
def test_malformed(document, message):
    with pytest.raises(FormatError, match=message):
        openpose.from_document(document, origin="a.json")


@pytest.mark.parametrize("option", [{"body": 17}, {"pupils": "both"}, {"confidence": "high"}])
def test_bad_options(option):
    with pytest.raises(InvalidArgumentError, match=str(next(iter(option.values())))):
        openpose.result_to_dict(ramp(1), **option)


@pytest.mark.parametrize("results", [[], [ramp(1), ramp(1)]])
def test_one_picture_only(results):
    with pytest.raises(InvalidArgumentError, match=f"one picture, not {len(results)}"):
        openpose.to_document(results)


def test_text_is_strict_json():
    result = ramp(1)
    result.keypoints[0, 5:9] = np.nan
    text = dump(openpose.to_document([result]))
    assert b"NaN" not in text
    assert json.loads(text)["people"][0]["pose_keypoints_2d"][3:6] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("/home/me/l'été/a.jpg", "a.jpg"),
        ("C:\\photos\\a.jpg", "a.jpg"),
        ("https://example.org/x/a.jpg?token=1", "a.jpg"),
        (None, None),
    ],
)
def test_no_folder_names_unless_asked_for(source, name):
    result = full(1, source=source)
    assert openpose.result_to_dict(result)["dwpose_infer"]["source"] == name
    whole = openpose.to_document([result], source="path")
    assert whole["dwpose_infer"]["source"] == source
    with pytest.raises(InvalidArgumentError, match="source is 'all', expected"):
        openpose.result_to_dict(result, source="all")
