"""Batches for the training of a detector: canvases and labelled boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..data.dataset import SampleKey
from ..data.loader import TrainLoader
from ..data.order import EpochOrder
from ..data.workers import usable_workers
from ..loop.distributed import World
from .scenes import Scene, make_scene
from .settings import DetectorSettings
from .table import PictureTable


class DetectorBatch(NamedTuple):
    """Training samples of one step, of one process.

    Attributes:
        canvases: (N, height, width, 3) uint8, BGR.
        label_boxes_xyxy: (M, 4) float32, labelled persons, pixels of the canvas.
        label_samples: (M,) int64, index of the sample that each is on.
    """

    canvases: Tensor
    label_boxes_xyxy: Tensor
    label_samples: Tensor

    def to(self, device: torch.device | str) -> DetectorBatch:
        """Returns the batch on a device; from pinned memory it is copied in the background."""
        return DetectorBatch(*(tensor.to(device, non_blocking=True) for tensor in self))


class DetectorDataset(Dataset[Scene]):
    """Training samples by `SampleKey`, whose `person` is the index of a picture here.

    A sample depends on its key alone, whichever process makes it and whatever was made before.

    Attributes:
        table: The pictures.
        settings: The run.
    """

    def __init__(self, table: PictureTable, settings: DetectorSettings) -> None:
        self.table = table
        self.settings = settings

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, key: SampleKey) -> Scene:
        """Makes one sample.

        Raises:
            InputError: A picture cannot be read or has another size than its labels say.
        """
        settings = self.settings
        return make_scene(
            self.table,
            key.person,
            size_wh=settings.input_wh,
            settings=settings.scenes.at_epoch(key.epoch, epochs=settings.epochs),
            rng=np.random.default_rng(key),
        )


def collate(scenes: Sequence[Scene]) -> DetectorBatch:
    """Puts samples together into a batch."""
    boxes = [scene.boxes_xyxy for scene in scenes]
    return DetectorBatch(
        torch.from_numpy(np.stack([scene.canvas for scene in scenes])),
        torch.from_numpy(np.concatenate(boxes)),
        torch.from_numpy(np.repeat(np.arange(len(scenes)), [len(found) for found in boxes])),
    )


def make_detector_loader(dataset: DetectorDataset, world: World) -> TrainLoader[DetectorBatch]:
    """Makes the batches of a run; they are the same with any number of workers.

    Raises:
        InvalidArgumentError: Batch size and processes do not fit.
    """
    settings = dataset.settings
    order = EpochOrder(
        dataset.table.source_indices,
        [source.repeats for source in settings.data.train],
        settings.batch_size,
        settings.seed,
        world.rank,
        world.size,
    )
    return TrainLoader(
        dataset,
        order,
        collate,
        workers=usable_workers(settings.data.workers, local_world_size=world.local_size),
        prefetch=settings.data.prefetch,
        pin_memory=world.device.type == "cuda",
    )
