"""The command `dwpose-train`: training, the two stages of distillation, and what lies between."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...cli.exit_status import exit_status
from ...cli.standard_options import standard_parser
from ..sizes import STUDENT_SIZES
from .detector.cli import add_parser as add_detector
from .int8_command import add_parser as add_int8
from .labelling.cli import add_parser as add_labels
from .run_command import (
    add_data_options,
    add_device,
    add_run_options,
    add_set,
    add_settings_options,
    count,
    run_command,
)

if TYPE_CHECKING:
    from .settings.choosing import DataChoice

COMMANDS = ("run", "recipes", "transfer", "distill", "detector", "int8", "labels")
OWN_OPTIONS = ("-h", "--help", "--version", "--print-completion")

EPILOG: Final = """\
  dwpose-train --recipe NAME ...     is short for   dwpose-train run --recipe NAME ...
  dwpose-train COMMAND --help        explains a command

examples:
  dwpose-train recipes
  dwpose-train --recipe s1-l-t-256 --print                      # the settings, complete
  dwpose-train --recipe s1-l-t-256 --device cuda                # runs/s1-l-t-256/
  dwpose-train --recipe s1-l-t-256 --device cuda --resume       # go on after a stop or a crash
  torchrun --nproc-per-node 8 -m dwpose_infer.models.training.cli --recipe s1-l-t-256 --device cuda
  dwpose-train transfer runs/s1-l-t-256 --stage 1 --out runs/s1-l-t-256/model.pth
  dwpose-train distill --teacher l.pth --size t --out dw-t --device cuda --processes 8
  dwpose-train int8 float.pth --data train.json images/ --out runs/q
  dwpose-train labels --annotations boxes.json --images photos --teacher dwpose-l --out labels.json

Needs pip install "dwpose-infer[train]"; labels needs a runtime alone.

exit status:
  0 done       1 failed     2 wrong usage     3 device or optional package unavailable
  4 weights not available   130, 143 stopped by Ctrl-C, by SIGTERM; --resume goes on
"""

RUN_EPILOG: Final = """\
settings:
  A recipe is a complete set. --set takes any key of `--print keys`: numbers and text as they are,
  null for none, lists and groups as JSON:
    --set epochs=30 --set precision=bf16 --set optimizer.learning_rate=1e-3
    --set 'augment.scale_range=[0.6, 1.4]' --set initial=null

data:
  Annotation files have the layout of COCO-WholeBody; UBody's and your own can, too. The recipes
  expect the official sets in data/, see docs/training.md; --data takes others.

what is written to --out:
  settings.json           the settings           log.csv, validation.csv, curves.png   how it goes
  best.pth                the weights of the best validation
  checkpoints/step_*.pth  to go on from; all of them are read by dwpose-export

Ctrl-C and SIGTERM end a run after the step under way, with a checkpoint. A run that goes on gives
exactly the losses of one that was never stopped.

examples:
  dwpose-train --recipe base-t-256 --data train.json images/ --validation val.json images/ \\
      --set initial=null --set batch_size=64 --set epochs=30 --out runs/mine
  dwpose-train --out runs/mine --resume
  dwpose-train --recipe s1-l-t-256 --device cuda --max-steps 200 --report speed.json
"""

TRANSFER_EPILOG: Final = """\
Stage 1 hands on the student, stage 2 the teacher's backbone with the student's head. Checkpoints of
the official code are read too; nothing in them is run. The result is a plain checkpoint under the
official names, for the next stage, for dwpose-export and for other programs.

examples:
  dwpose-train transfer runs/s1-l-t-256 --stage 1 --out runs/s1-l-t-256/model.pth
  dwpose-train transfer official_s2_epoch_60.pth --stage 2 --out dw-t.pth
"""

DISTILL_EPILOG: Final = """\
what is written to --out:
  stage1/, stage2/             the runs, as `dwpose-train run` writes them
  stage1/model.pth             the student after stage 1
  stage2/model.pth             the trained network
  model.onnx, parity.json      for dwpose-infer --pose; how it compares with the network
  check.json, check.jpg        what it finds on a picture
  distill.json                 the finished steps

The student's settings are those of its recipes (`dwpose-train recipes`), 270 and 60 epochs long,
on the official data unless --data is given.

Stopped at any point, the same command goes on; within a stage from its newest checkpoint. With
another teacher, data or settings it says what differs: give another --out, or remove the folder.

examples:
  dwpose-train distill --teacher l.pth --size t --out dw-t --device cuda --processes 8
  dwpose-train distill --teacher l.pth --size t --data train.json images/ \\
      --validation val.json images/ --initial none --stage1-set epochs=30 --stage2-set epochs=10 \\
      --out mine
  dwpose-infer photo.jpg --pose mine/model.onnx
"""


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
        lambda: arguments.handler(arguments, given),
        program="dwpose-train",
        interrupted=f"interrupted; the same command{again} goes on",
        place=_place(),
    )


def _place() -> str:
    """Names the process where there are several."""
    rank = os.environ.get("RANK", "0")
    return "" if rank == "0" else f"process {rank}: "


def _parser() -> argparse.ArgumentParser:
    parser = standard_parser(
        "dwpose-train",
        "Train whole-body pose networks: on labels alone, or by DWPose's two-stage distillation.",
        EPILOG,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_run(commands)
    commands.add_parser(
        "recipes",
        help="list the recipes",
        description="List the recipes: complete settings of every official run.",
    ).set_defaults(handler=_recipes)
    _add_transfer(commands)
    _add_distill(commands)
    add_detector(commands)
    add_int8(commands)
    add_labels(commands)
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "run",
        help="train; the word can be left out",
        description="Train a network from a recipe, or from a file of settings.",
        epilog=RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(handler=_run)
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
    parser.set_defaults(handler=_transfer)
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
    parser.set_defaults(handler=_distill)
    parser.add_argument(
        "--teacher",
        type=Path,
        required=True,
        metavar="CKPT",
        help="checkpoint of the teacher: its size and input are read from it",
    )
    parser.add_argument("--size", choices=STUDENT_SIZES, required=True, help="size of the student")
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
    add_data_options(
        group,
        data="train on this annotation file and folder of pictures in place of the recipe's data",
        validation="measure the accuracy on these (default: the recipe's; with --data none)",
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


def _data(arguments: argparse.Namespace) -> DataChoice:
    from .settings.choosing import DataChoice

    return DataChoice(
        train=[(annotations, images) for annotations, images in arguments.data],
        validation=arguments.validation and (arguments.validation[0], arguments.validation[1]),
        validation_boxes=arguments.validation_boxes,
        root=arguments.data_root,
    )


def _recipes(_arguments: argparse.Namespace, _argv: Sequence[str]) -> int:
    from .commands import list_recipes

    return list_recipes()


def _run(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    from .commands import train_pose

    return train_pose(arguments.recipe, _data(arguments), run_command(arguments, argv))


def _transfer(arguments: argparse.Namespace, _argv: Sequence[str]) -> int:
    from .commands import transfer_checkpoint

    return transfer_checkpoint(arguments.checkpoint, arguments.stage, arguments.out)


def _distill(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    from .commands import distill_plan, print_plan, require_one_process

    require_one_process()
    from .distill import make_plan

    plan = make_plan(
        arguments.teacher,
        arguments.size,
        arguments.out,
        data=_data(arguments),
        initial=arguments.initial,
        assignments=arguments.set,
        first_assignments=arguments.stage1_set,
        second_assignments=arguments.stage2_set,
        picture=arguments.picture,
        verify=arguments.verify,
        allow_undecided=arguments.allow_undecided,
    )
    if arguments.print:
        return print_plan(plan)
    return distill_plan(plan, device=arguments.device, processes=arguments.processes, argv=argv)


if __name__ == "__main__":
    raise SystemExit(main())
