"""What is recorded about a downloaded file.

Beside each model stands a small lock file with the size and SHA-256 of what was downloaded.
Where the publisher gives no hash, the first download fixes it: a later one must match.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from ..errors import DownloadError
from ..files.atomic import write_bytes

LOCK_SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What was downloaded, as the lock file keeps it.

    Attributes:
        url: Address the file came from.
        size_bytes: Size of the file.
        sha256: SHA-256 of the file in lower-case hex.
        archive_size_bytes: Size of the zip it was taken from, or None.
        archive_sha256: SHA-256 of that zip, or None.
    """

    url: str
    size_bytes: int
    sha256: str
    archive_size_bytes: int | None = None
    archive_sha256: str | None = None


def lock_path(destination: Path) -> Path:
    """Path of the lock file that belongs to a downloaded file."""
    return destination.with_name(destination.name + ".lock.json")


def read_lock(destination: Path) -> FileRecord | None:
    """Read what is recorded about a downloaded file.

    Args:
        destination: Path of the downloaded file; it need not exist any more.

    Returns:
        The record, or None if the file was never downloaded to there.

    Raises:
        DownloadError: The lock file is unreadable, damaged or of another version.
    """
    path = lock_path(destination)
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DownloadError(f"{path} cannot be read ({error})") from error
    try:
        entry = json.loads(text)
        if entry.pop("schema_version") != LOCK_SCHEMA_VERSION:
            raise DownloadError(f"{path} was written by another version of dwpose-infer: delete it")
        return FileRecord(**entry)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DownloadError(f"{path} is damaged ({error!r}): delete it") from error


def write_lock(destination: Path, record: FileRecord) -> None:
    """Record what was downloaded, in place of any earlier record.

    Raises:
        OutputError: It cannot be written.
    """
    entry = {"schema_version": LOCK_SCHEMA_VERSION, **asdict(record)}
    write_bytes(lock_path(destination), (json.dumps(entry, indent=2) + "\n").encode())
