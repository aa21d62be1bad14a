"""How a run is carried out, as against what is learnt (`Settings`), and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ....errors import FormatError, InvalidArgumentError
from ....files.document import read_document


def say_nothing(_line: str) -> None:
    """Passes over a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run is carried out.

    Attributes:
        device: "cpu", "cuda" or "cuda:N"; it is used, or an error says why not.
        resume: Go on from the folder's newest checkpoint; without any, begin.
        max_steps: Stop after this step, as if told to by a signal; for trials and measurements.
        checkpoint_steps: Steps between two checkpoints, besides those at the ends of epochs.
        keep_checkpoints: How many of them are left; two or more protect against a damaged one.
        say: Told what happens, a line at a time; in the first process only.
    """

    device: str = "cpu"
    resume: bool = False
    max_steps: int | None = None
    checkpoint_steps: int = 1000
    keep_checkpoints: int = 3
    say: Callable[[str], None] = say_nothing

    def __post_init__(self) -> None:
        for name in ("max_steps", "checkpoint_steps", "keep_checkpoints"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidArgumentError(f"{name} must be at least 1, not {value}")


@dataclass(frozen=True, slots=True)
class TrainingSummary:
    """How a run ended.

    Attributes:
        folder: Folder of the run.
        step: Steps done.
        epochs: Epochs done.
        finished: Whether that is all of them, the last validation included.
        stopped_by: What ended it early: "SIGINT", "SIGTERM", "max_steps", or "another process".
        checkpoint: The newest checkpoint.
        best: The weights with the best validation; None without one.
        best_value: Their AP or PCK, see `Settings.best_by`.
        samples_per_s: Of all processes, median over the rows of the log written now, the first of
            several left out; None without any row.
        data_wait_share: Share of the time spent waiting for data, 0 to 1, mean over these rows.
        memory_mb: Most memory used, 10^6 bytes, see `meters.memory_mb`.
    """

    folder: Path
    step: int
    epochs: int
    finished: bool
    stopped_by: str | None
    checkpoint: Path
    best: Path | None
    best_value: float | None
    samples_per_s: float | None
    data_wait_share: float | None
    memory_mb: float | None


def read_summary(path: Path) -> TrainingSummary:
    """Reads a summary that was written as a document.

    Raises:
        InputError: The file cannot be read.
        FormatError: It is no such file.
    """
    try:
        return read_document(path, TrainingSummary)
    except FormatError as error:
        raise FormatError(f"{error}; this does not tell how a run ended") from error
