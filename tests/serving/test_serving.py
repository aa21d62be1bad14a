"""The service in this process, through its own interface to servers (ASGI)."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytest.importorskip("httpx2")
from fastapi.testclient import TestClient

from dwpose_infer import Predictor
from dwpose_infer.errors import InferenceError
from dwpose_infer.pipeline import detector_options, open_pipeline
from dwpose_infer.runtime import Runtime
from dwpose_infer.serving.app import create_app
from dwpose_infer.serving.batching import BusyError, SharedPipeline
from dwpose_infer.serving.settings import ServiceLimits, ServiceSettings
from dwpose_infer.zoo import DEFAULT_DETECTOR, DEFAULT_POSE


def pipeline():
    return open_pipeline(
        DEFAULT_POSE, DEFAULT_DETECTOR, Runtime(), detector_options(DEFAULT_DETECTOR)
    )


@pytest.fixture(scope="module")
def client():
    limits = ServiceLimits(max_body_bytes=2**20, max_pixels=1_000_000, max_pictures=4)
    with TestClient(create_app(pipeline(), ServiceSettings(limits=limits))) as started:
        yield started


@pytest.fixture(scope="module")
def photo(astronaut):
    return astronaut.read_bytes()


@pytest.fixture(scope="module")
def expected(astronaut):
    with Predictor() as predictor:
        return predictor(astronaut)


def as_base64(data):
    return base64.b64encode(data).decode()


def test_a_picture_as_bytes(client, photo, expected):
    answer = client.post("/v1/predict", content=photo)
    assert answer.status_code == 200
    document = answer.json()
    assert document["source"] == "picture"
    np.testing.assert_array_equal(
        np.array(document["persons"][0]["keypoints"], np.float32), expected.keypoints[0]
    )


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


def test_several_pictures_have_a_status_each(client, photo):
    files = [
        ("a", ("one.jpg", photo)),
        ("b", ("bad.jpg", b"no picture")),
        ("c", ("two.jpg", photo)),
    ]
    answer = client.post("/v1/predict", files=files)
    assert answer.status_code == 200
    entries = answer.json()["results"]
    assert [(each["name"], each["status"]) for each in entries] == [
        ("one.jpg", 200),
        ("bad.jpg", 422),
        ("two.jpg", 200),
    ]
    assert "bad.jpg is not a picture" in entries[1]["error"]
    assert len(entries[0]["result"]["persons"]) == len(entries[2]["result"]["persons"]) == 1


def test_base64(client, photo):
    body = {"images": [{"name": "a.jpg", "data": as_base64(photo)}, as_base64(photo)]}
    entries = client.post("/v1/predict", json=body).json()["results"]
    assert [each["name"] for each in entries] == ["a.jpg", "image-1"]
    assert all(each["status"] == 200 for each in entries)


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
    ("arguments", "status", "complaint"),
    [
        ({"content": b"no picture"}, 422, "picture is not a picture"),
        ({"content": b""}, 422, "is empty"),
        ({"json": {"pictures": []}}, 400, '"images"'),
        ({"json": {"images": [7]}}, 400, "image 0 has no text in data"),
        ({"json": {"images": ["***"]}}, 400, "not base64"),
        ({"json": {"images": []}}, 400, "0 pictures; 1 to 4"),
        ({"json": {"images": ["QQ=="] * 5}}, 400, "5 pictures; 1 to 4"),
        (
            {"content": b'{"images": [', "headers": {"content-type": "application/json"}},
            400,
            "not JSON",
        ),
        (
            {"content": b"--x\r\nbroken", "headers": {"content-type": "multipart/form-data"}},
            400,
            "form",
        ),
        ({"content": bytes(2**20 + 1)}, 413, "exceeds 1,048,576 bytes"),
    ],
)
def test_bad_requests(client, arguments, status, complaint):
    answer = client.post("/v1/predict", **arguments)
    assert answer.status_code == status
    assert complaint in answer.json()["error"]


def test_a_body_of_unknown_length_is_limited_too(client):
    def blocks():
        for _ in range(20):
            yield bytes(100_000)

    answer = client.post("/v1/predict", content=blocks())
    assert answer.status_code == 413


def test_large_pictures_are_refused_before_they_are_decoded(client):
    data = cv2.imencode(".png", np.zeros((1100, 1000), np.uint8))[1].tobytes()
    answer = client.post("/v1/predict", content=data)
    assert answer.status_code == 422 and "1000x1100" in answer.json()["error"]


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("format=xml", "format: "),
        ("draw=oil", "draw: "),
        ("keypoint_threshold=-1", "keypoint_threshold: "),
        ("keypoint_threshold=nan", "keypoint_threshold: "),
        ("keypoint-threshold=1", "keypoint-threshold: "),
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


def test_notes_of_reading_are_in_the_answer(client, astronaut):
    pages = io.BytesIO()
    page = Image.open(astronaut)
    page.save(pages, "TIFF", save_all=True, append_images=[page], compression="jpeg")
    answer = client.post("/v1/predict", content=pages.getvalue())
    assert answer.json()["notes"] == ["first of 2 pages used"]


def test_what_the_networks_say_stays_in_the_log(photo, caplog):
    class Failing:
        detector = estimator = None

        def predict(self, *_arguments, **_options):
            raise InferenceError("/srv/secret/model.onnx failed")

        def close(self):
            pass

    with TestClient(create_app(Failing())) as failing:
        answer = failing.post("/v1/predict", content=photo)
        assert failing.get("/readyz").status_code == 200
    assert answer.status_code == 500
    assert answer.json() == {"error": "the networks failed; the log of the service says why"}
    assert "/srv/secret/model.onnx" in caplog.text


def test_drawings_are_for_one_picture(client, photo):
    files = [("a", ("one.jpg", photo)), ("b", ("two.jpg", photo))]
    assert client.post("/v1/predict?draw=overlay", files=files).status_code == 400


def test_health_metrics_and_documentation(client, photo):
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    client.post("/v1/predict", content=photo)
    client.post("/v1/predict", content=b"no picture")
    text = client.get("/metrics").text
    for line in (
        'dwpose_requests_total{path="/v1/predict",status="200"}',
        'dwpose_stage_seconds_count{stage="networks"}',
        "dwpose_batch_pictures_count",
        "dwpose_waiting_pictures 0.0",
        'dwpose_pictures_total{status="422"}',
    ):
        assert line in text, line
    schema = client.get("/openapi.json").json()
    names = [each["name"] for each in schema["paths"]["/v1/predict"]["post"]["parameters"]]
    assert names == [
        *("format", "draw", "whole_image", "max_persons", "keypoint_threshold", "parts"),
        *("drop_weak_hands", "openpose_body", "openpose_confidence", "pupils", "coco_layout"),
        *("canvas_size", "line_scale", "boxes"),
    ]
    body = schema["paths"]["/v1/predict"]["post"]["requestBody"]
    assert list(body["content"]) == ["multipart/form-data", "image/*", "application/json"]


def test_what_the_page_of_docs_sends(client, photo):
    """It sends every field that has a default, also those that go with something else."""
    defaults = "format=json&whole_image=false&drop_weak_hands=false&boxes=false"
    for query, kind in ((defaults, "application/json"), (f"{defaults}&draw=overlay", "image/jpeg")):
        answer = client.post(f"/v1/predict?{query}", files={"file": photo})
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)


def test_a_token():
    settings = ServiceSettings(token="secret")
    with TestClient(create_app(pipeline(), settings)) as guarded:
        assert guarded.get("/healthz").status_code == 200
        for headers in ({}, {"Authorization": "Bearer other"}):
            answer = guarded.post("/v1/predict", content=b"x", headers=headers)
            assert answer.status_code == 401 and "bearer token" in answer.json()["error"]
        headers = {"Authorization": "Bearer secret"}
        assert guarded.post("/v1/predict", content=b"x", headers=headers).status_code == 422


def test_not_ready_before_it_starts():
    unstarted = TestClient(create_app(pipeline()))
    assert unstarted.get("/readyz").status_code == 503
    assert unstarted.post("/v1/predict", content=b"x").status_code == 503


class SlowPipeline:
    """Counts what comes together; a picture of zeros fails, and its batch with it."""

    def __init__(self):
        self.batches, self.closed, self.go_on = [], False, threading.Event()

    def predict(self, images_bgr, boxes_xyxy, *, whole_image=False):
        self.go_on.wait(5)
        self.batches.append(len(images_bgr))
        if any(not image.any() for image in images_bgr):
            raise InferenceError("a network failed")
        return [int(image[0, 0, 0]) for image in images_bgr]

    def close(self):
        self.closed = True


def one(value):
    return np.full((8, 8, 3), value, np.uint8)


def test_pictures_of_several_callers_share_a_batch():
    slow = SlowPipeline()
    shared = SharedPipeline(slow, max_pictures=4, delay_ms=50)
    first = shared.submit(one(9))
    time.sleep(0.2)  # it is with the networks now
    others = [shared.submit(one(value)) for value in range(1, 7)]
    slow.go_on.set()
    assert first.result(5) == 9 and [each.result(5) for each in others] == [1, 2, 3, 4, 5, 6]
    assert slow.batches == [1, 4, 2]
    shared.close()
    assert slow.closed


def test_nobody_waits_where_nobody_else_comes():
    slow = SlowPipeline()
    slow.go_on.set()
    shared = SharedPipeline(slow, delay_ms=1_500)
    begun_s = time.monotonic()
    assert shared.submit(one(7)).result(5) == 7
    assert time.monotonic() - begun_s < 1
    with shared.expecting():  # a picture that is being read is waited for
        first = shared.submit(one(1))
        time.sleep(0.1)
        assert not first.done()
        second = shared.submit(one(2))
    assert first.result(20) == 1 and second.result(20) == 2
    assert slow.batches == [1, 2]
    shared.close()


def test_one_picture_does_not_cost_the_others_theirs():
    slow = SlowPipeline()
    shared = SharedPipeline(slow, delay_ms=100)
    with shared.expecting():
        futures = [shared.submit(one(value)) for value in (3, 0, 5)]
    slow.go_on.set()
    assert futures[0].result(5) == 3 and futures[2].result(5) == 5
    with pytest.raises(InferenceError, match="a network failed"):
        futures[1].result(5)
    shared.close()


def test_a_full_queue_refuses_and_closing_finishes_what_was_taken():
    slow = SlowPipeline()
    shared = SharedPipeline(slow, max_waiting=2, max_pictures=1, delay_ms=0)
    taken = [shared.submit(one(1))]
    time.sleep(0.2)
    taken += [shared.submit(one(2)), shared.submit(one(3))]
    with pytest.raises(BusyError, match="2 pictures wait"):
        shared.submit(one(4))
    slow.go_on.set()
    shared.close()
    assert [each.result(0) for each in taken] == [1, 2, 3]
    with pytest.raises(InferenceError, match="stopping"):
        shared.submit(one(5))


@pytest.mark.slow
def test_many_requests_at_once_lose_nothing(client, photo):
    """200 requests of 16 clients, one in twenty bad: each gets its own answer."""

    def ask(number):
        bad = number % 20 == 7
        answer = client.post("/v1/predict", content=b"bad" if bad else photo)
        return bad, answer.status_code

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(200)))
    assert all(status == (422 if bad else 200) for bad, status in answers)


def test_the_page_is_served_with_the_headers_for_threads(tmp_path, photo):
    (tmp_path / "index.html").write_text("<title>page</title>")
    with TestClient(create_app(pipeline(), ServiceSettings(web=tmp_path))) as paged:
        answer = paged.get("/")
        assert answer.text == "<title>page</title>"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-embedder-policy"] == "require-corp"
        assert paged.get("/healthz").json() == {"status": "ok"}
        assert paged.get("/../setup.cfg").status_code == 404


def test_answers_are_json_of_the_command(client, photo, astronaut, capsys):
    from dwpose_infer.cli.infer import main

    assert main([str(astronaut), "--json", "--quiet"]) == 0
    printed = json.loads(capsys.readouterr().out)
    served = client.post("/v1/predict", content=io.BytesIO(photo).getvalue()).json()
    assert served["persons"] == printed["persons"]
