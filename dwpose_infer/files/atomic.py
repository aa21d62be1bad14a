"""Files that appear whole or not at all, and are read whole.

The bytes go to a new file beside the target, reach the disk, and only then take the target's
name. Who reads meanwhile sees the old file or the new one, never half of one; who runs out of
disk keeps the old one.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from ..errors import DwposeError, InputError, OutputError

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from os import PathLike

CHUNK_BYTES: Final = 1 << 20
STALE_AFTER_S: Final = 24 * 3600.0
UNLOCKED_STALE_AFTER_S: Final = 60.0
"""Downloads are written to more often: in case another machine's lock does not show."""

_NAME_LENGTH: Final = 60  # characters of at most 4 bytes: a file's name has at most 255

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
    """Writes a file in one step, see `new_file`.

    Args:
        path: File to write.
        data: Its whole content.

    Returns:
        The path given.

    Raises:
        OutputError: The file cannot be written; what stood there before is unchanged.
    """
    with new_file(path) as file:
        file.write(data)
    return Path(path)


@contextlib.contextmanager
def new_file(path: str | PathLike[str]) -> Iterator[BinaryIO]:
    """Opens a file that appears when the `with` block ends, and does not where that raises.

    Missing folders are made, an existing file is replaced. A symbolic link is followed. What is
    neither a file nor a folder (a device, a pipe) cannot be replaced and is written to directly.

    Raises:
        OutputError: The file cannot be written; what stood there before is unchanged.
    """
    given = Path(path)
    with writing(given):
        target = given.resolve() if given.is_symlink() else given
        if target.is_dir():
            raise OutputError(f"cannot write {given}: it is a folder")
        if target.exists() and not target.is_file():
            with target.open("wb") as file:
                yield file
            return
        with part_file(target) as part:
            with part.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)


@contextlib.contextmanager
def writing(path: str | PathLike[str]) -> Iterator[None]:
    """Turns what the operating system says about a file that is written into an `OutputError`."""
    try:
        yield
    except DwposeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write {path}: {reason_of(error)}") from error
    except ValueError as error:  # the path holds a null character
        raise OutputError(f"cannot write {str(path)!r}: {error}") from error


def reason_of(error: OSError) -> str:
    """Returns in words why the operating system did not write."""
    return _REASONS.get(error.errno or 0, error.strerror or str(error))


def is_there(path: str | PathLike[str]) -> bool:
    """Tells whether there is anything of this name; unlike pathlib, also of names too long."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: str | PathLike[str]) -> bool:
    """Tells whether there is a file of this name, as `is_there`."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str | PathLike[str]) -> bool:
    """Tells whether there is a folder of this name, as `is_there`."""
    return os.path.isdir(path)  # noqa: PTH112


def read_bytes(path: str | PathLike[str]) -> bytes:
    """Returns the content of a file.

    Raises:
        InputError: It does not exist or cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # the path holds a null character
        raise InputError(f"{str(path)!r}: cannot be read: {error}") from error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in lower-case hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def part_file(destination: Path) -> Iterator[Path]:
    """Makes an empty file beside the destination to write to; what is left of it is deleted.

    It is called `.<destination>.<number>.part`, with the first number that is free, and locked
    until the `with` block ends. What a killed process leaves is not: it is deleted by the next
    that writes to the same destination, a minute after the last byte. Where there are no such
    locks (Windows, some network file systems), a day after it. Missing folders are made.

    Args:
        destination: The file that is to be.

    Raises:
        OSError: It cannot be made.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count():
        path = destination.with_name(f".{destination.name[:_NAME_LENGTH]}.{number}.part")
        _remove_stale(path)
        try:
            file = path.open("xb")  # which obeys the umask, unlike the files of `tempfile`
        except FileExistsError:  # of somebody at work
            continue
        with file:
            made = path.stat()
            if sys.platform == "win32":
                file.close()  # an open file cannot be renamed
            else:
                with contextlib.suppress(OSError):  # the file system has no locks
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                yield path
            finally:
                # Once it has been renamed, somebody else's may stand there.
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(made, path.stat()):
                        path.unlink()
        return


def remove_stale_parts(folder: Path) -> None:
    """Deletes what killed processes left of `part_file` in a folder, by the rule told there."""
    for path in folder.glob(".*.part"):
        _remove_stale(path)


def _remove_stale(path: Path) -> None:
    with contextlib.suppress(OSError):  # it is not there, or somebody is at work
        found = path.stat()
        quiet_s = time.time() - found.st_mtime
        if quiet_s > STALE_AFTER_S:
            path.unlink()
        elif quiet_s > UNLOCKED_STALE_AFTER_S and sys.platform != "win32":
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(found, path.stat()):
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
