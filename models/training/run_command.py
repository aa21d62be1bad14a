"""The options that runs of all kinds have in common, and what a command does with them."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from ...errors import MissingDependencyError

if TYPE_CHECKING:
    from .loop.run_options import RunOptions, TrainingSummary
    from .settings.run import RunSettings

    AnySettings = TypeVar("AnySettings", bound=RunSettings)

RUNS: Final = Path("runs")

NEEDED = ("torch", "onnx", "onnxruntime", "matplotlib", "msgspec", "pycocotools")
"""What the extra `train` brings: better to miss it before the training than after it."""

INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand:
    """What the options of `add_settings_options` and `add_run_options` say.

    Attributes:
        settings: File of settings.
        assignments: `key=value` each, see `overrides.apply_overrides`.
        print_as: Print the settings in this form and stop; None trains.
        out: Folder of the run; None takes one of the run's name in `RUNS`.
        resume: Go on from the newest checkpoint in it.
        device: "cpu", "cuda" or "cuda:N".
        max_steps: Stop after this step.
        checkpoint_steps: Steps between two checkpoints.
        report: File for how the run ended.
        argv: The arguments as they were given, to say how to go on.
    """

    settings: Path | None
    assignments: Sequence[str]
    print_as: Literal["json", "keys"] | None
    out: Path | None
    resume: bool
    device: str
    max_steps: int | None
    checkpoint_steps: int
    report: Path | None
    argv: Sequence[str]

    def settings_file(self, *, named: bool) -> Path | None:
        """Returns the file of settings: the one given, or that of the run that goes on.

        Args:
            named: Whether another option says what to train.
        """
        if named or self.settings is not None or not self.resume or self.out is None:
            return self.settings
        from .settings.choosing import SETTINGS_NAME

        return self.out / SETTINGS_NAME


def run_command(arguments: argparse.Namespace, argv: Sequence[str]) -> RunCommand:
    """Returns what the options say, and `argv`, the arguments as they were given."""
    return RunCommand(
        settings=arguments.settings,
        assignments=arguments.set,
        print_as=arguments.print,
        out=arguments.out,
        resume=arguments.resume,
        device=arguments.device,
        max_steps=arguments.max_steps,
        checkpoint_steps=arguments.checkpoint_steps,
        report=arguments.report,
        argv=argv,
    )


def add_settings_options(parser: argparse.ArgumentParser) -> None:
    """Adds what reads, changes and prints the settings of a run."""
    parser.add_argument(
        "--settings", type=Path, metavar="FILE.json", help="settings as --print writes them"
    )
    add_set(parser, "--set", "change a setting, such as batch_size=64; may be repeated")
    parser.add_argument(
        "--print",
        nargs="?",
        const="json",
        choices=("json", "keys"),
        help="print the complete settings and stop: json for --settings (default), or keys, one "
        "KEY = VALUE a line as --set takes them",
    )


def add_data_options(group: argparse._ArgumentGroup, *, data: str, validation: str) -> None:
    """Adds --data and --validation.

    Args:
        group: Of the parser.
        data: Help of --data, without that it may be repeated.
        validation: Help of --validation.
    """
    pair = ("ANNOTATIONS", "IMAGES")
    group.add_argument(
        "--data",
        nargs=2,
        action="append",
        default=[],
        metavar=pair,
        help=f"{data}; may be repeated",
    )
    group.add_argument("--validation", nargs=2, metavar=pair, help=validation)


def add_run_options(group: argparse._ArgumentGroup) -> None:
    """Adds what says where and how a run is carried out."""
    group.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the run (default: runs/NAME)"
    )
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on from the newest checkpoint in the folder, if there is one; where nothing else "
        "says what to train, with the settings of the run in --out",
    )
    add_device(group)
    group.add_argument(
        "--max-steps", type=count, metavar="N", help="stop after step N, for trials; resumable"
    )
    group.add_argument(
        "--checkpoint-steps",
        type=count,
        default=1000,
        metavar="N",
        help="steps between two checkpoints, besides those at ends of epochs (default: 1000)",
    )
    group.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write how the run ended as JSON, with its speed",
    )


def add_set(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup, flag: str, text: str
) -> None:
    """Adds an option that takes KEY=VALUE and may be repeated."""
    parser.add_argument(flag, action="append", default=[], metavar="KEY=VALUE", help=text)


def add_device(group: argparse._ArgumentGroup) -> None:
    """Adds the choice of the device."""
    group.add_argument(
        "--device",
        default="cpu",
        metavar="cpu|cuda|cuda:N",
        help="where to train; it is used, or an error says why not (default: cpu)",
    )


def count(text: str) -> int:
    """Reads a whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def show_settings(settings: RunSettings, form: Literal["json", "keys"]) -> int:
    """Prints settings of any kind as the option --print says; returns the exit status."""
    from .overrides import print_settings
    from .settings.choosing import settings_json

    print(settings_json(settings) if form == "json" else print_settings(settings))
    return 0


def run_training(
    train: Callable[[AnySettings, Path, RunOptions], TrainingSummary],
    settings: AnySettings,
    command: RunCommand,
) -> int:
    """Carries out a run of any kind.

    Args:
        train: Carries it out.
        settings: What is learnt.
        command: Where and how.

    Returns:
        Exit status.
    """
    from ...files.document import write_document
    from .loop.run_options import RunOptions

    options = RunOptions(
        device=command.device,
        resume=command.resume,
        max_steps=command.max_steps,
        checkpoint_steps=command.checkpoint_steps,
        say=say,
    )
    summary = train(settings, command.out or RUNS / settings.name, options)
    if os.environ.get("RANK", "0") == "0":
        if command.report is not None:
            write_document(command.report, summary)
        if summary.stopped_by is not None:
            say(f"to go on: {resume_command(command.argv)}")
        print(summary.best if summary.finished and summary.best else summary.checkpoint)
    return exit_status(summary.stopped_by)


def require_packages(*names: str) -> None:
    """Checks that packages are installed, all that training needs where none is named.

    Raises:
        MissingDependencyError: Some are not.
    """
    missing = [name for name in names or NEEDED if find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"training needs {', '.join(missing)}; install what is missing with: "
            'pip install "dwpose-infer[train]"'
        )


def resume_command(argv: Sequence[str]) -> str:
    """Says how to go on: the same command, without what made it stop."""
    words: list[str] = []
    for word in argv:
        limit = bool(words) and words[-1] == "--max-steps"
        if limit:
            words.pop()
        elif word != "--resume" and not word.startswith("--max-steps="):
            words.append(word)
    program = ["dwpose-train"]
    processes = os.environ.get("WORLD_SIZE", "1")
    if processes != "1":
        program = ["torchrun", "--nproc-per-node", os.environ.get("LOCAL_WORLD_SIZE", processes)]
        program += ["-m", "dwpose_infer.models.training.cli"]
    return shlex.join([*program, *words, "--resume"])


def exit_status(stopped_by: str | None) -> int:
    """Returns the exit status of a run that ended, or was ended by a signal."""
    if stopped_by in (None, "max_steps"):
        return 0
    if stopped_by == signal.SIGTERM.name:
        return 128 + signal.SIGTERM  # as a shell reports it
    return INTERRUPTED


def say(line: str) -> None:
    """Tells people a line; results go to standard output."""
    print(f"dwpose-train: {line}", file=sys.stderr, flush=True)
