"""The pictures of a shard, read ahead: many small files of a store at once, others in a row."""

from __future__ import annotations

import tarfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from ..errors import InputError
from ..picture_file import PICTURE_SUFFIXES
from ..picture_url import DEFAULT_ACCESS, UrlAccess, fetch_picture, is_url
from .sources import open_parquet, picture_column
from .store import open_store, read_file

FETCH_THREADS: Final = 8
"""Files fetched at once: a store answers in some ten milliseconds, however small they are."""

FETCHED_AHEAD: Final = 16
"""Files in memory before they are decoded."""

BATCH_ROWS: Final = 32
"""Rows of a Parquet file that are read together."""


class UnreachedError(InputError):
    """A picture could not be fetched for a reason that may lie in this machine or the store."""


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """The bytes of a picture, as a file open for reading that fetches them when it is read.

    Attributes:
        name: What the results call it.
        fetch: Returns the bytes; raises `InputError`.
    """

    name: str
    fetch: Callable[[], bytes]

    def read(self, _size: int = -1) -> bytes:
        """Returns all bytes."""
        return self.fetch()


def read_pictures(
    rows: Iterable[Mapping[str, Any]], *, column: str | None, urls: UrlAccess = DEFAULT_ACCESS
) -> Iterator[Any]:
    """Yields the pictures of a shard, in order.

    Args:
        rows: Those of the plan, see `sources.find_sources`.
        column: Column of Parquet files that holds the pictures; None finds it.
        urls: Where URLs may lead.

    Yields:
        `EncodedPicture`; of a damaged tar file one at its end that cannot be read.

    Raises:
        OSError: A Parquet or tar file cannot be reached.
    """
    yield from fetch_ahead(_tasks(rows, column, urls))


def _tasks(
    rows: Iterable[Mapping[str, Any]], column: str | None, urls: UrlAccess
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    for row in rows:
        source = row["source"]
        if row["kind"] == "picture":
            yield source, partial(fetch, source, urls=urls)
        elif row["kind"] == "tar":
            yield from _of_tar(source)
        else:
            yield from _of_row_group(source, row["group"], row["first"], column)


def fetch_ahead(tasks: Iterable[tuple[str, Callable[[], bytes]]]) -> Iterator[EncodedPicture]:
    """Yields pictures in order, while those that follow are fetched.

    Args:
        tasks: Name of each picture, and what returns its bytes.
    """
    waiting: deque[tuple[str, Future[bytes]]] = deque()
    with ThreadPoolExecutor(FETCH_THREADS, thread_name_prefix="fetch") as pool:
        try:
            for name, task in tasks:
                waiting.append((name, pool.submit(task)))
                if len(waiting) > FETCHED_AHEAD:
                    first, future = waiting.popleft()
                    yield EncodedPicture(first, future.result)
            while waiting:
                first, future = waiting.popleft()
                yield EncodedPicture(first, future.result)
        finally:
            for _, future in waiting:
                future.cancel()


def fetch(name: str, *, urls: UrlAccess = DEFAULT_ACCESS) -> bytes:
    """Returns the bytes of a picture that is named by a path, URI or URL.

    Args:
        name: The path, URI or URL.
        urls: Where a URL and its redirects may lead.

    Raises:
        InputError: There is none.
        UnreachedError: It could not be fetched.
    """
    if is_url(name):
        return fetch_picture(name, urls=urls)
    try:
        return read_file(name)
    except OSError as error:
        raise UnreachedError(f"{name} cannot be read: {error}") from error


def _of_tar(name: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The pictures of a tar file, read from its beginning to its end."""
    store, path = open_store(name)
    done = 0
    with store.open(path, "rb") as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r|*") as archive:
                for member in archive:
                    ending = member.name[member.name.rfind(".") :].lower()
                    if not member.isfile() or ending not in PICTURE_SUFFIXES:
                        continue
                    file = archive.extractfile(member)
                    data = b"" if file is None else file.read()
                    yield f"{name}/{member.name}", partial(bytes_of, data)
                    done += 1
        except (tarfile.TarError, EOFError) as error:
            text = f"{name} is damaged after {done} pictures: {error}"
            yield name, partial(_raise, text)


def _raise(text: str) -> bytes:
    raise InputError(text)


def _of_row_group(
    name: str, group: int, first: int, column: str | None
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    chosen, _ = picture_column(name, column)
    with open_parquet(name) as file:
        batches = file.iter_batches(BATCH_ROWS, row_groups=[group], columns=[chosen])
        number = first
        for batch in batches:
            for value in batch.column(0):
                yield f"{name}#{number}", partial(bytes_of, value.as_py())
                number += 1


def bytes_of(value: Any) -> bytes:
    """Returns the bytes of a cell: bytes, or Hugging Face's struct of `bytes` and `path`.

    Raises:
        InputError: It holds none.
    """
    held = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(held, bytes):
        raise InputError("the cell is empty")
    return held
