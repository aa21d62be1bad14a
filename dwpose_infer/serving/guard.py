"""What stands before every path: the token, the announced size, the counters, headers."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .metrics import ServiceMetrics
from .settings import ServiceSettings

UNCOUNTED_PATHS = ("/healthz", "/readyz")
"""Asked too often to be counted."""

OPEN_PATHS = (*UNCOUNTED_PATHS, "/docs", "/openapi.json")
DOCS_FILES = "/static-offline-docs/"
"""What needs no token: browsers cannot send one with what /docs is made of."""

ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
"""Headers with which browsers give the page threads."""


class Guard:
    """Middleware without a task of its own for each request, which Starlette's base starts."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings, metrics: ServiceMetrics) -> None:
        """Stands before an application.

        Args:
            app: The application.
            settings: Token, limits, and whether there is a page.
            metrics: Counts the requests.
        """
        self._app, self._settings, self._metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or lets the application do so."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun_s = time.perf_counter()
        status = 500

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._settings.web is not None:
                    MutableHeaders(scope=message).update(ISOLATED)
            await send(message)

        try:
            await (self._refusal(scope) or self._app)(scope, receive, send_on)
        finally:
            path = scope["path"]
            if path not in UNCOUNTED_PATHS:
                path = path if path in ("/v1/predict", "/metrics") else "other"
                self._metrics.requests.labels(path, str(status)).inc()
                self._metrics.seconds.labels(path).observe(time.perf_counter() - begun_s)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        token = self._settings.token
        path = scope["path"]
        if token is not None and path not in OPEN_PATHS and not path.startswith(DOCS_FILES):
            given = headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), token.encode()):
                return error_response(
                    401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"}
                )
        length = headers.get("content-length", "")
        limits = self._settings.limits
        if length.isdigit() and int(length) > limits.max_body_bytes:
            return error_response(413, limits.too_large)
        return None


def error_response(
    status: int, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Returns an answer that says what is wrong."""
    return JSONResponse({"error": message}, status, headers=headers)
