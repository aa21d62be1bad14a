"""One step of the training of pose networks."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from ....errors import InvalidArgumentError
from ...dwpose import DWPose
from ..data import Batch, encode_batch, to_network_input
from ..loop.distributed import Processes
from ..loop.learner import Learner
from ..settings.pose import Settings
from .stages import TrainingStage

BF16_CPU_MIN_HEIGHT: Final = 96
"""Least height of the input for bf16 on a CPU.

On maps of one or two rows torch 2.13's weight gradient of the head's 7x7 convolution is not a
number or far off (384 to 133 channels, batches of 2 to 32, any width up to 4); from three rows on
it agrees with float32 to 0.3 %.
"""


class TrainingStep(Learner):
    """The networks of a run and all that changes them.

    Attributes:
        stage: The networks.
        settings: The run.
    """

    def __init__(self, stage: TrainingStage, settings: Settings, processes: Processes) -> None:
        """Takes over the networks.

        Args:
            stage: From `build_stage`; the weights may still be replaced by `restore`.
            settings: The run.
            processes: All of them; every process has the same weights.

        Raises:
            InvalidArgumentError: The input is too small for bf16 on a CPU, see
                `BF16_CPU_MIN_HEIGHT`.
        """
        _require_right_gradients(settings, processes.device)
        super().__init__(stage, settings, processes)
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


def _require_right_gradients(settings: Settings, device: torch.device) -> None:
    too_low = settings.input_height < BF16_CPU_MIN_HEIGHT
    if device.type == "cpu" and settings.precision == "bf16" and too_low:
        raise InvalidArgumentError(
            f"bf16 on a CPU needs an input of at least {BF16_CPU_MIN_HEIGHT} pixels in height, not "
            f"{settings.input_height}: torch works out wrong gradients for smaller ones. Take "
            "precision=fp32 or a larger input"
        )
