"""The service in this process, through its own interface to servers (ASGI)."""

from __future__ import annotations

import pytest

from dwpose_infer import Predictor
from dwpose_infer.pipeline import detector_options, open_pipeline
from dwpose_infer.runtime import Runtime
from dwpose_infer.zoo import DEFAULT_DETECTOR, DEFAULT_POSE


@pytest.fixture(scope="package")
def open_networks():
    """Opens the networks with so many threads; None for all."""

    def open_(threads=None, **options):
        runtime, chosen = Runtime(threads=threads), detector_options(DEFAULT_DETECTOR, **options)
        return open_pipeline(DEFAULT_POSE, DEFAULT_DETECTOR, runtime, chosen)

    return open_


@pytest.fixture(scope="package")
def client(open_networks):
    """As `dwpose-serve` starts on a CPU, with limits that tests can reach."""
    pytest.importorskip("fastapi")
    pytest.importorskip("fastapi_offline")
    pytest.importorskip("prometheus_client")
    pytest.importorskip("httpx2")
    from fastapi.testclient import TestClient

    from dwpose_infer.serving.app import create_app
    from dwpose_infer.serving.batching import PerCore
    from dwpose_infer.serving.settings import ServiceLimits, ServiceSettings

    limits = ServiceLimits(max_body_bytes=2**20, max_pixels=1_000_000, max_pictures=4, max_tiles=64)
    per_core = PerCore(pipeline=open_networks(1), workers=2)
    app = create_app(open_networks(), ServiceSettings(limits=limits), per_core=per_core)
    with TestClient(app) as started:
        yield started


@pytest.fixture(scope="package")
def photo(astronaut):
    return astronaut.read_bytes()


@pytest.fixture(scope="package")
def expected(astronaut):
    with Predictor() as predictor:
        return predictor(astronaut)


@pytest.fixture(scope="package")
def served():
    """Sends a request whose body comes as an async function of the test gives it."""

    def send(client, receive):
        answer = {"body": b""}

        async def take(message):
            answer.update({key: message[key] for key in ("status",) if key in message})
            answer["body"] += message.get("body", b"")

        scope = {
            **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http"},
            **{"method": "POST", "path": "/v1/predict", "raw_path": b"/v1/predict"},
            **{"query_string": b"", "root_path": "", "headers": [], "server": ("test", 80)},
        }
        client.portal.call(client.app, scope, receive, take)
        return answer

    return send
