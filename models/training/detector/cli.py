"""The command `dwpose-train detector`: a detector of persons from a teacher and pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ....errors import InvalidArgumentError
from ...sizes import YOLOX_SIZES
from ..overrides import apply_overrides
from ..run_command import (
    RunCommand,
    add_run_options,
    add_settings_options,
    require_packages,
    run_command,
    run_training,
    show_settings,
)
from ..settings.choosing import FileAndFolder, read_settings_of_kind, source_of
from .settings import DetectorSettings

EPILOG: Final = """\
The teacher is asked about every batch as the student sees it: pictures scaled, cut to portraits,
mirrored, coloured, or put together into mosaics. It needs no labels; --set loss.label_weight=1
learns from labelled boxes too. A teacher with many classes teaches its first one, the person.

teachers:
  Any YOLOX: ONNX in official form, such as the public yolox_nano.onnx and yolox_tiny.onnx, or a
  checkpoint (.pth, .safetensors). It runs where the student trains, at the student's input size.

a student of the teacher's size, from random numbers:
  First every block of it learns what the teacher's block gives, each on its own
  (--set learns=blocks), then the whole learns what the teacher says, and what its blocks give
  (--set loss.feature_weight=60). This needs far fewer samples than learning from outputs alone.

what is written to --out:
  settings.json           the settings           log.csv, validation.csv, curves.png   how it goes
  best.pth                the weights of the best validation
  checkpoints/step_*.pth  to go on from; all of them are read by dwpose-export

examples:
  dwpose-train detector --teacher yolox_nano.onnx --data train.json images/ \\
      --validation val.json images/ --set learns=blocks --set statistics_epochs=1 --out runs/blocks
  dwpose-train detector --teacher yolox_nano.onnx --data train.json images/ \\
      --validation val.json images/ --initial runs/blocks/best.pth --set statistics_epochs=0 \\
      --set loss.feature_weight=60 --out runs/detector
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
    parser.add_argument(
        "--teacher", type=Path, metavar="FILE", help="detector to learn from, ONNX or checkpoint"
    )
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

    choice = DetectorChoice(
        teacher=arguments.teacher,
        size=arguments.size,
        initial=arguments.initial,
        train=[(labels, images) for labels, images in arguments.data],
        validation=arguments.validation and (arguments.validation[0], arguments.validation[1]),
    )
    return train_from(choice, run_command(arguments, argv))


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorChoice:
    """What the options of the command say about a run; None leaves what the settings have.

    Attributes:
        teacher: Detector to learn from.
        size: Size of the student.
        initial: Checkpoint to start from.
        train: Annotation file and folder of pictures of each source; empty leaves them.
        validation: The same for the validation.
    """

    teacher: Path | None = None
    size: str | None = None
    initial: Path | None = None
    train: Sequence[FileAndFolder] = ()
    validation: FileAndFolder | None = None

    def apply(self, settings: DetectorSettings) -> DetectorSettings:
        """Returns settings with these choices, their paths absolute."""
        data = settings.data
        if self.train:
            data = replace(data, train=tuple(map(source_of, self.train)), validation=None)
        if self.validation is not None:
            data = replace(data, validation=source_of(self.validation))
        return replace(
            settings,
            size=self.size or settings.size,
            teacher=settings.teacher if self.teacher is None else str(self.teacher.absolute()),
            initial=settings.initial if self.initial is None else str(self.initial.absolute()),
            data=data,
        )


def train_from(choice: DetectorChoice, command: RunCommand) -> int:
    """Trains a detector, or prints the settings; returns the exit status.

    The settings are first those of a file or of the run that goes on, then the choices, then each
    --set.

    Raises:
        DwposeError: It could not be done.
    """
    stored = command.settings_file(named=choice.teacher is not None)
    settings = (
        DetectorSettings() if stored is None else read_settings_of_kind(DetectorSettings, stored)
    )
    settings = apply_overrides(choice.apply(settings), command.assignments)
    if command.print_as is not None:
        return show_settings(settings, command.print_as)
    if not settings.teacher:
        raise InvalidArgumentError("name the detector to learn from: --teacher FILE")
    require_packages()
    from .trainer import train_detector

    return run_training(train_detector, settings, command)
