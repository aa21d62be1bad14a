"""The application: paths, token, documentation, page, many requests at once."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("fastapi_offline")
pytest.importorskip("prometheus_client")
pytest.importorskip("httpx2")
from fastapi.testclient import TestClient

from dwpose_infer.errors import InferenceError
from dwpose_infer.serving.app import create_app
from dwpose_infer.serving.settings import ServiceSettings


def test_what_the_networks_say_stays_in_the_log(photo, caplog):
    class Failing:
        detector = estimator = None

        def detecting(self, **_options):
            return self

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
        *("format", "draw", "whole_image", "max_persons", "tile_side", "keypoint_threshold"),
        *(
            "parts",
            "drop_weak_hands",
            "openpose_body",
            "openpose_confidence",
            "pupils",
            "coco_layout",
        ),
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


def test_a_token(open_networks):
    settings = ServiceSettings(token="secret")
    with TestClient(create_app(open_networks(), settings)) as guarded:
        assert guarded.get("/healthz").status_code == 200
        for headers in ({}, {"Authorization": "Bearer other"}):
            answer = guarded.post("/v1/predict", content=b"x", headers=headers)
            assert answer.status_code == 401 and "bearer token" in answer.json()["error"]
        headers = {"Authorization": "Bearer secret"}
        assert guarded.post("/v1/predict", content=b"x", headers=headers).status_code == 422


def test_the_page_of_docs_asks_nobody_else_and_needs_no_token(open_networks, tmp_path):
    """Browsers cannot send a token with what a page is made of."""
    (tmp_path / "index.html").write_text("<title>page</title>")
    settings = ServiceSettings(token="secret", web=tmp_path)
    with TestClient(create_app(open_networks(), settings)) as guarded:
        page = guarded.get("/docs").text
        asked = re.findall(r"""(?:src|href)=["']([^"']+)|url: '([^']+)""", page)
        paths = [either or other for either, other in asked]
        assert [path.rsplit(".", 1)[1] for path in paths] == ["css", "png", "js", "json"]
        for path in paths:
            assert path.startswith("/") and not path.startswith("//")
            answer = guarded.get(path)
            assert answer.status_code == 200 and len(answer.content) > 1000, path
            if path.endswith("css"):
                assert not re.search(r"url\((?!['\"]?data:)|@import", answer.text)
        schema = guarded.get("/openapi.json").json()
        assert schema["paths"]["/v1/predict"]["post"]["security"] == [{"HTTPBearer": []}]
        for path in ("/", "/docs/../index.html", "/static-offline-docs/../index.html", "/docs/x"):
            assert guarded.get(path).status_code in (401, 404), path
        assert guarded.get("/redoc").status_code == 401  # there is none


def test_not_ready_before_it_starts(open_networks):
    unstarted = TestClient(create_app(open_networks()))
    assert unstarted.get("/readyz").status_code == 503
    assert unstarted.post("/v1/predict", content=b"x").status_code == 503


def test_the_page_is_served_with_the_headers_for_threads(tmp_path, open_networks):
    (tmp_path / "index.html").write_text("<title>page</title>")
    with TestClient(create_app(open_networks(), ServiceSettings(web=tmp_path))) as paged:
        answer = paged.get("/")
        assert answer.text == "<title>page</title>"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-embedder-policy"] == "require-corp"
        assert paged.get("/healthz").json() == {"status": "ok"}
        assert paged.get("/../setup.cfg").status_code == 404


@pytest.mark.slow
@pytest.mark.parametrize("has_cores", [True, False])
def test_many_requests_at_once_lose_nothing(has_cores, client, open_networks, photo):
    """100 requests of 16 clients, one in twenty bad: each gets its own answer."""

    def ask(number):
        bad = number % 20 == 7
        answer = started.post("/v1/predict", content=b"bad" if bad else photo)
        return bad, answer.status_code

    sharing = nullcontext(client) if has_cores else TestClient(create_app(open_networks()))
    with sharing as started, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(100)))
    assert all(status == (422 if bad else 200) for bad, status in answers)
