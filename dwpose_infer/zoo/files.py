"""Files on their way: the temporary names they arrive under, and what is in them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

CHUNK_BYTES: Final = 1 << 20
MAX_FILE_BYTES: Final = 2 << 30  # the largest model is 0.4 GB: more is a mistake or an attack
STALE_AFTER_S: Final = 24 * 3600.0


@contextlib.contextmanager
def part_file(destination: Path) -> Iterator[Path]:
    """A name beside the destination that nobody else uses; whatever is left there is deleted."""
    path = destination.with_name(f".{destination.name}.{uuid.uuid4().hex}.part")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def remove_stale_parts(folder: Path) -> None:
    """Delete what killed processes left; a download under way is written to all the time."""
    for path in folder.glob(".*.part"):
        with contextlib.suppress(OSError):  # another process may have deleted it first
            if time.time() - path.stat().st_mtime > STALE_AFTER_S:
                path.unlink()


def publish(part: Path, destination: Path, sha256: str) -> None:
    """Give a finished file its own name, in place of any earlier file of that name.

    Args:
        part: The finished file under its temporary name.
        destination: Its own name, in the same folder.
        sha256: SHA-256 of the file in lower-case hex.
    """
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    try:
        part.replace(destination)
    except PermissionError:
        # Windows does not replace a file in use: fine if another process put the same one there.
        if not destination.is_file() or sha256_of(destination) != sha256:
            raise


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in lower-case hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def impostor(path: Path) -> str:
    """Words for what often comes in the place of a model, or nothing."""
    with path.open("rb") as file:
        head = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"<"):
        return " but a web page (does this network ask to log in?)"
    if head.startswith(b"version https://git-lfs"):
        return " but a Git LFS pointer"
    return ""
