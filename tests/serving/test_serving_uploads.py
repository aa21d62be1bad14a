"""What a request's body may be, and what is said where it is not that."""

from __future__ import annotations

import base64
import io
import threading
from concurrent.futures import ThreadPoolExecutor

import anyio
import cv2
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("fastapi_offline")
pytest.importorskip("prometheus_client")
pytest.importorskip("httpx2")
from fastapi.testclient import TestClient
from zoo.model_server import ModelServer

from dwpose_infer import Predictor
from dwpose_infer.picture_url import UrlAccess
from dwpose_infer.results import PoseResult
from dwpose_infer.serving.app import create_app
from dwpose_infer.serving.batching import PerCore
from dwpose_infer.serving.settings import ServiceLimits, ServiceSettings

JSON = {"content-type": "application/json"}


class FakeNetworks:
    """Finds nobody, as soon as it may go on; counts the pictures."""

    detector = estimator = None

    def __init__(self):
        self.pictures, self.begun, self.go_on = 0, threading.Event(), threading.Event()

    def detecting(self, **_options):
        return self

    def predict(self, images_bgr, boxes_xyxy, *, whole_image=False):
        self.begun.set()
        self.go_on.wait(10)
        self.pictures += len(images_bgr)
        return [PoseResult.empty(image_size=each.shape[1::-1]) for each in images_bgr]

    def close(self):
        pass


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


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        ({"content": b"no picture"}, 422, "picture is not a picture"),
        ({"content": b""}, 422, "is empty"),
        ({"json": {"pictures": []}}, 400, '"images"'),
        ({"json": {"images": [7]}}, 400, "image 0 has no text in data"),
        ({"json": {"images": ["***"]}}, 400, "not base64"),
        ({"json": {"images": [{"data": "QQ==", "url": "http://x"}]}}, 400, "no text in data"),
        ({"json": {"images": []}}, 400, "0 pictures; 1 to 4"),
        ({"json": ["QQ=="]}, 400, '"images"'),
        ({"content": b"[" * 5000, "headers": JSON}, 400, "not JSON"),
        ({"content": b'{"images": ["\xff"]}', "headers": JSON}, 400, "not JSON"),
        (
            {"content": b'{"images": ["QQ=="]}', "headers": {"content-type": "image/jpeg"}},
            422,
            "not a",
        ),
        ({"data": {"file": "a text"}}, 422, "not a picture"),
        ({"json": {"images": ["QQ=="] * 5}}, 400, "5 pictures; 1 to 4"),
        (
            {"content": b'{"images": [', "headers": JSON},
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


def test_notes_of_reading_are_in_the_answer(client, astronaut):
    pages = io.BytesIO()
    page = Image.open(astronaut)
    page.save(pages, "TIFF", save_all=True, append_images=[page], compression="jpeg")
    answer = client.post("/v1/predict", content=pages.getvalue())
    assert answer.json()["notes"] == ["first of 2 pages used"]


def test_urls_are_refused_unless_their_hosts_are_named(client):
    for url, complaint in (
        ("https://example.org/a.jpg", "this service fetches no URLs"),
        ("file:///etc/passwd", "this service fetches no URLs"),
    ):
        (entry,) = client.post("/v1/predict", json={"images": [{"url": url}]}).json()["results"]
        assert entry["status"] == 422 and complaint in entry["error"]
        assert entry["name"] == url


def test_urls_of_named_hosts_are_fetched(open_networks, photo):
    with ModelServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        good, large = server.url("a.jpg", photo), server.url("b.jpg", bytes(2**18))
        images = [
            {"url": good},
            {"url": good.replace("127.0.0.1", "localhost"), "name": "other"},
            {"url": large, "name": "large"},
            {"url": "file:///etc/passwd", "name": "file"},
            {"url": server.url("gone.jpg"), "name": "gone"},
            as_base64(photo),
        ]
        settings = ServiceSettings(
            limits=ServiceLimits(max_body_bytes=2**17), urls=UrlAccess(("127.0.0.1",))
        )
        with TestClient(create_app(open_networks(), settings)) as started:
            answer = started.post("/v1/predict", json={"images": images})
        server.shutdown()
    entries = {each["name"]: each for each in answer.json()["results"]}
    assert [each["status"] for each in entries.values()] == [200, 422, 422, 422, 422, 200]
    assert entries[good]["result"] == entries["image-5"]["result"] | {"source": good}
    for name, complaint in (
        ("other", "localhost, which is not among the hosts allowed: 127.0.0.1"),
        ("large", "larger than 0.125 MiB"),
        ("file", "no http or https URL"),
        ("gone", "HTTP 404"),
    ):
        assert complaint in entries[name]["error"]
    assert "/b.jpg" in server.requests and len(server.requests) == 3


def test_tiles_find_small_persons_and_are_limited(client, open_networks, astronaut):
    """The person is 1/20 as wide as the picture, and 2/5 as wide as a tile."""
    canvas = np.full((480, 2000, 3), 114, np.uint8)
    canvas[200:300, 700:800] = cv2.resize(
        cv2.imread(str(astronaut)), (100, 100), interpolation=cv2.INTER_AREA
    )
    body = cv2.imencode(".png", canvas)[1].tobytes()

    def persons(query, asked=client):
        return len(asked.post(f"/v1/predict{query}", content=body).json()["persons"])

    with Predictor(tile_side=256) as predictor:
        expected = len(predictor(canvas))
    assert persons("") == 0 < expected == persons("?tile_side=256")
    answer = client.post("/v1/predict?tile_side=64", content=body)
    assert answer.status_code == 422
    assert "2000x480 pixels are 868 tiles of 64; up to 64 are searched" in answer.json()["error"]
    with TestClient(create_app(open_networks(tile_side=256))) as tiled:
        assert persons("", tiled) == expected


def test_a_body_that_comes_too_slowly(open_networks, served):
    async def receive():
        await anyio.sleep(0.1)
        return {"type": "http.request", "body": b"x", "more_body": True}

    settings = ServiceSettings(limits=ServiceLimits(timeout_s=0.35))
    with TestClient(create_app(open_networks(), settings)) as started:
        answer = served(started, receive)
    assert answer["status"] == 408 and b"did not come within 0.35 s" in answer["body"]


def test_a_body_that_breaks_off(client, served, caplog):
    messages = iter([{"type": "http.request", "body": b"half", "more_body": True}])

    async def receive():
        return next(messages, {"type": "http.disconnect"})

    assert served(client, receive)["status"] == 499
    assert not caplog.records  # it is no error of the service


def test_a_picture_that_breaks_off(client, photo):
    answer = client.post("/v1/predict", content=photo[: len(photo) // 2])
    assert answer.status_code == 422 and "picture is" in answer.json()["error"]


def test_who_leaves_is_not_worked_for(served):
    """One picture is with the networks, the next waits for them when its client leaves."""
    networks = FakeNetworks()
    with TestClient(
        create_app(networks, per_core=PerCore(pipeline=networks, workers=1))
    ) as started:
        picture = cv2.imencode(".png", np.full((8, 8, 3), 7, np.uint8))[1].tobytes()

        def asking(leaves_after_s):
            messages = iter([{"type": "http.request", "body": picture, "more_body": False}])

            async def receive():
                for message in messages:
                    return message
                await anyio.sleep(leaves_after_s)
                return {"type": "http.disconnect"}

            return receive

        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(served, started, asking(30))
            networks.begun.wait(5)
            assert served(started, asking(0.1))["status"] == 499
            networks.go_on.set()
            assert first.result(10)["status"] == 200
        text = started.get("/metrics").text
        assert 'dwpose_requests_total{path="/v1/predict",status="499"} 1.0' in text
        assert "dwpose_waiting_pictures 0.0" in text
    assert networks.pictures == 1
