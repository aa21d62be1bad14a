"""How well one labelled person was found, and the figures over many of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..keypoints import BODY, NUM_KEYPOINTS, PARTS
from ..predictor import Predictor
from ..results import PoseResult
from .person_choice import Float64Array, LabelledPicture

TOLERANCE = 0.05
"""A point is hit within this share of the height of the labelled box."""

GOOD_PCK = 0.8
"""A person is good when at least this share of the labelled body points is hit."""

FOUND_IOU = 0.5
"""A person is found when a detected box overlaps the labelled one at least this much."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """How well the person of one picture was found.

    Attributes:
        picture: The picture and its labels.
        result: The person compared, or nobody.
        iou: Overlap of its box with the labelled one; 0 for nobody.
        errors: (133,) float64, distances in heights of the labelled box; infinite where nobody
            was found, NaN where not labelled.
    """

    picture: LabelledPicture
    result: PoseResult
    iou: float
    errors: Float64Array

    def pck(self, part: slice, tolerance: float) -> float:
        """Returns the share of the labelled points of a part that are hit; NaN without any."""
        return _share(self.errors[part][self.picture.labelled[part]] <= tolerance)

    @property
    def median_body_error(self) -> float:
        """Median over the labelled body points, in heights of the labelled box."""
        return float(np.median(self.errors[BODY][self.picture.labelled[BODY]]))


def evaluate(
    predictor: Predictor, picture: LabelledPicture, folder: Path, *, ground_truth_box: bool = False
) -> Outcome:
    """Compares the best-overlapping person found in a picture with the labelled one.

    Raises:
        InputError: The picture cannot be read.
    """
    boxes = picture.box_xyxy[None] if ground_truth_box else None
    result = predictor(folder / picture.file_name, boxes=boxes)
    overlaps = _iou(np.asarray(result.boxes_xyxy, np.float64), picture.box_xyxy)
    best = int(overlaps.argmax()) if (overlaps > 0).any() else None
    errors = np.full(NUM_KEYPOINTS, np.inf)
    if best is not None:
        distances = np.linalg.norm(result.keypoints[best] - picture.keypoints, axis=1)
        errors = distances / (picture.box_xyxy[3] - picture.box_xyxy[1])
    return Outcome(
        picture=picture,
        result=result.select([] if best is None else [best]),
        iou=0.0 if best is None else float(overlaps[best]),
        errors=np.where(picture.labelled, errors, np.nan),
    )


def _iou(boxes_xyxy: Float64Array, box_xyxy: Float64Array) -> Float64Array:
    corner = np.minimum(boxes_xyxy[:, 2:], box_xyxy[2:])
    size = np.maximum(corner - np.maximum(boxes_xyxy[:, :2], box_xyxy[:2]), 0)
    common = size.prod(axis=1)
    areas = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(axis=1)
    overlaps: Float64Array = common / (areas + (box_xyxy[2:] - box_xyxy[:2]).prod() - common)
    return overlaps


def _share(hits: npt.ArrayLike) -> float:
    array = np.asarray(hits, np.float64)
    return float(array.mean()) if array.size else float("nan")


def summarise(outcomes: Sequence[Outcome], *, tolerance: float = TOLERANCE) -> dict[str, Any]:
    """Returns all figures as plain values, ready for `json.dumps`; null where undefined."""
    errors = np.stack([outcome.errors for outcome in outcomes])
    labelled = np.stack([outcome.picture.labelled for outcome in outcomes])
    parts = {
        name: {
            "labelled_points": int(labelled[:, part].sum()),
            "hit": _or_none(_share(errors[:, part][labelled[:, part]] <= tolerance)),
        }
        for name, part in PARTS.items()
    }
    body_pck = np.array([outcome.pck(BODY, tolerance) for outcome in outcomes])
    medians = np.array([outcome.median_body_error for outcome in outcomes])
    return {
        "persons_compared": len(outcomes),
        "tolerance": tolerance,
        "parts": parts,
        "body_pck_mean": _share(body_pck),
        "persons_body_pck_80": _share(body_pck >= GOOD_PCK),
        "persons_body_median": _share(medians <= tolerance),
        "persons_found": _share([outcome.iou >= FOUND_IOU for outcome in outcomes]),
        "persons": [
            {
                "file_name": outcome.picture.file_name,
                "source": outcome.picture.source,
                "iou": outcome.iou,
                "body_pck": pck,
                "body_median_error": _or_none(median),
            }
            for outcome, pck, median in zip(
                outcomes, body_pck.tolist(), medians.tolist(), strict=True
            )
        ],
    }


def _or_none(value: float) -> float | None:
    return value if np.isfinite(value) else None
