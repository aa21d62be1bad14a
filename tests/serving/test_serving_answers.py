"""What is answered: formats, drawings and the options of the query."""

from __future__ import annotations

import io
import json
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytest.importorskip("httpx2")
from fastapi.testclient import TestClient

from dwpose_infer.serving import app


@pytest.mark.parametrize(
    ("format", "media_type"),
    [
        ("openpose", "application/json"),
        ("npz", "application/octet-stream"),
        ("csv", "text/csv; charset=utf-8"),
    ],
)
def test_formats(client, photo, expected, format, media_type, tmp_path):
    from dwpose_infer.formats import load

    answer = client.post(f"/v1/predict?format={format}", content=photo)
    assert answer.status_code == 200 and answer.headers["content-type"] == media_type
    path = tmp_path / "answer"
    path.write_bytes(answer.content)
    (found,) = load(path, format=format)
    present = ~np.isnan(found.keypoints[..., 0])
    np.testing.assert_array_equal(found.keypoints[present], expected.keypoints[present])


@pytest.mark.parametrize(("style", "media_type"), [("overlay", "jpeg"), ("openpose", "png")])
def test_drawings(client, photo, style, media_type):
    answer = client.post(f"/v1/predict?draw={style}", content=photo)
    assert answer.headers["content-type"] == f"image/{media_type}"
    drawn = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert drawn.shape == (512, 512, 3)


def test_a_file_of_several_pictures_leaves_out_what_failed(client, photo):
    files = [("a", ("one.jpg", photo)), ("b", ("bad.jpg", b"no picture"))]
    answer = client.post("/v1/predict?format=coco-dataset", files=files)
    # A data set is JSON of a whole run: one document, and the failures counted in a header.
    assert answer.status_code == 200 and answer.headers["x-failed-pictures"] == "1"
    assert [each["file_name"] for each in answer.json()["images"]] == ["one.jpg"]


def test_points_below_a_threshold_are_left_out(client, photo):
    document = client.post("/v1/predict?keypoint_threshold=0.5", content=photo).json()
    points = document["persons"][0]["keypoints"]
    assert None in points and any(points)


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("format=xml", "format: "),
        ("draw=oil", "draw: "),
        ("keypoint_threshold=-1", "keypoint_threshold: "),
        ("keypoint_threshold=nan", "keypoint_threshold: "),
        ("keypoint-threshold=1", "keypoint-threshold: "),
        ("tile_side=63", "tile_side: "),
        ("tile_side=1e9x", "tile_side: "),
        ("parts=tail", "there is no 'tail'"),
        ("openpose_body=25", "openpose_body goes with format=openpose only"),
        ("format=npz&draw=overlay", "ask for one of them"),
        ("boxes=true&draw=openpose", "boxes goes with draw=overlay only"),
        ("draw=openpose&canvas_size=0", "canvas_size: "),
        ("draw=openpose&canvas_size=2000x2000", "more than 1,000,000 pixels"),
        ("draw=openpose&canvas_size=999999", "more than 1,000,000 pixels"),
    ],
)
def test_options_are_checked(client, photo, query, complaint):
    answer = client.post(f"/v1/predict?{query}", content=photo)
    assert answer.status_code == 422
    assert complaint in answer.json()["error"]


def test_options_are_those_of_the_command(client, photo, expected):
    answer = client.post("/v1/predict?format=openpose&openpose_body=25", content=photo)
    assert len(answer.json()["people"][0]["pose_keypoints_2d"]) == 25 * 3
    answer = client.post("/v1/predict?parts=face,%20left_hand", content=photo)
    wanted = expected.masked(parts=["face", "left_hand"]).to_dict()
    assert answer.json()["persons"] == wanted["persons"]
    answer = client.post("/v1/predict?draw=openpose&canvas_size=320x240", content=photo)
    drawn = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert drawn.shape == (240, 320, 3)


def test_drawings_are_for_one_picture(client, photo):
    files = [("a", ("one.jpg", photo)), ("b", ("two.jpg", photo))]
    assert client.post("/v1/predict?draw=overlay", files=files).status_code == 400


def test_answers_are_json_of_the_command(client, photo, astronaut, capsys):
    from dwpose_infer.cli.infer import main

    assert main([str(astronaut), "--json", "--quiet"]) == 0
    printed = json.loads(capsys.readouterr().out)
    served = client.post("/v1/predict", content=io.BytesIO(photo).getvalue()).json()
    assert served["persons"] == printed["persons"]


def test_a_package_that_is_missing_is_named(client, photo, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    answer = client.post("/v1/predict?format=parquet", content=photo)
    assert answer.status_code == 501
    assert 'pip install "dwpose-infer[table]"' in answer.json()["error"]


def test_what_nobody_thought_of_is_json_too(client, photo, monkeypatch):
    def failing(*_arguments, **_options):
        raise RuntimeError("/srv/secret")

    monkeypatch.setattr(app, "encode_file", failing)
    forgiving = TestClient(client.app, raise_server_exceptions=False)
    answer = forgiving.post("/v1/predict", content=photo)
    assert answer.status_code == 500
    assert answer.json() == {"error": "the service failed; its log says why"}
