"""The network that is trained, and one step of its training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ....errors import ModelFormatError
from ...checkpoints import infer_architecture, load_weights, read_state_dict
from ...csp_darknet import CSPDarknet
from ...yolox import YOLOX, YOLOXArchitecture
from ..loop.distributed import Processes
from ..loop.learner import Learner
from .cells import make_cells
from .losses import detector_losses
from .samples import DetectorBatch
from .settings import DetectorSettings

PERSON_ROWS = slice(0, 1)
"""The class "person" among YOLOX's classes."""

_CLASS_PREDICTORS = "head.cls_preds."


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
        name: value[PERSON_ROWS].clone() if name.startswith(_CLASS_PREDICTORS) else value
        for name, value in state.items()
    }


class DetectorStep(Learner):
    """The student and all that changes it."""

    network: YOLOX

    def __init__(self, student: YOLOX, settings: DetectorSettings, processes: Processes) -> None:
        """Takes over the network.

        Args:
            student: From `build_student`; the weights may still be replaced by `restore`.
            settings: The run.
            processes: All of them; every process has the same weights.
        """
        super().__init__(student, settings, processes)
        self.settings = settings
        self.cells = make_cells(settings.input_wh, self.device)
        if settings.compile:
            self.network.compile()

    def losses(self, batch: DetectorBatch, *, epoch: int) -> dict[str, Tensor]:
        """Returns name -> loss of a batch; see `detector_losses`."""
        pictures = batch.canvases.permute(0, 3, 1, 2).float()  # channels lie innermost as it is
        if not self.settings.channels_last:
            pictures = pictures.contiguous()
        with self.autocast():
            outputs = self._parallel(pictures)
        return detector_losses(outputs, batch, self.cells, self.settings.loss)

    def trained_model(self) -> YOLOX:
        """Returns a copy of the network that the run hands out, in evaluation mode, on the CPU."""
        weights = {
            name: value.detach().cpu().contiguous().clone() for name, value in self.result().items()
        }
        with torch.device("meta"):
            model = YOLOX(self.settings.architecture)
        load_weights(model, weights)
        return model.eval()


def _stages(backbone: CSPDarknet) -> list[torch.nn.Module]:
    return [backbone.stem, backbone.dark2, backbone.dark3, backbone.dark4, backbone.dark5]
