"""From what stands on the command line to the pictures of a data set, as rows of a table.

A row is something that is read in one go: a picture file, a row group of a Parquet file that holds
pictures, or a tar file of pictures (a WebDataset shard).
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Literal

from ..errors import FormatError, InputError, InvalidArgumentError
from ..picture_file import PICTURE_SUFFIXES
from ..picture_url import is_url
from .store import absolute, open_store, read_file, scheme_of, uri_of

Kind = Literal["picture", "row group", "tar"]

LIST_SUFFIXES: Final = frozenset({".txt", ".lst", ".list"})
"""Endings of files that name a picture in every line."""

PATH_COLUMNS: Final = ("path", "file", "file_name", "filename", "image_path", "uri", "url")
"""Columns of text that hold the names of pictures, the first of them that is there."""


def find_sources(entries: Sequence[str], *, column: str | None, out: str) -> Any:
    """Lists what there is to read, each once.

    Args:
        entries: Pictures, folders, glob patterns, list files, Parquet and tar files; paths or URIs.
        column: Column of the Parquet files that holds pictures or their names; None finds it.
        out: Folder of the results, left out where it lies in a folder that is searched.

    Returns:
        A `pyarrow.Table` with `source`, the file; `kind`; `group`, the index of a row group;
        `first`, its first row; and `pictures`, how many there are, -1 where nobody knows yet.

    Raises:
        InputError: An entry leads to nothing.
        InvalidArgumentError: A Parquet file has no such column.
    """
    import pyarrow

    names = pyarrow.chunked_array(
        [pyarrow.array(part, pyarrow.string()) for part in _names(entries, column, out)]
    ).unique()
    pictures: list[str] = []
    tables: list[str] = []
    tars: list[str] = []
    for name in names.to_pylist():
        ending = _ending(name)
        (tars if ending == ".tar" else tables if ending == ".parquet" else pictures).append(name)
    groups = [group for name in tables for group in _row_groups(name)]
    rows = {
        "source": [*pictures, *(name for name, *_ in groups), *tars],
        "kind": ["picture"] * len(pictures) + ["row group"] * len(groups) + ["tar"] * len(tars),
        "group": [0] * len(pictures) + [group for _, group, *_ in groups] + [0] * len(tars),
        "first": [0] * len(pictures) + [first for *_, first, _ in groups] + [0] * len(tars),
        "pictures": [1] * len(pictures) + [count for *_, count in groups] + [-1] * len(tars),
    }
    return pyarrow.table(rows)


def _names(entries: Sequence[str], column: str | None, out: str) -> Iterator[list[str]]:
    """Names of pictures, tar files, and Parquet files that hold pictures themselves."""
    for entry in entries:
        for name in _expand(absolute(entry), out):
            ending = _ending(name)
            if ending in LIST_SUFFIXES:
                yield _listed(name)
            elif ending == ".parquet":
                chosen, is_path = picture_column(name, column)
                yield _column(name, chosen) if is_path else [name]
            else:
                yield [name]


def _expand(entry: str, out: str) -> Iterable[str]:
    if is_url(entry):
        return [entry]
    store, path = open_store(entry)
    try:
        if glob.has_magic(path) and not store.exists(path):
            found = sorted(store.glob(path))
            kept: Callable[[str], bool] = _is_a_source
        elif store.isdir(path):
            found = sorted(store.find(path))
            kept = _is_picture_or_tar
        elif store.exists(path):
            return [entry]
        else:
            raise InputError(f"{entry}: there is no such file or folder")
    except OSError as error:
        raise InputError(f"{entry} cannot be listed: {error}") from error
    inside = f"{out.rstrip('/')}/"
    root = path.split("*")[0].rstrip("/")
    names = [uri_of(entry, each) for each in found if kept(each) and not _is_hidden(each, root)]
    names = [name for name in names if not name.startswith(inside)]
    if not names:
        tables = sum(each.endswith(".parquet") for each in found)
        hint = f'; it has {tables} Parquet files, which are named: "{entry}/*.parquet"'
        raise InputError(f"{entry}: there is no picture and no tar file{hint if tables else ''}")
    return names


def _ending(name: str) -> str:
    begin = name.rfind(".")
    return name[begin:].lower() if begin > name.rfind("/") else ""


def _is_picture_or_tar(path: str) -> bool:
    return _ending(path) in (PICTURE_SUFFIXES | {".tar"})


def _is_a_source(path: str) -> bool:
    return _is_picture_or_tar(path) or (_ending(path) in (LIST_SUFFIXES | {".parquet"}))


def _is_hidden(path: str, root: str) -> bool:
    return any(part.startswith(".") for part in path.removeprefix(root).split("/"))


def _listed(name: str) -> list[str]:
    """The lines of a list file; what is relative is relative to the file's folder."""
    try:
        lines = read_file(name).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is no list of names: {error}") from error
    return _beside(name, (line.strip() for line in lines))


def _beside(name: str, others: Iterable[str]) -> list[str]:
    folder = name.rpartition("/")[0]
    found = [
        each if scheme_of(each) or each.startswith("/") else f"{folder}/{each}"
        for each in others
        if each and not each.startswith("#")
    ]
    nested = next((each for each in found if _ending(each) in LIST_SUFFIXES | {".parquet"}), None)
    if nested is not None:
        raise InvalidArgumentError(
            f"{name} names {nested}: pictures and tar files alone can be named there"
        )
    return found


def open_parquet(name: str) -> Any:
    """Opens a Parquet file.

    Raises:
        InputError: It is not there, cannot be reached, or is none.
    """
    import pyarrow
    from pyarrow import parquet

    store, path = open_store(name)
    try:
        return parquet.ParquetFile(store.open(path, "rb"))
    except FileNotFoundError as error:
        raise InputError(f"{name}: there is no such file") from error
    except pyarrow.ArrowInvalid as error:
        raise InputError(f"{name} is no Parquet file: {error}") from error
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error}") from error


def picture_column(name: str, wanted: str | None) -> tuple[str, bool]:
    """Finds the column of a Parquet file that holds pictures.

    Args:
        name: The file.
        wanted: The column, where it was said.

    Returns:
        The column, and whether it holds names of pictures and not their bytes.

    Raises:
        InvalidArgumentError: There is none.
    """
    with open_parquet(name) as file:
        schema = file.schema_arrow
    held = {each.name: kind for each in schema if (kind := holds(each.type)) is not None}
    if wanted is not None:
        chosen = [each for each in held if each == wanted]
    else:
        chosen = [each for each in held if held[each] == "bytes"]
        chosen = chosen or [each for each in PATH_COLUMNS if held.get(each) == "names"][:1]
    if len(chosen) != 1:
        raise InvalidArgumentError(
            f"{name}: which column holds the pictures, as bytes or as paths? Say --column; there "
            f"are {', '.join(schema.names)}"
        )
    return chosen[0], held[chosen[0]] == "names"


def holds(kind: Any) -> Literal["bytes", "names"] | None:
    """Returns what a column of an Arrow type can hold: pictures, names of pictures, or neither.

    Hugging Face's data sets hold pictures in a struct of `bytes` and `path`.
    """
    from pyarrow import types

    if types.is_struct(kind):
        inner = {each.name: each.type for each in kind}
        return "bytes" if "bytes" in inner and holds(inner["bytes"]) == "bytes" else None
    if types.is_binary(kind) or types.is_large_binary(kind):
        return "bytes"
    return "names" if types.is_string(kind) or types.is_large_string(kind) else None


def _column(name: str, column: str) -> list[str]:
    with open_parquet(name) as file:
        names = file.read([column])[column].to_pylist()
    if any(each is None for each in names):
        raise FormatError(f"{name}: the column {column} has an empty cell")
    return _beside(name, names)


def _row_groups(name: str) -> Iterator[tuple[str, int, int, int]]:
    with open_parquet(name) as file:
        first = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            yield name, group, first, rows
            first += rows
