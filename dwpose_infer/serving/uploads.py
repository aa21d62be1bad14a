"""From a request's body to the pictures in it."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

import anyio
import orjson
from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ..errors import InputError
from .settings import ServiceLimits

CLIENT_LEFT: Final = 499
"""The status in the metrics, by nginx's convention, of who did not wait for the answer."""

SMALL_BODY_BYTES: Final = 2**18
"""JSON up to here is read in less time than handing it to a thread takes (0.2 of 0.3 ms)."""

_FILE = {"type": "string", "format": "binary"}
_IMAGE = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "data": {"type": "string", "contentEncoding": "base64"},
        "url": {"type": "string", "format": "uri"},
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


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """A picture as it came.

    Attributes:
        name: What the client calls it, or its number.
        data: Its file's bytes; None where a URL is given.
        url: Where it is to be fetched.
    """

    name: str
    data: bytes | None
    url: str | None = None


async def read_uploads(request: Request, limits: ServiceLimits) -> tuple[list[Upload], bool]:
    """Returns the pictures of a request, and whether it is one that is answered alone.

    Raises:
        HTTPException: The body is too large, too slow or not laid out as it should be.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        body = await _body(request, limits)
        if kind == "multipart/form-data":
            uploads = await _files(request, body)
            single = len(uploads) == 1
        elif kind == "application/json":
            small = len(body) <= SMALL_BODY_BYTES
            uploads = _of_json(body) if small else await run_in_threadpool(_of_json, body)
            single = False
        else:
            uploads, single = [Upload("picture", body)], True
    except InputError as error:
        raise HTTPException(400, str(error)) from error
    if not uploads or len(uploads) > limits.max_pictures:
        raise HTTPException(400, f"{len(uploads)} pictures; 1 to {limits.max_pictures} are taken")
    return uploads, single


async def _body(request: Request, limits: ServiceLimits) -> bytes:
    """The whole body, as far as it is within the limit, whatever was announced."""
    body = bytearray()
    try:
        with anyio.fail_after(limits.timeout_s):
            async for block in request.stream():
                body += block
                if len(body) > limits.max_body_bytes:
                    raise HTTPException(413, limits.too_large)
    except TimeoutError as error:
        text = f"the body did not come within {limits.timeout_s:g} s"
        raise HTTPException(408, text) from error
    except ClientDisconnect as error:
        raise HTTPException(CLIENT_LEFT, "the body broke off") from error
    return bytes(body)


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


def _of_json(body: bytes) -> list[Upload]:
    """Reads `{"images": [{"name": "a.jpg", "data": "<base64>"}, ...]}`; a text is data alone."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InputError(f"the body is not JSON: {error}") from error
    images = document.get("images") if isinstance(document, dict) else None
    if not isinstance(images, list):
        raise InputError('the body has to be {"images": [{"name": ..., "data": base64}, ...]}')
    return [_upload(entry, index) for index, entry in enumerate(images)]


def _upload(entry: Any, index: int) -> Upload:
    given = {"data": entry} if isinstance(entry, str) else entry
    given = given if isinstance(given, dict) else {}
    data, url, name = given.get("data"), given.get("url"), given.get("name")
    name = name if isinstance(name, str) and name else None
    if isinstance(url, str) and data is None:
        return Upload(name or url, None, url)
    if not isinstance(data, str) or url is not None:
        raise InputError(f"image {index} has no text in data, or in url")
    try:
        decoded = base64.b64decode(data.partition("base64,")[2] or data, validate=True)
    except (ValueError, binascii.Error) as error:
        raise InputError(f"image {index}: data is not base64: {error}") from error
    return Upload(name or f"image-{index}", decoded)
