"""The teacher: a detector that says at every cell whether a person is there, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ....errors import ModelFormatError, ModelNotFoundError
from ...checkpoints import load_model
from ...layers import ConvBNSiLU, fold_batch_norm
from ...yolox import YOLOX
from .blocks import BlockRecord, recorded
from .onnx_weights import read_onnx_yolox


class TeacherAnswer(NamedTuple):
    """What the teacher says about a batch of pictures.

    Attributes:
        scores: (N, A) float32, objectness times the score of the class "person", at every cell.
        boxes: (N, A, 4) float32, the box numbers as the network gives them, see
            `Cells.boxes_xyxy`.
        blocks: What went through its blocks; empty where it was not asked for.
    """

    scores: Tensor
    boxes: Tensor
    blocks: BlockRecord


class Teacher:
    """A detector that is asked about the student's batches, on the student's device.

    Attributes:
        path: Its file.
        network: The network, in evaluation mode, without gradients.
    """

    def __init__(self, path: str | Path) -> None:
        """Reads the file.

        Args:
            path: YOLOX of any size, with any classes of which the first is "person": ONNX in
                official form, or a checkpoint.

        Raises:
            ModelNotFoundError: There is no such file.
            ModelFormatError: It is not such a network.
            MissingDependencyError: It is an ONNX file, and a package is missing that reads it.
        """
        self.path = Path(path)
        if not self.path.is_file():
            raise ModelNotFoundError(
                f"{self.path}: there is no such file; it should hold the teacher, a YOLOX such as "
                "the public yolox_nano.onnx"
            )
        network: torch.nn.Module = (
            read_onnx_yolox(self.path)
            if self.path.suffix.lower() == ".onnx"
            else load_model(self.path)
        )
        if not isinstance(network, YOLOX):
            raise ModelFormatError(f"{self.path} holds a pose network; a teacher has to be a YOLOX")
        if not all(bool(value.isfinite().all()) for value in network.state_dict().values()):
            raise ModelFormatError(f"{self.path} holds weights that are not finite numbers")
        for layer in network.modules():
            if isinstance(layer, ConvBNSiLU):
                fold_batch_norm(layer)
        self.network = network.eval().requires_grad_(False)

    def to(self, device: torch.device, *, channels_last: bool) -> None:
        """Moves the network to where the student is."""
        self.network.to(device)
        if channels_last:
            convert: Any = self.network.to  # torch's overloads leave this argument out
            convert(memory_format=torch.channels_last)

    @torch.no_grad()
    def __call__(self, pictures: Tensor, *, blocks: bool = False) -> TeacherAnswer:
        """Asks about a batch.

        Args:
            pictures: (N, 3, H, W) float, BGR 0..255, H and W multiples of 32.
            blocks: Give what went through its blocks too.
        """
        record = BlockRecord({}, {})
        if blocks:
            with recorded(self.network, record):
                rows = self.network(pictures).float()
        else:
            rows = self.network(pictures).float()
        return TeacherAnswer(rows[..., 4] * rows[..., 5], rows[..., :4], record)
