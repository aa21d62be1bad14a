"""The command `dwpose-train int8`: a finished network learns to live with 8-bit integers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...errors import InvalidArgumentError, ModelFormatError
from .overrides import apply_overrides
from .run_command import (
    RunCommand,
    add_data_options,
    add_run_options,
    add_settings_options,
    require_packages,
    run_command,
    run_training,
    show_settings,
)
from .settings import (
    EmaSettings,
    LossSettings,
    OptimizerSettings,
    QuantizeSettings,
    ScheduleSettings,
    Settings,
)
from .settings.choosing import DataChoice, read_settings

if TYPE_CHECKING:
    from ..dwpose import DWPoseArchitecture

EPILOG: Final = """\
FLOAT is the finished network: .pth or .safetensors, as dwpose-train writes it or as published,
with 133 points. Every step rounds its backbone as the int8 file will, and the network learns to
answer as it did in float; of labels the boxes alone are used. The best of the validations, measured
in integers, is kept.

what is written to --out:
  settings.json           the settings           log.csv, validation.csv, curves.png   how it goes
  best.pth                the weights of the best validation, for dwpose-export --precision int8
  checkpoints/step_*.pth  to go on from

examples:
  dwpose-train int8 float.pth --data train.json images/ --validation val.json images/ --out runs/q
  dwpose-train int8 --out runs/q --resume
  dwpose-export runs/q/best.pth --precision int8 --labels val.json images/ --against float.pth \\
      --out int8.onnx
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to those of `dwpose-train`."""
    parser = commands.add_parser(
        "int8",
        help="train a finished pose network for 8-bit integers",
        description="Train a finished pose network on with the roundings of an int8 file, so that "
        "it keeps its accuracy there.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(handler=_train)
    parser.add_argument(
        "float", nargs="?", type=Path, metavar="FLOAT", help="checkpoint of the finished network"
    )
    add_settings_options(parser)
    add_data_options(
        parser.add_argument_group("data"),
        data="annotation file in COCO-WholeBody's layout and folder of pictures to train on",
        validation="measure the accuracy on these",
    )
    add_run_options(parser.add_argument_group("run"))


def int8_settings(network: DWPoseArchitecture, initial: Path) -> Settings:
    """Makes the settings of such a training.

    The rate is low, and falls from the first step on: at 5e-6 the loss of the bundled network fell
    from the start, at 2e-5 only once the rate had come down, at 3e-5 it grew by half and at 1e-4 it
    doubled. Weights do not decay, for they are nearly right already. The average forgets within
    some hundred steps.

    Args:
        network: What the checkpoint holds.
        initial: The checkpoint.
    """
    return Settings(
        name=f"int8-{network.size}-{network.input_height}",
        size=network.size,
        input_height=network.input_height,
        input_width=network.input_width,
        epochs=1,
        batch_size=32,
        channels_last=True,
        initial=str(initial.absolute()),
        initial_part="all",
        validate_every=1,
        best_by="PCK",
        log_every=10,
        loss=LossSettings(),
        quantize=QuantizeSettings(),
        optimizer=OptimizerSettings(learning_rate=5e-6, weight_decay=0.0, clip_norm=1.0),
        schedule=ScheduleSettings(warmup_steps=10, decay_begin_epoch=0, final_learning_rate=2e-7),
        ema=EmaSettings(momentum=0.01, gamma=20, average_buffers=False),
    )


def _train(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    data = DataChoice(
        train=[(labels, images) for labels, images in arguments.data],
        validation=arguments.validation and (arguments.validation[0], arguments.validation[1]),
    )
    return train_int8(arguments.float, data, run_command(arguments, argv))


def train_int8(initial: Path | None, data: DataChoice, command: RunCommand) -> int:
    """Trains a network for integers, or prints the settings; returns the exit status.

    Args:
        initial: Checkpoint of the finished network; none where settings say what to train.
        data: Where samples come from.
        command: The other options.

    Raises:
        DwposeError: It could not be done.
    """
    stored = command.settings_file(named=initial is not None)
    if (initial is None) == (stored is None):
        raise InvalidArgumentError(
            "name the finished network: dwpose-train int8 FLOAT.pth --data ANNOTATIONS IMAGES, or "
            "--settings FILE.json"
        )
    if initial is not None:
        settings = int8_settings(_architecture(initial), initial)
    else:
        assert stored is not None
        settings = read_settings(stored)
    settings = replace(settings, data=data.apply(settings.data))
    settings = apply_overrides(settings, command.assignments)
    if settings.quantize is None:
        raise InvalidArgumentError("these settings train in float: quantize is null")
    if command.print_as is not None:
        return show_settings(settings, command.print_as)
    if not settings.data.train:
        raise InvalidArgumentError(
            "say where the pictures are: --data ANNOTATIONS IMAGES, persons in COCO-WholeBody's "
            "layout"
        )
    require_packages()
    from .trainer import train

    return run_training(train, settings, command)


def _architecture(path: Path) -> DWPoseArchitecture:
    """Tells what network a checkpoint holds."""
    require_packages("torch")
    from ..checkpoints import infer_architecture, read_state_dict
    from ..dwpose import WHOLE_BODY_KEYPOINTS, DWPoseArchitecture
    from ..quantized_dwpose import RANGES

    state = read_state_dict(path)
    found = infer_architecture({name: tuple(value.shape) for name, value in state.items()})
    if not isinstance(found, DWPoseArchitecture) or found.keypoints != WHOLE_BODY_KEYPOINTS:
        raise ModelFormatError(
            f"{path} holds {found.name}; a pose network of {WHOLE_BODY_KEYPOINTS} points is needed"
        )
    if RANGES in state:
        raise ModelFormatError(
            f"{path} was trained for 8-bit integers already; give the network it was trained from"
        )
    return found
