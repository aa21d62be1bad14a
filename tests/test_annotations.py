"""Reading annotation files: what comes back, and what a damaged file is told."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from dwpose_infer.annotations import read_annotations
from dwpose_infer.errors import FormatError, InputError
from dwpose_infer.layouts import WHOLEBODY_133

SIZES = {
    "keypoints": 17,
    "foot_kpts": 6,
    "face_kpts": 68,
    "lefthand_kpts": 21,
    "righthand_kpts": 21,
}


def person(number: int, image_id: int = 7) -> dict:
    """A person whose points count up: x = 1000 * number + index, y = -x, v = 2."""
    points = iter(range(133))
    fields = {}
    for field, count in SIZES.items():
        xs = [1000 * number + next(points) for _ in range(count)]
        fields[field] = [value for x in xs for value in (x + 0.25, -x, 2)]
    return {"id": number, "image_id": image_id, "category_id": 1, "bbox": [1, 2, 30, 40], **fields}


@pytest.fixture
def document() -> dict:
    images = [
        {"id": 3, "file_name": "sub/ä.jpg", "width": 640, "height": 480, "source": "somewhere"},
        {"id": 7, "file_name": "b.jpg"},
    ]
    extra = {"area": 99.5, "iscrowd": 1, "num_keypoints": 4, "face_valid": False, "label": "hand"}
    return {"images": images, "annotations": [person(1), {**person(2, image_id=3), **extra}]}


def save(tmp_path, document):
    path = tmp_path / "labels.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_every_field_arrives(tmp_path, document):
    labels = read_annotations(save(tmp_path, document), dtype="float64")
    assert len(labels) == 2
    assert labels.image_ids.tolist() == [3, 7]
    assert [labels.file_name(index) for index in (0, 1)] == ["sub/ä.jpg", "b.jpg"]
    assert labels.sizes_wh.tolist() == [[640, 480], [0, 0]]
    assert labels.sources.tolist() == ["somewhere", ""]
    assert labels.ids.tolist() == [1, 2]
    assert labels.image_indices.tolist() == [1, 0]
    expected = 1000 * np.array([[1], [2]]) + np.arange(133)
    np.testing.assert_array_equal(labels.keypoints[..., 0], expected + 0.25)
    np.testing.assert_array_equal(labels.keypoints[..., 1], -expected)
    assert (labels.keypoints[..., 2] == 2).all()
    assert labels.boxes_xywh.tolist() == [[1, 2, 30, 40]] * 2
    assert labels.areas.tolist() == [1200, 99.5]
    assert labels.is_crowd.tolist() == [False, True]
    assert labels.num_keypoints.tolist() == [17, 4]
    assert labels.valid.tolist() == [[True] * 4, [True, False, True, True]]
    assert labels.labels.tolist() == ["", "hand"]


def test_float32_unless_asked_otherwise(tmp_path, document):
    assert read_annotations(save(tmp_path, document)).keypoints.dtype == np.float32


def test_select_keeps_pictures_and_order(tmp_path, document):
    labels = read_annotations(save(tmp_path, document))
    assert labels.select([1, 0]).ids.tolist() == [2, 1]
    assert labels.select(labels.is_crowd).ids.tolist() == [2]
    nobody = labels.select([])
    assert (len(nobody), nobody.keypoints.shape, len(nobody.image_ids)) == (0, (0, 133, 3), 2)


def test_other_categories_are_left_out(tmp_path, document):
    document["annotations"][0] = {"id": 1, "category_id": 18}
    assert read_annotations(save(tmp_path, document)).ids.tolist() == [2]


@pytest.mark.parametrize(
    ("categories", "number"),
    [
        ([{"id": 0, "name": "person"}], 0),
        ([{"id": 1, "name": "dog"}, {"id": 2, "name": "Person "}], 2),
        ([{"id": 4, "name": "skier"}], 4),  # the only one
        ([{"id": 1, "name": "person"}], 1),
        ([], 1),
    ],
)
def test_the_category_of_persons_is_found_by_its_name(
    tmp_path, document, caplog, categories, number
):
    for entry in document["annotations"]:
        entry["category_id"] = number
    other = {"id": 9, "category_id": number + 1}
    document["annotations"].append(other)
    document["categories"] = categories
    assert read_annotations(save(tmp_path, document)).ids.tolist() == [1, 2]
    assert (f"persons are of category {number} there" in caplog.text) == (number != 1)


def test_labels_without_persons_name_their_categories(tmp_path, document):
    document["categories"] = [{"id": 3, "name": "cat"}, {"id": 5, "name": "dog"}]
    with pytest.raises(FormatError, match=r"lists 3 \('cat'\), 5 \('dog'\)"):
        read_annotations(save(tmp_path, document))
    document["categories"] = [{"id": 2, "name": "person"}]
    with pytest.raises(FormatError, match=r"none of its 2 annotations is of category 2"):
        read_annotations(save(tmp_path, document))
    document["categories"] = [{"id": "2", "name": "person"}]
    with pytest.raises(FormatError, match="category number 0: id is '2'"):
        read_annotations(save(tmp_path, document))


def test_no_persons_at_all(tmp_path):
    labels = read_annotations(save(tmp_path, {"images": [], "annotations": []}))
    assert (len(labels), labels.keypoints.shape) == (0, (0, 133, 3))


def broken(document: dict, entry: str, index: int, **fields: object) -> dict:
    document = copy.deepcopy(document)
    document[entry][index].update(fields)
    return document


@pytest.mark.parametrize(
    ("entry", "fields", "message"),
    [
        ("annotations", {"image_id": 5}, "annotation 2: there is no image 5"),
        ("annotations", {"image_id": "3"}, "annotation 2: image_id is '3'"),
        ("annotations", {"id": None}, "annotation number 1: id is None"),
        ("annotations", {"keypoints": [0] * 50}, "2: keypoints has 50 numbers, expected 51"),
        ("annotations", {"face_kpts": ["a"] * 204}, "2: face_kpts is not a list of numbers"),
        ("annotations", {"bbox": [1, 2, 3]}, "2: bbox has 3 numbers, expected 4"),
        ("annotations", {"area": None}, "2: area holds numbers that are not finite"),
        ("images", {"file_name": 5}, "image 7: file_name is 5"),
        ("images", {"width": 1.5}, "image 7: width is 1.5"),
        ("images", {"id": 3}, "two images have the same id"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, document, entry, fields, message):
    path = save(tmp_path, broken(document, entry, 1, **fields))
    with pytest.raises(FormatError, match=message) as caught:
        read_annotations(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(("points", "parts"), [(17, 1), (23, 2), (133, 5)])
def test_points_in_one_list(tmp_path, document, caplog, points, parts):
    """Own data often have one list: the body, body and feet, or everything."""
    for entry in document["annotations"]:
        flat = [value for field in SIZES for value in entry.pop(field)]
        entry["keypoints"] = flat[: 3 * points]
    labels = read_annotations(save(tmp_path, document))
    assert (labels.keypoints[:, :points, 2] == 2).all()
    assert not labels.keypoints[:, points:].any()
    expected = [[part < parts for part in range(1, 5)]] * 2
    expected[1] = [known and column != 1 for column, known in enumerate(expected[1])]
    assert labels.valid.tolist() == expected  # the second's face is not valid by its own word
    said = [
        record.message for record in caplog.records if "taken as not labelled" in record.message
    ]
    assert len(said) == 5 - parts
    assert all("2 of 2 persons have no points of the part" in line for line in said)


def test_other_numbers_of_points_are_refused(tmp_path, document):
    entry = document["annotations"][0]
    flat = [value for field in SIZES for value in entry.pop(field)]
    entry["keypoints"] = flat[: 3 * 14]
    with pytest.raises(
        FormatError, match=r"annotation 1: keypoints has 14 points.*17.*23.*133.*26"
    ):
        read_annotations(save(tmp_path, document))


def test_a_missing_area_is_said(tmp_path, document, caplog):
    assert read_annotations(save(tmp_path, document)).areas.tolist() == [1200, 99.5]
    assert "1 of 2 persons have no area" in caplog.text
    assert "no points of the part" not in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [', "truncated"),
        ("[]", "Expected `object`, got `array`"),
        ('{"images": []}', "no list 'annotations'"),
        ('{"images": {}, "annotations": []}', "images: Expected `array`"),
        ('{"images": [3], "annotations": []}', "image number 0: Expected `object`"),
        ('{"images": [], "annotations": [{"id": }]}', "labels.json: JSON is malformed"),
    ],
)
def test_a_malformed_file_is_named(tmp_path, text, message):
    with pytest.raises(FormatError, match=message):
        read_annotations(save(tmp_path, text))


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.json"):
        read_annotations(tmp_path / "nothing.json")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ({"id": 2**63}, "id is a number of more than 64 bits"),
        ({"width": 2**31}, "width is a number of more than 32 bits"),
    ],
)
def test_values_that_no_array_holds(tmp_path, image, message):
    path = tmp_path / "labels.json"
    entry = {"id": 1, "file_name": "1.jpg", "width": 8, "height": 8, **image}
    path.write_text(json.dumps({"images": [entry], "annotations": []}))
    with pytest.raises(FormatError, match=message):
        read_annotations(path)


def test_labels_of_halpe_points(tmp_path, document, caplog):
    index = np.arange(26.0)
    for number, entry in enumerate(document["annotations"]):
        for field in SIZES:
            entry.pop(field, None)
        triples = np.stack([index, index + 100 * number, np.full(26, 2.0)], axis=1)
        entry["keypoints"] = triples.ravel().tolist()
    path = save(tmp_path, document)
    labels = read_annotations(path)
    assert labels.keypoints.shape == (2, 26, 3) and labels.layout.name == "halpe-26"
    assert "no points of the part" not in caplog.text
    whole = labels.in_layout(WHOLEBODY_133)
    assert whole.keypoints[0, 17:23, 0].tolist() == [20, 22, 24, 21, 23, 25]
    assert not whole.keypoints[:, 23:].any()
    assert "3 of its 26 points are left out (head, neck, hip)" in caplog.text
    document["annotations"][1]["keypoints"] = [1.0, 2.0, 2.0] * 17
    with pytest.raises(FormatError, match="annotation 2: keypoints has 51 numbers, expected 78"):
        read_annotations(save(tmp_path, document))


def test_whose_areas_are_taken(tmp_path, document):
    assert read_annotations(save(tmp_path, document)).area_rule == "mixed"  # only one has it
    document["annotations"][0]["area"] = 700
    assert read_annotations(save(tmp_path, document)).area_rule == "labels"
    for entry in document["annotations"]:
        del entry["area"]
    assert read_annotations(save(tmp_path, document)).area_rule == "boxes"
