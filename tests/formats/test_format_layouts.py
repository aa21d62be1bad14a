"""Formats and the points of networks that are not whole-body ones."""

import json
from dataclasses import replace

import numpy as np
import pytest
from format_samples import assert_same

from dwpose_infer.errors import FormatError, InvalidArgumentError
from dwpose_infer.formats import FORMATS, load, load_clip, save
from dwpose_infer.formats.clip_files import open_clip
from dwpose_infer.layouts import HALPE_26, LAYOUTS, WHOLEBODY_133
from dwpose_infer.results import PoseResult


def person(points: int) -> PoseResult:
    rng = np.random.default_rng(points)
    return PoseResult(
        rng.uniform(1, 99, (1, points, 2)).astype(np.float32),
        rng.uniform(0.5, 1, (1, points)).astype(np.float32),
        boxes_xyxy=np.array([[1, 2, 90, 95]], np.float32),
        box_scores=np.array([0.9], np.float32),
        image_size=(100, 100),
        source="7.jpg",
    )


@pytest.mark.parametrize("points", [17, 23, 26])
@pytest.mark.parametrize("ending", [".json", ".npz", ".csv", ".parquet"])
def test_read_back(tmp_path, points, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    saved = person(points)
    (read,) = load(save(saved, tmp_path / f"a{ending}"))
    assert_same(read, saved)
    assert read.layout is LAYOUTS[points]


@pytest.mark.parametrize("points", [17, 23, 26])
def test_openpose_has_what_it_can_hold(tmp_path, points):
    saved = person(points)
    path = save(saved, tmp_path / "a_keypoints.json", format="openpose", body=25)
    (found,) = json.loads(path.read_bytes())["people"]
    assert found["face_keypoints_2d"] == found["hand_left_keypoints_2d"] == []
    body = np.reshape(found["pose_keypoints_2d"], (25, 3))
    shoulders = saved.keypoints[0, 5:7].astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(body[1, :2], shoulders, rtol=1e-6)  # OpenPose's neck, not Halpe's
    toe = saved.layout.point_names.index("left_big_toe") if points > 17 else None
    assert body[19, 2] == (0 if toe is None else pytest.approx(saved.scores[0, toe]))
    (read,) = load(path)
    known = [name for name in saved.layout.point_names if name in WHOLEBODY_133.point_names]
    assert (read.scores > 0).sum() == len(known)


@pytest.mark.parametrize(
    ("points", "fields"),
    [(17, {"keypoints": 51}), (23, {"keypoints": 51, "foot_kpts": 18}), (26, {"keypoints": 78})],
)
def test_coco_results(tmp_path, points, fields):
    saved = person(points)
    path = save(saved, tmp_path / "results.json", format="coco")
    (found,) = json.loads(path.read_bytes())
    lists = {name: len(value) for name, value in found.items() if isinstance(value, list)}
    assert lists == fields
    (read,) = load(path)
    assert read.layout is (HALPE_26 if points == 26 else WHOLEBODY_133)
    again = read.in_layout(saved.layout)
    np.testing.assert_array_equal(again.keypoints, saved.keypoints)
    np.testing.assert_array_equal(again.scores, saved.scores)


@pytest.mark.parametrize("points", [17, 23, 26])
def test_coco_data_set(tmp_path, points):
    results = [person(points), replace(PoseResult.empty(points=points), source="8.jpg")]
    path = tmp_path / "labels.json"
    if points == 26:
        with pytest.raises(
            InvalidArgumentError, match=r"no place for the points of halpe-26.*one-l"
        ):
            save(results, path, format="coco-dataset")
        with pytest.raises(InvalidArgumentError, match="--coco-layout one-list"):
            FORMATS["coco-dataset"].check_points(HALPE_26)
    else:
        save(results, path, format="coco-dataset")
        (found,) = json.loads(path.read_bytes())["annotations"]
        assert ("foot_kpts" in found) == ("foot_valid" in found) == (points == 23)
        assert "face_kpts" not in found
    save(results, path, format="coco-dataset", layout="one-list")
    document = json.loads(path.read_bytes())
    assert document["categories"][0]["keypoints"] == list(LAYOUTS[points].point_names)
    read, nobody = load(path)
    assert len(nobody) == 0
    again = read.in_layout(LAYOUTS[points])
    np.testing.assert_array_equal(again.keypoints, results[0].keypoints)


def test_persons_of_two_kinds_in_a_list(tmp_path):
    path = tmp_path / "results.json"
    save([person(26)], path, format="coco")
    entry = json.loads(path.read_bytes())[0]
    path.write_text(json.dumps([entry, entry | {"keypoints": entry["keypoints"][:51]}]))
    with pytest.raises(FormatError, match="keypoints of person 1 has 51 numbers, expected 78"):
        load(path)


def test_tables_with_columns_missing(tmp_path):
    path = save(person(26), tmp_path / "a.csv")
    path.write_text(path.read_text().replace("neck_x", "nape_x"))
    with pytest.raises(FormatError, match="lacks the columns neck_x"):
        load(path)


def test_unknown_order(tmp_path):
    path = save(person(17), tmp_path / "a.json")
    path.write_text(path.read_text().replace("coco-17", "coco-18"))
    with pytest.raises(FormatError, match="keypoint_order is 'coco-18', expected one of coco-who"):
        load(path)


def test_clips(tmp_path):
    for name, format in (("a.jsonl", "json"), ("a.npz", "npz")):
        with open_clip(tmp_path / name, format=format, stem="a") as file:
            file.write(0, 0.0, person(26))
            file.write(1, 0.1, PoseResult.empty(points=26))
        assert load_clip(tmp_path / name).as_array(by="place").shape == (2, 1, 26, 3)
