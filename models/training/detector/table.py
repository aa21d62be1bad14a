"""The pictures of all sources as one compact table, with the labelled boxes on them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ....annotations import read_annotations
from ....arrays import Float32Array, Int32Array, Int64Array, UInt8Array
from ....errors import FormatError, InputError
from ....evaluation.selection import clipped_boxes_xyxy, require_pictures
from ....images import read_image
from ..data.validation_set import select_source
from ..settings.data import DataSource


@dataclass(frozen=True, slots=True, eq=False)
class PictureTable:
    """Pictures to train on; every field is one array, which forked workers share.

    Attributes:
        paths_utf8: (I,) bytes, paths of the pictures.
        sizes_wh: (I, 2) int32, width and height in pixels as the labels have it; 0 where they do
            not say.
        source_indices: (I,) int16, index of each picture's source.
        first_box: (I + 1,) int64: the boxes of picture i are first_box[i] to first_box[i + 1].
        boxes_xyxy: (P, 4) float32, left, top, right, bottom, within the picture.
    """

    paths_utf8: npt.NDArray[np.bytes_]
    sizes_wh: Int32Array
    source_indices: npt.NDArray[np.int16]
    first_box: Int64Array
    boxes_xyxy: Float32Array

    def __len__(self) -> int:
        return len(self.paths_utf8)

    def path(self, index: int) -> Path:
        """Returns the path of a picture."""
        return Path(bytes(self.paths_utf8[index]).decode())

    def boxes_of(self, index: int) -> Float32Array:
        """Returns the labelled boxes of a picture, (n, 4) float32, left, top, right, bottom."""
        return self.boxes_xyxy[self.first_box[index] : self.first_box[index + 1]]

    def read(self, index: int) -> UInt8Array:
        """Returns a picture, (H, W, 3) uint8, BGR.

        Raises:
            InputError: It cannot be read, or has another size than its labels say.
        """
        image = read_image(self.path(index))
        width, height = self.sizes_wh[index].tolist()
        if width > 0 and height > 0 and image.shape[:2] != (height, width):
            raise InputError(
                f"{self.path(index)} has {image.shape[1]}x{image.shape[0]} pixels, its labels are "
                f"for {width}x{height}"
            )
        return image


def read_table(sources: Sequence[DataSource], *, root: str | os.PathLike[str]) -> PictureTable:
    """Reads the labels of all sources.

    Crowds and empty boxes are left out, pictures without any box are not.

    Args:
        sources: Annotation files with their folders of pictures.
        root: Folder that relative paths start from.

    Raises:
        InputError: A file or a picture is missing, or a source has no pictures left.
        FormatError: A file does not hold what it should.
    """
    if not sources:
        raise InputError("no pictures to train on are named; give --data ANNOTATIONS IMAGES")
    parts = [_read_source(source, Path(root)) for source in sources]
    counts = np.concatenate([part[2] for part in parts])
    return PictureTable(
        paths_utf8=np.concatenate([part[0] for part in parts]),
        sizes_wh=np.concatenate([part[1] for part in parts]),
        source_indices=np.repeat(
            np.arange(len(parts), dtype=np.int16), [len(part[0]) for part in parts]
        ),
        first_box=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        boxes_xyxy=np.concatenate([part[3] for part in parts]),
    )


def _read_source(
    source: DataSource, root: Path
) -> tuple[
    npt.NDArray[np.bytes_],
    Int32Array,
    Int64Array,
    Float32Array,
]:
    """Returns paths, sizes, number of boxes of each picture, and the boxes in that order."""
    annotations = select_source(read_annotations(root / source.annotations), source)
    folder = root / source.images
    if not len(annotations.image_ids):
        raise InputError(f"{annotations.path}: no picture is left to train on")
    require_pictures(annotations, folder)
    boxes = clipped_boxes_xyxy(annotations).astype(np.float32)
    if not np.isfinite(boxes).all():
        raise FormatError(f"{annotations.path}: a box is not a number")
    usable = ~annotations.is_crowd & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    rows = np.flatnonzero(usable)
    rows = rows[np.argsort(annotations.image_indices[rows], kind="stable")]
    counts = np.bincount(annotations.image_indices[rows], minlength=len(annotations.image_ids))
    paths = [
        str(folder / annotations.file_name(index)).encode()
        for index in range(len(annotations.image_ids))
    ]
    return np.array(paths, np.bytes_), annotations.sizes_wh, counts, boxes[rows]
