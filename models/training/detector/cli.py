"""The command `dwpose-train detector`: a detector of persons from a teacher and pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ...sizes import YOLOX_SIZES
from ..run_command import add_run_options, add_settings_options, run_command

EPILOG: Final = """\
The teacher is asked about every picture as the student sees it: scaled, cut to portraits, mirrored,
coloured, or put together into mosaics. It needs no labels; --set loss.label_weight=1 learns from
labelled boxes too. A teacher with many classes teaches its first one, the person.

teachers:
  Any YOLOX in ONNX's official form, with an input of the student's size, such as the public
  yolox_nano.onnx and yolox_tiny.onnx (416x416 pixels). Larger ones are made for 640x640; from a
  .pth file comes a teacher of any size:
    dwpose-export yolox_s.pth --form official --input-size 416x416 --out teacher.onnx

what is written to --out:
  settings.json           the settings           log.csv, validation.csv, curves.png   how it goes
  best.pth                the weights of the best validation
  checkpoints/step_*.pth  to go on from; all of them are read by dwpose-export

examples:
  dwpose-train detector --teacher yolox_nano.onnx --data train.json images/ \\
      --validation val.json images/ --initial yolox_nano.pth --out runs/detector
  dwpose-train detector --out runs/detector --resume
  dwpose-train detector --teacher yolox_nano.onnx --data train.json images/ --print
  dwpose-export runs/detector/best.pth --out detector.onnx
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to those of `dwpose-train`."""
    parser = commands.add_parser(
        "detector",
        help="train a person detector by dense distillation",
        description="Train a YOLOX for persons alone: at every cell it learns the score "
        "and the box that another detector gives.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(handler=_train)
    parser.add_argument("--teacher", type=Path, metavar="FILE.onnx", help="detector to learn from")
    parser.add_argument(
        "--size", choices=tuple(YOLOX_SIZES), help="size of the student (default: nano)"
    )
    parser.add_argument(
        "--initial",
        type=Path,
        metavar="CKPT",
        help="checkpoint of that size to start from, with any classes (default: random numbers)",
    )
    add_settings_options(parser)
    group = parser.add_argument_group("data")
    for flag, text in (
        (
            "--data",
            "annotation file in COCO-WholeBody's layout and folder of pictures to train on; "
            "may be repeated",
        ),
        ("--validation", "measure the accuracy on these"),
    ):
        group.add_argument(
            flag,
            nargs=2,
            action="append" if flag == "--data" else "store",
            default=[] if flag == "--data" else None,
            metavar=("ANNOTATIONS", "IMAGES"),
            help=text,
        )
    add_run_options(parser.add_argument_group("run"))


def _train(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    from .command import DetectorChoice, train_from

    choice = DetectorChoice(
        teacher=arguments.teacher,
        size=arguments.size,
        initial=arguments.initial,
        train=[(labels, images) for labels, images in arguments.data],
        validation=arguments.validation and (arguments.validation[0], arguments.validation[1]),
    )
    return train_from(choice, run_command(arguments, argv))
