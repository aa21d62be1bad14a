"""A run that trains pose networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..data import (
    Batch,
    Persons,
    PoseDataset,
    TrainLoader,
    make_loader,
    open_pictures,
    read_persons,
    usable_workers,
)
from ..data.validation_set import open_validation_set
from ..loop.distributed import Processes
from ..loop.training_loop import CHECKPOINTS_NAME, SETTINGS_NAME, TrainingLoop
from ..settings.pose import Settings
from .stages import build_stage
from .step import TrainingStep
from .validation import validate

__all__ = ["CHECKPOINTS_NAME", "SETTINGS_NAME", "TrainingRun"]

_BYTES_PER_GB: Final = 10**9


class TrainingRun(TrainingLoop):
    """A run between its first or newest checkpoint and its end; see `trainer.train`."""

    _settings: Settings
    _learner: TrainingStep

    def _open_loader(self) -> TrainLoader[Batch]:
        data = self._settings.data
        persons = read_persons(data.train, root=data.root)
        loader = _open_loader(persons, self._settings, self._processes)
        for report in persons.reports:
            self._say(str(report))
        return loader

    def _open_validation(self) -> bool:
        self._validation_set = open_validation_set(self._settings.data)
        return self._validation_set is not None

    def _make_learner(self, *, load_initial: bool) -> TrainingStep:
        stage = build_stage(self._settings, load_initial=load_initial)
        return TrainingStep(stage, self._settings, self._processes)

    def _measure(self) -> dict[str, float] | None:
        if self._validation_set is None:
            return {}
        model = self._learner.trained_model()
        result = validate(
            model, self._validation_set, self._processes, self._settings.data, stop=self._stop
        )
        return None if result is None else result.row()

    def _describe(self, figures: Mapping[str, float]) -> str:
        return (
            f"AP {figures['AP']:.4f}, AR {figures['AR']:.4f}, PCK {figures['PCK']:.4f}, "
            f"mean error {figures['error_px']:.2f} px"
        )


def _open_loader(persons: Persons, settings: Settings, processes: Processes) -> TrainLoader[Batch]:
    data = settings.data
    pictures = open_pictures(
        persons,
        cache_bytes=int(data.cache_gb * _BYTES_PER_GB / processes.count_here),
        show_progress=processes.is_first,
    )
    dataset = PoseDataset(
        pictures,
        input_size_wh=settings.input_wh,
        augment=settings.augment,
        epochs=settings.epochs,
        unlabelled_weights=[source.unlabelled_weight for source in data.train],
    )
    return make_loader(
        dataset,
        batch_size=settings.batch_size,
        seed=settings.seed,
        repeats=[source.repeats for source in data.train],
        rank=processes.rank,
        world_size=processes.count,
        workers=usable_workers(data.workers, processes_here=processes.count_here),
        prefetch=data.prefetch,
        pin_memory=processes.device.type == "cuda",
    )
