"""Batches for the training of a detector: canvases, what the teacher says, labelled boxes."""

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
from .teacher import Teacher, TeacherOutputs


class DetectorBatch(NamedTuple):
    """Training samples of one step, of one process.

    Attributes:
        canvases: (N, height, width, 3) uint8, BGR.
        teacher_scores: (N, A) float32, see `TeacherOutputs`.
        teacher_boxes: (N, A, 4) float32, see `TeacherOutputs`.
        teacher_features: (N, A, C) float16, see `TeacherOutputs`.
        label_boxes_xyxy: (M, 4) float32, labelled persons, pixels of the canvas.
        label_samples: (M,) int64, index of the sample that each is on.
    """

    canvases: Tensor
    teacher_scores: Tensor
    teacher_boxes: Tensor
    teacher_features: Tensor
    label_boxes_xyxy: Tensor
    label_samples: Tensor

    def to(self, device: torch.device | str) -> DetectorBatch:
        """Returns the batch on a device; from pinned memory it is copied in the background."""
        return DetectorBatch(*(tensor.to(device, non_blocking=True) for tensor in self))


class DetectorDataset(Dataset[tuple[Scene, TeacherOutputs]]):
    """Training samples by `SampleKey`, whose `person` is the index of a picture here.

    A sample depends on its key alone, whichever process makes it and whatever was made before.

    Attributes:
        table: The pictures.
        teacher: Asked about every canvas.
        settings: The run.
    """

    def __init__(self, table: PictureTable, teacher: Teacher, settings: DetectorSettings) -> None:
        self.table = table
        self.teacher = teacher
        self.settings = settings

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, key: SampleKey) -> tuple[Scene, TeacherOutputs]:
        """Makes one sample.

        Raises:
            InputError: A picture cannot be read or has another size than its labels say.
            InferenceError: The teacher failed.
        """
        settings = self.settings
        scene = make_scene(
            self.table,
            key.person,
            size_wh=settings.input_wh,
            settings=settings.scenes.at_epoch(key.epoch, epochs=settings.epochs),
            rng=np.random.default_rng(key),
        )
        return scene, self.teacher(scene.canvas)


def collate(samples: Sequence[tuple[Scene, TeacherOutputs]]) -> DetectorBatch:
    """Puts samples together into a batch."""
    boxes = [scene.boxes_xyxy for scene, _ in samples]
    return DetectorBatch(
        torch.from_numpy(np.stack([scene.canvas for scene, _ in samples])),
        torch.from_numpy(np.stack([outputs.scores for _, outputs in samples])),
        torch.from_numpy(np.stack([outputs.boxes for _, outputs in samples])),
        torch.from_numpy(np.stack([outputs.features for _, outputs in samples])),
        torch.from_numpy(np.concatenate(boxes)),
        torch.from_numpy(np.repeat(np.arange(len(samples)), [len(found) for found in boxes])),
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
