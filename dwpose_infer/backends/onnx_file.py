"""What an ONNX file says of itself, read without the package onnx and without its weights.

A file is a protobuf message, `ModelProto` of onnx.proto3: fields one after the other, each with a
number, a kind and, where it is not a number, a length. So the graph is skipped in one step.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Final

METADATA_PROPS: Final = 14
"""Number of the field `metadata_props`, whose entries hold `key` (1) and `value` (2)."""

_VARINT, _64_BITS, _BYTES, _32_BITS = 0, 1, 2, 5
_MAX_ENTRY_BYTES: Final = 1 << 20


def read_metadata(path: Path) -> dict[str, str]:
    """Returns a file's metadata; nothing where it is no ONNX file, which its loader tells better.

    Raises:
        OSError: It cannot be read.
    """
    found: dict[str, str] = {}
    with path.open("rb") as file:
        try:
            while (number := _next_field(file)) is not None:
                field, value = number
                if field == METADATA_PROPS and value is not None:
                    key, text = _entry(value)
                    found[key] = text
        except (ValueError, IndexError):
            return {}
    return found


def _next_field(file: BinaryIO) -> tuple[int, bytes | None] | None:
    """The next field's number, and its bytes where they may be an entry of the metadata."""
    tag = _varint(file)
    if tag is None:
        return None
    field, kind = tag >> 3, tag & 7
    if kind == _VARINT:
        _varint(file)
    elif kind in (_64_BITS, _32_BITS):
        file.seek(8 if kind == _64_BITS else 4, 1)
    elif kind == _BYTES:
        length = _varint(file) or 0
        if field == METADATA_PROPS and length <= _MAX_ENTRY_BYTES:
            return field, file.read(length)
        file.seek(length, 1)
    else:
        raise ValueError(f"a field of the unknown kind {kind}")
    return field, None


def _entry(data: bytes) -> tuple[str, str]:
    texts = {1: "", 2: ""}
    place = 0
    while place < len(data):
        field, length = data[place] >> 3, 0
        place, shift = place + 1, 0
        while True:
            byte = data[place]
            place, length, shift = place + 1, length | (byte & 127) << shift, shift + 7
            if byte < 128:
                break
        texts[field] = data[place : place + length].decode()
        place += length
    return texts[1], texts[2]


def _varint(file: BinaryIO) -> int | None:
    """The next number, 7 bits a byte, lowest first; None at the end of the file."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    raise ValueError("a number of more than 64 bits")
