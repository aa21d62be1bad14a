"""One step of the training of pose networks."""

from __future__ import annotations

from torch import Tensor

from ..dwpose import DWPose
from .data import Batch, encode_batch, to_network_input
from .distillation import TrainingStage
from .distributed import Processes
from .learner import Learner
from .settings import Settings


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
        """
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
