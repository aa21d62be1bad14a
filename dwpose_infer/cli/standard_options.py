"""The options that every command has: `--version` and `--print-completion`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .._version import __version__
from .exit_status import exit_status

SHELLS = ("bash", "zsh", "tcsh", "fish")

_FILES = ("INPUT", "SOURCE", "NAME|PATH", "MODEL")
"""Metavars of options that take text, which may be the path of a file."""


def standard_parser(
    program: str,
    description: str,
    epilog: str,
    *,
    whole_parser: Callable[[], argparse.ArgumentParser] | None = None,
) -> argparse.ArgumentParser:
    """Returns the parser of a command, with the options that every command has.

    Args:
        program: Name of the command.
        description: What it does.
        epilog: What stands below the options, as it is broken into lines.
        whole_parser: See `add_standard_options`.
    """
    parser = argparse.ArgumentParser(
        prog=program,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_standard_options(parser, whole_parser=whole_parser)
    return parser


def run_command(
    parser: argparse.ArgumentParser,
    work: Callable[[argparse.Namespace], int],
    argv: Sequence[str] | None,
    *,
    interrupted: str = "interrupted",
) -> int:
    """Parses the arguments of a command, does its work and returns the exit status.

    Args:
        parser: Of `standard_parser`.
        work: Does what the parsed arguments say; returns the exit status.
        argv: Arguments without the program's name; None takes those of the process.
        interrupted: What to say after Ctrl-C.
    """
    arguments = parser.parse_args(argv)
    return exit_status(lambda: work(arguments), program=parser.prog, interrupted=interrupted)


def add_standard_options(
    parser: argparse.ArgumentParser,
    *,
    whole_parser: Callable[[], argparse.ArgumentParser] | None = None,
) -> None:
    """Adds the options that every command has.

    Args:
        parser: Parser of a command, which the completion describes when it is asked for.
        whole_parser: Returns the parser to describe in its place, for commands that add the
            options of a subcommand only when it is named.
    """
    parser.add_argument("--version", action="version", version=f"dwpose-infer {__version__}")
    parser.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        dest=argparse.SUPPRESS,  # as with --version, nothing of it is left to the command
        default=argparse.SUPPRESS,
        choices=SHELLS,
        whole_parser=whole_parser,
        help="print a script that completes this command in a shell, and stop: "
        f'eval "$({parser.prog} --print-completion bash)"',
    )


class _PrintCompletion(argparse.Action):
    """Prints the script and ends the command, as `--version` does."""

    def __init__(
        self, *, whole_parser: Callable[[], argparse.ArgumentParser] | None, **options: Any
    ) -> None:
        super().__init__(**options)
        self._whole_parser = whole_parser

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        described = parser if self._whole_parser is None else self._whole_parser()
        program = parser.prog
        parser.exit(exit_status(lambda: _print_completion(described, str(values)), program=program))


def _print_completion(parser: argparse.ArgumentParser, shell: str) -> int:
    try:
        import shtab
    except ModuleNotFoundError as error:
        from ..errors import MissingDependencyError

        raise MissingDependencyError(
            "shell completion needs the package shtab: pip install shtab"
        ) from error
    for action in _actions(parser):
        if action.type is Path or action.metavar in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks for it
    print(shtab.complete(parser, shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
