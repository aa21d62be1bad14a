"""Crops to validate on: no random changes, the very crops that the estimator cuts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .... import geometry
from ....annotations import Annotations
from ....arrays import Float32Array, Int32Array, Int64Array, UInt8Array
from ....errors import InputError
from ....evaluation.selection import clipped_boxes_xyxy, is_evaluated
from ....images import read_image
from .workers import iterate, make_data_loader


@dataclass(frozen=True, slots=True, eq=False)
class ValidationBoxes:
    """Boxes to cut out; every field is one array.

    Attributes:
        image_indices: (N,) index of each box's picture in the annotations.
        boxes_xyxy: (N, 4) float32, left, top, right, bottom in pixels.
        scores: (N,) float32.
        ids: (N,) int64; ids of the annotations, or numbers of detections.
    """

    image_indices: Int32Array
    boxes_xyxy: Float32Array
    scores: Float32Array
    ids: Int64Array

    def __len__(self) -> int:
        return len(self.ids)


class ValidationBatch(NamedTuple):
    """Crops of some of the boxes.

    Attributes:
        crops: (N, height, width, 3) uint8, BGR; `to_network_input` makes the network's input.
        centers: (N, 2) float32, x then y, for `geometry.crop_to_picture`.
        scales: (N, 2) float32, width and height.
        rows: (N,) int64, index of each crop's box.
    """

    crops: Tensor
    centers: Tensor
    scales: Tensor
    rows: Tensor


def labelled_boxes(annotations: Annotations) -> ValidationBoxes:
    """Returns the labelled persons' boxes as mmpose evaluates them.

    Boxes are clipped to [0, side - 1]; crowds, persons without points and boxes that are empty
    then are left out.
    """
    corners = clipped_boxes_xyxy(annotations).astype(np.float32)
    wanted = is_evaluated(annotations) & (corners[:, 2:] > corners[:, :2]).all(axis=1)
    rows = np.flatnonzero(wanted)
    return ValidationBoxes(
        annotations.image_indices[rows],
        corners[rows],
        np.ones(len(rows), np.float32),
        annotations.ids[rows],
    )


class ValidationDataset(Dataset[ValidationBatch]):
    """One crop for each box, by its number.

    Attributes:
        annotations: Gives the pictures.
        folder: Folder that the pictures' names are relative to.
        boxes: The boxes.
        input_size_wh: (width, height) of the crops.
    """

    def __init__(
        self,
        annotations: Annotations,
        folder: Path,
        boxes: ValidationBoxes,
        *,
        input_size_wh: tuple[int, int],
    ) -> None:
        self.annotations = annotations
        self.folder = folder
        self.boxes = boxes
        self.input_size_wh = input_size_wh
        self._last: tuple[int, UInt8Array] | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, row: int) -> ValidationBatch:
        """Makes one crop, as a batch of one.

        Raises:
            InputError: The picture cannot be read; the message names the annotation file, too.
        """
        image = self._picture(int(self.boxes.image_indices[row]))
        center, scale = geometry.box_to_center_scale(
            self.boxes.boxes_xyxy[row], input_size_wh=self.input_size_wh
        )
        crops = geometry.crop_boxes(image, center, scale, output_size_wh=self.input_size_wh)
        return ValidationBatch(
            torch.from_numpy(crops),
            torch.from_numpy(center),
            torch.from_numpy(scale),
            torch.tensor([row]),
        )

    def _picture(self, image_index: int) -> UInt8Array:
        """The picture, kept for its next box."""
        if self._last is None or self._last[0] != image_index:
            path = self.folder / self.annotations.file_name(image_index)
            try:
                self._last = image_index, read_image(path)
            except InputError as error:
                image_id = self.annotations.image_ids[image_index]
                raise InputError(
                    f"{error}; it is image {image_id} of {self.annotations.path}"
                ) from error
        return self._last[1]


def validation_batches(
    dataset: ValidationDataset,
    *,
    batch_size: int,
    rank: int = 0,
    world_size: int = 1,
    workers: int = 0,
    prefetch: int = 2,
    pin_memory: bool = False,
) -> Iterator[ValidationBatch]:
    """Yields this process's crops in order; together the processes have every box once.

    Args:
        dataset: The crops.
        batch_size: Crops per batch of this process.
        rank: Number of this process.
        world_size: Number of processes; each has one run of neighbouring boxes.
        workers: Processes that prepare crops; 0 prepares in this one.
        prefetch: Batches that every worker prepares ahead.
        pin_memory: Whether batches lie in memory that a GPU can fetch in the background.

    Raises:
        InputError: A picture cannot be read.
    """
    bounds = np.linspace(0, len(dataset), world_size + 1).round().astype(int)
    rows = range(bounds[rank], bounds[rank + 1])
    loader = make_data_loader(
        dataset,
        [rows[at : at + batch_size] for at in range(0, len(rows), batch_size)],
        _join,
        workers=min(workers, len(rows)),
        prefetch=prefetch,
        pin_memory=pin_memory,
    )
    yield from iterate(loader)


def _join(batches: Sequence[ValidationBatch]) -> ValidationBatch:
    return ValidationBatch(*(torch.cat(parts) for parts in zip(*batches, strict=True)))
