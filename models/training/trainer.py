"""A training run from its settings to its checkpoints.

    summary = train(recipe("s1-l-t-256"), Path("runs/s1-l-t-256"))

The folder gets `settings.json`, `log.csv`, `validation.csv`, `curves.png`, `best.pth` and
`checkpoints/step_*.pth`; every checkpoint is one that `dwpose-export` and `load_model` read. A run
that was killed goes on from its newest checkpoint with exactly the losses of one that was not:
samples depend on seed, epoch and person alone, the learning rate on the step, and nothing else
is random once the first weights are drawn. (With more than two processes the order in which
gradients are summed up is the network library's, and losses agree to rounding.)

Several processes are started by `torchrun`; nothing here differs for them.
"""

from __future__ import annotations

from pathlib import Path

from .loop.run_options import RunOptions, TrainingSummary
from .loop.training_loop import run_loop
from .pose.run import PoseRun
from .settings.pose import Settings

__all__ = ["RunOptions", "TrainingSummary", "train"]


def train(settings: Settings, folder: Path, options: RunOptions | None = None) -> TrainingSummary:
    """Carries out a run, or the rest of it.

    SIGINT and SIGTERM end it after the current step, with a checkpoint; a second one at once.

    Args:
        settings: What is learnt.
        folder: Folder of the run; made where it is missing.
        options: How it is carried out.

    Returns:
        How it ended; the metrics are those of the first process in all.

    Raises:
        InvalidArgumentError: The folder holds another run, or settings do not go together.
        BackendUnavailableError: The device cannot be used.
        ModelNotFoundError: Weights to start from, or the teacher's, are missing.
        ModelFormatError: They are of another network, or all checkpoints are damaged.
        InputError: Labels or pictures are missing or damaged.
        FormatError: A file of labels does not hold what it should.
        TrainingError: A loss was not a number.
        MissingDependencyError: A package is missing.
        OutputError: A file cannot be written.
    """
    return run_loop(PoseRun, settings, folder, options)
