"""The command `dwpose-bench`: speed and size of the networks and of the package.

Every subcommand is a module `command.py` of its own package, with a function
`add_parser(subparsers)` that describes its options and sets `run`, a function of the parsed
arguments that returns the exit status, as default. These modules import what they need inside
`run`, so that `--help` is quick and works without the optional packages.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .._version import __version__
from ..cli.exit_status import exit_status
from ..errors import MissingDependencyError

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


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        Exit status, see `dwpose-bench --help`.
    """
    arguments = _parser().parse_args(argv)
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


def _parser() -> argparse.ArgumentParser:
    from . import readme_tables
    from .complexity import command as complexity
    from .endurance import command as endurance
    from .latency import command as latency
    from .outside import command as outside
    from .pipeline import command as pipeline
    from .video import command as video

    parser = argparse.ArgumentParser(
        prog="dwpose-bench",
        description="Measure the networks and the package, so that anyone can repeat it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"dwpose-infer {__version__}")
    commands = parser.add_subparsers(
        title="commands", dest="command", required=True, metavar="COMMAND"
    )
    complexity.add_parser(commands)
    latency.add_parser(commands)
    outside.add_parser(commands)
    pipeline.add_parser(commands)
    endurance.add_parsers(commands)
    video.add_parser(commands)
    readme_tables.add_parsers(commands)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
