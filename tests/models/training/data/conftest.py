"""A small set in COCO-WholeBody's layout: noise for pictures, random points for persons."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from dwpose_infer.formats.coco import FIELD_OF_PART
from dwpose_infer.keypoints import PARTS
from dwpose_infer.models.training.data import Persons, Pictures, open_pictures, read_persons
from dwpose_infer.models.training.settings import DataSource

SIZES_WH = [(90, 120), (120, 90), (100, 100)]
"""Of the pictures 10, 20 and 35, in turns."""
IMAGE_IDS = [10, 20, 35]
PERSONS_PER_PICTURE = 3
_FIELDS = {field: PARTS[part] for part, field in FIELD_OF_PART.items()}


def annotation(
    number: int, image_id: int, box_xywh: list[float], keypoints: np.ndarray
) -> dict[str, Any]:
    """A person in the file's layout; keypoints (133, 3)."""
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": box_xywh,
        "num_keypoints": int((keypoints[:17, 2] > 0).sum()),
        **{field: keypoints[span].ravel().tolist() for field, span in _FIELDS.items()},
    }


def random_points(rng: np.random.Generator, box_xywh: list[float]) -> np.ndarray:
    """Points anywhere in a box, all labelled."""
    left, top, width, height = box_xywh
    places = rng.uniform((left, top), (left + width, top + height), (133, 2)).round(1)
    return np.concatenate([places, np.full((133, 1), 2.0)], axis=1)


@pytest.fixture
def document(rng) -> dict[str, Any]:
    """Three pictures with three persons each."""
    images, annotations = [], []
    for image_id, (width, height) in zip(IMAGE_IDS, SIZES_WH, strict=True):
        images.append(
            {
                "id": image_id,
                "file_name": f"{image_id}.png",
                "width": width,
                "height": height,
                "source": "first" if image_id == 10 else "others",
            }
        )
        for _ in range(PERSONS_PER_PICTURE):
            box = [10.0, 8.0, width - 25.0, height - 20.0]
            number = 100 + len(annotations)
            annotations.append(annotation(number, image_id, box, random_points(rng, box)))
    return {"images": images, "annotations": annotations}


@pytest.fixture
def save_set(tmp_path: Path, rng) -> Callable[[dict[str, Any]], Path]:
    """Writes labels.json and the folder `images`; returns the folder of both."""

    def save(document: dict[str, Any]) -> Path:
        folder = tmp_path / "images"
        folder.mkdir(exist_ok=True)
        for image in document["images"]:
            shape = (image["height"] or 50, image["width"] or 50, 3)
            cv2.imwrite(str(folder / image["file_name"]), rng.integers(0, 256, shape, np.uint8))
        (tmp_path / "labels.json").write_text(json.dumps(document))
        return tmp_path

    return save


@pytest.fixture
def source() -> DataSource:
    return DataSource(annotations="labels.json", images="images")


@pytest.fixture
def persons(document, save_set, source) -> Persons:
    return read_persons([source], root=save_set(document))


@pytest.fixture
def pictures(persons) -> Pictures:
    return open_pictures(persons)
