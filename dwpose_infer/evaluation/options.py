"""What the options of `dwpose-eval` mean together, and which do not go together."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from ..errors import InvalidArgumentError
from ..zoo import DEFAULT_DETECTOR, DEFAULT_POSE
from .models import BoxOrigin, ModelOptions
from .per_person import check_suffix


def check_options(arguments: argparse.Namespace) -> None:
    """Finds out before the work starts what would go wrong at its end.

    Raises:
        InvalidArgumentError: Options do not go together.
    """
    if (arguments.results is None) == (arguments.images is None):
        raise InvalidArgumentError(
            "give either --results, a file of persons found, or --images, the folder of pictures "
            "to find them in"
        )
    if arguments.results is not None:
        unfit = {
            "--task": arguments.task != "pose",
            "--cut": arguments.cut is not None,
            "--flip-test": arguments.flip_test,
            "--boxes": arguments.boxes is not None,
            "--pose": arguments.pose is not None,
            "--det": arguments.detector is not None,
            "--draw (without --images)": arguments.draw is not None,
        }
        _refuse("--results, where nothing is predicted", unfit)
    if arguments.task == "detector":
        unfit = {
            "--boxes": arguments.boxes not in (None, "detector"),
            "--pose": arguments.pose is not None,
            "--flip-test": arguments.flip_test,
            "--save-results": arguments.save_results is not None,
            "--per-person": arguments.per_person is not None,
            "--draw": arguments.draw is not None,
        }
        _refuse("--task detector", unfit)
    elif arguments.detector is not None and arguments.boxes != "detector":
        raise InvalidArgumentError("--det needs --boxes detector or --task detector")
    if not 0 < arguments.pck_threshold < np.inf:
        raise InvalidArgumentError(f"--pck-threshold is {arguments.pck_threshold}, must be above 0")
    if arguments.per_person is not None:
        check_suffix(arguments.per_person)


def _refuse(what: str, unfit: dict[str, bool]) -> None:
    given = [name for name, is_given in unfit.items() if is_given]
    if given:
        raise InvalidArgumentError(f"{', '.join(given)} cannot be used with {what}")


def model_options(arguments: argparse.Namespace) -> ModelOptions:
    """Returns which networks are used, and where they run."""
    return ModelOptions(
        task=arguments.task,
        boxes=_box_origin(arguments),
        pose=arguments.pose or DEFAULT_POSE,
        detector=arguments.detector or DEFAULT_DETECTOR,
        flip_test=arguments.flip_test,
        backend=arguments.backend,
        device=arguments.device or ("cuda" if arguments.backend == "trt" else "cpu"),
        provider=arguments.provider,
        provider_options=dict(arguments.provider_option or ()),
        threads=arguments.threads,
        precision=arguments.precision,
        max_batch=arguments.max_batch,
        score_threshold=arguments.score_threshold,
        nms_threshold=arguments.nms_threshold,
        square_input=arguments.square_input,
        offline=True if arguments.offline else None,
        progress=shows_progress(arguments),
    )


def _box_origin(arguments: argparse.Namespace) -> BoxOrigin:
    if arguments.task == "detector" or arguments.boxes == "detector":
        return "detector"
    return "labels" if arguments.boxes in (None, "labels") else "file"


def shows_progress(arguments: argparse.Namespace) -> bool:
    """Tells whether progress bars are wanted: on a terminal, unless --quiet is given."""
    return sys.stderr.isatty() and not arguments.quiet


def command_line(arguments: argparse.Namespace) -> str:
    """Returns the command as it was meant, files by their names alone."""
    words = ["dwpose-eval"]
    for name, value in sorted(vars(arguments).items()):
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
