import json

import numpy as np
import pytest
from format_samples import assert_same, full, pose_results, ramp
from hypothesis import given, settings
from hypothesis import strategies as st

from dwpose_infer.errors import FormatError
from dwpose_infer.files.json_text import dump, parse
from dwpose_infer.formats import plain_json
from dwpose_infer.results import PoseResult


@settings(max_examples=40, deadline=None)
@given(st.lists(pose_results(points_of=(133, 17, 23, 26)), max_size=2))
def test_nothing_is_lost(results):
    document = parse(dump(plain_json.to_document(results)), "a.json")
    read = plain_json.from_document(document, origin="a.json")
    assert len(read) == len(results)
    for actual, expected in zip(read, results, strict=True):
        assert_same(actual, expected)


def test_layout():
    document = full(2).to_dict()
    assert list(document) == [
        "schema", "schema_version", "keypoint_order", "source", "image_size", "person_fields",
        "persons",
    ]  # fmt: skip
    assert document["schema"] == "dwpose_infer.result"
    assert document["schema_version"] == 1
    assert document["keypoint_order"] == "coco-wholebody-133"
    assert document["source"] == "folder/000000000785.jpg"
    assert document["image_size"] == {"width": 640, "height": 480}
    assert document["person_fields"] == ["id", "box_xyxy", "box_score"]
    second = document["persons"][1]
    assert second["id"] == 8
    assert second["box_xyxy"] == [1.1, 1.2, 51.3, 81.4]
    assert second["box_score"] == 0.8
    assert second["keypoints"][132] == [232.5, 1264.25]
    assert second["scores"][0] == 0.005


def test_unknown_fields_are_null():
    document = ramp(1).to_dict()
    assert document["source"] is document["image_size"] is None
    assert document["person_fields"] == []
    person = document["persons"][0]
    assert person["id"] is person["box_xyxy"] is person["box_score"] is None


def test_absent_points_are_null():
    result = ramp(1)
    result.keypoints[0, 3] = np.nan
    result.keypoints[0, 4] = np.nan, 7
    points = json.loads(json.dumps(result.to_dict(), allow_nan=False))["persons"][0]["keypoints"]
    assert points[3:5] == [None, [None, 7.0]]


def test_nobody_differs_from_nothing_known():
    known = plain_json.result_from_dict(PoseResult.empty().to_dict())
    assert known.boxes_xyxy.shape == (0, 4)
    assert known.box_scores.shape == (0,)
    unknown = plain_json.result_from_dict(ramp(0).to_dict())
    assert unknown.boxes_xyxy is unknown.box_scores is None


def test_one_result_is_no_list():
    assert plain_json.to_document([full()])["schema"] == "dwpose_infer.result"
    several = plain_json.to_document([full(), full()])
    assert several["schema"] == "dwpose_infer.results"
    assert several["schema_version"] == 1
    assert len(several["results"]) == 2


def broken(**changes):
    return {**full(1).to_dict(), **changes}


def broken_person(**changes):
    document = full(1).to_dict()
    document["persons"][0].update(changes)
    return document


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "a result is a JSON object"),
        ({}, "schema is None"),
        (broken(schema_version=2), "newer release"),
        (broken(keypoint_order="openpose"), "keypoint_order is 'openpose'"),
        (broken(source=3), "source is neither"),
        (broken(persons={}), "persons is not a list"),
        (broken(persons=[1]), "a person is not an object"),
        (broken(person_fields=["age"]), "person_fields is not a list of id, box_xyxy, box_score"),
        (broken(image_size=[640, 480]), "image_size is not"),
        (broken(image_size={"width": 640}), "image_size is not"),
        (broken(persons=[{}]), "person 0 has no keypoints"),
        (broken_person(keypoints=[[1, 2]]), r"keypoints of person 0 has the shape \(1, 2\)"),
        (broken_person(scores=["a"] * 133), "scores of person 0 is not a list of numbers"),
        (broken_person(box_xyxy=[1, 2, 3]), "box_xyxy of person 0"),
        (broken_person(box_xyxy=None), "box_xyxy of person 0"),
        (broken_person(box_score="high"), "box_score of person 0"),
        (broken_person(id=2.5), "an id is not a whole number"),
    ],
)
def test_malformed(document, message):
    with pytest.raises(FormatError, match=r"a\.json: .*" + message):
        plain_json.result_from_dict(document, origin="a.json")


def test_malformed_list():
    document = plain_json.to_document([full(), full()])
    document["results"][1]["persons"] = None
    with pytest.raises(FormatError, match=r"a\.json, result 1: persons is not a list"):
        plain_json.from_document(document, origin="a.json")
    with pytest.raises(FormatError, match="results is not a list"):
        plain_json.from_document({**document, "results": 3}, origin="a.json")
