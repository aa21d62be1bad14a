"""Accuracy during training, by the code that deployment and `dwpose-eval` use.

The network is exported as it will be deployed, with normalisation and decoding inside the graph,
and runs in ONNX Runtime on the CPU; the metrics are those of `dwpose_infer.evaluation`. The flip
test averages the outputs before they are decoded, so it runs the official form of the graph.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from ....errors import needs_extra
from ....estimator import Crops, PoseEstimator
from ....evaluation.matching import match, match_by_id
from ....evaluation.points import POINT_PARTS, PartErrors, PointPart, part_errors, point_errors
from ....evaluation.predictions import Predictions, nobody
from ....evaluation.selection import is_evaluated
from ....evaluation.wholebody import (
    EVALUATED_PARTS,
    EvaluatedPart,
    WholeBodyMetrics,
    evaluate_wholebody,
)
from ...dwpose import DWPose
from ..data import ValidationBatch, ValidationDataset, usable_workers, validation_batches
from ..data.validation_set import ValidationSet
from ..loop.distributed import World
from ..loop.interruption import GracefulStop
from ..settings.data import DataSettings

_FIELDS = ("image_ids", "keypoints", "scores", "box_scores", "areas", "ids", "boxes_xyxy")


@dataclass(frozen=True, slots=True, eq=False)
class ValidationResult:
    """What a validation measured.

    Attributes:
        wholebody: Average precision and recall of each part.
        points: PCK (within 5 % of the box's longer side) and mean error of each part.
    """

    wholebody: WholeBodyMetrics
    points: Mapping[PointPart, PartErrors]

    def row(self) -> dict[str, float]:
        """Returns the metrics by column; NaN where nothing is labelled."""
        row = {"AP": self._coco("wholebody", "AP"), "AR": self._coco("wholebody", "AR")}
        row["PCK"] = _or_nan(self.points["all"].pck)
        row["error_px"] = _or_nan(self.points["all"].mean_error_px)
        parts = [part for part in EVALUATED_PARTS if part != "wholebody"]
        row |= {f"AP_{part}": self._coco(part, "AP") for part in parts}
        errors = {part: self.points[part] for part in POINT_PARTS if part != "all"}
        row |= {f"PCK_{part}": _or_nan(error.pck) for part, error in errors.items()}
        return row | {
            f"error_px_{part}": _or_nan(error.mean_error_px) for part, error in errors.items()
        }

    def _coco(self, part: EvaluatedPart, metric: str) -> float:
        value = self.wholebody.parts[part][metric]
        return nan if value < 0 else value


def validate(
    model: DWPose,
    validation_set: ValidationSet,
    world: World,
    data: DataSettings,
    *,
    stop: GracefulStop | None = None,
) -> ValidationResult | None:
    """Measures a network's accuracy; every process takes its share of the persons.

    Args:
        model: The network, in evaluation mode; it is moved to the CPU.
        validation_set: What it is measured on.
        world: All have to call this together.
        data: Batch size, flip test and workers.
        stop: Ends the measuring early.

    Returns:
        The metrics in the first process; None in the others, and where it was stopped.

    Raises:
        InputError: A picture cannot be read.
        InferenceError: The network gave something that is not a number.
        MissingDependencyError: A package is missing.
    """
    own = _predict_share(model, validation_set, world, data, stop)
    if world.any(own is None):
        return None
    shares = world.gather(own)
    if not world.is_first:
        return None
    fields = {name: np.concatenate([share[name] for share in shares]) for name in _FIELDS}
    return _measure(validation_set, Predictions(**fields))


def _measure(validation_set: ValidationSet, predictions: Predictions) -> ValidationResult:
    annotations = validation_set.annotations
    # Persons who get no prediction from their own boxes, such as crowds, are no misses.
    persons = annotations.select(is_evaluated(annotations))
    matches = (match_by_id if validation_set.own_boxes else match)(persons, predictions)
    return ValidationResult(
        wholebody=evaluate_wholebody(annotations, predictions),
        points=part_errors(point_errors(matches.keypoints, persons)),
    )


def _predict_share(
    model: DWPose,
    validation_set: ValidationSet,
    world: World,
    data: DataSettings,
    stop: GracefulStop | None,
) -> dict[str, Any] | None:
    """Returns the fields of `Predictions` for this process's persons; None where stopped."""
    boxes = validation_set.boxes
    batch_size = max(1, data.validation_batch_size // world.size)
    batches = validation_batches(
        ValidationDataset(
            validation_set.annotations,
            validation_set.folder,
            boxes,
            input_size_wh=(model.architecture.input_width, model.architecture.input_height),
        ),
        batch_size=batch_size,
        rank=world.rank,
        world_size=world.size,
        workers=usable_workers(data.workers, local_world_size=world.local_size),
        prefetch=data.prefetch,
    )
    found = [_fields_of_nobody()]
    with (
        _exported(model, world, flip=data.flip_test, batch_size=batch_size) as estimator,
        tqdm(
            total=len(boxes) // world.size,
            desc="validating",
            unit="person",
            leave=False,
            disable=None if world.is_first else True,
        ) as bar,
    ):
        for batch in batches:
            if stop:
                return None
            found.append(_fields(estimator, batch, validation_set))
            bar.update(len(batch.rows))
    return {name: np.concatenate([part[name] for part in found]) for name in _FIELDS}


def _fields(
    estimator: PoseEstimator, batch: ValidationBatch, validation_set: ValidationSet
) -> dict[str, Any]:
    crops = Crops(batch.crops.numpy(), batch.centers.numpy(), batch.scales.numpy())
    keypoints, scores = estimator(crops)
    boxes, rows = validation_set.boxes, batch.rows.numpy()
    return {
        "image_ids": validation_set.annotations.image_ids[boxes.image_indices[rows]],
        "keypoints": keypoints,
        "scores": scores,
        "box_scores": boxes.scores[rows],
        "areas": crops.scale.prod(axis=1),
        "ids": boxes.ids[rows],
        "boxes_xyxy": boxes.boxes_xyxy[rows],
    }


def _fields_of_nobody() -> dict[str, Any]:
    """Fields without anyone, for a process whose share is empty."""
    empty = nobody()
    fields = {name: getattr(empty, name) for name in _FIELDS}
    return fields | {"ids": np.zeros(0, np.int64)}


@contextmanager
def _exported(
    model: DWPose, world: World, *, flip: bool, batch_size: int
) -> Iterator[PoseEstimator]:
    """Exports the network and loads the graph."""
    with needs_extra("validating needs the exporter", "train"):
        from ....export.deploy import to_deploy_pose
        from ....export.from_checkpoint import pose_network, to_official
        from ....export.int8 import has_trained_grids, quantize_trained
        from ....export.running import GraphRunner
    plain: Any = model.cpu()
    graph = to_official(pose_network(plain.to(memory_format=torch.contiguous_format)))
    if not flip:
        graph = to_deploy_pose(graph)
    if has_trained_grids(graph):
        graph = quantize_trained(graph)
    threads = usable_workers(os.cpu_count() or 1, local_world_size=world.local_size)
    with GraphRunner(graph, threads=threads) as runner:
        together = 2 * batch_size if flip else batch_size  # with their mirror images
        yield PoseEstimator(runner.backend, max_batch=together, flip_test=flip)


def _or_nan(value: float | None) -> float:
    return nan if value is None else value
