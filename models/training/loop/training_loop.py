"""The loop over epochs and steps of any kind of run, and what happens between them."""

from __future__ import annotations

import math
import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import torch

from ....errors import TrainingError
from ....files.document import write_document
from ..data import TrainLoader
from ..settings.choosing import SETTINGS_NAME
from ..settings.run import RunSettings
from .checkpoint import (
    BEST_NAME,
    TrainingState,
    read_best_value,
    save_best,
    save_state,
    step_path,
)
from .distributed import World, join_world
from .interruption import GracefulStop
from .learner import Learner
from .meters import Meters, Progress
from .optimizer import learning_rate
from .resuming import HARMLESS, as_stored, newest_state, require_new, require_same_run
from .run_log import RunLog
from .run_options import RunOptions, TrainingSummary, say_nothing

CHECKPOINTS_NAME: Final = "checkpoints"

AnySettings = TypeVar("AnySettings", bound=RunSettings)


class TrainingLoop(ABC):
    """A run between its first or newest checkpoint and its end.

    A kind of run says what samples, networks and accuracy are; when which of them is due, and
    how a run stops and goes on, is the same for all.

    Attributes:
        harmless: Names of settings that may differ when a run goes on, see `resuming.HARMLESS`.
        done: Steps done.
        stopped_by: What ended it early; None while nothing did.
    """

    harmless: ClassVar[frozenset[str]] = HARMLESS

    def __init__(
        self,
        settings: RunSettings,
        folder: Path,
        options: RunOptions,
        world: World,
        stop: GracefulStop,
    ) -> None:
        self._settings, self._folder, self._options = settings, folder, options
        self._world, self._stop = world, stop
        self._say = options.say if world.is_first else say_nothing
        self._checkpoints = folder / CHECKPOINTS_NAME
        if not options.resume:
            require_new(folder, self._checkpoints)
        self._loader = self._open_loader()
        self._validates = self._open_validation()
        self._facts = {
            "samples": self._loader.order.samples,
            "steps_per_epoch": len(self._loader),
            "processes": world.size,
            **self._own_facts(),
        }
        self._meters = Meters(world)
        self._rows: list[dict[str, float]] = []
        self.stopped_by: str | None = None
        self.done = 0
        self._saved = 0
        self._begin(self._find_state())

    @abstractmethod
    def _open_loader(self) -> TrainLoader[Any]:
        """Reads the labels; the first field of a batch is its pictures."""

    @abstractmethod
    def _open_validation(self) -> bool:
        """Reads what the run is validated on; tells whether there is anything."""

    def _own_facts(self) -> dict[str, Any]:
        """Returns what else has to be the same when a run of this kind goes on."""
        return {}

    @abstractmethod
    def _make_learner(self, *, load_initial: bool) -> Learner:
        """Makes the networks, without reading initial weights where a checkpoint replaces them."""

    @abstractmethod
    def _measure(self) -> dict[str, float] | None:
        """Measures the weights that the run hands out; called in all processes together.

        Returns:
            Metrics by column in the first process; None in the others, and where a signal came.
        """

    @abstractmethod
    def _describe(self, metrics: Mapping[str, float]) -> str:
        """Words the metrics of a validation in a line."""

    def _find_state(self) -> TrainingState | None:
        """Reads the newest checkpoint; the first process does so before the others."""
        found = None
        for first in (True, False):
            if self._options.resume and self._world.is_first is first:
                found = newest_state(self._checkpoints, say=self._say)
            step = self._world.from_first(found and found[0].step)
        if found is None:
            return None
        state, path = found
        if state.step != step:
            raise TrainingError(
                f"process {self._world.rank} sees {path}, the first one step {step}: all "
                "processes need the same folder"
            )
        require_same_run(state, path, self._settings, self._facts, harmless=self.harmless)
        self._say(f"going on from {path}")
        return state

    def _begin(self, state: TrainingState | None) -> None:
        """Makes the networks and opens the files of the run."""
        settings = self._settings
        torch.manual_seed(settings.seed)
        self._learner = self._make_learner(load_initial=state is None)
        if state is not None:
            self._learner.restore(state)
            self._meters.load_state_dict(state.meters)
            self.done = self._saved = state.step
        self._total = settings.epochs * len(self._loader)
        self._progress = Progress(
            self._world, total=self._total, done=self.done, say=self._options.say
        )
        self._log: RunLog | None = None
        if self._world.is_first:
            write_document(self._folder / SETTINGS_NAME, as_stored(settings))
            self._log = RunLog(
                self._folder, title=settings.name, step=self.done, tensorboard=settings.tensorboard
            )

    def run(self) -> TrainingSummary:
        """Goes through all epochs that are left."""
        if self.done:
            self._end_epoch()  # a run that was killed while it validated does so now
        while self.done < self._total and not self._must_stop():
            self._train_epoch()
            self._end_epoch()
        if self.stopped_by is not None:
            self._progress.say(
                f"stopped by {self.stopped_by} after step {self.done} of {self._total}; resuming "
                f"the run goes on from {step_path(self._checkpoints, self._saved)}"
            )
        return self._summary()

    def close(self) -> None:
        """Closes what is open."""
        self._progress.close()
        if self._log is not None:
            self._log.close()

    def _train_epoch(self) -> None:
        """Does the steps that are left of the current epoch."""
        epoch, first = divmod(self.done, len(self._loader))
        batches = self._loader.epoch(epoch, start_step=first)
        while (batch := self._next(batches)) is not None:
            rate = learning_rate(
                self.done,
                steps_per_epoch=len(self._loader),
                epochs=self._settings.epochs,
                highest=self._settings.optimizer.learning_rate,
                settings=self._settings.schedule,
            )
            losses = self._learner.training_step(batch, epoch=epoch, rate=rate)
            self.done += 1
            self._meters.add(losses, step=self.done, samples=len(batch[0]))
            self._progress.step(losses["loss"], self._meters)
            if self.done % self._settings.log_every == 0:
                self._write_row(epoch, rate)
            stops = self._must_stop()
            if stops or self.done % self._options.checkpoint_steps == 0:
                self._save()
            if stops:
                return

    def _next(self, batches: Iterator[Any]) -> Any | None:
        with self._meters.waiting():
            return next(batches, None)

    def _must_stop(self) -> bool:
        """Tells whether the run ends before its time; all processes agree."""
        if self.stopped_by is None:
            limit = self._options.max_steps
            if limit is not None and limit <= self.done < self._total:
                self.stopped_by = "max_steps"
            elif self._world.any(bool(self._stop)):
                self.stopped_by = self._stop.signal_name or "another process"
        return self.stopped_by is not None

    def _end_epoch(self) -> None:
        """Checkpoint, validation and curves, where they are due; nothing within an epoch."""
        epochs, within = divmod(self.done, len(self._loader))
        if within:
            return
        last = epochs == self._settings.epochs
        validates = self._validates and (last or epochs % self._settings.validate_every == 0)
        with self._meters.paused():
            if last or validates or epochs % self._settings.checkpoint_every == 0:
                self._save()
            if validates and self.stopped_by is None:
                self._validate(epochs)
            if self._log is not None:
                self._log.draw(now=last or validates)

    def _validate(self, epochs: int) -> None:
        """Measures the weights that the run hands out, unless that was done already."""
        done_before = self._log is not None and self._log.validated(self.done)
        if self._world.from_first(done_before):
            return
        metrics = self._measure()
        if not self._must_stop() and self._world.from_first(metrics is None):
            raise TrainingError("the validation ended early")
        if metrics is None or self._log is None:
            return
        metric, value = self._settings.best_by, metrics[self._settings.best_by]
        best = read_best_value(self._folder, metric)
        if not math.isnan(value) and (best is None or value > best):
            save_best(self._folder, self._state({}), metric=metric, value=value)
        self._log.add_validation({"step": self.done, "epoch": epochs, **metrics})
        self._progress.say(f"validation after {epochs} epochs: {self._describe(metrics)}")

    def _write_row(self, epoch: int, rate: float) -> None:
        self._require_finite()
        means = self._meters.take()
        row: dict[str, float] = {"step": self.done, "epoch": epoch, "lr": rate, **means}
        self._rows.append(row)
        if self._log is not None:
            self._log.add_steps(row)
        self._progress.row(row, batch_size=self._settings.batch_size)

    def _save(self) -> None:
        """Writes a checkpoint, unless the newest is of this step."""
        if self._saved == self.done:
            return
        with self._meters.paused():
            self._require_finite()
            meters = self._meters.state_dict()
            if self._world.is_first:
                if not self._learner.is_finite():
                    raise TrainingError(_advice("some weights", self.done, self._saved))
                keep = self._options.keep_checkpoints
                save_state(self._checkpoints, self._state(meters), keep=keep)
            self._saved = self.done

    def _state(self, meters: dict[str, object]) -> TrainingState:
        return TrainingState(
            step=self.done,
            epoch=self.done // len(self._loader),
            settings=as_stored(self._settings),
            facts=self._facts,
            meters=meters,
            **self._learner.state(),
        )

    def _require_finite(self) -> None:
        bad = self._meters.first_bad_step()
        if bad is not None:
            raise TrainingError(_advice("the loss", bad, self._saved))

    def _summary(self) -> TrainingSummary:
        best = self._folder / BEST_NAME
        rows = self._rows[1:] or self._rows
        speeds = [row["samples_per_s"] for row in rows]
        return TrainingSummary(
            folder=self._folder,
            step=self.done,
            epochs=self.done // len(self._loader),
            finished=self.done == self._total and self.stopped_by is None,
            stopped_by=self.stopped_by,
            checkpoint=step_path(self._checkpoints, self._saved),
            best=best if best.exists() else None,
            best_value=read_best_value(self._folder, self._settings.best_by),
            samples_per_s=statistics.median(speeds) if rows else None,
            data_wait_share=(
                statistics.fmean(row["data_wait_share"] for row in rows) if rows else None
            ),
            memory_mb=max(row["memory_mb"] for row in rows) if rows else None,
        )


def run_loop(
    kind: Callable[[AnySettings, Path, RunOptions, World, GracefulStop], TrainingLoop],
    settings: AnySettings,
    folder: Path,
    options: RunOptions | None,
) -> TrainingSummary:
    """Carries out a run of any kind, or the rest of it; see `trainer.train`.

    Args:
        kind: Which kind, such as `PoseRun`.
        settings: What is learnt.
        folder: Folder of the run; made where it is missing.
        options: How it is carried out.
    """
    options = options or RunOptions()
    with join_world(options.device) as world, GracefulStop() as stop:
        run = kind(settings, Path(folder), options, world, stop)
        try:
            return run.run()
        finally:
            run.close()


def _advice(what: str, step: int, saved: int) -> str:
    before = f"; the newest checkpoint is of step {saved}" if saved else ""
    return (
        f"{what} became infinite or not a number at step {step}{before}. A lower "
        "optimizer.learning_rate, optimizer.clip_norm=1, or precision bf16 or fp32 in place of "
        "fp16 may help"
    )
