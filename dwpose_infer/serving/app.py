"""The service itself: an ASGI application around shared networks."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated, Any

import anyio
from fastapi import FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from .._version import __version__
from ..errors import InputError, InvalidArgumentError
from ..files.json_text import dump
from ..formats.codecs import FORMATS
from ..images import read_picture
from ..picture_groups import GROUP_PICTURES
from ..pipeline import Pipeline
from .answers import (
    Outcome,
    Upload,
    document_of_many,
    encode_drawing,
    encode_file,
    uploads_of_json,
)
from .batching import BusyError, SharedPipeline
from .metrics import ServiceMetrics
from .query import PredictQuery
from .settings import ServiceSettings

logger = logging.getLogger(__name__)

RETRY_AFTER_S = "1"
OPEN_PATHS = ("/healthz", "/readyz")
ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
"""Headers with which browsers give the page threads."""

_FILE = {"type": "string", "format": "binary"}
_IMAGE = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "name": {"type": "string"},
        "data": {"type": "string", "contentEncoding": "base64"},
    },
}
REQUEST_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {"schema": {"type": "object", "properties": {"file": _FILE}}},
        "image/*": {"schema": _FILE},
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["images"],
                "properties": {"images": {"type": "array", "items": _IMAGE}},
            }
        },
    },
}
"""What /docs and tools are told of the body, which is read here and not by FastAPI."""


def create_app(pipeline: Pipeline, settings: ServiceSettings | None = None) -> FastAPI:
    """Returns the application.

    Args:
        pipeline: The networks; they are warmed when the application starts and closed when it
            ends.
        settings: Limits, token and the rest.
    """
    settings = settings or ServiceSettings()
    service = _Service(pipeline, settings)
    app = FastAPI(
        title="dwpose-serve",
        version=__version__,
        description="133 keypoints of every person on a picture.",
        lifespan=service.lifespan,
    )
    app.middleware("http")(service.guard)
    app.post("/v1/predict", openapi_extra={"requestBody": REQUEST_BODY})(service.predict)
    app.get("/healthz")(service.healthz)
    app.get("/readyz")(service.readyz)
    app.get("/metrics")(service.metrics_text)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _query_error)
    if settings.web is not None:
        app.mount("/", StaticFiles(directory=settings.web, html=True), name="page")
    return app


class _Service:
    """The state behind the paths of one application."""

    def __init__(self, pipeline: Pipeline, settings: ServiceSettings) -> None:
        self._pipeline, self._settings = pipeline, settings
        self._shared: SharedPipeline | None = None
        self._metrics = ServiceMetrics(lambda: self._shared.waiting if self._shared else 0)

    @asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(_warm, self._pipeline)
        self._shared = SharedPipeline(
            self._pipeline,
            max_waiting=self._settings.limits.max_waiting,
            delay_ms=self._settings.delay_ms,
            observe=self._observe,
        )
        try:
            yield
        finally:
            shared, self._shared = self._shared, None
            await run_in_threadpool(shared.close)

    def _observe(self, pictures: int, seconds: float) -> None:
        self._metrics.batch.observe(pictures)
        self._metrics.stage_seconds.labels("networks").observe(seconds)

    async def guard(
        self, request: Request, call: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """Token, size as announced, metrics, and the headers of the page."""
        begun_s = time.perf_counter()
        response = self._refusal(request) or await call(request)
        path = request.url.path if request.url.path.startswith(("/v1", "/metrics")) else "other"
        if request.url.path not in OPEN_PATHS:
            self._metrics.requests.labels(path, str(response.status_code)).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - begun_s)
        if self._settings.web is not None:
            response.headers.update(ISOLATED)
        return response

    def _refusal(self, request: Request) -> Response | None:
        token = self._settings.token
        if token is not None and request.url.path not in OPEN_PATHS:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), token.encode()):
                return _error(401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > self._settings.limits.max_body_bytes:
            return _error(413, self._too_large())
        return None

    def _too_large(self) -> str:
        return f"the body exceeds {self._settings.limits.max_body_bytes:,} bytes"

    async def healthz(self) -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    async def readyz(self) -> Response:
        """The networks are loaded and warm, and it is not stopping."""
        ready = self._shared is not None
        return JSONResponse({"status": "ready" if ready else "not ready"}, 200 if ready else 503)

    async def metrics_text(self) -> Response:
        """Counters in Prometheus' text format."""
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")

    async def predict(
        self,
        request: Request,
        query: Annotated[PredictQuery, Query()],
    ) -> Response:
        """Finds the persons of one or several pictures.

        The body is a picture's bytes; a form with files; or JSON,
        `{"images": [{"name": "a.jpg", "data": "<base64>"}]}`. One picture sent as bytes or as the
        only file is answered with its result alone; several, and JSON, with a status for each.
        """
        try:
            query.check()
        except InvalidArgumentError as error:
            raise HTTPException(422, str(error)) from error
        uploads, single = await self._uploads(request)
        if query.draw is not None and not single:
            return _error(400, "draw= answers one picture; send pictures one by one for it")
        work = [self._outcome(each, query) for each in uploads]
        outcomes = await asyncio.gather(*work)
        for outcome in outcomes:
            self._metrics.pictures.labels(str(outcome.status)).inc()
            self._metrics.persons.inc(len(outcome.result) if outcome.result is not None else 0)
        return await run_in_threadpool(self._answer, outcomes, single, query)

    async def _uploads(self, request: Request) -> tuple[list[Upload], bool]:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            body = await self._body(request)
            if kind == "multipart/form-data":
                uploads = await _files(request, body)
                single = len(uploads) == 1
            elif kind == "application/json":
                uploads, single = await run_in_threadpool(uploads_of_json, body), False
            else:
                uploads, single = [Upload("picture", body)], True
        except InputError as error:
            raise HTTPException(400, str(error)) from error
        limit = self._settings.limits.max_pictures
        if not uploads or len(uploads) > limit:
            raise HTTPException(400, f"{len(uploads)} pictures; 1 to {limit} are taken")
        return uploads, single

    async def _body(self, request: Request) -> bytes:
        """The whole body, as far as it is within the limit, whatever was announced."""
        body = bytearray()
        limits = self._settings.limits
        try:
            with anyio.fail_after(limits.timeout_s):
                async for block in request.stream():
                    body += block
                    if len(body) > limits.max_body_bytes:
                        raise HTTPException(413, self._too_large())
        except TimeoutError as error:
            text = f"the body did not come within {limits.timeout_s:g} s"
            raise HTTPException(408, text) from error
        return bytes(body)

    async def _outcome(self, upload: Upload, query: PredictQuery) -> Outcome:
        outcome = Outcome(upload.name)
        try:
            begun_s = time.perf_counter()
            limits = self._settings.limits
            shared = self._shared
            if shared is None:
                return replace(outcome, error="the service is stopping", status=503)
            with shared.expecting():
                picture = await run_in_threadpool(
                    read_picture, upload.data, max_pixels=limits.max_pixels
                )
            # After `expecting`, or the networks would wait for this very picture.
            future = shared.submit(picture.image_bgr, whole_image=query.whole_image)
            self._metrics.stage_seconds.labels("read").observe(time.perf_counter() - begun_s)
            result = await asyncio.wait_for(asyncio.wrap_future(future), limits.timeout_s)
        except InputError as error:
            text = str(error).replace("the bytes given", upload.name)
            return replace(outcome, error=text, status=422)
        except BusyError as error:
            return replace(outcome, error=str(error), status=429)
        except (TimeoutError, asyncio.TimeoutError):  # two until Python 3.11
            return replace(outcome, error=f"no result within {limits.timeout_s:g} s", status=504)
        except Exception:  # its text may name files of this machine, so it is for the log alone
            logger.exception("%r: the networks failed", upload.name)
            text = "the networks failed; the log of the service says why"
            return replace(outcome, error=text, status=500)
        try:
            result = replace(query.apply(result), source=upload.name, notes=picture.notes)
        except InvalidArgumentError as error:  # a part that this network does not have
            return replace(outcome, error=str(error), status=422)
        return replace(outcome, result=result, picture=picture)

    def _answer(self, outcomes: list[Outcome], single: bool, query: PredictQuery) -> Response:
        begun_s = time.perf_counter()
        format, options = FORMATS[query.format], query.format_options()
        try:
            if single:
                return self._answer_one(outcomes[0], query)
            if format.per == "picture" and format.ending == ".json":
                document = document_of_many(outcomes, format, options)
                return Response(
                    dump(document), _common_status(outcomes), _retry(outcomes), "application/json"
                )
            good = [each.result for each in outcomes if each.result is not None]
            failed = {each.name: each.error for each in outcomes if each.result is None}
            if failed and not good:
                text = "; ".join(map(str, failed.values()))
                return _error(_common_status(outcomes), text, _retry(outcomes))
            body, media_type = encode_file(good, format, options)
            headers = {"X-Failed-Pictures": str(len(failed))} if failed else {}
            return Response(body, media_type=media_type, headers=headers)
        except InvalidArgumentError as error:
            return _error(422, str(error))
        finally:
            self._metrics.stage_seconds.labels("encode").observe(time.perf_counter() - begun_s)

    def _answer_one(self, outcome: Outcome, query: PredictQuery) -> Response:
        if outcome.result is None or outcome.picture is None:
            return _error(outcome.status, outcome.error or "", _retry([outcome]))
        if query.draw is None:
            body, media_type = encode_file(
                [outcome.result], FORMATS[query.format], query.format_options()
            )
        else:
            max_pixels = self._settings.limits.max_pixels
            options = query.draw_options(outcome.picture, max_pixels=max_pixels)
            image_bgr = outcome.picture.image_bgr
            body, media_type = encode_drawing(outcome.result, image_bgr, query.draw, options)
        return Response(body, media_type=media_type)


def _retry(outcomes: list[Outcome]) -> dict[str, str]:
    """The header that says when to come again, where a picture found the queue full."""
    busy = any(each.status == 429 for each in outcomes)
    return {"Retry-After": RETRY_AFTER_S} if busy else {}


def _common_status(outcomes: list[Outcome]) -> int:
    """200 where a picture has a result; else the status that the pictures share, or 422."""
    statuses = {each.status for each in outcomes}
    if any(each.result is not None for each in outcomes):
        return 200
    return statuses.pop() if len(statuses) == 1 else 422


async def _files(request: Request, body: bytes) -> list[Upload]:
    """The files of a form whose body was read already."""

    async def again() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        async with Request(request.scope, again).form() as form:
            parts = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
            return [
                Upload(part.filename or f"image-{index}", await part.read())
                for index, part in enumerate(parts)
            ]
    except HTTPException as error:
        raise InputError(f"the form cannot be read: {error.detail}") from error


def _warm(pipeline: Pipeline) -> None:
    if pipeline.detector is not None:
        pipeline.detector.backend.warmup(GROUP_PICTURES)
    if pipeline.estimator is not None:
        pipeline.estimator.backend.warmup(pipeline.estimator.max_batch)


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": message}, status, headers=headers)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, str(error.detail), dict(error.headers or {}))


async def _query_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors()]
    return _error(422, "; ".join(found) + "; GET /docs describes the fields of the query")
