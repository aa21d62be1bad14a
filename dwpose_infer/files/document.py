"""JSON files of a known layout: written in one step, checked field by field when read.

A layout is a `msgspec.Struct` or a dataclass. Its fields `schema_version` and `benchmark`, where it
has them, are literals with defaults: what differs in them is another file, not a damaged one.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..errors import FormatError
from .atomic import read_bytes, write_bytes
from .json_text import parse, require, require_version

Layout = TypeVar("Layout")


def to_json(document: object) -> bytes:
    """Returns a document as indented JSON, paths as text, ending with a line feed."""
    encoded: bytes = msgspec.json.encode(document, enc_hook=os.fspath)
    return bytes(msgspec.json.format(encoded, indent=2)) + b"\n"


def write_document(path: str | os.PathLike[str], document: object) -> Path:
    """Writes a document; the file appears whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    return write_bytes(path, to_json(document))


def read_document(path: str | os.PathLike[str], kind: type[Layout]) -> Layout:
    """Reads a document and checks every field of it.

    Args:
        path: File to read.
        kind: Class of the document; unknown fields are refused where it is a `Struct` that does.

    Raises:
        InputError: The file cannot be read.
        FormatError: It is not JSON, is the result of another benchmark or of a newer release, or
            a field is missing, unknown or of a wrong type; the message names file and field.
    """
    origin = str(path)
    plain = parse(read_bytes(path), origin)
    require(isinstance(plain, dict), origin, "expected an object")
    header = header_of(kind)
    if "benchmark" in header:
        found, name = plain.get("benchmark"), header["benchmark"]
        require(found == name, origin, f"this is the result of {found!r}, not of {name!r}")
    if "schema_version" in header:
        require_version(plain.get("schema_version"), header["schema_version"], origin)
    try:
        return msgspec.convert(plain, kind, dec_hook=_to_path)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # of half a surrogate pair
        raise FormatError(f"{origin}: {error}") from error


def header_of(kind: Any) -> dict[str, Any]:
    """Returns what the fields `schema_version` and `benchmark` hold of a layout that has them."""
    is_plain = dataclasses.is_dataclass(kind)
    fields: Any = dataclasses.fields(kind) if is_plain else msgspec.structs.fields(kind)
    names = ("schema_version", "benchmark")
    return {field.name: field.default for field in fields if field.name in names}


def _to_path(kind: type, value: object) -> Path:
    if issubclass(kind, Path) and isinstance(value, str):
        return kind(value)
    raise TypeError(f"expected text for a {kind.__name__}")
