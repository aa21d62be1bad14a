"""Worker processes that prepare samples: how they are started, and how their errors travel."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ....cores import usable_cores
from ....errors import DwposeError

Collate = Callable[[Sequence[Any]], Any]


def usable_workers(wanted: int, *, local_world_size: int = 1) -> int:
    """Returns how many workers to start: no more than there are processor cores for them.

    Args:
        wanted: Most workers for each training process.
        local_world_size: Training processes on this machine, which share its cores.
    """
    return min(wanted, max(1, usable_cores() // local_world_size))


def can_fork() -> bool:
    """Tells whether workers can share this process's memory."""
    return "fork" in multiprocessing.get_all_start_methods()


def make_data_loader(
    dataset: Dataset[Any],
    batches: Sampler[Any] | Sequence[Any],
    collate: Collate,
    *,
    workers: int,
    prefetch: int,
    pin_memory: bool,
    persistent: bool = False,
) -> DataLoader[Any]:
    """Makes a DataLoader for `iterate`, whose results do not depend on the number of workers.

    Args:
        dataset: Samples by key.
        batches: The keys of each batch.
        collate: Makes a batch of samples.
        workers: Number of worker processes; 0 works in this one.
        prefetch: Batches that every worker prepares ahead.
        pin_memory: Whether batches lie in memory that a GPU can fetch in the background.
        persistent: Whether workers stay for the next pass.
    """
    options: dict[str, Any] = {}
    if workers:
        options = {
            "prefetch_factor": prefetch,
            "persistent_workers": persistent,
            "worker_init_fn": _start_worker,
            # Forked workers share all arrays; other ways of starting copy them.
            "multiprocessing_context": "fork" if can_fork() else None,
        }
    return DataLoader(
        _Reporting(dataset),
        batch_sampler=batches,
        collate_fn=partial(_collate_or_report, collate),
        num_workers=workers,
        pin_memory=pin_memory,
        generator=torch.Generator(),  # torch draws from it; the run's own stays untouched
        **options,
    )


def iterate(loader: DataLoader[Any]) -> Iterator[Any]:
    """Yields the batches of one pass.

    Raises:
        DwposeError: Whatever stopped a worker, as it was raised there.
    """
    for batch in loader:
        if isinstance(batch, DwposeError):
            try:
                raise batch
            finally:
                del batch  # a cycle through the traceback would make the workers end late
        yield batch


class _Reporting(Dataset[Any]):
    """Hands out errors of this package as values: torch would bury them in a traceback."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self.dataset = dataset

    def __getitem__(self, key: Any) -> Any:
        try:
            return self.dataset[key]
        except DwposeError as error:
            return error


def _collate_or_report(collate: Collate, samples: Sequence[Any]) -> Any:
    errors = (sample for sample in samples if isinstance(sample, DwposeError))
    return next(errors, None) or collate(samples)


def _start_worker(_number: int) -> None:
    """Prepares a worker process.

    OpenCV starts no threads of its own: there are workers enough. Ctrl-C and the SIGTERM of a
    batch system go to a whole process group; a worker leaves it, so that the training can end in
    good order and then end its workers.
    """
    cv2.setNumThreads(0)
    if hasattr(os, "setpgrp"):
        os.setpgrp()
