"""Tables of a Markdown file, made from committed results and never typed.

A table stands between two comments, of which the first says what it shows and which result it is
made from, relative to the folder of the Markdown file:

    <!-- table: latency from benchmarks/results/latency_cpu.json -->
    <!-- end of table -->

`dwpose-bench readme FILE` writes every table anew; `--check` only says which are out of date.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DwposeError, FormatError, InputError
from ..files.atomic import write_bytes
from .catalogue import BENCHMARKS, find_benchmark

if TYPE_CHECKING:
    import msgspec

END = "<!-- end of table -->"

_BEGIN = re.compile(r"^<!-- table: (?P<kind>\S+) from (?P<path>\S+) -->$", re.MULTILINE)
_ANY_MARKER = re.compile(r"^<!-- (?:table|end of table).*$", re.MULTILINE)

Renderer = Callable[[Path], str]
"""Reads a result and returns a table and what has to be said under it, in Markdown."""


class OutdatedTableError(DwposeError):
    """A table is not what its result gives: write it anew."""


def renderers() -> dict[str, Renderer]:
    """Returns what a table can show, by the word in its marker."""
    from ..evaluation import report as accuracy

    loaded = [find_benchmark(name).load() for name in BENCHMARKS]
    return {
        "accuracy": accuracy.readme_table,
        "accuracy-curve": accuracy.curve_table,
        "accuracy-kinds": partial(accuracy.groups_table, by="kind"),
        "accuracy-sources": partial(accuracy.groups_table, by="source"),
        **{work.table: work.table_of for work in loaded},
    }


def document_types() -> tuple[type[msgspec.Struct], ...]:
    """Returns the classes of all results."""
    from ..evaluation.document import EvaluationDocument

    return EvaluationDocument, *(find_benchmark(name).load().document for name in BENCHMARKS)


def with_tables(text: str, folder: Path, *, origin: str) -> str:
    """Returns a Markdown text with every table made anew; without markers, the text itself.

    Args:
        text: The text.
        folder: Folder to which the paths in the markers are relative.
        origin: Name of the file, for messages.

    Raises:
        FormatError: A marker is damaged, stands alone or asks for an unknown table, or a result
            is not what the marker says.
        InputError: A result cannot be read.
    """
    known = renderers()
    pieces, place = [], 0
    markers = list(_ANY_MARKER.finditer(text))
    if len(markers) % 2:
        raise FormatError(f"{origin}: {markers[-1].group()!r} has no counterpart")
    for opening, closing in zip(markers[::2], markers[1::2], strict=True):
        begin = _BEGIN.fullmatch(opening.group())
        if begin is None or closing.group() != END:
            raise FormatError(
                f"{origin}: a table stands between '<!-- table: KIND from FILE -->' and '{END}', "
                f"not between {opening.group()!r} and {closing.group()!r}"
            )
        if begin["kind"] not in known:
            raise FormatError(
                f"{origin}: no table is called {begin['kind']!r}; there are {', '.join(known)}"
            )
        table = known[begin["kind"]](folder / begin["path"])
        pieces += [text[place : opening.end()], f"\n\n{table.strip()}\n\n"]
        place = closing.start()
    return "".join([*pieces, text[place:]])


def update(path: Path, *, check: bool = False) -> bool:
    """Writes the tables of a file anew.

    Args:
        path: Markdown file.
        check: Write nothing.

    Returns:
        Whether the file was, or would be, changed.

    Raises:
        InputError: The file or a result cannot be read.
        FormatError: See `with_tables`.
        OutputError: The file cannot be written.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    renewed = with_tables(text, path.parent, origin=str(path))
    if renewed != text and not check:
        write_bytes(path, renewed.encode())
    return renewed != text
