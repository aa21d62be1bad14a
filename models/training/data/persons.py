"""Which persons training sees: one or several annotation files as one compact table.

Persons are dropped by the rules of mmpose's `CocoWholeBodyDataset`, `UBody2dDataset` and their
base class (mmpose 1.3): crowds, persons without labelled points, and boxes that are empty after
clipping to the picture.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from ....annotations import Annotations, read_annotations
from ....arrays import BoolArray, Float32Array, Int32Array, Int64Array
from ....errors import FormatError, InputError
from ....evaluation.selection import clipped_boxes_xyxy
from ....layouts import WHOLEBODY_133
from ..settings.data import DataSource


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What became of the persons of one source.

    Attributes:
        annotations: The annotation file.
        persons: Persons in the file.
        other_frames: Dropped because of `DataSource.frame_step`.
        other_labels: Dropped because of `DataSource.labels`.
        other_collections: Dropped because of `DataSource.collections`.
        crowds: Dropped because they are crowds.
        without_points: Dropped because no point is labelled.
        without_box: Dropped because the box, clipped to the picture, is empty.
        kept: Persons left.
        pictures: Pictures they are on.
    """

    annotations: Path
    persons: int
    other_frames: int
    other_labels: int
    other_collections: int
    crowds: int
    without_points: int
    without_box: int
    kept: int
    pictures: int

    def __str__(self) -> str:
        reasons = {
            "in skipped frames": self.other_frames,
            "with other labels": self.other_labels,
            "of other collections": self.other_collections,
            "crowds": self.crowds,
            "without points": self.without_points,
            "without a box": self.without_box,
        }
        dropped = ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)
        return (
            f"{self.annotations}: {self.kept} of {self.persons} persons on {self.pictures} pictures"
            + (f" (left out: {dropped})" if dropped else "")
        )


@dataclass(frozen=True, slots=True, eq=False)
class Persons:
    """Persons to train on, source after source; every field is one array.

    Worker processes made by forking share its memory; others get it in few pieces.

    Attributes:
        keypoints: (P, 133, 2) float32, x then y, pixels of the picture.
        labelled: (P, 133) bool, where v > 0.
        boxes_xyxy: (P, 4) float32, left, top, right, bottom, clipped to [0, side - 1].
        ids: (P,) int64, the annotations' own ids.
        image_indices: (P,) int32, index of the person's picture in the arrays below.
        source_indices: (P,) int16, index of the person's source in `reports`.
        paths_utf8: (I,) bytes, paths of the pictures.
        sizes_wh: (I, 2) int32, width and height of the pictures as the labels have it.
        reports: What became of each source.
    """

    keypoints: Float32Array
    labelled: BoolArray
    boxes_xyxy: Float32Array
    ids: Int64Array
    image_indices: Int32Array
    source_indices: npt.NDArray[np.int16]
    paths_utf8: npt.NDArray[np.bytes_]
    sizes_wh: Int32Array
    reports: tuple[SourceReport, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def path(self, image_index: int) -> Path:
        """Returns the path of a picture."""
        return Path(bytes(self.paths_utf8[image_index]).decode())

    def describe(self, person: int) -> str:
        """Returns which annotation of which file a person is, for messages."""
        source = self.reports[self.source_indices[person]].annotations
        return f"{source}: annotation {self.ids[person]}"


def read_persons(
    sources: Sequence[DataSource],
    *,
    root: str | os.PathLike[str] = ".",
    show_progress: bool = False,
) -> Persons:
    """Reads the labels of all sources and keeps the persons that can be trained on.

    Args:
        sources: Annotation files with their folders of pictures; a file named more than once is
            read once.
        root: Folder that relative paths start from.
        show_progress: Whether to show how many sources are read; the official ones take minutes.

    Raises:
        InputError: A file cannot be read, pictures are missing, or a source has no persons left;
            the message says which file, which picture, which annotation and how many more.
        FormatError: A file does not hold what it should, or does not say how large a picture is.
        MissingDependencyError: The package msgspec is not installed.
    """
    if not sources:
        raise InputError("no data source is named; set data.train to the annotation files")
    root = Path(root)
    paths = [root / source.annotations for source in sources]
    read: dict[Path, Annotations] = {}
    parts: list[Persons] = []
    bar = tqdm(sources, "reading labels", unit="source", disable=not show_progress)
    for number, (path, source) in enumerate(zip(paths, bar, strict=True)):
        labels = read.pop(path) if path in read else read_annotations(path).in_layout(WHOLEBODY_133)
        if path in paths[number + 1 :]:
            read[path] = labels
        parts.append(_keep(labels, source, root / source.images))
    return _join(parts)


def _keep(labels: Annotations, source: DataSource, folder: Path) -> Persons:
    """Applies the filters of a source, then the rules of mmpose, in that order."""
    count = len(labels)
    left = np.ones(count, np.bool_)
    dropped: dict[str, int] = {}

    def drop(reason: str, condition: BoolArray) -> None:
        nonlocal left
        dropped[reason] = int((left & condition).sum())
        left = left & ~condition

    image_ids = labels.image_ids[labels.image_indices]
    drop("other_frames", image_ids % source.frame_step != 0)
    wanted = np.isin(labels.labels, source.labels) if source.labels else np.ones(count, np.bool_)
    drop("other_labels", ~wanted)
    collections = labels.sources[labels.image_indices]
    if source.collections:
        wanted = np.isin(collections, source.collections)
    else:
        wanted = np.ones(count, np.bool_)
    drop("other_collections", ~wanted)
    drop("crowds", labels.is_crowd)
    highest = labels.keypoints[:, :, :2].max(axis=(1, 2), initial=0)
    drop("without_points", (labels.num_keypoints == 0) | (highest <= 0))
    boxes = _clipped_boxes(labels)
    drop("without_box", np.any(boxes[:, 2:] <= boxes[:, :2], axis=1))
    picked = labels.select(np.flatnonzero(left))
    used, image_indices = np.unique(picked.image_indices, return_inverse=True)
    report = SourceReport(
        annotations=labels.path,
        persons=count,
        kept=len(picked),
        pictures=len(used),
        **dropped,
    )
    if not len(picked):
        raise InputError(f"{report}: nothing is left to train on")
    _require_pictures(picked, used, folder)
    paths = [str(folder / labels.file_name(index)).encode() for index in used]
    return Persons(
        keypoints=picked.keypoints[:, :, :2].astype(np.float32),
        labelled=picked.keypoints[:, :, 2] > 0,
        boxes_xyxy=boxes[left],
        ids=picked.ids,
        image_indices=image_indices.astype(np.int32).reshape(-1),
        source_indices=np.zeros(len(picked), np.int16),
        paths_utf8=np.array(paths, np.bytes_),
        sizes_wh=labels.sizes_wh[used],
        reports=(report,),
    )


def _clipped_boxes(labels: Annotations) -> Float32Array:
    unknown = np.flatnonzero((labels.sizes_wh <= 0).any(axis=1))
    if len(unknown):
        image_id = labels.image_ids[unknown[0]]
        raise FormatError(f"{labels.path}: image {image_id} has no width and height")
    return clipped_boxes_xyxy(labels).astype(np.float32)


def _require_pictures(labels: Annotations, used: Int32Array, folder: Path) -> None:
    """Looks for every picture, listing each folder once: that is quick on network disks too."""
    listings: dict[Path, set[str]] = {}
    missing = []
    for index in used:
        path = folder / labels.file_name(index)
        if path.parent not in listings:
            listings[path.parent] = _names_in(path.parent)
        if path.name not in listings[path.parent]:
            missing.append((index, path))
    if missing:
        index, path = missing[0]
        person = labels.ids[labels.image_indices == index][0]
        more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(
            f"{path}: no such picture; {labels.path} names it (image {labels.image_ids[index]}, "
            f"annotation {person}){more}. Is the folder of pictures {folder} right?"
        )


def _names_in(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error}") from error


def _join(parts: Sequence[Persons]) -> Persons:
    if len(parts) == 1:
        return parts[0]
    first_images = np.cumsum([0, *(len(part.paths_utf8) for part in parts)])
    return Persons(
        keypoints=np.concatenate([part.keypoints for part in parts]),
        labelled=np.concatenate([part.labelled for part in parts]),
        boxes_xyxy=np.concatenate([part.boxes_xyxy for part in parts]),
        ids=np.concatenate([part.ids for part in parts]),
        image_indices=np.concatenate(
            [part.image_indices + first for part, first in zip(parts, first_images, strict=False)]
        ).astype(np.int32),
        source_indices=np.concatenate(
            [np.full(len(part), number, np.int16) for number, part in enumerate(parts)]
        ),
        paths_utf8=np.concatenate([part.paths_utf8 for part in parts]),
        sizes_wh=np.concatenate([part.sizes_wh for part in parts]),
        reports=tuple(report for part in parts for report in part.reports),
    )
