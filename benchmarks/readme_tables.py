"""Tables of a Markdown file, made from committed results and never typed.

A table stands between two comments, of which the first says what it shows and which result it is
made from, relative to the folder of the Markdown file:

    <!-- table: latency from benchmarks/results/latency_cpu.json -->
    <!-- end of table -->

`dwpose-bench readme FILE` writes every table anew; `--check` only says which are out of date.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DwposeError, FormatError, InputError, InvalidArgumentError
from ..files.atomic import write_bytes

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
    from .complexity import tables as complexity
    from .endurance import tables as endurance
    from .latency import tables as latency
    from .outside import tables as outside
    from .pipeline import tables as pipeline
    from .video import tables as video

    return {
        "accuracy": accuracy.readme_table,
        "accuracy-curve": accuracy.curve_table,
        "accuracy-kinds": accuracy.kinds_table,
        "cold-start": endurance.cold_start_readme_table,
        "complexity": complexity.readme_table,
        "latency": latency.readme_table,
        "outside": outside.readme_table,
        "pipeline": pipeline.readme_table,
        "soak": endurance.soak_readme_table,
        "sweep": endurance.sweep_readme_table,
        "video": video.readme_table,
    }


def document_types() -> tuple[type[msgspec.Struct], ...]:
    """Returns the classes of all results."""
    from ..evaluation.document import EvaluationDocument
    from .complexity.document import ComplexityDocument
    from .endurance.document import ColdStartDocument, SoakDocument, SweepDocument
    from .latency.document import LatencyDocument
    from .outside.document import OutsideDocument
    from .pipeline.document import PipelineDocument
    from .video.document import VideoDocument

    return (
        EvaluationDocument,
        ColdStartDocument,
        ComplexityDocument,
        LatencyDocument,
        OutsideDocument,
        PipelineDocument,
        SoakDocument,
        SweepDocument,
        VideoDocument,
    )


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


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommands `readme` and `schema`."""
    parser = commands.add_parser(
        "readme",
        help="write the tables of Markdown files from committed results",
        description="Write every table that stands between '<!-- table: KIND from RESULT.json -->' "
        f"and '{END}' anew from its result; paths are relative to the Markdown file.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="Markdown file")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail where a table is out of date"
    )
    parser.set_defaults(run=_run_readme)
    parser = commands.add_parser(
        "schema",
        help="print the JSON Schema of a result",
        description="Print the JSON Schema (2020-12) of the files that a benchmark writes.",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="benchmark; without it, all names")
    parser.set_defaults(run=_run_schema)


def _run_readme(arguments: argparse.Namespace) -> int:
    changed = [path for path in arguments.files if update(path, check=arguments.check)]
    if arguments.check and changed:
        names = " ".join(map(str, changed))
        raise OutdatedTableError(f"tables are out of date; write them: dwpose-bench readme {names}")
    for path in changed:
        print(f"dwpose-bench readme: wrote {path}", file=sys.stderr)
    return 0


def _run_schema(arguments: argparse.Namespace) -> int:
    from .document import document_header, json_schema

    kinds = {document_header(kind)[0]: kind for kind in document_types()}
    if arguments.name is None:
        print("\n".join(kinds))
        return 0
    if arguments.name not in kinds:
        raise InvalidArgumentError(
            f"no benchmark is called {arguments.name!r}; there are {', '.join(kinds)}"
        )
    print(json_schema(kinds[arguments.name]))
    return 0
