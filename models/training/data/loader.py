"""Batches of training samples, made by worker processes ahead of the training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from ....errors import InvalidArgumentError
from .dataset import PoseDataset, Sample, SampleKey
from .order import EpochOrder
from .workers import can_fork, iterate, make_data_loader


class Batch(NamedTuple):
    """Training samples of one step, of one process.

    Attributes:
        crops: (N, height, width, 3) uint8, BGR; `to_network_input` makes the network's input.
        keypoints: (N, 133, 2) float32, x then y, pixels of the crop; `encode_batch` makes the
            targets.
        weights: (N, 133) float32, 1 for labelled points, below 0.5 for others.
        persons: (N,) int64, indices in the dataset's table of persons.
    """

    crops: Tensor
    keypoints: Tensor
    weights: Tensor
    persons: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """Returns the batch on a device; from pinned memory it is copied in the background."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))


AnyBatch = TypeVar("AnyBatch")


class TrainLoader(Generic[AnyBatch]):
    """Batches of every epoch, with workers that outlive the epochs.

    While an epoch ends, and while the run measures or saves, the workers prepare the beginning of
    the next one.

    Args:
        dataset: Samples by `SampleKey`.
        order: Which samples each step takes.
        collate: Makes a batch of samples.
        workers: Number of worker processes; 0 prepares in this one.
        prefetch: Batches that every worker prepares ahead.
        pin_memory: Whether batches lie in memory that a GPU can fetch in the background.

    Attributes:
        order: Which samples each step takes.
        workers: Number of worker processes.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        order: EpochOrder,
        collate: Callable[[Sequence[Any]], AnyBatch],
        *,
        workers: int,
        prefetch: int,
        pin_memory: bool,
    ) -> None:
        self.order = order
        self.workers = workers
        self._steps = _Steps(order)
        self._batches: Iterator[AnyBatch] = iter(())
        self._next: tuple[int, int] | None = None  # epoch and step that `_batches` gives next
        self._loader = make_data_loader(
            dataset,
            self._steps,
            collate,
            workers=workers,
            prefetch=prefetch,
            pin_memory=pin_memory,
            persistent=True,
        )

    def __len__(self) -> int:
        """Returns the steps of an epoch."""
        return self.order.steps

    def epoch(self, epoch: int, *, start_step: int = 0) -> Iterator[AnyBatch]:
        """Yields the batches of an epoch, whatever was asked for before.

        Args:
            epoch: Epoch, from 0.
            start_step: Step to begin at, from 0, to go on in the middle of an epoch: the batches
                are those that an epoch begun at 0 gives from there on.

        Raises:
            InputError: A picture cannot be read or has another size than its labels say.
        """
        for step in range(start_step, self.order.steps):
            if self._next != (epoch, step):
                self._steps.first = (epoch, step)
                self._batches = iterate(self._loader)
            self._next = None  # for an error ends the batches
            batch = next(self._batches)
            self._next = (epoch, step + 1) if step + 1 < self.order.steps else (epoch + 1, 0)
            yield batch


def make_loader(
    dataset: PoseDataset,
    *,
    batch_size: int,
    seed: int,
    repeats: Sequence[float] | None = None,
    rank: int = 0,
    world_size: int = 1,
    drop_last: bool = False,
    workers: int = 0,
    prefetch: int = 2,
    pin_memory: bool = False,
) -> TrainLoader[Batch]:
    """Makes the batches of a training run.

    Args:
        dataset: The samples.
        batch_size: Samples per step over all processes, a multiple of their number.
        seed: Seed of the order and of all random changes.
        repeats: How often an epoch has each person of a source, by source; none is once.
        rank: Number of this process.
        world_size: Number of processes.
        drop_last: Leave out the samples that do not fill the last step.
        workers: Processes that prepare samples; 0 prepares in this one. The batches are the same
            with any number.
        prefetch: Batches that every worker prepares ahead.
        pin_memory: Whether batches lie in memory that a GPU can fetch in the background.

    Raises:
        InvalidArgumentError: Batch size and processes do not fit, there are too few samples, or
            decoded pictures are kept where workers cannot share them.
    """
    if workers and dataset.pictures.cached and not can_fork():
        raise InvalidArgumentError(
            "this system cannot share decoded pictures with worker processes; set data.cache_gb "
            "to 0 or data.workers to 0"
        )
    sources = len(dataset.persons.reports)
    order = EpochOrder(
        dataset.persons.source_indices,
        repeats if repeats is not None else [1.0] * sources,
        batch_size,
        seed,
        rank,
        world_size,
        drop_last,
    )
    return TrainLoader(
        dataset, order, collate, workers=workers, prefetch=prefetch, pin_memory=pin_memory
    )


def collate(samples: Sequence[Sample]) -> Batch:
    """Puts samples together into a batch."""
    return Batch(
        torch.from_numpy(np.stack([sample.crop for sample in samples])),
        torch.from_numpy(np.stack([sample.keypoints for sample in samples])),
        torch.from_numpy(np.stack([sample.weights for sample in samples])),
        torch.tensor([sample.person for sample in samples]),
    )


class _Steps(Sampler[list[SampleKey]]):
    """The order as torch's `batch_sampler`: epoch after epoch, from the step in `first` on."""

    def __init__(self, order: EpochOrder) -> None:
        self.order = order
        self.first = (0, 0)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        epoch, start_step = self.first
        while True:
            yield from self.order.batches(epoch, start_step=start_step)
            epoch, start_step = epoch + 1, 0
