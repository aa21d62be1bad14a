"""What the commands that measure have in common: measure or read, print, write."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from .document import Document

AnyDocument = TypeVar("AnyDocument", bound="Document")


def add_result_options(parser: argparse.ArgumentParser) -> None:
    """Adds --json and --from, of which one at most can be given."""
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
    output.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="measure nothing: show what --json wrote to FILE",
    )


def show_result(
    arguments: argparse.Namespace,
    kind: type[AnyDocument],
    *,
    measure: Callable[[argparse.Namespace], AnyDocument],
    report: Callable[[AnyDocument], str],
) -> AnyDocument:
    """Measures, or reads what --from names, prints it and writes what --json names.

    Args:
        arguments: Parsed options, those of `add_result_options` among them.
        kind: Class of the result.
        measure: Measures as the options say.
        report: Says all that is printed.

    Returns:
        The result.

    Raises:
        DwposeError: What `measure`, reading and writing raise.
    """
    from .document import read_document, write_document

    if arguments.source is not None:
        document = read_document(arguments.source, kind)
    else:
        document = measure(arguments)
    print(report(document))
    if arguments.json is not None:
        write_document(arguments.json, document)
    return document
