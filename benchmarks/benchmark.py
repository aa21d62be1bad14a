"""What a benchmark is: how its command looks, what measures, and what is said of the result.

A `Benchmark` loads nothing heavy, so that `--help` is quick and works without the optional
packages. What measures is behind `load`:

    SOAK = Benchmark(description=..., add_options=_add_options, settings=SoakSettings, load=_load)

    def _load() -> Work[SoakSettings, SoakDocument]:
        from .soak import SoakDocument, measure, report

        return Work(document=SoakDocument, measure=measure, report=report, table="soak")
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from .document import Document


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every command is asked for; the fields are named as the parsed options are.

    Attributes:
        json: Where the result is written, or None.
        source: The result that is shown instead of measuring, or None.
    """

    json: Path | None
    source: Path | None


AnySettings = TypeVar("AnySettings", bound=Settings)
AnyDocument = TypeVar("AnyDocument", bound="Document")


def nothing_more(_settings: Any, _document: Any) -> int:
    """Returns the exit status of a benchmark whose result is only printed and written."""
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work(Generic[AnySettings, AnyDocument]):
    """What a benchmark does.

    Attributes:
        document: Class of the result.
        measure: Measures as the settings say.
        report: Says all that is printed.
        table: What the marker of its table in a Markdown file is called.
        readme_table: Says what stands there; None for what is printed.
        finish: What else is done with a result; returns the exit status.
    """

    document: type[AnyDocument]
    measure: Callable[[AnySettings], AnyDocument]
    report: Callable[[AnyDocument], str]
    table: str
    readme_table: Callable[[AnyDocument], str] | None = None
    finish: Callable[[AnySettings, AnyDocument], int] = nothing_more

    def run(self, settings: AnySettings) -> int:
        """Measures, or reads what --from names, prints it and writes what --json names.

        Returns:
            Exit status.

        Raises:
            DwposeError: What measuring, reading and writing raise.
        """
        from .document import read_document, write_document

        if settings.source is not None:
            document = read_document(settings.source, self.document)
        else:
            document = self.measure(settings)
        print(self.report(document))
        if settings.json is not None:
            write_document(settings.json, document)
        return self.finish(settings, document)

    def table_of(self, path: Path) -> str:
        """Reads a result and returns its table for a Markdown file.

        Raises:
            InputError: The file cannot be read.
            FormatError: It is no such result.
        """
        from .document import read_document

        return (self.readme_table or self.report)(read_document(path, self.document))


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark(Generic[AnySettings]):
    """A subcommand of `dwpose-bench`; `catalogue` has its name.

    Attributes:
        description: What is measured.
        epilog: What has to be known, and examples.
        add_options: Adds its options, all but those of `Settings`.
        settings: Class of what the options say.
        load: Imports what measures.
        choose: The benchmark that the settings ask for, where that is another one.
        former_from: What --from was called before, which stays accepted.
    """

    description: str
    epilog: str
    add_options: Callable[[argparse.ArgumentParser], None]
    settings: type[AnySettings]
    load: Callable[[], Work[AnySettings, Any]]
    choose: Callable[[AnySettings], Benchmark[AnySettings]] | None = None
    former_from: str | None = None

    def describe(self, parser: argparse.ArgumentParser) -> None:
        """Adds the options; `run` among the parsed arguments is a function of them."""
        parser.description, parser.epilog = self.description, self.epilog
        self.add_options(parser)
        output = parser.add_mutually_exclusive_group()
        output.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
        output.add_argument(
            "--from",
            dest="source",
            type=Path,
            metavar="FILE",
            help="measure nothing: show what --json wrote to FILE",
        )
        if self.former_from is not None:
            output.add_argument(self.former_from, dest="source", type=Path, help=argparse.SUPPRESS)
        parser.set_defaults(run=self.run)

    def run(self, arguments: argparse.Namespace) -> int:
        """Does what the parsed arguments say and returns the exit status."""
        names = (field.name for field in fields(self.settings))
        settings = self.settings(**{name: getattr(arguments, name) for name in names})
        chosen = self if self.choose is None else self.choose(settings)
        return chosen.load().run(settings)
