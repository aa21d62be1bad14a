"""The COCO-WholeBody protocol: average precision and recall by part, through pycocotools.

Each part is a keypoint task of its own, with the sigmas of its points. An
annotation takes part in it with the number of the part's points that are labelled, so persons
without any do not count. The area of a person found, which decides whether an unmatched one
counts among the middle-sized or the large, is that of the box around its 17 body points for
every part. This gives exactly the figures of xtcocotools, which mmpose uses.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from tqdm import tqdm

from ..annotations import Annotations
from ..arrays import Int64Array
from ..errors import InvalidArgumentError, needs_extra
from ..keypoints import BODY
from ..layouts import WHOLEBODY_133, KeypointLayout, PartIndex
from .bootstrap import ap_interval
from .predictions import Predictions, RankedPredictions, in_layout, oks_sigmas, rank

logger = logging.getLogger(__name__)

PERSON: Final = 1
"""COCO's category of persons."""

EvaluatedPart = Literal["body", "foot", "face", "lefthand", "righthand", "wholebody", "all"]

_PART_OF: Final[Mapping[EvaluatedPart, str]] = {
    "body": "body",
    "foot": "feet",
    "face": "face",
    "lefthand": "left_hand",
    "righthand": "right_hand",
}


def evaluated_parts(layout: KeypointLayout) -> dict[EvaluatedPart, PartIndex]:
    """Returns each part as the protocol calls it -> its points in a layout.

    The whole is "wholebody" for the 133 points, and "all" for fewer of more than one part.
    """
    parts: dict[EvaluatedPart, PartIndex] = {
        name: layout.parts[part] for name, part in _PART_OF.items() if part in layout.parts
    }
    if layout is WHOLEBODY_133:
        parts["wholebody"] = slice(0, len(layout))
    elif len(layout.parts) > 1:
        parts["all"] = slice(0, len(layout))
    return parts


EVALUATED_PARTS: Final[Mapping[EvaluatedPart, PartIndex]] = evaluated_parts(WHOLEBODY_133)
"""Those of the 133 keypoints."""

METRIC_NAMES: Final = (
    "AP",
    "AP .5",
    "AP .75",
    "AP (M)",
    "AP (L)",
    "AR",
    "AR .5",
    "AR .75",
    "AR (M)",
    "AR (L)",
)
"""The ten figures of COCO's keypoint task, in the order in which pycocotools gives them."""


@dataclass(frozen=True, slots=True)
class WholeBodyMetrics:
    """Average precision and recall of each part.

    Attributes:
        parts: Part of `evaluated_parts` -> name of `METRIC_NAMES` -> value from 0 to 1, or -1
            where nothing is labelled that it could be taken from.
        persons: Persons found that took part, after suppression.
        ap_intervals: Part -> low and high end of AP's 95 % interval, see `bootstrap`; empty where
            it was not asked for.
    """

    parts: Mapping[EvaluatedPart, Mapping[str, float]]
    persons: int
    ap_intervals: Mapping[EvaluatedPart, tuple[float, float]] = field(default_factory=dict)


def evaluate_wholebody(
    annotations: Annotations,
    predictions: Predictions | RankedPredictions,
    *,
    resamples: int = 0,
    progress: bool = False,
) -> WholeBodyMetrics:
    """Compares persons found with labelled ones, on all pictures of the annotation file.

    Where labels and persons have different points, those are compared that both have.

    Args:
        annotations: The labels; read them with `dtype="float64"`, for float32 moves points by
            up to 3e-5 px.
        predictions: Persons as networks give them, which are scored and suppressed first (see
            `predictions.rank`), or such as are so already.
        resamples: How many times pictures are drawn anew for AP's 95 % intervals, see
            `bootstrap`; 0 for none.
        progress: Show a progress bar on standard error.

    Raises:
        InvalidArgumentError: A person is in a picture that the annotations do not have, or
            labelled persons have no area, without which no distance means anything.
        MissingDependencyError: The package pycocotools is not installed.
    """
    _require_areas(annotations)
    ranked = rank(predictions) if isinstance(predictions, Predictions) else predictions
    require_known_images(annotations, ranked.image_ids)
    layout = annotations.layout.common(ranked.layout)
    annotations, ranked = annotations.in_layout(layout), in_layout(ranked, layout)
    coco, evaluator_class = import_pycocotools()
    parts: dict[EvaluatedPart, dict[str, float]] = {}
    intervals: dict[EvaluatedPart, tuple[float, float]] = {}
    sigmas = oks_sigmas(layout)
    bar = tqdm(evaluated_parts(layout).items(), unit="part", desc="evaluate", disable=not progress)
    for name, span in bar:
        with contextlib.redirect_stdout(io.StringIO()):
            evaluator = evaluator_class(
                _labels(coco, annotations, span),
                _results(coco, annotations, ranked, span),
                "keypoints",
            )
            evaluator.params.kpt_oks_sigmas = sigmas[span]
            evaluator.evaluate()
            evaluator.accumulate()
            evaluator.summarize()
        parts[name] = dict(zip(METRIC_NAMES, map(float, evaluator.stats), strict=True))
        interval = None
        if resamples:
            interval = ap_interval(evaluator, resamples=resamples, progress=progress)
        if interval is not None:
            intervals[name] = interval
    return WholeBodyMetrics(parts=parts, persons=len(ranked), ap_intervals=intervals)


def _require_areas(annotations: Annotations) -> None:
    labelled = (annotations.keypoints[..., 2] > 0).any(axis=1) & ~annotations.is_crowd
    empty = int((labelled & (annotations.areas <= 0)).sum())
    if empty and empty == labelled.sum():
        raise InvalidArgumentError(
            f"{annotations.path.name}: the field area of all {empty} labelled persons is 0, so "
            "every distance would count as infinite; write their areas in square pixels, or leave "
            "the field out to have those of the boxes taken"
        )
    if empty:
        logger.warning(
            "%s: %d of %d labelled persons have the area 0: they count as missed",
            *(annotations.path.name, empty, int(labelled.sum())),
        )


def require_known_images(annotations: Annotations, image_ids: Int64Array) -> None:
    """Checks that the annotations have every picture that results name.

    Raises:
        InvalidArgumentError: They do not; the message names some.
    """
    unknown = np.setdiff1d(image_ids, annotations.image_ids)
    if unknown.size:
        some = ", ".join(map(str, unknown[:5].tolist()))
        raise InvalidArgumentError(
            f"{annotations.path.name} has no image with the id {some}"
            f"{' and so on' if unknown.size > 5 else ''}: {unknown.size} image ids of the results "
            "are not in it; results and annotations must be of the same data set"
        )


def coco_index(coco: Any, annotations: Annotations, entries: list[dict[str, Any]]) -> Any:
    """Returns pycocotools' index of persons, without a file.

    Args:
        coco: The class `pycocotools.coco.COCO`.
        annotations: Gives the pictures.
        entries: Persons, labelled or found, as COCO writes them.
    """
    index = coco()
    index.dataset = {
        "images": [{"id": image_id} for image_id in annotations.image_ids.tolist()],
        "categories": [{"id": PERSON, "name": "person"}],
        "annotations": entries,
    }
    index.createIndex()
    return index


def _labels(coco: Any, annotations: Annotations, span: PartIndex) -> Any:
    points = annotations.keypoints[:, span]
    labelled = (points[..., 2] > 0).sum(axis=1).tolist()
    image_ids = annotations.image_ids[annotations.image_indices].tolist()
    flat = points.reshape(len(points), -1)
    entries = [
        {
            # Not the file's own id: pycocotools takes a match with number 0 for no match.
            "id": row + 1,
            "image_id": image_ids[row],
            "category_id": PERSON,
            "keypoints": flat[row],
            "num_keypoints": labelled[row],
            "area": float(annotations.areas[row]),
            "bbox": annotations.boxes_xywh[row].tolist(),
            "iscrowd": int(annotations.is_crowd[row]),
        }
        for row in range(len(annotations))
    ]
    return coco_index(coco, annotations, entries)


def _results(
    coco: Any, annotations: Annotations, ranked: RankedPredictions, span: PartIndex
) -> Any:
    body = ranked.keypoints[:, BODY]
    sides = (body.max(axis=1) - body.min(axis=1)).astype(np.float64)
    points = np.concatenate([ranked.keypoints, ranked.scores[..., None]], axis=2)[:, span]
    flat = points.reshape(len(ranked), 3 * points.shape[1])
    image_ids = ranked.image_ids.tolist()
    entries = [
        {
            "id": row + 1,
            "image_id": image_ids[row],
            "category_id": PERSON,
            "keypoints": flat[row],
            "area": float(sides[row, 0] * sides[row, 1]),
            "score": float(ranked.instance_scores[row]),
        }
        for row in range(len(ranked))
    ]
    return coco_index(coco, annotations, entries)


def import_pycocotools() -> tuple[Any, Any]:
    """Returns the classes COCO and COCOeval.

    Raises:
        MissingDependencyError: The package pycocotools is not installed.
    """
    with needs_extra("the COCO-WholeBody protocol needs pycocotools", "eval"):
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    return COCO, COCOeval
