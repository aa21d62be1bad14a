"""Going on with a run: which checkpoint, and whether it is the same run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ....errors import InvalidArgumentError, ModelFormatError
from ..overrides import to_plain
from .checkpoint import TrainingState, list_checkpoints, load_state, require_same

HARMLESS: Final = frozenset(
    {
        "name",
        "validate_every",
        "best_by",
        "checkpoint_every",
        "log_every",
        "tensorboard",
        "compile",
        "initial",
        "initial_url",
        "distill.teacher_checkpoint",
        "distill.teacher_url",
        "data.root",
        "data.validation",
        "data.validation_boxes",
        "data.validation_batch_size",
        "data.flip_test",
        "data.workers",
        "data.prefetch",
        "data.cache_gb",
    }
)
"""Settings that a run may change when it goes on.

They do not touch what is learnt: files that the checkpoint makes unnecessary, where and how
samples are read (their number is compared), what is measured and written, and how fast. Epochs
are not among them, for the learning rate and the distillation depend on how many there are.
"""

DAMAGED_SUFFIX: Final = ".damaged"


def newest_state(
    folder: Path, *, say: Callable[[str], None], rename_damaged: bool = True
) -> tuple[TrainingState, Path] | None:
    """Reads the newest checkpoint that is whole.

    Args:
        folder: Folder of the checkpoints.
        say: Told about every damaged one, in one line.
        rename_damaged: Put `DAMAGED_SUFFIX` behind the names of damaged ones, so that they do not
            count among those that are kept.

    Returns:
        The state and its file; None where there are no checkpoints.

    Raises:
        ModelFormatError: There are some, and all are damaged.
    """
    paths = list_checkpoints(folder)
    for path in reversed(paths):
        try:
            return load_state(path), path
        except ModelFormatError as error:
            say(f"warning: {error}; going on from the checkpoint before it")
            if rename_damaged:
                path.replace(path.with_name(path.name + DAMAGED_SUFFIX))
    if paths:
        raise ModelFormatError(f"none of the {len(paths)} checkpoints in {folder} can be read")
    return None


def as_stored(settings: object) -> dict[str, Any]:
    """Returns settings as they come back from a checkpoint."""
    plain: dict[str, Any] = json.loads(json.dumps(to_plain(settings)))
    return plain


def require_same_run(
    state: TrainingState,
    path: Path,
    settings: object,
    facts: dict[str, Any],
    *,
    harmless: frozenset[str] = HARMLESS,
) -> None:
    """Checks that a checkpoint is of the run that goes on.

    Args:
        state: The checkpoint.
        path: Its file, for the message.
        settings: Of the run.
        facts: What else has to be the same.
        harmless: Names of settings that may differ.

    Raises:
        InvalidArgumentError: It is of another run; the message names each difference.
    """
    require_same(
        {**state.settings, "run": state.facts},
        {**as_stored(settings), "run": facts},
        harmless=harmless,
        path=path,
    )


def require_new(folder: Path, checkpoints: Path) -> None:
    """Checks that a new run does not overwrite another.

    Raises:
        InvalidArgumentError: There are checkpoints already.
    """
    existing = list_checkpoints(checkpoints)
    if existing:
        raise InvalidArgumentError(
            f"{folder} holds a run that came to {existing[-1].stem.replace('_', ' ')}; go on with "
            "it (resume), or choose another folder"
        )
