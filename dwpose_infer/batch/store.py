"""Files wherever they are: on this machine, in S3, Google's and other stores.

pyarrow's own file systems are used where it has one, else those of fsspec.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from ..errors import InputError, InvalidArgumentError, OutputError
from ..files.atomic import write_bytes

_NATIVE: Final = ("s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss")
"""Schemes of pyarrow's own file systems, which need no further package."""


def scheme_of(name: str) -> str:
    """Returns "s3" of "s3://bucket/key"; "" of a path."""
    scheme, separator, _ = name.partition("://")
    return scheme.lower() if separator and scheme.lower() != "file" else ""


def absolute(name: str) -> str:
    """Returns a name that means the same on every machine that has the file."""
    if scheme_of(name):
        return name
    return str(Path(name.removeprefix("file://")).expanduser().absolute())


def open_store(name: str) -> tuple[Any, str]:
    """Returns where a file is.

    Args:
        name: An absolute path, or a URI such as `s3://bucket/folder`.

    Returns:
        A file system of fsspec, and the path in it.

    Raises:
        InvalidArgumentError: There is no such file system, or a package for it is missing.
    """
    scheme = scheme_of(name)
    place, _, path = name.partition("://")[2].partition("/") if scheme else ("", "", name)
    if "@" in place:
        raise InvalidArgumentError(
            f"{scheme}://...@: keys in a URI would stand in the results; set the environment "
            "variables of the store in their place"
        )
    store, prefix = _open(scheme, place)
    return store, prefix + path


@lru_cache(maxsize=64)
def _open(scheme: str, place: str) -> tuple[Any, str]:
    """The file system of a scheme and a bucket, and what its paths begin with."""
    from fsspec.core import url_to_fs
    from fsspec.implementations.arrow import ArrowFSWrapper
    from fsspec.implementations.local import LocalFileSystem
    from pyarrow.fs import FileSystem

    if not scheme:
        return LocalFileSystem(), ""
    uri = f"{scheme}://{place}/"
    try:
        if scheme in _NATIVE:
            native, path = FileSystem.from_uri(uri)
            return ArrowFSWrapper(native), f"{path.rstrip('/')}/"
        store, path = url_to_fs(uri)
        return store, f"{path.rstrip('/')}/"
    except (ImportError, ValueError, OSError) as error:
        raise InvalidArgumentError(f"{uri} cannot be opened: {error}") from error


def uri_of(name: str, path: str) -> str:
    """Returns the full name of a path that the store of `name` has listed."""
    scheme = scheme_of(name)
    return f"{scheme}://{path.lstrip('/')}" if scheme else path


def read_file(name: str) -> bytes:
    """Returns the content of a file.

    Raises:
        InputError: It is not there.
        OSError: The store cannot be reached, or refuses.
    """
    store, path = open_store(name)
    try:
        data: bytes = store.cat_file(path)
    except FileNotFoundError as error:
        raise InputError(f"{name}: there is no such file") from error
    except IsADirectoryError as error:
        raise InputError(f"{name} is a folder, not a picture") from error
    return data


def write_file(name: str, data: bytes) -> None:
    """Writes a file that appears whole or not at all; one that is there is replaced.

    Raises:
        OutputError: It cannot be written.
    """
    store, path = open_store(name)
    if not scheme_of(name):
        write_bytes(path, data)
        return
    try:
        # Object stores show an object when all of it has come.
        store.pipe_file(path, data)
    except OSError as error:
        raise OutputError(f"cannot write {name}: {error}") from error


def names_in(folder: str) -> list[str]:
    """Returns the names, without the folder, of the files in a folder; none where it is not.

    Raises:
        InputError: The store cannot be reached, or refuses.
    """
    store, path = open_store(folder)
    store.invalidate_cache()
    try:
        return [str(each).rsplit("/", 1)[-1] for each in store.ls(path, detail=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(f"{folder} cannot be listed: {error}") from error
