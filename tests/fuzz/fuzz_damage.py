"""Damage to sound files, drawn from a generator: the same seed does the same damage."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

Damage = Callable[[bytes, np.random.Generator], bytes]

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400, 0.5, 1e39, -1e308),
    *(float("nan"), float("inf"), "", "x", "\ud800", "\0", [], {}, [[]], [None], {"": 0}),
)
"""What stands in a JSON file in place of what belongs there."""

ODD_LENGTHS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
MAX_DEPTH = 100_000


def damage_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Flips bytes, cuts, repeats, moves, overwrites lengths, or keeps the first bytes alone."""
    changed = bytearray(data)
    kind = int(rng.integers(8))
    place = int(rng.integers(len(data)))
    if kind == 0:  # single bytes, anywhere
        for at in rng.integers(len(data), size=int(rng.integers(1, 9))):
            changed[at] = int(rng.integers(256))
    elif kind == 1:  # single bytes of the head, where formats keep what they are
        for at in rng.integers(min(len(data), 256), size=int(rng.integers(1, 5))):
            changed[at] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        del changed[place:]
    elif kind == 3:
        del changed[place : place + int(rng.integers(1, 65))]
    elif kind == 4:
        changed[place:place] = changed[: int(rng.integers(1, 257))]
    elif kind == 5:  # a number of 1, 2 or 4 bytes that may be a length
        size, order = (1, 2, 4)[int(rng.integers(3))], ("little", "big")[int(rng.integers(2))]
        value = ODD_LENGTHS[int(rng.integers(len(ODD_LENGTHS)))] & (256**size - 1)
        place = int(rng.integers(min(len(data), 512)))
        changed[place : place + size] = value.to_bytes(size, order)
    elif kind == 6:  # the right beginning and noise after it
        kept = int(rng.integers(4, 65))
        changed[kept:] = rng.bytes(int(rng.integers(4096)))
    else:
        changed[place : place + 64] = bytes(64)
    return bytes(changed)


def damage_json(data: bytes, rng: np.random.Generator) -> bytes:
    """Puts an odd value in a place of a document, takes one away, nests it, or damages bytes."""
    kind = int(rng.integers(6))
    if kind == 0:
        return damage_bytes(data, rng)
    if kind == 1:
        depth = int(rng.integers(1, MAX_DEPTH))
        opening = (b"[", b'{"a":')[int(rng.integers(2))]
        return opening * depth
    document = json.loads(data)
    for _ in range(int(rng.integers(1, 4))):
        places = list(_places(document))
        if not places:
            break
        holder, key = places[int(rng.integers(len(places)))]
        odd = ODD_VALUES[int(rng.integers(len(ODD_VALUES)))]
        if kind == 2:
            del holder[key]
        elif kind == 3 and isinstance(holder, list):
            holder.append(odd)
        else:
            holder[key] = odd
    return json.dumps(document).encode()


def damage_lines(data: bytes, rng: np.random.Generator) -> bytes:
    """Damages one line of JSON, or the lines as they follow one another."""
    lines = data.splitlines(keepends=True)
    place = int(rng.integers(len(lines)))
    kind = int(rng.integers(4))
    if kind == 0:
        return damage_bytes(data, rng)
    if kind == 1:
        lines[place : place + 1] = lines[place : place + 1] * 2
    else:
        lines[place] = damage_json(lines[place], rng) + b"\n"
    return b"".join(lines)


def damage_table(data: bytes, rng: np.random.Generator) -> bytes:
    """Puts odd text into cells of a CSV table, or damages its bytes."""
    if rng.integers(3) == 0:
        return damage_bytes(data, rng)
    rows = [line.split(",") for line in data.decode().split("\n")]
    odd = (
        "",
        "nan",
        "inf",
        "-1",
        "1e400",
        "9" * 400,
        "9" * 25,
        '"',
        "x",
        "\0",
        "1_0",
        "\u0967",
        "0x1",
        "1.5",
    )
    for _ in range(int(rng.integers(1, 4))):
        row = rows[int(rng.integers(len(rows)))]
        row[int(rng.integers(min(len(row), 16)))] = odd[int(rng.integers(len(odd)))]
    return "\n".join(map(",".join, rows)).encode()


def damage_zip(data: bytes, rng: np.random.Generator) -> bytes:
    """Damages a member of an archive under a right check sum, or the archive itself."""
    if rng.integers(3) == 0:
        return damage_bytes(data, rng)
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        names = old.namelist()
        chosen = names[int(rng.integers(len(names)))]
        for name in names:
            content = old.read(name)
            if name == chosen and rng.integers(8) == 0:
                continue
            damaged = name == chosen and content
            new.writestr(name, damage_bytes(content, rng) if damaged else content)
    return made.getvalue()


def damage_png(data: bytes, rng: np.random.Generator) -> bytes:
    """Damages a chunk under a right check sum (PNG specification, section 5.3)."""
    if rng.integers(3) == 0:
        return damage_bytes(data, rng)
    chunks, place = [], 8
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    at = int(rng.integers(len(chunks)))
    name, content = chunks[at]
    chunks[at] = (name, damage_bytes(content, rng) if content else rng.bytes(8))
    body = b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )
    return data[:8] + body


def _places(value: Any) -> Any:
    """Every place of a document that holds a value: what holds it, and its key or index."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        yield value, key
        if isinstance(inner, (dict, list)):
            yield from _places(inner)
