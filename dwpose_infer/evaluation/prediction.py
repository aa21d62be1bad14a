"""Networks over the pictures of an annotation file, in batches, with a journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..annotations import Annotations
from ..arrays import FloatArray, IndexArray, UInt8Array
from ..detector import Detections
from ..errors import InputError
from ..images import read_image
from ..picture_groups import PictureInput
from ..pipeline import Found, Pipeline
from .journal import PicturePersons, PredictionJournal, picture_persons
from .selection import clipped_boxes_xyxy, is_evaluated


@dataclass(frozen=True, slots=True, eq=False)
class PictureTask:
    """One picture and what is known before the networks see it.

    Attributes:
        image_id: Id of the picture.
        path: Its file.
        boxes_xyxy: (N, 4) float32 boxes of persons in pixels; None asks the detector.
        box_scores: (N,) float32.
        ids: Ids of the persons, one for each box.
        height: The picture ends after so many rows; None takes all.
    """

    image_id: int
    path: Path
    boxes_xyxy: FloatArray | None
    box_scores: FloatArray
    ids: tuple[int, ...]
    height: int | None = None


def labelled_tasks(annotations: Annotations, folder: Path) -> list[PictureTask]:
    """Returns a task for every picture, with its labelled persons' boxes, clipped to it."""
    corners = clipped_boxes_xyxy(annotations).astype(np.float32)
    wanted = is_evaluated(annotations) & (corners[:, 2:] > corners[:, :2]).all(axis=1)
    persons_of = _rows_by_image(annotations, np.flatnonzero(wanted))
    return [
        PictureTask(
            image_id=int(image_id),
            path=folder / annotations.file_name(index),
            boxes_xyxy=corners[persons_of[index]],
            box_scores=np.ones(len(persons_of[index]), np.float32),
            ids=tuple(annotations.ids[persons_of[index]].tolist()),
        )
        for index, image_id in enumerate(annotations.image_ids)
    ]


def boxed_tasks(
    annotations: Annotations,
    folder: Path,
    boxes: Mapping[int, tuple[FloatArray, FloatArray]] | None,
) -> list[PictureTask]:
    """Returns a task for every picture.

    Args:
        annotations: Gives the pictures.
        folder: Folder of the pictures.
        boxes: Image id -> boxes and scores, see `results_file.read_boxes`; pictures without an
            entry have nobody. None leaves all to the detector.
    """
    nobody = np.zeros((0, 4)), np.zeros(0)
    tasks = []
    for index, image_id in enumerate(annotations.image_ids.tolist()):
        corners, scores = nobody if boxes is None else boxes.get(image_id, nobody)
        tasks.append(
            PictureTask(
                image_id=image_id,
                path=folder / annotations.file_name(index),
                boxes_xyxy=None if boxes is None else corners.astype(np.float32),
                box_scores=scores.astype(np.float32),
                ids=tuple(range(len(scores))),
            )
        )
    return tasks


def predict(
    pipeline: Pipeline, tasks: Sequence[PictureTask], journal: PredictionJournal, *, progress: bool
) -> list[PicturePersons]:
    """Runs the networks on all pictures that the journal does not have.

    Args:
        pipeline: Networks.
        tasks: Pictures.
        journal: Gets every picture done.
        progress: Show a progress bar on standard error.

    Returns:
        What was found, in the order of the tasks.

    Raises:
        InputError: A picture cannot be read.
        InferenceError: A network failed.
        OutputError: The journal cannot be written.
    """
    waiting = [task for task in tasks if task.image_id not in journal.done]
    with tqdm(
        total=len(tasks), initial=len(tasks) - len(waiting), unit="picture", disable=not progress
    ) as bar:
        pictures = [_input(task) for task in waiting]
        done = iter(waiting)
        # Pictures are kept so that those written to the journal together share batches.
        for group in pipeline.run(pictures, keep_images=True):
            persons = [
                _persons(next(done), found, with_points=pipeline.estimator is not None)
                for found in group
                if isinstance(found, Found)
            ]
            journal.add(persons)
            bar.update(len(persons))
    return [journal.done[task.image_id] for task in tasks]


def read_task_picture(task: PictureTask) -> UInt8Array:
    """Returns a task's picture, (H, W, 3) uint8 BGR, cut where the task says so.

    Raises:
        InputError: It cannot be read; the message names the file and the image id.
    """
    try:
        image = read_image(task.path)
    except InputError as error:
        raise InputError(f"{error} (image id {task.image_id})") from error
    return image if task.height is None else np.ascontiguousarray(image[: task.height])


def _input(task: PictureTask) -> PictureInput:
    persons = None
    if task.boxes_xyxy is not None:
        persons = Detections(task.boxes_xyxy.astype(np.float32), task.box_scores.astype(np.float32))
    return PictureInput(partial(read_task_picture, task), persons=persons)


def _persons(task: PictureTask, found: Found, *, with_points: bool) -> PicturePersons:
    result = found.result
    boxes, scores = result.boxes_xyxy, result.box_scores
    return picture_persons(
        task.image_id,
        ids=range(len(result)) if task.boxes_xyxy is None else task.ids,
        boxes_xyxy=np.zeros((0, 4), np.float32) if boxes is None else boxes,
        box_scores=np.zeros(0, np.float32) if scores is None else scores,
        areas=found.region_wh.prod(axis=1) if with_points else None,
        keypoints=result.keypoints if with_points else None,
        scores=result.scores if with_points else None,
    )


def _rows_by_image(annotations: Annotations, rows: IndexArray) -> list[IndexArray]:
    images = annotations.image_indices[rows]
    order = np.argsort(images, kind="stable")
    counts = np.bincount(images, minlength=len(annotations.image_ids))
    return np.split(rows[order], np.cumsum(counts)[:-1])
