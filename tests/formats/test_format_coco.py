import json

import numpy as np
import pytest
from format_samples import FLOATS, full, ramp
from hypothesis import given, settings
from hypothesis import strategies as st

from dwpose_infer.errors import FormatError, InputError, InvalidArgumentError
from dwpose_infer.files.json_text import dump, parse
from dwpose_infer.formats import coco, load, save
from dwpose_infer.formats.image_ids import ImageIds, id_from_name, ids_and_names
from dwpose_infer.results import PoseResult

FIELDS = {
    "keypoints": (0, 17),
    "foot_kpts": (17, 23),
    "face_kpts": (23, 91),
    "lefthand_kpts": (91, 112),
    "righthand_kpts": (112, 133),
}


def reference_score(box_score: float, scores: list[float]) -> float:
    counted = [score for score in scores if score > float(np.float32(0.2))]
    return box_score * sum(counted) / len(counted) if counted else 0.0


def test_instance_score():
    scores = np.zeros((3, 133), np.float32)
    scores[0, :4] = 0.2, 0.4, 0.6, 0.1  # of these, 0.4 and 0.6 count
    scores[1] = 0.1
    scores[2] = np.linspace(-0.2, 1.2, 133)
    boxes = np.array([0.5, 0.9, 0.25], np.float32)
    expected = [
        reference_score(float(box), [float(score) for score in row])
        for box, row in zip(boxes, scores, strict=True)
    ]
    np.testing.assert_allclose(coco.instance_score(scores, boxes), expected, rtol=1e-7)
    np.testing.assert_allclose(coco.instance_score(scores)[:2], [0.5, 0.0], rtol=1e-6)
    assert coco.instance_score(scores[:0]).shape == (0,)
    assert coco.instance_score(scores[:1], threshold=0.5).tolist() == [float(np.float32(0.6))]


def test_layout():
    result = full(2)
    persons = coco.to_document([result])
    assert [list(person) for person in persons] == [
        ["image_id", "category_id", *FIELDS, "score"]
    ] * 2
    for index, person in enumerate(persons):
        assert person["image_id"] == 785
        assert person["category_id"] == 1
        for field, (start, stop) in FIELDS.items():
            triples = np.reshape(person[field], (stop - start, 3)).astype(np.float32)
            np.testing.assert_array_equal(triples[:, :2], result.keypoints[index, start:stop])
            np.testing.assert_array_equal(triples[:, 2], result.scores[index, start:stop])
        expected = reference_score(float(result.box_scores[index]), result.scores[index].tolist())
        assert person["score"] == pytest.approx(expected, rel=1e-6)
    assert persons[1]["keypoints"][:3] == [100.5, 1000.25, 0.005]


def test_boxes_on_demand():
    person = coco.to_document([full(1)], bbox=True)[0]
    np.testing.assert_allclose(person["bbox"], [0.1, 0.2, 50.2, 80.2], rtol=1e-6)
    assert "bbox" not in coco.to_document([ramp(1, source="1.jpg")], bbox=True)[0]


def test_absent_points_are_zeros():
    result = ramp(1, source="1.jpg")
    result.keypoints[0, 3, 0] = np.nan
    assert coco.to_document([result])[0]["keypoints"][6:15] == [
        2.5, 4.25, 0.015, 0.0, 0.0, 0.0, 4.5, 8.25, 0.025,
    ]  # fmt: skip


def test_nobody_and_nothing():
    assert coco.to_document([]) == []
    assert coco.to_document([PoseResult.empty(source="1.jpg"), ramp(1, source="2.jpg")])[0][
        "image_id"
    ] == 2  # fmt: skip


@pytest.mark.parametrize("bbox", [False, True])
def test_read_back(bbox):
    results = [full(2), full(1, source="12.png")]
    document = parse(dump(coco.to_document(results, bbox=bbox)), "a.json")
    read = coco.by_image_id(document)
    assert list(read) == [785, 12]
    for actual, expected in zip(read.values(), results, strict=True):
        np.testing.assert_array_equal(actual.keypoints, expected.keypoints)
        np.testing.assert_array_equal(actual.scores, expected.scores)
        assert actual.box_scores is actual.ids is actual.image_size is None
        if bbox:
            np.testing.assert_array_equal(actual.boxes_xyxy, expected.boxes_xyxy)
        else:
            assert actual.boxes_xyxy is None
    assert [result.source for result in coco.from_document(document, origin="a.json")] == [
        "785",
        "12",
    ]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 132), FLOATS, FLOATS, FLOATS), max_size=20))
def test_whatever_is_present_comes_back_exactly(points):
    result = ramp(1, source="1.jpg")
    for index, x, y, score in points:
        result.keypoints[0, index], result.scores[0, index] = (x, y), score
    read = coco.by_image_id(parse(dump(coco.to_document([result])), "a.json"))[1]
    triples = np.concatenate([result.keypoints, result.scores[..., None]], axis=2)
    present = ~np.isnan(triples).any(axis=2) & (triples != 0).any(axis=2)
    np.testing.assert_array_equal(read.keypoints[present], result.keypoints[present])
    np.testing.assert_array_equal(read.scores[present], result.scores[present])
    assert np.isnan(read.keypoints[~present]).all()
    assert (read.scores[~present] == 0).all()


def test_reads_results_of_17_points():
    person = {"image_id": 5, "category_id": 1, "keypoints": [1.0, 2.0, 0.5] * 17, "score": 0.3}
    read = coco.by_image_id([person])[5]
    assert read.keypoints[0, 16].tolist() == [1.0, 2.0]
    assert np.isnan(read.keypoints[0, 17:]).all()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "COCO results are a list"),
        ([3], "person 0 is not an object"),
        ([{"keypoints": []}], "person 0 has no whole image_id"),
        ([{"image_id": "a.jpg", "keypoints": []}], "person 0 has no whole image_id"),
        ([{"image_id": 1, "bbox": [1, 2, 3, 4]}], "person 0 has no keypoints"),
        (
            [{"image_id": 1, "keypoints": [1, 2, 3]}],
            "image 1: keypoints of person 0 has 3 numbers, expected 51",
        ),
        ([{"image_id": 1, "keypoints": [], "foot_kpts": "x"}], "foot_kpts of person 0 is not"),
        ([{"image_id": 1, "keypoints": [], "bbox": [1, 2, 3]}], "a bbox has not 4 numbers"),
        ([{"image_id": 1, "keypoints": [], "bbox": [3e38, 0, 3e38, 1]}], "beyond the range"),
    ],
)
def test_malformed(document, message):
    with pytest.raises(FormatError, match=message):
        coco.from_document(document, origin="a.json")


IMAGES = [
    {"id": 1, "file_name": "a/cat.jpg"},
    {"id": 2, "file_name": "b/cat.jpg"},
    {"id": 3, "file_name": "dog.jpg"},
    {"id": 4, "file_name": "c/bird.jpg"},
]


@pytest.mark.parametrize(
    ("source", "image_id"),
    [
        ("dog.jpg", 3),
        ("/data/dog.jpg", 3),
        ("C:\\data\\b\\cat.jpg", 2),
        ("./a/cat.jpg", 1),
        ("https://host/b/cat.jpg?size=large", 2),
        ("bird.jpg", 4),
        ("elsewhere/bird.jpg", 4),
    ],
)
def test_ids_by_file_name(source, image_id):
    assert ImageIds.of({"images": IMAGES}).find(source) == image_id


def test_longest_end_wins():
    ids = ImageIds.of({"cat.jpg": 1, "a/cat.jpg": 2})
    assert ids.find("x/a/cat.jpg") == 2
    assert ids.find("x/cat.jpg") == 1


def test_ids_that_cannot_be_told():
    ids = ImageIds.of({"images": IMAGES})
    with pytest.raises(InvalidArgumentError, match=r"2 pictures that cat\.jpg may be \(ids 1, 2\)"):
        ids.find("cat.jpg")
    with pytest.raises(InvalidArgumentError, match=r"no picture named fish\.jpg"):
        ids.find("fish.jpg")


@pytest.mark.parametrize(
    ("source", "image_id"),
    [
        ("000000000785.jpg", 785),
        ("a/12.png", 12),
        ("a\\12.png", 12),
        ("785", 785),
        ("http://host/7.jpg?x=1", 7),
        ("7a.jpg", None),
        ("-7.jpg", None),
        ("²³.jpg", None),
        ("", None),
        ("7/", 7),
    ],
)
def test_id_from_name(source, image_id):
    assert id_from_name(source) == image_id


def test_annotation_file(tmp_path):
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps({"images": IMAGES, "annotations": []}))
    result = ramp(1, source="b/cat.jpg")
    for annotations in (path, str(path), {"images": IMAGES}, {"cat.jpg": 2}):
        assert coco.to_document([result], annotations=annotations)[0]["image_id"] == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "it has no list of images"),
        ('{"images": 3}', "it has no list of images"),
        ('{"images": [{"id": 1}]}', "image 0 lacks a file_name"),
        ('{"images": [{"id": "1", "file_name": "a"}]}', "image 0 lacks a file_name"),
        ("{", "not a JSON file"),
    ],
)
def test_malformed_annotation_file(tmp_path, text, message):
    path = tmp_path / "annotations.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=message):
        coco.to_document([ramp(1, source="1.jpg")], annotations=path)


def test_pictures_whose_names_are_no_numbers(tmp_path):
    results = [full(1, "in/cat.jpg"), PoseResult.empty(source="in/7.jpg"), full(2, "in/dog.jpg")]
    persons = coco.to_document(results)
    assert [(each["image_id"], each["file_name"]) for each in persons] == [
        (1, "cat.jpg"),
        (3, "dog.jpg"),
        (3, "dog.jpg"),
    ]
    path = save(results, tmp_path / "a.json", format="coco")
    assert [each.source for each in load(path)] == ["cat.jpg", "dog.jpg"]
    assert "file_name" not in coco.to_document([ramp(1, source="7.jpg")])[0]
    (person,) = coco.to_document([ramp(1)])
    assert (person["image_id"], person["file_name"]) == (1, "1")


@pytest.mark.parametrize(
    ("sources", "ids", "names"),
    [
        (["a/1.jpg", "a/b/1.jpg"], [1, 2], ["1.jpg", "b/1.jpg"]),
        (["/x/a/1.jpg", "/x/b/1.jpg"], [1, 2], ["a/1.jpg", "b/1.jpg"]),
        (["a/12.jpg", "b/000003.jpg"], [12, 3], ["12.jpg", "000003.jpg"]),
        (["a/12.jpg", "b/12.png"], [1, 2], ["12.jpg", "12.png"]),
        ([None, "x.jpg"], [1, 2], ["1", "x.jpg"]),
        ([], [], []),
    ],
)
def test_ids_and_names_of_a_run(sources, ids, names):
    assert ids_and_names(sources)[:2] == (ids, names)


def test_images_without_an_id(tmp_path):
    known = {"1.jpg": 1, "cat.jpg": 2}
    with pytest.raises(InvalidArgumentError, match="set its source"):
        coco.to_document([ramp(1)], annotations=known)
    with pytest.raises(InvalidArgumentError, match=r"a/1\.jpg and b/1\.jpg both have .* id 1"):
        coco.to_document([ramp(1, source="a/1.jpg"), ramp(1, source="b/1.jpg")], annotations=known)
    with pytest.raises(InputError, match="no such file"):
        coco.to_document([ramp(1, source="1.jpg")], annotations=tmp_path / "none.json")
