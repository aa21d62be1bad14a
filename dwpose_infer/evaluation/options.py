"""The options of `dwpose-eval`, what they mean together, and which do not go together."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..cli.model_options import runtime_of
from ..errors import InvalidArgumentError
from ..runtime import Runtime
from .per_person import check_suffix

BoxOrigin = Literal["labels", "detector", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """What is evaluated, as `dwpose-eval --help` describes the options of the same names.

    Attributes:
        runtime: Where the networks run.
        command: The command as it was meant, files by their names alone.
    """

    annotations: Path
    results: Path | None
    images: Path | None
    out: Path
    save_results: Path | None
    per_person: Path | None
    draw: Path | None
    draw_count: int
    restart: bool
    quiet: bool
    task: Literal["pose", "detector"]
    boxes: str | None
    flip_test: bool
    score_threshold: float | None
    nms_threshold: float | None
    cut: Literal["portrait"] | None
    pose: str | None
    detector: str | None
    square_input: bool
    frame_step: int
    limit: int | None
    bootstrap: int | None
    pck_threshold: float
    confident_score: float
    runtime: Runtime
    command: str

    @property
    def box_origin(self) -> BoxOrigin:
        """Where the pose network's boxes come from."""
        if self.task == "detector" or self.boxes == "detector":
            return "detector"
        return "labels" if self.boxes in (None, "labels") else "file"

    @property
    def boxes_file(self) -> Path | None:
        """The file of boxes, or None where they come from elsewhere."""
        return Path(self.boxes) if self.boxes and self.box_origin == "file" else None

    @property
    def picture_folder(self) -> Path:
        """The folder of --images.

        Raises:
            InvalidArgumentError: It is not given.
        """
        if self.images is None:
            raise InvalidArgumentError("give --images, the folder of the pictures")
        return self.images

    @property
    def shows_progress(self) -> bool:
        """Whether progress bars are wanted: on a terminal, unless --quiet is given."""
        return sys.stderr.isatty() and not self.quiet


def options_of(given: Mapping[str, Any]) -> EvaluationOptions:
    """Returns the options that the parser read.

    Args:
        given: Name of an option -> value.

    Raises:
        InvalidArgumentError: Options do not go together.
    """
    runtime = runtime_of(given, progress=sys.stderr.isatty() and not given["quiet"])
    own = {
        field.name: given[field.name] for field in fields(EvaluationOptions) if field.name in given
    }
    options = EvaluationOptions(**own, runtime=runtime, command=_command_line(given))
    _check(options)
    return options


def _check(options: EvaluationOptions) -> None:
    """Finds out before the work starts what would go wrong at its end, or mean nothing."""
    if (options.results is None) == (options.images is None):
        raise InvalidArgumentError(
            "give either --results, a file of persons found, or --images, the folder of pictures "
            "to find them in"
        )
    of_detector = {
        "--det": options.detector is not None,
        "--score-threshold": options.score_threshold is not None,
        "--nms-threshold": options.nms_threshold is not None,
        "--square-input": options.square_input,
    }
    if options.results is not None:
        unfit = {
            "--task": options.task != "pose",
            "--cut": options.cut is not None,
            "--flip-test": options.flip_test,
            "--boxes": options.boxes is not None,
            "--pose": options.pose is not None,
            **of_detector,
            "--restart": options.restart,
            "--draw (without --images)": options.draw is not None,
            **_of_networks(options.runtime),
        }
        _refuse("--results, where nothing is predicted", unfit)
    if options.task == "detector":
        unfit = {
            "--boxes": options.boxes not in (None, "detector"),
            "--pose": options.pose is not None,
            "--flip-test": options.flip_test,
            "--save-results": options.save_results is not None,
            "--per-person": options.per_person is not None,
            "--draw": options.draw is not None,
            "--bootstrap": options.bootstrap is not None,
        }
        _refuse("--task detector", unfit)
    elif options.boxes != "detector" and any(of_detector.values()):
        names = [name for name, is_given in of_detector.items() if is_given]
        verb = "needs" if len(names) == 1 else "need"
        raise InvalidArgumentError(f"{', '.join(names)} {verb} --boxes detector or --task detector")
    if not 0 < options.pck_threshold < np.inf:
        raise InvalidArgumentError(f"--pck-threshold is {options.pck_threshold}, must be above 0")
    if options.per_person is not None:
        check_suffix(options.per_person)


def _of_networks(runtime: Runtime) -> dict[str, bool]:
    names = ("backend", "device", "provider", "threads", "precision", "max_batch", "offline")
    unset = Runtime()
    given = {
        f"--{name.replace('_', '-')}": getattr(runtime, name) != getattr(unset, name)
        for name in names
    }
    return {**given, "--provider-option": bool(runtime.provider_options)}


def _refuse(what: str, unfit: dict[str, bool]) -> None:
    given = [name for name, is_given in unfit.items() if is_given]
    if given:
        raise InvalidArgumentError(f"{', '.join(given)} cannot be used with {what}")


def _command_line(given: Mapping[str, Any]) -> str:
    words = ["dwpose-eval"]
    for name, value in sorted(given.items()):
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif name == "provider_option":
            for key, text in value or ():
                words += [option, f"{key}={text}"]
        elif value not in (None, False):
            plain = Path(value).name if isinstance(value, Path) or name == "boxes" else str(value)
            if name in ("pose", "detector"):
                plain = Path(plain).name
            words += [option, plain]
    return " ".join(words)
