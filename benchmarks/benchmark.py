"""What a benchmark is: how its command looks, what measures, and what is said of the result.

A `Benchmark` loads nothing heavy, so that `--help` is quick and works without the optional
packages. What measures is in a module of its own:

    class SoakSettings(Settings):
        pictures: int = option("--pictures", type=int, default=1000, help="a multiple of 100")

    BENCHMARK = Benchmark(
        description=..., epilog=..., settings=SoakSettings, module=f"{__package__}.soak"
    )

and that module ends with

    WORK = Work(document=SoakDocument, measure=measure, report=report, table="soak")
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from .document import Document


def option(*flags: str, beside: str | None = None, **words: Any) -> Any:
    """Returns a field of settings that is an option of the command, with its name and its default.

    Args:
        *flags: As users write it, or the name of a positional argument.
        beside: Of the options that name the same here one at most can be given.
        **words: What `ArgumentParser.add_argument` takes besides.
    """
    return field(metadata={"flags": flags, "beside": beside, "words": words})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every command is asked for; the help of the options says what the fields mean."""

    json: Path | None = option(
        "--json", beside="result", type=Path, metavar="FILE", help="write everything measured"
    )
    source: Path | None = option(
        "--from",
        beside="result",
        type=Path,
        metavar="FILE",
        help="measure nothing: show what --json wrote to FILE",
    )


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
        from ..files.document import read_document, write_document

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
        from ..files.document import read_document

        return (self.readme_table or self.report)(read_document(path, self.document))


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark(Generic[AnySettings]):
    """A subcommand of `dwpose-bench`; `catalogue` has its name.

    Attributes:
        description: What is measured.
        epilog: What has to be known, and examples.
        settings: Its options, and what they say once they are parsed.
        module: Name of the module that measures, by its `WORK`.
        choose: The benchmark that the settings ask for, where that is another one.
    """

    description: str
    epilog: str
    settings: type[AnySettings]
    module: str
    choose: Callable[[AnySettings], Benchmark[Any]] | None = None

    def load(self) -> Work[AnySettings, Any]:
        """Imports what measures."""
        work: Work[AnySettings, Any] = import_module(self.module).WORK
        return work

    def describe(self, parser: argparse.ArgumentParser) -> None:
        """Adds the options; `run` among the parsed arguments is a function of them."""
        parser.description, parser.epilog = self.description, self.epilog
        groups: dict[str, argparse._MutuallyExclusiveGroup] = {}
        common, own = fields(self.settings)[:2], fields(self.settings)[2:]
        for each in (*own, *common):
            flags, beside, words = (each.metadata[name] for name in ("flags", "beside", "words"))
            place: argparse._ActionsContainer = parser
            if beside is not None:
                if beside not in groups:
                    groups[beside] = parser.add_mutually_exclusive_group()
                place = groups[beside]
            if flags[0].startswith("-"):
                words = {"dest": each.name, **words}
            place.add_argument(*flags, **words)
        parser.set_defaults(run=self.run)

    def run(self, arguments: argparse.Namespace) -> int:
        """Does what the parsed arguments say and returns the exit status."""
        names = (each.name for each in fields(self.settings))
        settings = self.settings(**{name: getattr(arguments, name) for name in names})
        chosen = self if self.choose is None else self.choose(settings)
        return chosen.load().run(settings)
