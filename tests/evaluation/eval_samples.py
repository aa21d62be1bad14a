"""Label files and persons for the tests of the evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from dwpose_infer.evaluation.predictions import Predictions
from dwpose_infer.formats.coco import FIELD_OF_PART
from dwpose_infer.keypoints import PARTS

SIZE_WH = (640, 480)


def person_fields(points: np.ndarray) -> dict[str, list[float]]:
    """The five fields of (133, 3) points."""
    return {field: points[PARTS[part]].ravel().tolist() for part, field in FIELD_OF_PART.items()}


def random_points(rng: np.random.Generator, box_xywh: tuple[float, ...]) -> np.ndarray:
    left, top, width, height = box_xywh
    points = np.full((133, 3), 2.0)
    points[:, 0] = left + width * rng.random(133)
    points[:, 1] = top + height * rng.random(133)
    return points


def label(
    number: int, image_id: int, points: np.ndarray, box_xywh: tuple[float, ...], **extra: object
) -> dict[str, object]:
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": list(box_xywh),
        "area": box_xywh[2] * box_xywh[3] * 0.6,
        "num_keypoints": int((points[:17, 2] > 0).sum()),
        **person_fields(points),
        **extra,
    }


def image(number: int, name: str | None = None, **extra: object) -> dict[str, object]:
    width, height = SIZE_WH
    file_name = name or f"{number:012d}.jpg"
    return {"id": number, "file_name": file_name, "width": width, "height": height, **extra}


def save_labels(
    folder: Path, images: list[dict[str, object]], annotations: list[dict[str, object]]
) -> Path:
    path = folder / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return path


BOXES = {
    1: [(20.0, 30.0, 200.0, 400.0), (300.0, 20.0, 150.0, 300.0)],
    2: [(100.0, 50.0, 60.0, 90.0)],
    5: [(10.0, 10.0, 300.0, 440.0), (350.0, 100.0, 80.0, 100.0), (450.0, 60.0, 150.0, 350.0)],
}
"""Image id -> boxes of its persons: three large ones, two of middle size, and one between."""


def labelled_persons(folder: Path, rng: np.random.Generator) -> Path:
    """Six persons on three pictures, every point labelled, and one picture with nobody."""
    annotations = []
    for image_id, boxes in BOXES.items():
        for box in boxes:
            points = random_points(rng, box)
            annotations.append(label(len(annotations) + 1, image_id, points, box))
    return save_labels(folder, [image(number) for number in (1, 2, 5, 9)], annotations)


def as_predictions(annotations, rng: np.random.Generator, *, shift_px: float = 0.0) -> Predictions:
    """The labelled persons as if a network had found them, with scores from 0.5 to 1."""
    count = len(annotations)
    keypoints = annotations.keypoints[..., :2].copy()
    keypoints[..., 0] += shift_px
    return Predictions(
        image_ids=annotations.image_ids[annotations.image_indices],
        keypoints=keypoints,
        scores=0.5 + 0.5 * rng.random((count, 133)),
        box_scores=0.5 + 0.5 * rng.random(count),
        areas=1.5 * annotations.boxes_xywh[:, 2:].prod(axis=1),
    )
