"""What training reads: labelled persons, their pictures, and the way to network inputs.

The steps in order, each usable on its own:

    persons = read_persons(settings.data.train, root=settings.data.root)
    pictures = open_pictures(persons, cache_bytes=2 * 10**9)
    dataset = PoseDataset(pictures, input_size_wh=..., augment=settings.augment, epochs=...)
    loader = make_loader(dataset, batch_size=64, seed=21, workers=2)
    for batch in loader.epoch(0):
        batch = batch.to(device)
        images = to_network_input(batch.crops)
        targets = encode_batch(
            batch.keypoints, batch.weights, input_size_wh=..., codec=settings.codec
        )
"""

from __future__ import annotations

from .dataset import PoseDataset, Sample, SampleKey
from .loader import Batch, TrainLoader, make_loader
from .network_input import to_network_input
from .order import EpochOrder
from .persons import Persons, SourceReport, read_persons
from .pictures import Pictures, open_pictures
from .simcc_targets import Targets, encode, encode_batch
from .validation import (
    ValidationBatch,
    ValidationBoxes,
    ValidationDataset,
    labelled_boxes,
    validation_batches,
)
from .workers import usable_workers

__all__ = [
    "Batch",
    "EpochOrder",
    "Persons",
    "Pictures",
    "PoseDataset",
    "Sample",
    "SampleKey",
    "SourceReport",
    "Targets",
    "TrainLoader",
    "ValidationBatch",
    "ValidationBoxes",
    "ValidationDataset",
    "encode",
    "encode_batch",
    "labelled_boxes",
    "make_loader",
    "open_pictures",
    "read_persons",
    "to_network_input",
    "usable_workers",
    "validation_batches",
]
