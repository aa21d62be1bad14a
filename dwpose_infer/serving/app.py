"""The service itself: an ASGI application around shared networks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Final

import anyio
import anyio.to_thread
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from .._version import __version__
from ..calls import warm_up
from ..errors import InputError, InvalidArgumentError, MissingDependencyError
from ..files.json_text import dump
from ..formats.codecs import FORMATS
from ..images import ReadPicture, read_picture
from ..picture_url import fetch_picture, is_url, short
from ..pipeline import Pipeline
from ..tiles import tile_windows
from .answers import Outcome, document_of_many, encode_drawing, encode_file
from .batching import BusyError, PerCore, Search, SharedPipeline
from .guard import Guard, error_response
from .metrics import ServiceMetrics
from .query import PredictQuery
from .settings import ServiceLimits, ServiceSettings
from .uploads import CLIENT_LEFT, REQUEST_BODY, Upload, read_uploads

logger = logging.getLogger(__name__)

RETRY_AFTER_S = "1"

FETCHED_AT_ONCE: Final = 8
"""Pictures behind URLs that are fetched at a time; servers that are slow keep nobody else."""

FEW_PERSONS: Final = 16
"""JSON of so many is written in less time than handing it to a thread takes (0.1 ms a person)."""


def create_app(
    pipeline: Pipeline,
    settings: ServiceSettings | None = None,
    *,
    per_core: PerCore | None = None,
) -> FastAPI:
    """Returns the application.

    Args:
        pipeline: The networks; they are warmed when the application starts and closed when it
            ends.
        settings: Limits, token and the rest.
        per_core: The networks for pictures that have a core each; None where they share batches.
    """
    from fastapi_offline import FastAPIOffline

    settings = settings or ServiceSettings()
    service = _Service(pipeline, per_core, settings)
    app = FastAPIOffline(
        "/docs",
        None,
        title="dwpose-serve",
        version=__version__,
        description="133 keypoints of every person on a picture.",
        lifespan=service.lifespan,
    )
    # The guard asks for the token; this one tells /docs and tools that there is one.
    token = [] if settings.token is None else [Depends(HTTPBearer(auto_error=False))]
    app.post("/v1/predict", openapi_extra={"requestBody": REQUEST_BODY}, dependencies=token)(
        service.predict
    )
    app.get("/healthz")(service.healthz)
    app.get("/readyz")(service.readyz)
    app.get("/metrics", dependencies=token)(service.metrics_text)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _query_error)
    app.add_exception_handler(Exception, _unexpected_error)
    app.add_middleware(Guard, settings=settings, metrics=service.metrics)
    if settings.web is not None:
        app.mount("/", StaticFiles(directory=settings.web, html=True), name="page")
    return app


class _Service:
    """The state behind the paths of one application."""

    def __init__(
        self, pipeline: Pipeline, per_core: PerCore | None, settings: ServiceSettings
    ) -> None:
        self._pipeline, self._per_core, self._settings = pipeline, per_core, settings
        self._shared: SharedPipeline | None = None
        self.metrics = ServiceMetrics(lambda: self._shared.waiting if self._shared else 0)

    @asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(warm_up, self._pipeline)
        if self._per_core is not None:
            await run_in_threadpool(warm_up, self._per_core.pipeline)
        self._fetching = anyio.CapacityLimiter(FETCHED_AT_ONCE)
        self._shared = SharedPipeline(
            self._pipeline,
            self._per_core,
            max_waiting=self._settings.limits.max_waiting,
            delay_ms=self._settings.delay_ms,
            observe=self._observe,
        )
        try:
            yield
        finally:
            shared, self._shared = self._shared, None
            await run_in_threadpool(shared.close)

    def _observe(self, stage: str, pictures: int, seconds: float) -> None:
        self.metrics.stage_seconds.labels(stage).observe(seconds)
        if stage == "networks":
            self.metrics.batch.observe(pictures)

    async def healthz(self) -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    async def readyz(self) -> Response:
        """The networks are loaded and warm, and it is not stopping."""
        ready = self._shared is not None
        return JSONResponse({"status": "ready" if ready else "not ready"}, 200 if ready else 503)

    async def metrics_text(self) -> Response:
        """Counters in Prometheus' text format."""
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")

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
        uploads, single = await read_uploads(request, self._settings.limits)
        if query.draw is not None and not single:
            return error_response(400, "draw= answers one picture; send pictures one by one for it")
        outcomes = await self._outcomes(request, uploads, query)
        if outcomes is None:
            return Response(status_code=CLIENT_LEFT)
        for outcome in outcomes:
            self.metrics.pictures.labels(str(outcome.status)).inc()
            self.metrics.persons.inc(len(outcome.result) if outcome.result is not None else 0)
        if _is_quick(outcomes, query):
            return self._answer(outcomes, single, query)
        return await run_in_threadpool(self._answer, outcomes, single, query)

    async def _outcomes(
        self, request: Request, uploads: list[Upload], query: PredictQuery
    ) -> list[Outcome] | None:
        """Works on pictures; None, and no work on those that wait, where the client has left."""
        work = asyncio.gather(*(self._outcome(each, query) for each in uploads))
        left = asyncio.ensure_future(request.receive())  # the body was read: it can only end
        try:
            await asyncio.wait((work, left), return_when=asyncio.FIRST_COMPLETED)
            return await work if work.done() else None
        finally:
            for each in (work, left):
                each.cancel()
            with suppress(asyncio.CancelledError):
                await work

    async def _outcome(self, upload: Upload, query: PredictQuery) -> Outcome:
        outcome = Outcome(upload.name)
        limits = self._settings.limits
        try:
            if self._shared is None:
                return replace(outcome, error="the service is stopping", status=503)
            with anyio.fail_after(limits.timeout_s):
                picture, result = await self._found(self._shared, upload, query)
        except InputError as error:
            text = str(error).replace("the bytes given", upload.name)
            return replace(outcome, error=text, status=422)
        except BusyError as error:
            return replace(outcome, error=str(error), status=429)
        except TimeoutError:
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

    async def _found(self, shared: SharedPipeline, upload: Upload, query: PredictQuery) -> Any:
        data = upload.data
        if data is None:
            data = await self._fetched(upload.url or "")
        detector = self._pipeline.detector
        own_side = detector.options.tile_side if detector is not None else None
        read = partial(
            _read, data, tile_side=query.tile_side or own_side, limits=self._settings.limits
        )
        search = Search(whole_image=query.whole_image, tile_side=query.tile_side)
        return await asyncio.wrap_future(shared.submit(read, search))

    async def _fetched(self, url: str) -> bytes:
        urls, limits = self._settings.urls, self._settings.limits
        if urls is None:
            raise InputError(
                "this service fetches no URLs (--url-hosts names hosts for it); send the bytes"
            )
        if not is_url(url):
            raise InputError(f"{short(url)} is no http or https URL")
        fetch = partial(
            fetch_picture,
            url,
            urls=urls,
            deadline_s=limits.timeout_s,
            max_bytes=limits.max_body_bytes,
        )
        return await anyio.to_thread.run_sync(fetch, abandon_on_cancel=True, limiter=self._fetching)

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
                return error_response(_common_status(outcomes), text, _retry(outcomes))
            body, media_type = encode_file(good, format, options)
            headers = {"X-Failed-Pictures": str(len(failed))} if failed else {}
            return Response(body, media_type=media_type, headers=headers)
        except InvalidArgumentError as error:
            return error_response(422, str(error))
        except MissingDependencyError as error:
            return error_response(501, f"format={query.format}: {error}")
        finally:
            self.metrics.stage_seconds.labels("encode").observe(time.perf_counter() - begun_s)

    def _answer_one(self, outcome: Outcome, query: PredictQuery) -> Response:
        if outcome.result is None or outcome.picture is None:
            return error_response(outcome.status, outcome.error or "", _retry([outcome]))
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


def _is_quick(outcomes: list[Outcome], query: PredictQuery) -> bool:
    persons = sum(len(each.result) for each in outcomes if each.result is not None)
    is_json = query.draw is None and FORMATS[query.format].ending == ".json"
    return is_json and persons <= FEW_PERSONS


def _read(data: bytes, *, tile_side: int | None, limits: ServiceLimits) -> ReadPicture:
    """Reads a picture and checks that it may be searched in such tiles."""
    picture = read_picture(data, max_pixels=limits.max_pixels)
    if tile_side is not None:
        height, width = picture.image_bgr.shape[:2]
        tiles = len(tile_windows((width, height), tile_side))
        if tiles > limits.max_tiles:
            raise InputError(
                f"{width}x{height} pixels are {tiles:,} tiles of {tile_side}; up to "
                f"{limits.max_tiles} are searched: ask for a larger tile_side"
            )
    return picture


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return error_response(error.status_code, str(error.detail), dict(error.headers or {}))


async def _unexpected_error(_request: Request, _error: Exception) -> Response:
    """What the client is told; the error itself goes on to the log of the server."""
    return error_response(500, "the service failed; its log says why")


async def _query_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors()]
    return error_response(422, "; ".join(found) + "; GET /docs describes the fields of the query")
