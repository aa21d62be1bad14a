"""The command `dwpose-train detector`: a detector of persons from a teacher and pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from ..cli_options import add_run_options, add_settings_options

if TYPE_CHECKING:
    from .settings import DetectorSettings

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

SETTINGS_NAME: Final = "settings.json"  # as in `training_loop`, which loads torch

Text = TypeVar("Text", str, str | None)

SIZES: Final = ("nano", "tiny", "s", "m", "l", "x")


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
    parser.add_argument("--teacher", type=Path, metavar="FILE.onnx", help="detector to learn from")
    parser.add_argument("--size", choices=SIZES, help="size of the student (default: nano)")
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
            metavar=("ANNOTATIONS", "IMAGES"),
            help=text,
        )
    add_run_options(parser.add_argument_group("run"))


def choose_detector_settings(arguments: argparse.Namespace) -> DetectorSettings:
    """Makes the settings of a run from what the command line says.

    First those of a file or of the run that goes on, then the options, then each --set.

    Raises:
        InvalidArgumentError: One of them cannot be used; the message names it.
        InputError: A file cannot be read.
    """
    from ..overrides import apply_overrides
    from ..settings.choosing import read_settings_of_kind, source_of
    from .settings import DetectorSettings

    stored = arguments.settings
    named = arguments.teacher is not None or stored is not None
    if not named and arguments.resume and arguments.out is not None:
        stored = arguments.out / SETTINGS_NAME
    settings = DetectorSettings()
    if stored is not None:
        settings = read_settings_of_kind(DetectorSettings, stored)
    data = settings.data
    if arguments.data:
        sources = tuple(source_of((labels, images)) for labels, images in arguments.data)
        data = replace(data, train=sources, validation=None)
    if arguments.validation is not None:
        labels, images = arguments.validation
        data = replace(data, validation=source_of((labels, images)))
    settings = replace(
        settings,
        size=arguments.size or settings.size,
        teacher=_path(arguments.teacher, settings.teacher),
        initial=_path(arguments.initial, settings.initial),
        data=data,
    )
    return apply_overrides(settings, arguments.set)


def run(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    """Does what the arguments of `dwpose-train detector` say.

    Args:
        arguments: The arguments.
        argv: The same as they were given, to say how to go on.

    Returns:
        Exit status.

    Raises:
        DwposeError: It could not be done.
    """
    from ....errors import InvalidArgumentError
    from .. import commands

    settings = choose_detector_settings(arguments)
    if arguments.print is not None:
        return commands.show_settings(settings, arguments.print)
    if not settings.teacher:
        raise InvalidArgumentError("name the detector to learn from: --teacher FILE.onnx")
    commands.require_packages()
    from .trainer import train_detector

    folder = arguments.out or commands.RUNS / settings.name
    return commands.carry_out_run(train_detector, settings, folder, arguments, argv)


def _path(given: Path | None, stored: Text) -> str | Text:
    """Returns a path as settings keep it, so that it means the same from anywhere."""
    return stored if given is None else str(given.absolute())
