"""What is recorded about a downloaded file.

Beside each model stands a small lock file with the size and SHA-256 of what was downloaded.
Where the publisher gives no hash, the first download fixes it: a later one must match.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..errors import DownloadError, FormatError, InputError


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What was downloaded, as the lock file keeps it.

    Attributes:
        schema_version: Version of this layout.
        url: Address the file came from.
        size_bytes: Size of the file.
        sha256: SHA-256 of the file in lower-case hex.
        archive_size_bytes: Size of the zip it was taken from, or None.
        archive_sha256: SHA-256 of that zip, or None.
    """

    schema_version: Literal[1] = field(default=1, kw_only=True)
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
    from ..files.document import read_document

    path = lock_path(destination)
    if not path.exists():
        return None
    try:
        return read_document(path, FileRecord)
    except (InputError, FormatError) as error:
        raise DownloadError(f"{error}; delete it") from error


def write_lock(destination: Path, record: FileRecord) -> None:
    """Record what was downloaded, in place of any earlier record.

    Raises:
        OutputError: It cannot be written.
    """
    from ..files.document import write_document

    write_document(lock_path(destination), record)
