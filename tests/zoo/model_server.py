"""A server of models on this machine, the bytes it serves, and ways in which it fails."""

from __future__ import annotations

import hashlib
import http.server
import io
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

MODEL = b"\x08\x07" + bytes(range(256)) * 9000  # 2.3 MB, starts like an ONNX file
OTHER_MODEL = MODEL[:-1] + b"?"
WEB_PAGE = b"<!DOCTYPE html><title>Log in to this network</title>"
TIMEOUT_S = 10.0

Respond = Callable[[http.server.BaseHTTPRequestHandler], None]


class ModelServer(http.server.ThreadingHTTPServer):
    """Serves bytes by path, or lets a function answer; `requests` are the paths asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        self.routes: dict[str, bytes | Respond] = {}
        self.requests: list[str] = []
        self.released = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    def url(self, name: str, content: bytes | Respond | None = None) -> str:
        if content is not None:
            self.routes[f"/{name}"] = content
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def handle_error(self, request, client_address) -> None:
        """Clients that hang up are what some of the tests are about."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: ModelServer

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        content = self.server.routes.get(self.path)
        if content is None:
            self.send_error(404)
        elif callable(content):
            content(self)
        else:
            send(self, content, len(content))

    def log_message(self, *_) -> None:
        pass


def send(handler: http.server.BaseHTTPRequestHandler, body: bytes, announced_bytes: int) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(announced_bytes))
    handler.end_headers()
    handler.wfile.write(body)
    handler.wfile.flush()


def truncated(handler: http.server.BaseHTTPRequestHandler) -> None:
    send(handler, MODEL[:100_000], len(MODEL))


def stalling(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Half of the model, and then nothing until the test is over."""
    send(handler, MODEL[: len(MODEL) // 2], len(MODEL))
    handler.server.released.wait(TIMEOUT_S)


def zipped(**files: bytes) -> bytes:
    """A zip of files; two underscores in a name stand for a slash, one for a dot."""
    named = {key.replace("__", "/").replace("_", "."): value for key, value in files.items()}
    return zipped_names(named)


def zipped_names(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())
