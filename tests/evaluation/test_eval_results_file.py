"""Files of persons found: what is read, what is refused, and what comes back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from eval_samples import as_predictions, labelled_persons, person_fields, random_points

from dwpose_infer import PoseResult
from dwpose_infer.annotations import read_annotations
from dwpose_infer.errors import FormatError, InputError
from dwpose_infer.evaluation.predictions import Predictions, RankedPredictions, rank
from dwpose_infer.evaluation.results_file import read_boxes, read_results, write_results
from dwpose_infer.formats.coco import instance_score


def save(folder, document):
    path = folder / "results.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def entry(rng, **extra):
    points = random_points(rng, (0, 0, 100, 100))
    points[:, 2] = rng.random(133)
    return {"image_id": 3, "category_id": 1, **person_fields(points), "score": 0.75, **extra}


def raw(rng, **extra):
    return {
        "id": 5,
        "img_id": 3,
        "keypoints": rng.random((133, 2)).tolist(),
        "scores": rng.random(133).tolist(),
        "bbox_score": 0.5,
        "area": 1234.5,
        **extra,
    }


def test_mmpose_s_results_are_ranked_already(tmp_path, rng):
    document = [entry(rng), entry(rng, score=0.25, bbox=[1, 2, 30, 40], id=9)]
    found = read_results(save(tmp_path, document))
    assert isinstance(found, RankedPredictions)
    assert found.instance_scores.tolist() == [0.75, 0.25]
    assert found.boxes_xyxy is None  # one person has none
    hand = np.array(document[1]["righthand_kpts"]).reshape(21, 3)
    np.testing.assert_array_equal(found.keypoints[1, 112:], hand[:, :2])
    np.testing.assert_array_equal(found.scores[1, 112:], hand[:, 2])


def test_boxes_become_corners_where_all_are_known(tmp_path, rng):
    found = read_results(save(tmp_path, [entry(rng, bbox=[1, 2, 30, 40])]))
    assert found.boxes_xyxy.tolist() == [[1, 2, 31, 42]]


def test_raw_predictions_are_not_ranked_yet(tmp_path, rng):
    document = [raw(rng), raw(rng, id=6, bbox_score=0.25)]
    found = read_results(save(tmp_path, document))
    assert isinstance(found, Predictions)
    assert found.ids.tolist() == [5, 6] and found.areas.tolist() == [1234.5] * 2
    np.testing.assert_array_equal(found.keypoints[1], document[1]["keypoints"])


def test_an_empty_list_is_nobody(tmp_path):
    assert len(read_results(save(tmp_path, []))) == 0


def test_written_results_come_back(tmp_path, rng):
    labels = read_annotations(labelled_persons(tmp_path, rng), dtype="float64")
    exact = as_predictions(labels, rng)
    single = Predictions(
        image_ids=exact.image_ids,
        keypoints=exact.keypoints.astype(np.float32),
        scores=exact.scores.astype(np.float32),
        box_scores=exact.box_scores,
        areas=exact.areas,
    )
    for persons in (rank(exact), rank(single)):
        back = read_results(write_results(tmp_path / "out.json", persons))
        np.testing.assert_array_equal(back.image_ids, persons.image_ids)
        np.testing.assert_array_equal(back.instance_scores, persons.instance_scores)
        assert np.array_equal(back.keypoints.astype(persons.keypoints.dtype), persons.keypoints)
        assert np.array_equal(back.scores.astype(persons.scores.dtype), persons.scores)


def test_what_dwpose_infer_writes_is_read(tmp_path, rng):
    result = PoseResult(
        keypoints=(100 * rng.random((2, 133, 2))).astype(np.float32),
        scores=rng.random((2, 133)).astype(np.float32),
        boxes_xyxy=np.array([[0, 0, 100, 100], [1, 1, 90, 90]], np.float32),
        box_scores=np.array([0.75, 0.5], np.float32),
        source="000000000785.jpg",
    )
    path = result.save(tmp_path / "results_coco.json", format="coco")
    found = read_results(path)
    assert found.image_ids.tolist() == [785, 785]
    assert np.array_equal(found.keypoints.astype(np.float32), result.keypoints)
    expected = instance_score(result.scores, result.box_scores)
    np.testing.assert_allclose(found.instance_scores, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "results.json"),
        ({"annotations": []}, "results.json"),
        (
            lambda rng: [{**entry(rng), "face_kpts": [1.0, 2.0]}],
            "face_kpts has 2 numbers, expected",
        ),
        (
            lambda rng: [{k: v for k, v in entry(rng).items() if k != "foot_kpts"}],
            "foot_kpts has 0 numbers",
        ),
        (lambda rng: [entry(rng, score="high")], "person 0: .*score"),
        (lambda rng: [entry(rng, image_id="3")], "person 0: .*image_id"),
        (lambda rng: [raw(rng, scores=[0.5])], "133 keypoints and 1 scores, expected 133"),
        (lambda rng: [raw(rng), entry(rng)], "person 1"),
    ],
)
def test_other_files_are_refused(tmp_path, rng, document, message):
    document = document(rng) if callable(document) else document
    with pytest.raises(FormatError, match=message):
        read_results(save(tmp_path, document))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_results(tmp_path / "none.json")


def test_boxes_of_a_detection_file(tmp_path):
    boxes = [
        {"image_id": 3, "category_id": 1, "bbox": [-5, 2, 30, 40], "score": 0.01},
        {"image_id": 3, "category_id": 18, "bbox": [0, 0, 9, 9], "score": 0.9},
        {"image_id": 4, "category_id": 1, "bbox": [0, 0, 0, 9], "score": 0.9},
    ]
    found = read_boxes(save(tmp_path, boxes))
    assert set(found) == {3}
    corners, scores = found[3]
    assert corners.tolist() == [[-5, 2, 25, 42]] and scores.tolist() == [0.01]
    with pytest.raises(InputError, match="no box of a person"):
        read_boxes(save(tmp_path, boxes[1:2]))
    with pytest.raises(FormatError, match="bbox"):
        read_boxes(save(tmp_path, [{"image_id": 3, "bbox": [1, 2], "score": 1}]))
