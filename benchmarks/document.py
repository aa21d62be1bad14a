"""Results as typed JSON documents: written in one step, checked when read.

A benchmark describes its result as a subclass of `Document`, whose fields `schema_version` and
`benchmark` are literals with defaults:

    class LatencyDocument(Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
        schema_version: Literal[1] = 1
        benchmark: Literal["latency"] = "latency"
        settings: Settings
        rows: tuple[Row, ...]
"""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..errors import FormatError
from ..files.atomic import read_bytes, write_bytes
from ..files.json_text import parse, require, require_version
from .machine import Environment


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every result begins with.

    Attributes:
        schema_version: Version of the layout of this benchmark's file.
        benchmark: Name of the benchmark.
        environment: The machine, its load and the versions.
    """

    schema_version: int
    benchmark: str
    environment: Environment


AnyDocument = TypeVar("AnyDocument", bound=Document)


def to_json(document: Document) -> bytes:
    """Returns a document as indented JSON, ending with a line feed."""
    encoded: bytes = msgspec.json.format(msgspec.json.encode(document), indent=2)
    return encoded + b"\n"


def write_document(path: str | PathLike[str], document: Document) -> Path:
    """Writes a document; the file appears whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    return write_bytes(path, to_json(document))


def read_document(path: str | PathLike[str], kind: type[AnyDocument]) -> AnyDocument:
    """Reads a document and checks every field of it.

    Args:
        path: File to read.
        kind: Class of the document.

    Raises:
        InputError: The file cannot be read.
        FormatError: It is not JSON, is the result of another benchmark or of a newer release, or
            a field is missing, unknown or of a wrong type; the message names file and field.
    """
    origin = str(path)
    plain = parse(read_bytes(path), origin)
    name, version = document_header(kind)
    require(isinstance(plain, dict), origin, f"expected an object, the result of {name!r}")
    benchmark = plain.get("benchmark")
    require(benchmark == name, origin, f"this is the result of {benchmark!r}, not of {name!r}")
    require_version(plain.get("schema_version"), version, origin)
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        raise FormatError(f"{origin}: {error}") from error


def document_header(kind: type[msgspec.Struct]) -> tuple[str, int]:
    """Returns name and schema version of a class of documents."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(kind)}
    return str(defaults["benchmark"]), int(defaults["schema_version"])


def json_schema(kind: type[msgspec.Struct]) -> str:
    """Returns the JSON Schema (2020-12) of a class of documents, indented."""
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **msgspec.json.schema(kind),
    }
    return json.dumps(schema, indent=2)
