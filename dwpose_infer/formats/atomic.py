"""Files that appear whole or not at all.

The bytes go to a new file beside the target, reach the disk, and only then take the target's
name. Who reads meanwhile sees the old file or the new one, never half of one; who runs out of
disk keeps the old one.
"""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import OutputError

if TYPE_CHECKING:
    from os import PathLike

_REASONS: Final[dict[int, str]] = {
    errno.EACCES: "no permission to write there",
    errno.EPERM: "no permission to write there",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "no space is left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "a part of the path is a file, not a folder",
    errno.ENAMETOOLONG: "the name is too long",
}


def write_bytes(path: str | PathLike[str], data: bytes) -> Path:
    """Writes a file in one step; missing folders are made, an existing file is replaced.

    A symbolic link is followed. What is neither a file nor a folder (a device, a pipe) cannot
    be replaced and is written to directly.

    Args:
        path: File to write.
        data: Its whole content.

    Returns:
        The path given.

    Raises:
        OutputError: The file cannot be written; what stood there before is unchanged.
    """
    given = Path(path)
    try:
        target = given.resolve() if given.is_symlink() else given
        if target.is_dir():
            raise OutputError(f"cannot write {given}: it is a folder")
        if target.exists() and not target.is_file():
            target.write_bytes(data)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(target, data)
    except OSError as error:
        raise OutputError(f"cannot write {given}: {reason_of(error)}") from error
    except ValueError as error:  # the path holds a null character
        raise OutputError(f"cannot write {str(given)!r}: {error}") from error
    return given


def reason_of(error: OSError) -> str:
    """Returns in words why the operating system did not write."""
    return _REASONS.get(error.errno or 0, error.strerror or str(error))


def _replace(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        # "x" obeys the umask, which the private files of `tempfile` do not.
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
