"""The command `dwpose-train`: training, the two stages of distillation, and what lies between."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ...cli.exit_status import exit_status
from ...cli.standard_options import add_standard_options
from .cli_options import add_device, add_run_options, add_set, add_settings_options, count
from .cli_texts import DISTILL_EPILOG, EPILOG, RUN_EPILOG, TRANSFER_EPILOG
from .detector.command import add_parser as add_detector

COMMANDS = ("run", "recipes", "transfer", "distill", "detector")
OWN_OPTIONS = ("-h", "--help", "--version", "--print-completion")

SIZES = ("t", "s", "m", "l")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        Exit status, see `dwpose-train --help`.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    if given and given[0].partition("=")[0] not in (*COMMANDS, *OWN_OPTIONS):
        given.insert(0, "run")  # dwpose-train --recipe NAME
    parser = _parser()
    arguments = parser.parse_args(given)
    if arguments.command is None:
        parser.error("say what to do, such as --recipe NAME (see --help)")
    again = "" if arguments.command == "distill" else " with --resume"
    return exit_status(
        lambda: _carry_out(arguments, given),
        program="dwpose-train",
        interrupted=f"interrupted; the same command{again} goes on",
        place=_place(),
    )


def _carry_out(arguments: argparse.Namespace, given: Sequence[str]) -> int:
    from . import commands

    return commands.carry_out(arguments, given)


def _place() -> str:
    """Names the process where there are several."""
    rank = os.environ.get("RANK", "0")
    return "" if rank == "0" else f"process {rank}: "


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dwpose-train",
        description="Train whole-body pose networks: on labels alone, or by DWPose's two-stage "
        "distillation.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_standard_options(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_run(commands)
    commands.add_parser(
        "recipes",
        help="list the recipes",
        description="List the recipes: complete settings of every official run.",
    )
    _add_transfer(commands)
    _add_distill(commands)
    add_detector(commands)
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "run",
        help="train; the word can be left out",
        description="Train a network from a recipe, or from a file of settings.",
        epilog=RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--recipe", metavar="NAME", help="a name that `dwpose-train recipes` lists")
    add_settings_options(parser)
    _add_data(parser.add_argument_group("data"))
    add_run_options(parser.add_argument_group("run"))


def _add_transfer(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "transfer",
        help="take the trained network out of a distillation's checkpoint",
        description="Take the trained network out of a distillation's checkpoint, as DWPose's "
        "pth_transfer does.",
        epilog=TRANSFER_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "checkpoint",
        type=Path,
        metavar="CKPT",
        help="checkpoint, or folder of a run: its best weights, else its newest checkpoint",
    )
    parser.add_argument(
        "--stage", type=int, choices=(1, 2), required=True, help="which stage wrote it"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to write")


def _add_distill(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "distill",
        help="both stages, the transfers, the export and a first prediction",
        description="Distill a teacher into a small network: stage 1, transfer, stage 2, "
        "transfer, export,\nprediction. The same command goes on where it stopped.",
        epilog=DISTILL_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--teacher",
        type=Path,
        required=True,
        metavar="CKPT",
        help="checkpoint of the teacher: its size and input are read from it",
    )
    parser.add_argument("--size", choices=SIZES, required=True, help="size of the student")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of all results"
    )
    parser.add_argument(
        "--initial",
        metavar="CKPT|none",
        help="checkpoint whose backbone the student starts from, or none for random numbers "
        "(default: the official one of its size, in weights/)",
    )
    _add_data(parser.add_argument_group("data"))
    group = parser.add_argument_group("settings")
    add_set(group, "--set", "change a setting of both stages; may be repeated")
    add_set(group, "--stage1-set", "change a setting of stage 1 alone")
    add_set(group, "--stage2-set", "change a setting of stage 2 alone")
    group.add_argument(
        "--print", action="store_true", help="print the settings of both stages as JSON and stop"
    )
    group = parser.add_argument_group("run")
    add_device(group)
    group.add_argument(
        "--processes",
        type=count,
        default=1,
        metavar="N",
        help="training processes on this machine, one for each GPU (default: 1)",
    )
    group = parser.add_argument_group("export and prediction")
    group.add_argument(
        "--picture",
        type=Path,
        metavar="FILE",
        help="picture to try the result on (default: the first labelled one of the data)",
    )
    group.add_argument(
        "--verify", type=Path, metavar="FOLDER", help="compare on the persons of these pictures too"
    )
    group.add_argument(
        "--allow-undecided",
        action="store_true",
        help="where the network is not sure of a fifth of the points, as after a short trial, "
        "accept equal raw outputs as evidence",
    )


def _add_data(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--data",
        nargs=2,
        action="append",
        default=[],
        metavar=("ANNOTATIONS", "IMAGES"),
        help="train on this annotation file and folder of pictures in place of the recipe's data; "
        "may be repeated",
    )
    group.add_argument(
        "--validation",
        nargs=2,
        metavar=("ANNOTATIONS", "IMAGES"),
        help="measure the accuracy on these (default: the recipe's; with --data none)",
    )
    group.add_argument(
        "--validation-boxes",
        metavar="FILE.json",
        help="boxes of a person detector for the validation, a COCO results file (default with "
        "--validation: the labelled boxes)",
    )
    group.add_argument(
        "--data-root", metavar="DIR", help="folder of the recipe's own data (default: data)"
    )


if __name__ == "__main__":
    raise SystemExit(main())
