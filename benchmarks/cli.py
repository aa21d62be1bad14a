"""The command `dwpose-bench`: speed and size of the networks and of the package.

The benchmarks declare themselves, see `benchmark`; parsed arguments end there, in settings of
their own type.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..cli.exit_status import exit_status
from ..cli.standard_options import standard_parser
from ..errors import InvalidArgumentError, MissingDependencyError
from .catalogue import BENCHMARKS, find_benchmark

_EPILOG = """\
`dwpose-bench COMMAND --help` explains a command. All of them print a table and, with --json, write
a file that holds the machine, the settings and every figure; `dwpose-bench schema` describes it.

examples:
  dwpose-bench complexity
  dwpose-bench table --random-weights --json latency.json
  dwpose-bench pipeline --json pipeline.json
  dwpose-bench readme README.md

Needs pip install "dwpose-infer[bench]".

exit status:
  0 done    1 failed    2 wrong usage    3 backend, device or optional package unavailable
  4 model not available    130 interrupted
"""

_RAW = argparse.RawDescriptionHelpFormatter


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        Exit status, see `dwpose-bench --help`.
    """
    given = sys.argv[1:] if argv is None else argv
    named = next((each for each in given if not each.startswith("-")), "")
    arguments = build_parser(named).parse_args(given)
    program = f"dwpose-bench {arguments.command}"
    return exit_status(
        lambda: _measure(arguments),
        program=program,
        interrupted="interrupted; nothing unfinished was kept",
    )


def _measure(arguments: argparse.Namespace) -> int:
    try:
        return int(arguments.run(arguments))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("dwpose_infer"):
            raise
        raise MissingDependencyError(
            f'the package {error.name} is needed: pip install "dwpose-infer[bench]"'
        ) from error


def build_parser(described: str | None = None) -> argparse.ArgumentParser:
    """Returns the parser.

    Args:
        described: The only benchmark whose options are added, for they are loaded one by one; None
            adds those of all.
    """
    parser = standard_parser(
        "dwpose-bench",
        "Measure the networks and the package, so that anyone can repeat it.",
        _EPILOG,
        whole_parser=build_parser,
    )
    commands = parser.add_subparsers(
        title="commands", dest="command", required=True, metavar="COMMAND"
    )
    for name, words in BENCHMARKS.items():
        command = commands.add_parser(name, help=words, formatter_class=_RAW)
        if described in (None, name):
            find_benchmark(name).describe(command)
    _add_readme(commands)
    _add_schema(commands)
    return parser


def _add_readme(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "readme",
        help="write the tables of Markdown files from committed results",
        description="Write every table that stands between '<!-- table: KIND from RESULT.json -->' "
        "and '<!-- end of table -->' anew from its "
        "result; paths are relative to the Markdown file.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="Markdown file")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail where a table is out of date"
    )
    parser.set_defaults(run=_run_readme)


def _add_schema(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "schema",
        help="print the JSON Schema of a result",
        description="Print the JSON Schema (2020-12) of the files that a benchmark writes.",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="benchmark; without it, all names")
    parser.set_defaults(run=_run_schema)


def _run_readme(arguments: argparse.Namespace) -> int:
    from .readme_tables import OutdatedTableError, update

    changed = [path for path in arguments.files if update(path, check=arguments.check)]
    if arguments.check and changed:
        names = " ".join(map(str, changed))
        raise OutdatedTableError(f"tables are out of date; write them: dwpose-bench readme {names}")
    for path in changed:
        print(f"dwpose-bench readme: wrote {path}", file=sys.stderr)
    return 0


def _run_schema(arguments: argparse.Namespace) -> int:
    from ..files.document import header_of
    from .document import json_schema
    from .readme_tables import document_types

    kinds = {header_of(kind)["benchmark"]: kind for kind in document_types()}
    if arguments.name is None:
        print("\n".join(kinds))
        return 0
    if arguments.name not in kinds:
        raise InvalidArgumentError(
            f"no benchmark is called {arguments.name!r}; there are {', '.join(kinds)}"
        )
    print(json_schema(kinds[arguments.name]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
