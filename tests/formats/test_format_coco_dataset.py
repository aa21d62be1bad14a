from __future__ import annotations

import json

import numpy as np
import pytest
from format_samples import full, ramp

from dwpose_infer import keypoints as kp
from dwpose_infer.errors import FormatError, InvalidArgumentError
from dwpose_infer.formats import load, save
from dwpose_infer.results import PoseResult


def nobody(source="c.jpg"):
    return PoseResult.empty(image_size=(64, 48), source=source)


@pytest.mark.parametrize("layout", ["wholebody", "one-list"])
def test_points_boxes_and_pictures_come_back(tmp_path, layout):
    results = [full(2, source="in/a.jpg"), nobody(), full(1, source="b.jpg")]
    path = save(results, tmp_path / "a.json", format="coco-dataset", min_score=0.1, layout=layout)
    found = load(path)
    assert [each.source for each in found] == ["a.jpg", "c.jpg", "b.jpg"]
    assert [each.image_size for each in found] == [(640, 480), (64, 48), (640, 480)]
    for each, expected in zip(found, results, strict=True):
        shown = expected.scores >= 0.1
        np.testing.assert_array_equal(each.scores, shown)
        np.testing.assert_array_equal(each.keypoints[shown], expected.keypoints[shown])
        assert np.isnan(each.keypoints[~shown]).all()
        np.testing.assert_allclose(each.boxes_xyxy, expected.boxes_xyxy, rtol=1e-6)
    assert found[0].ids.tolist() == [7, 8]


def test_the_layout_of_coco_wholebody(tmp_path):
    path = save(full(1), tmp_path / "a.json", format="coco-dataset", min_score=0.05)
    document = json.loads(path.read_text())
    assert document["images"] == [
        {"id": 785, "file_name": "000000000785.jpg", "width": 640, "height": 480}
    ]
    (category,) = document["categories"]
    assert category["name"] == "person" and category["keypoints"] == list(kp.BODY_NAMES)
    assert [16, 14] in category["skeleton"]  # COCO counts keypoints from 1
    (person,) = document["annotations"]
    assert person["category_id"] == category["id"] and person["image_id"] == 785
    lengths = {"keypoints": 17, "foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21}
    assert {name: len(person[name]) // 3 for name in lengths} == lengths
    # Point i scores (i + 1) / 200: from point 9 on it is labelled.
    assert person["keypoints"][2::3] == [0] * 9 + [2] * 8
    assert person["keypoints"][:3] == [0, 0, 0] and person["keypoints"][27:30] == [9.5, 18.25, 2]
    assert person["num_keypoints"] == 8
    assert person["foot_valid"] and person["face_valid"]
    x, y, width, height = person["bbox"]
    assert (x, y, width, height) == pytest.approx((0.1, 0.2, 50.2, 80.2), rel=1e-5)
    assert person["area"] == pytest.approx(width * height)


def test_one_list_names_all_points(tmp_path):
    path = save(full(1), tmp_path / "a.json", format="coco-dataset", layout="one-list")
    document = json.loads(path.read_text())
    names = document["categories"][0]["keypoints"]
    assert names == list(kp.KEYPOINT_NAMES)
    assert len(document["annotations"][0]["keypoints"]) == 3 * len(names)
    assert "foot_kpts" not in document["annotations"][0]


def test_ids_are_numbers_of_the_files_or_places(tmp_path):
    results = [full(1, source=source) for source in ("7.jpg", "other/7.jpg")]
    path = save(results, tmp_path / "a.json", format="coco-dataset")
    images = json.loads(path.read_text())["images"]
    assert [image["id"] for image in images] == [1, 2]
    results = [full(1, source=source) for source in ("0007.jpg", "12.png")]
    path = save(results, tmp_path / "a.json", format="coco-dataset")
    assert [image["id"] for image in json.loads(path.read_text())["images"]] == [7, 12]


def test_a_person_without_a_box_gets_the_one_around_its_points(tmp_path):
    path = save(ramp(1), tmp_path / "a.json", format="coco-dataset", min_score=0.5)
    document = json.loads(path.read_text())
    # Points 99 to 132: x from 99.5 to 132.5, y from 198.25 to 264.25.
    assert document["annotations"][0]["bbox"] == [99.5, 198.25, 33, 66]
    assert document["images"][0]["width"] == 0


def test_training_and_evaluation_read_it(tmp_path, caplog):
    pytest.importorskip("msgspec")
    from dwpose_infer.annotations import read_annotations

    results = [full(2, source="in/a.jpg"), nobody(), full(1, source="b.jpg")]
    for layout in ("wholebody", "one-list"):
        path = save(results, tmp_path / "a.json", format="coco-dataset", layout=layout)
        labels = read_annotations(path)
        assert len(labels) == 3 and len(labels.image_ids) == 3
        shown = full(2).scores >= 0.3
        np.testing.assert_array_equal(labels.keypoints[:2, :, 2] > 0, shown)
        np.testing.assert_array_equal(labels.keypoints[:2, :, :2][shown], full(2).keypoints[shown])
    assert "not labelled" not in caplog.text


def test_pycocotools_reads_it(tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    path = save([full(2), nobody("000000000003.jpg")], tmp_path / "a.json", format="coco-dataset")
    data = coco.COCO(str(path))
    assert sorted(data.getImgIds()) == [3, 785]
    assert len(data.loadAnns(data.getAnnIds(imgIds=[785]))) == 2
    assert data.loadCats(1)[0]["name"] == "person"


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"images": 7, "annotations": []}, "images is not a list"),
        ({"images": [], "annotations": [1]}, "annotations is not a list of objects"),
        ({"images": [{"id": 1}], "annotations": []}, "image 1: it has no file_name"),
        (
            {
                "images": [{"id": 1, "file_name": "a.jpg"}],
                "annotations": [{"image_id": 1, "foot_kpts": [1, 2, 2]}],
            },
            "person 0: foot_kpts has 3 numbers, expected 18",
        ),
    ],
)
def test_other_documents_are_refused(tmp_path, document, complaint):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document))
    with pytest.raises(FormatError, match=complaint):
        load(path)


def test_unknown_layouts(tmp_path):
    with pytest.raises(InvalidArgumentError, match='"wholebody" or "one-list"'):
        save(full(1), tmp_path / "a.json", format="coco-dataset", layout="halpe")
