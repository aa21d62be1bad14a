"""Accuracy of a detector during its training, by the code that deployment and `dwpose-eval` use.

The network is exported as it will be deployed and runs in ONNX Runtime on the CPU; the metrics
are those of `dwpose_infer.evaluation.detection`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ....annotations import Annotations, read_annotations
from ....detector import Detections, Detector, DetectorOptions
from ....errors import InvalidArgumentError, needs_extra
from ....evaluation.detection import (
    DETECTION_NMS_THRESHOLD,
    DETECTION_SCORE_THRESHOLD,
    evaluate_detector,
)
from ....evaluation.portraits import Portraits, cut_portraits
from ....evaluation.prediction import PictureTask, boxed_tasks, read_task_picture
from ....evaluation.selection import require_pictures
from ...yolox import YOLOX
from ..data.validation_set import select_source
from ..data.workers import usable_workers
from ..loop.distributed import World
from ..loop.interruption import GracefulStop
from .settings import DetectorDataSettings

Boxes = tuple[Any, Any, Any]
"""Image ids (N,), boxes (N, 4) and scores (N,)."""


@dataclass(frozen=True, slots=True, eq=False)
class DetectorValidationSet:
    """What a detector is measured on.

    Attributes:
        annotations: The labels.
        folder: Folder of the pictures.
        portraits: The pictures that can be cut above the waist; None where that is not wanted or
            there are none.
    """

    annotations: Annotations
    folder: Path
    portraits: Portraits | None


def open_detector_validation(data: DetectorDataSettings) -> DetectorValidationSet | None:
    """Reads the labels that a detector is measured on; None where the settings name none.

    Raises:
        InputError: A file or a picture is missing.
        FormatError: A file does not hold what it should.
    """
    if data.validation is None:
        return None
    root, source = Path(data.root), data.validation
    annotations = read_annotations(root / source.annotations, dtype="float64")
    annotations = select_source(annotations, source)
    folder = root / source.images
    require_pictures(annotations, folder)
    portraits = None
    if data.portraits:
        try:
            portraits = cut_portraits(annotations)
        except InvalidArgumentError:
            portraits = None  # nobody is upright and alone: those metrics stay empty
    return DetectorValidationSet(annotations, folder, portraits)


def measure_detector(
    model: YOLOX,
    validation_set: DetectorValidationSet,
    world: World,
    *,
    input_wh: tuple[int, int],
    stop: GracefulStop,
) -> dict[str, float] | None:
    """Measures a detector; every process takes its share of the pictures.

    Args:
        model: The network, in evaluation mode, on the CPU.
        validation_set: What it is measured on.
        world: All have to call this together.
        input_wh: Width and height of its input.
        stop: Ends the measuring early.

    Returns:
        In the first process `AP`, `AP_50`, `AP_75` and `AR` of COCO's box task (scores above
        0.01, NMS 0.65), `AP_50_portrait` on cut pictures, and `boxes_per_portrait`, the mean
        number of boxes found on each with the detector's default thresholds (1 is right); NaN
        where nothing is labelled. None in the other processes, and where it was stopped.

    Raises:
        InputError: A picture cannot be read.
        MissingDependencyError: A package is missing.
    """
    whole, portraits = validation_set.annotations, validation_set.portraits
    tasks = boxed_tasks(whole, validation_set.folder, None)
    cut: list[PictureTask] = []
    if portraits is not None:
        cut = [
            replace(task, height=portraits.heights[task.image_id])
            for task in boxed_tasks(portraits.annotations, validation_set.folder, None)
        ]
    with _exported(model, input_wh, world) as (thorough, usual):
        found = [
            _find(thorough, tasks, world, stop),
            _find(thorough, cut, world, stop),
            _find(usual, cut, world, stop),
        ]
    if world.any(bool(stop)):
        return None
    all_boxes = [_join(world.gather(part)) for part in found]
    if not world.is_first:
        return None
    row = _metrics(whole, all_boxes[0])
    row["AP_50_portrait"] = row["boxes_per_portrait"] = nan
    if portraits is not None:
        row["AP_50_portrait"] = _metrics(portraits.annotations, all_boxes[1])["AP_50"]
        row["boxes_per_portrait"] = len(all_boxes[2][0]) / len(cut)
    return row


def _metrics(annotations: Annotations, boxes: Boxes) -> dict[str, float]:
    found = evaluate_detector(annotations, *boxes)
    row = {
        "AP": found.ap,
        "AP_50": found.ap_50,
        "AP_75": found.ap_75,
        "AR": found.ar_100,
    }
    return {name: nan if value < 0 else value for name, value in row.items()}


def _find(
    detector: Detector, tasks: Sequence[PictureTask], world: World, stop: GracefulStop
) -> list[tuple[int, Detections]]:
    """Looks for persons on this process's share of the pictures."""
    found = []
    mine = tasks[world.rank :: world.size]
    hidden = None if world.is_first else True
    for task in tqdm(mine, "validating", unit="picture", leave=False, disable=hidden):
        if stop:
            break
        (detections,) = detector([read_task_picture(task)])
        found.append((task.image_id, detections))
    return found


def _join(shares: Sequence[Sequence[tuple[int, Detections]]]) -> Boxes:
    found = [entry for share in shares for entry in share]
    ids = [np.full(len(detections), image_id, np.int64) for image_id, detections in found]
    return (
        np.concatenate([*ids, np.zeros(0, np.int64)]),
        np.concatenate([*(one.boxes_xyxy for _, one in found), np.zeros((0, 4), np.float32)]),
        np.concatenate([*(one.scores for _, one in found), np.zeros(0, np.float32)]),
    )


@contextmanager
def _exported(
    model: YOLOX, input_wh: tuple[int, int], world: World
) -> Iterator[tuple[Detector, Detector]]:
    """Exports the network and loads it: with the thresholds of COCO's task, and with its own."""
    with needs_extra("validating needs the exporter", "train"):
        from ....export.deploy import to_deploy_detector
        from ....export.from_checkpoint import detector_network, to_official
        from ....export.running import GraphRunner
    graph = to_deploy_detector(to_official(detector_network(model, input_size_wh=input_wh)))
    threads = usable_workers(os.cpu_count() or 1, local_world_size=world.local_size)
    thresholds = DetectorOptions(
        score_threshold=DETECTION_SCORE_THRESHOLD, nms_threshold=DETECTION_NMS_THRESHOLD
    )
    with GraphRunner(graph, threads=threads) as runner:
        yield Detector(runner.backend, thresholds), Detector(runner.backend)


def describe(row: Mapping[str, float]) -> str:
    """Words the metrics of a validation in a line."""
    return (
        f"AP50 {row['AP_50']:.4f}, AP {row['AP']:.4f}, AR {row['AR']:.4f}; portraits: "
        f"AP50 {row['AP_50_portrait']:.4f}, {row['boxes_per_portrait']:.2f} boxes each"
    )
