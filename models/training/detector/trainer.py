"""A detector's training run from its settings to its checkpoints.

    settings = DetectorSettings(teacher="yolox_nano.onnx", data=...)
    summary = train_detector(settings, Path("runs/detector"))

The folder gets what every run of `dwpose-train` writes, and a run goes on in the same way, see
`training.trainer`; the checkpoints have YOLOX's official names and one class.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from ....errors import ModelFormatError
from ....files.atomic import sha256_of
from ...checkpoints import infer_architecture, load_weights, read_state_dict
from ...csp_darknet import CSPDarknet
from ...yolox import YOLOX, YOLOXArchitecture
from ..data import TrainLoader
from ..loop.distributed import World
from ..loop.learner import Learner
from ..loop.resuming import HARMLESS
from ..loop.run_options import RunOptions, TrainingSummary
from ..loop.training_loop import TrainingLoop, run_loop
from .blocks import (
    CLASS_PREDICTORS,
    PERSON_ROWS,
    SAMPLED_SIDE,
    BlockByBlock,
    BlockRecord,
    feature_distances,
    predictor_distances,
    recorded,
    require_same_blocks,
)
from .cells import make_cells
from .losses import detector_losses
from .samples import DetectorBatch, DetectorDataset, make_detector_loader
from .settings import DetectorLossSettings, DetectorSettings
from .table import read_table
from .teacher import Teacher, TeacherAnswer
from .validation import describe, measure_detector, open_detector_validation

_HARMLESS: Final = HARMLESS | {"teacher", "data.portraits"}
"""The teacher's file may move: its content is compared."""


def build_student(settings: DetectorSettings, *, load_initial: bool = True) -> YOLOX:
    """Makes the network to train.

    Args:
        settings: The run.
        load_initial: Whether to read the weights to start from.

    Returns:
        The network in training mode, its frozen stages in evaluation mode and without gradients.

    Raises:
        ModelNotFoundError: The weights are missing.
        ModelFormatError: They are those of another network.
    """
    student = YOLOX(settings.architecture)
    if load_initial and settings.initial is not None:
        state = read_state_dict(settings.initial)
        try:
            load_weights(student, person_weights(state, settings.architecture))
        except ModelFormatError as error:
            raise ModelFormatError(f"{settings.initial}: {error}") from error
    student.train()
    for stage in _stages(student.backbone.backbone)[: settings.frozen_stages]:
        stage.requires_grad_(False).eval()
    return student


def person_weights(
    state: Mapping[str, Tensor], architecture: YOLOXArchitecture
) -> dict[str, Tensor]:
    """Leaves of a detector's classes the person alone.

    Args:
        state: Weights of a YOLOX with any number of classes, of which the first is "person".
        architecture: What the detector should be, for the message.

    Raises:
        ModelFormatError: They are those of another network or size.
    """
    found = infer_architecture({name: value.shape for name, value in state.items()})
    if not isinstance(found, YOLOXArchitecture) or found.size != architecture.size:
        raise ModelFormatError(
            f"the weights are those of {found.name}, the run trains {architecture.name}"
        )
    return {
        name: value[PERSON_ROWS].clone() if name.startswith(CLASS_PREDICTORS) else value
        for name, value in state.items()
    }


class DetectorLearner(Learner):
    """The student and all that changes it."""

    network: YOLOX

    def __init__(
        self, student: YOLOX, teacher: Teacher, settings: DetectorSettings, world: World
    ) -> None:
        """Takes over the network.

        Args:
            student: From `build_student`; the weights may still be replaced by `restore`.
            teacher: Asked about every batch; moved to the student's device.
            settings: The run.
            world: All of them; every process has the same weights.

        Raises:
            ModelFormatError: The run learns from blocks, and the teacher is of another size.
        """
        self._by_blocks = settings.learns == "blocks"
        self._compares_blocks = self._by_blocks or settings.loss.feature_weight > 0
        if self._compares_blocks:
            require_same_blocks(student, teacher.network)
        super().__init__(student, settings, world)
        self.settings = settings
        self.teacher = teacher
        teacher.to(self.device, channels_last=settings.channels_last)
        self.cells = make_cells(settings.input_wh, self.device)
        if settings.compile:
            self.network.compile()

    def _trained_module(self) -> nn.Module:
        return BlockByBlock(self.network) if self._by_blocks else self.network

    def losses(self, batch: DetectorBatch, *, epoch: int) -> dict[str, Tensor]:
        """Returns name -> loss of a batch; see `detector_losses` and `blocks`."""
        gathering = self.settings.statistics_epochs
        if gathering is not None and epoch >= gathering:
            keep_statistics(self.network)
        pictures = batch.canvases.permute(0, 3, 1, 2).float()  # channels lie innermost as it is
        if not self.settings.channels_last:
            pictures = pictures.contiguous()
        with self.autocast():
            answer = self.teacher(pictures, blocks=self._compares_blocks)
        if self._by_blocks:
            return self._block_losses(answer)
        record = BlockRecord({}, {})
        records = recorded(self.network, record) if self._compares_blocks else nullcontext()
        with self.autocast(), records:
            outputs = self._parallel(pictures)
        losses = detector_losses(outputs, answer, batch, self.cells, self.settings.loss)
        if self._compares_blocks:
            distances = feature_distances(
                record.outputs, answer.blocks.outputs, most_side=SAMPLED_SIDE
            )
            losses["loss_feature"] = distances.mean()
            losses["loss"] = (
                losses["loss"] + self.settings.loss.feature_weight * losses["loss_feature"]
            )
        return losses

    def _block_losses(self, answer: TeacherAnswer) -> dict[str, Tensor]:
        with self.autocast():
            outputs = self._parallel(answer.blocks.inputs)
        features = feature_distances(outputs, answer.blocks.outputs)
        predictors = predictor_distances(outputs, answer.blocks.outputs)
        return {
            "loss": features.sum() + predictors.sum(),
            "loss_feature": features.mean(),
            "loss_feature_worst": features.max(),
            "loss_predictor": predictors.mean(),
        }

    def trained_model(self) -> YOLOX:
        """Returns a copy of the network that the run hands out, in evaluation mode, on the CPU."""
        weights = {
            name: value.detach().cpu().contiguous().clone() for name, value in self.result().items()
        }
        with torch.device("meta"):
            model = YOLOX(self.settings.architecture)
        load_weights(model, weights)
        return model.eval()


class DetectorRun(TrainingLoop):
    """A run between its first or newest checkpoint and its end; see `train_detector`."""

    harmless = _HARMLESS
    _settings: DetectorSettings
    _learner: DetectorLearner

    def _open_loader(self) -> TrainLoader[DetectorBatch]:
        settings = self._settings
        self._teacher = Teacher(settings.teacher)
        table = read_table(settings.data.train, root=settings.data.root)
        self._say(f"{len(table)} pictures with {len(table.boxes_xyxy)} labelled persons")
        if settings.learns == "blocks" and settings.loss != DetectorLossSettings():
            self._say("learns=blocks: the settings of loss play no part while blocks learn")
        return make_detector_loader(DetectorDataset(table, settings), self._world)

    def _own_facts(self) -> dict[str, Any]:
        return {"teacher_sha256": sha256_of(self._teacher.path)}

    def _open_validation(self) -> bool:
        self._validation_set = open_detector_validation(self._settings.data)
        return self._validation_set is not None

    def _make_learner(self, *, load_initial: bool) -> DetectorLearner:
        student = build_student(self._settings, load_initial=load_initial)
        return DetectorLearner(student, self._teacher, self._settings, self._world)

    def _measure(self) -> dict[str, float] | None:
        if self._validation_set is None:
            return {}
        return measure_detector(
            self._learner.trained_model(),
            self._validation_set,
            self._world,
            input_wh=self._settings.input_wh,
            stop=self._stop,
        )

    def _describe(self, metrics: Mapping[str, float]) -> str:
        return describe(metrics)


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
    return run_loop(DetectorRun, settings, folder, options)


def keep_statistics(network: nn.Module) -> None:
    """Lets batch normalisation use its running statistics, and change them no more."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()


def _stages(backbone: CSPDarknet) -> list[nn.Module]:
    return [backbone.stem, backbone.dark2, backbone.dark3, backbone.dark4, backbone.dark5]
