"""A detector's training run from its settings to its checkpoints.

    settings = DetectorSettings(teacher="yolox_nano.onnx", data=...)
    summary = train_detector(settings, Path("runs/detector"))

The folder gets what every run of `dwpose-train` writes, and a run goes on in the same way, see
`training.trainer`; the checkpoints have YOLOX's official names and one class.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ....files.atomic import sha256_of
from ..data import TrainLoader
from ..loop.resuming import HARMLESS
from ..loop.run_options import RunOptions, TrainingSummary
from ..loop.training_loop import TrainingLoop
from ..trainer import carry_out
from .samples import DetectorBatch, DetectorDataset, make_detector_loader
from .settings import DetectorSettings
from .student import DetectorStep, build_student
from .table import read_table
from .teacher import Teacher
from .validation import describe, measure_detector, open_detector_validation

__all__ = ["DetectorRun", "train_detector"]

_HARMLESS: Final = HARMLESS | {"teacher", "data.portraits"}
"""The teacher's file may move: its content is compared."""


class DetectorRun(TrainingLoop):
    """A run between its first or newest checkpoint and its end; see `train_detector`."""

    harmless = _HARMLESS
    _settings: DetectorSettings
    _learner: DetectorStep

    def _open_loader(self) -> TrainLoader[DetectorBatch]:
        settings = self._settings
        self._teacher = Teacher(settings.teacher, input_wh=settings.input_wh)
        table = read_table(settings.data.train, root=settings.data.root)
        self._say(f"{len(table)} pictures with {len(table.boxes_xyxy)} labelled persons")
        return make_detector_loader(
            DetectorDataset(table, self._teacher, settings), self._processes
        )

    def _own_facts(self) -> dict[str, Any]:
        return {"teacher_sha256": sha256_of(self._teacher.path)}

    def _open_validation(self) -> bool:
        self._validation_set = open_detector_validation(self._settings.data)
        return self._validation_set is not None

    def _make_learner(self, *, load_initial: bool) -> DetectorStep:
        student = build_student(self._settings, load_initial=load_initial)
        return DetectorStep(student, self._settings, self._processes)

    def _measure(self) -> dict[str, float] | None:
        if self._validation_set is None:
            return {}
        return measure_detector(
            self._learner.trained_model(),
            self._validation_set,
            self._processes,
            input_wh=self._settings.input_wh,
            stop=self._stop,
        )

    def _describe(self, figures: Mapping[str, float]) -> str:
        return describe(figures)


def train_detector(
    settings: DetectorSettings, folder: Path, options: RunOptions | None = None
) -> TrainingSummary:
    """Carries out a run, or the rest of it.

    Args:
        settings: What is learnt.
        folder: Folder of the run; made where it is missing.
        options: How it is carried out.

    Returns:
        How it ended.

    Raises:
        DwposeError: As `training.trainer.train` says; also where the teacher is missing or has
            another input size.
    """
    return carry_out(DetectorRun, settings, folder, options)
