"""The work of `dwpose-train`, command by command."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError, InvalidArgumentError, ModelNotFoundError
from .overrides import to_plain
from .recipes import GPUS, recipe, recipe_names
from .run_command import (
    RunCommand,
    exit_status,
    require_packages,
    run_training,
    say,
    show_settings,
)
from .settings.choosing import DataChoice, choose_settings
from .settings.pose import Settings

if TYPE_CHECKING:
    from ..checkpoints import Stage
    from .distill import DistillPlan


def describe(settings: Settings) -> str:
    """Says in a line what a recipe trains."""
    distill = settings.distill
    if distill is None:
        kind = f"labels alone: {settings.size}"
    elif distill.stage == 1:
        kind = f"stage 1: {distill.teacher_size} teaches {settings.size}"
    else:
        kind = f"stage 2: a new head for {settings.size}"
    width, height = settings.input_wh
    return (
        f"{kind}, {height}x{width}, {settings.epochs} epochs, batch {settings.batch_size} "
        f"({GPUS} GPUs with {settings.batch_size // GPUS})"
    )


def list_recipes() -> int:
    """Prints the recipes; returns the exit status."""
    names = recipe_names()
    longest = max(map(len, names))
    for name in names:
        print(f"{name:<{longest}}  {describe(recipe(name))}")
    return 0


def train_pose(recipe_name: str | None, data: DataChoice, command: RunCommand) -> int:
    """Trains a pose network, or prints the settings; returns the exit status.

    Args:
        recipe_name: Name of a recipe; none where a file of settings says what to train.
        data: Where samples come from.
        command: The other options.

    Raises:
        DwposeError: It could not be done.
    """
    settings = choose_settings(
        recipe_name=recipe_name,
        settings_file=command.settings_file(named=recipe_name is not None),
        data=data,
        assignments=command.assignments,
    )
    if command.print_as is not None:
        return show_settings(settings, command.print_as)
    require_packages()
    from .trainer import train

    return run_training(train, settings, command)


def transfer_checkpoint(given: Path, stage: Stage, out: Path) -> int:
    """Takes the trained network out of a distillation's checkpoint; returns the exit status.

    Args:
        given: The checkpoint, or the folder of a run.
        stage: Which stage wrote it.
        out: File to write.

    Raises:
        DwposeError: It could not be done.
    """
    require_packages("torch")
    from .transfer import transfer

    checkpoint = _checkpoint(given)
    architecture = transfer(checkpoint, stage, out)
    say(f"{checkpoint}: {architecture.name}")
    print(out)
    return 0


def _checkpoint(given: Path) -> Path:
    """Returns a checkpoint, where a run's folder is given its best one."""
    if not given.is_dir():
        return given
    from .loop.checkpoint import BEST_NAME, list_checkpoints
    from .loop.training_loop import CHECKPOINTS_NAME

    found = [*list_checkpoints(given / CHECKPOINTS_NAME), given / BEST_NAME]
    there = [path for path in found if path.exists()]
    if not there:
        raise ModelNotFoundError(f"{given} holds no run: there is neither a best nor a checkpoint")
    return there[-1]


def require_one_process() -> None:
    """Checks that torchrun did not start the command `distill`, and that packages are there.

    Raises:
        InvalidArgumentError: It did.
        MissingDependencyError: Some are missing.
    """
    if "RANK" in os.environ:
        raise InvalidArgumentError(
            "distill starts its training processes itself: leave torchrun away and give "
            "--processes N (for several machines, do the steps one by one, see docs/training.md)"
        )
    require_packages()


def print_plan(plan: DistillPlan) -> int:
    """Prints the settings of both stages as JSON; returns the exit status."""
    stages = {"stage1": to_plain(plan.first), "stage2": to_plain(plan.second)}
    print(json.dumps(stages, indent=2))
    return 0


def distill_plan(plan: DistillPlan, *, device: str, processes: int, argv: Sequence[str]) -> int:
    """Carries out a distillation; returns the exit status.

    Args:
        plan: What is trained.
        device: "cpu", "cuda" or "cuda:N".
        processes: Training processes on this machine.
        argv: The arguments as they were given, to say how to go on.

    Raises:
        DwposeError: It could not be done.
    """
    from .distill import DistillOptions, distill

    for path in (plan.picture, plan.verify):
        if path is not None and not path.exists():
            raise InputError(f"{path}: there is no such file or folder")
    summary = distill(plan, DistillOptions(device=device, processes=processes, say=say))
    if summary.steps:
        print(summary.table())
    if summary.stopped_by is not None:
        say(f"to go on: {shlex.join(['dwpose-train', *argv])}")
    return exit_status(summary.stopped_by)
