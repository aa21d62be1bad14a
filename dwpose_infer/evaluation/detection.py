"""Average precision of a person detector: COCO's box task, through pycocotools."""

from __future__ import annotations

import contextlib
import io
from typing import Any, Final

import numpy as np

from ..annotations import Annotations
from ..arrays import FloatArray, Int64Array
from .document import DetectorFigures
from .thresholds import box_thresholds
from .wholebody import PERSON, coco_index, import_pycocotools, require_known_images

DETECTION_SCORE_THRESHOLD: Final = 0.01
"""Boxes must score above it, for AP needs the weak ones too; YOLOX's evaluation, test_conf."""

DETECTION_NMS_THRESHOLD: Final = 0.65
"""IoU above which the weaker of two boxes goes; YOLOX's evaluation, nmsthre."""


def evaluate_detector(
    annotations: Annotations,
    image_ids: Int64Array,
    boxes_xyxy: FloatArray,
    scores: FloatArray,
) -> DetectorFigures:
    """Compares boxes found with labelled ones, on all pictures of the annotation file.

    Args:
        annotations: The labels; persons without a box do not count.
        image_ids: (N,) id of the picture of each box.
        boxes_xyxy: (N, 4), left, top, right, bottom in pixels.
        scores: (N,).

    Raises:
        InvalidArgumentError: A box is in a picture that the annotations do not have.
        MissingDependencyError: The package pycocotools is not installed.
    """
    require_known_images(annotations, image_ids)
    coco, evaluator_class = import_pycocotools()
    has_box = (annotations.boxes_xywh[:, 2:] > 0).all(axis=1)
    labelled = annotations.select(np.flatnonzero(has_box))
    corners = np.asarray(boxes_xyxy, np.float64)
    sizes = corners[:, 2:] - corners[:, :2]
    found = _entries(image_ids, np.concatenate([corners[:, :2], sizes], axis=1), sizes.prod(axis=1))
    for entry, score in zip(found, scores.tolist(), strict=True):
        entry["score"] = score
    labels = _entries(
        labelled.image_ids[labelled.image_indices], labelled.boxes_xywh, labelled.areas
    )
    for entry, crowd in zip(labels, labelled.is_crowd.tolist(), strict=True):
        entry["iscrowd"] = int(crowd)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator = evaluator_class(
            coco_index(coco, annotations, labels), coco_index(coco, annotations, found), "bbox"
        )
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    figures = [float(value) for value in evaluator.stats]
    return DetectorFigures(
        ap=figures[0],
        ap_50=figures[1],
        ap_75=figures[2],
        ap_small=figures[3],
        ap_medium=figures[4],
        ap_large=figures[5],
        ar_100=figures[8],
        detections=len(found),
        thresholds=box_thresholds(evaluator),
    )


def _entries(
    image_ids: Int64Array, boxes_xywh: FloatArray, areas: FloatArray
) -> list[dict[str, Any]]:
    return [
        {
            "id": row + 1,
            "image_id": image_id,
            "category_id": PERSON,
            "bbox": box,
            "area": area,
            "iscrowd": 0,
        }
        for row, (image_id, box, area) in enumerate(
            zip(image_ids.tolist(), boxes_xywh.tolist(), areas.tolist(), strict=True)
        )
    ]
