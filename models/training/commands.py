"""The work of `dwpose-train`, command by command."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, InvalidArgumentError, MissingDependencyError, ModelNotFoundError
from .overrides import print_settings, to_plain
from .recipes import GPUS, recipe, recipe_names
from .settings.choosing import DataChoice, choose_settings, settings_json
from .settings.pose import Settings

if TYPE_CHECKING:
    from .loop.run_options import RunOptions, TrainingSummary

RUNS = Path("runs")

SETTINGS_NAME = "settings.json"  # as in `training_loop`, which loads torch

NEEDED = ("torch", "onnx", "onnxruntime", "matplotlib", "msgspec", "pycocotools")
"""What the extra `train` brings: better to miss it before the training than after it."""

INTERRUPTED = 130


def carry_out(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    """Does what the arguments of `dwpose-train` say.

    Args:
        arguments: The arguments.
        argv: The same as they were given, to say how to go on.

    Returns:
        Exit status.

    Raises:
        DwposeError: It could not be done.
    """
    if arguments.command == "recipes":
        return _list_recipes()
    if arguments.command == "transfer":
        return _transfer(arguments)
    if arguments.command == "distill":
        return _distill(arguments, argv)
    if arguments.command == "detector":
        from .detector import command

        return command.run(arguments, argv)
    return _run(arguments, argv)


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


def _list_recipes() -> int:
    names = recipe_names()
    longest = max(map(len, names))
    for name in names:
        print(f"{name:<{longest}}  {describe(recipe(name))}")
    return 0


def _run(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    settings = _run_settings(arguments)
    if arguments.print is not None:
        return show_settings(settings, arguments.print)
    require_packages()
    from .trainer import train

    return carry_out_run(train, settings, arguments.out or RUNS / settings.name, arguments, argv)


def show_settings(settings: object, form: str) -> int:
    """Prints settings of any kind as the option --print says; returns the exit status."""
    print(settings_json(settings) if form == "json" else print_settings(settings))
    return 0


def carry_out_run(
    train: Callable[[Any, Path, RunOptions], TrainingSummary],
    settings: object,
    folder: Path,
    arguments: argparse.Namespace,
    argv: Sequence[str],
) -> int:
    """Carries out a run of any kind as the options of `cli_options.add_run_options` say.

    Args:
        train: Carries it out.
        settings: What is learnt, as `train` takes it.
        folder: Folder of the run.
        arguments: The arguments.
        argv: The same as they were given, to say how to go on.

    Returns:
        Exit status.
    """
    from ...files.document import write_document
    from .loop.run_options import RunOptions

    options = RunOptions(
        device=arguments.device,
        resume=arguments.resume,
        max_steps=arguments.max_steps,
        checkpoint_steps=arguments.checkpoint_steps,
        say=say,
    )
    summary = train(settings, folder, options)
    if os.environ.get("RANK", "0") == "0":
        if arguments.report is not None:
            write_document(arguments.report, summary)
        if summary.stopped_by is not None:
            say(f"to go on: {resume_command(argv)}")
        print(summary.best if summary.finished and summary.best else summary.checkpoint)
    return exit_status(summary.stopped_by)


def _run_settings(arguments: argparse.Namespace) -> Settings:
    stored = arguments.settings
    unnamed = arguments.recipe is None and stored is None
    if unnamed and arguments.resume and arguments.out is not None:
        stored = arguments.out / SETTINGS_NAME
    return choose_settings(
        recipe_name=arguments.recipe,
        settings_file=stored,
        data=_data(arguments),
        assignments=arguments.set,
    )


def _transfer(arguments: argparse.Namespace) -> int:
    require_packages("torch")
    from .transfer import transfer

    checkpoint = _checkpoint(arguments.checkpoint)
    architecture = transfer(checkpoint, arguments.stage, arguments.out)
    say(f"{checkpoint}: {architecture.name}")
    print(arguments.out)
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


def _distill(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    if "RANK" in os.environ:
        raise InvalidArgumentError(
            "distill starts its training processes itself: leave torchrun away and give "
            "--processes N (for several machines, do the steps one by one, see docs/training.md)"
        )
    require_packages()
    from .distill.job import DistillOptions, distill
    from .distill.plan import make_plan

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
        stages = {"stage1": to_plain(plan.first), "stage2": to_plain(plan.second)}
        print(json.dumps(stages, indent=2))
        return 0
    for path in (plan.picture, plan.verify):
        if path is not None and not path.exists():
            raise InputError(f"{path}: there is no such file or folder")
    options = DistillOptions(device=arguments.device, processes=arguments.processes, say=say)
    summary = distill(plan, options)
    if summary.steps:
        print(summary.table())
    if summary.stopped_by is not None:
        say(f"to go on: {shlex.join(['dwpose-train', *argv])}")
    return exit_status(summary.stopped_by)


def _data(arguments: argparse.Namespace) -> DataChoice:
    return DataChoice(
        train=[(annotations, images) for annotations, images in arguments.data],
        validation=arguments.validation and (arguments.validation[0], arguments.validation[1]),
        validation_boxes=arguments.validation_boxes,
        root=arguments.data_root,
    )


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
