"""A run that trains pose networks, and a step of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from ....errors import InvalidArgumentError
from ...dwpose import DWPose
from ..data import (
    Batch,
    Persons,
    PoseDataset,
    TrainLoader,
    encode_batch,
    make_loader,
    open_pictures,
    read_persons,
    to_network_input,
    usable_workers,
)
from ..data.validation_set import open_validation_set
from ..loop.distributed import World
from ..loop.learner import Learner
from ..loop.training_loop import TrainingLoop
from ..settings.pose import Settings
from .building import build_stage
from .stages import TrainingStage
from .validation import validate

_BYTES_PER_GB: Final = 10**9

BF16_CPU_MIN_HEIGHT: Final = 96
"""Least height of the input for bf16 on a CPU.

On maps of one or two rows torch 2.13's weight gradient of the head's 7x7 convolution is not a
number or far off (384 to 133 channels, batches of 2 to 32, any width up to 4); from three rows on
it agrees with float32 to 0.3 %.
"""


class PoseLearner(Learner):
    """The networks of a run and all that changes them.

    Attributes:
        stage: The networks.
        settings: The run.
    """

    def __init__(self, stage: TrainingStage, settings: Settings, world: World) -> None:
        """Takes over the networks.

        Args:
            stage: From `build_stage`; the weights may still be replaced by `restore`.
            settings: The run.
            world: All of them; every process has the same weights.

        Raises:
            InvalidArgumentError: The input is too small for bf16 on a CPU, see
                `BF16_CPU_MIN_HEIGHT`.
        """
        _require_right_gradients(settings, world.device)
        super().__init__(stage, settings, world)
        self.stage = stage
        self.settings = settings
        if settings.compile:
            for network in stage.networks():
                network.compile()

    def losses(self, batch: Batch, *, epoch: int) -> dict[str, Tensor]:
        """Returns name -> loss of a batch; see `TrainingStage.forward`."""
        crops = to_network_input(batch.crops, channels_last=self.settings.channels_last)
        targets = encode_batch(
            batch.keypoints,
            batch.weights,
            input_size_wh=self.settings.input_wh,
            codec=self.settings.codec,
        )
        with self.autocast():
            losses: dict[str, Tensor] = self._parallel(
                crops, targets.x, targets.y, targets.weights, epoch=epoch
            )
        return losses

    def trained_model(self) -> DWPose:
        """Returns a copy of the network that the run hands out, in evaluation mode."""
        return self.stage.trained_model(self.result())


class PoseRun(TrainingLoop):
    """A run between its first or newest checkpoint and its end; see `trainer.train`."""

    _settings: Settings
    _learner: PoseLearner

    def _open_loader(self) -> TrainLoader[Batch]:
        data = self._settings.data
        persons = read_persons(data.train, root=data.root)
        loader = _open_loader(persons, self._settings, self._world)
        for report in persons.reports:
            self._say(str(report))
        return loader

    def _open_validation(self) -> bool:
        self._validation_set = open_validation_set(self._settings.data)
        return self._validation_set is not None

    def _make_learner(self, *, load_initial: bool) -> PoseLearner:
        stage = build_stage(self._settings, load_initial=load_initial)
        return PoseLearner(stage, self._settings, self._world)

    def _measure(self) -> dict[str, float] | None:
        if self._validation_set is None:
            return {}
        model = self._learner.trained_model()
        result = validate(
            model, self._validation_set, self._world, self._settings.data, stop=self._stop
        )
        return None if result is None else result.row()

    def _describe(self, metrics: Mapping[str, float]) -> str:
        return (
            f"AP {metrics['AP']:.4f}, AR {metrics['AR']:.4f}, PCK {metrics['PCK']:.4f}, "
            f"mean error {metrics['error_px']:.2f} px"
        )


def _open_loader(persons: Persons, settings: Settings, world: World) -> TrainLoader[Batch]:
    data = settings.data
    pictures = open_pictures(
        persons,
        cache_bytes=int(data.cache_gb * _BYTES_PER_GB / world.local_size),
        show_progress=world.is_first,
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
        rank=world.rank,
        world_size=world.size,
        workers=usable_workers(data.workers, local_world_size=world.local_size),
        prefetch=data.prefetch,
        pin_memory=world.device.type == "cuda",
    )


def _require_right_gradients(settings: Settings, device: torch.device) -> None:
    too_low = settings.input_height < BF16_CPU_MIN_HEIGHT
    if device.type == "cpu" and settings.precision == "bf16" and too_low:
        raise InvalidArgumentError(
            f"bf16 on a CPU needs an input of at least {BF16_CPU_MIN_HEIGHT} pixels in height, not "
            f"{settings.input_height}: torch works out wrong gradients for smaller ones. Take "
            "precision=fp32 or a larger input"
        )
