from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dwpose_infer import geometry
from dwpose_infer.annotations import read_annotations
from dwpose_infer.errors import InputError
from dwpose_infer.images import read_image
from dwpose_infer.models.training.data import (
    ValidationBoxes,
    ValidationDataset,
    labelled_boxes,
    validation_batches,
)

SIZE = (192, 256)


@pytest.fixture
def labels(document, save_set):
    document["annotations"][4]["iscrowd"] = 1
    document["annotations"][8]["bbox"] = [-30, 40, 300, 30]
    return read_annotations(save_set(document) / "labels.json")


@pytest.fixture
def dataset(labels):
    folder = labels.path.parent / "images"
    return ValidationDataset(labels, folder, labelled_boxes(labels), input_size_wh=SIZE)


def test_labelled_boxes_are_clipped_and_crowds_left_out(labels):
    boxes = labelled_boxes(labels)
    assert boxes.ids.tolist() == [100, 101, 102, 103, 105, 106, 107, 108]
    assert boxes.image_indices.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert boxes.boxes_xyxy[-1].tolist() == [0, 40, 99, 70]
    assert boxes.scores.tolist() == [1] * 8


@pytest.mark.parametrize("workers", [0, 2])
def test_crops_are_the_estimators(dataset, labels, workers):
    rows = []
    for batch in validation_batches(dataset, batch_size=3, workers=workers):
        for crop, center, scale, row in zip(*batch, strict=True):
            rows.append(int(row))
            image = read_image(dataset.folder / labels.file_name(dataset.boxes.image_indices[row]))
            centers, scales = geometry.box_to_center_scale(
                dataset.boxes.boxes_xyxy[row], input_size_wh=SIZE
            )
            expected = geometry.crop_boxes(image, centers, scales, output_size_wh=SIZE)
            np.testing.assert_array_equal(crop, expected[0])
            np.testing.assert_array_equal(center, centers[0])
            np.testing.assert_array_equal(scale, scales[0])
    assert rows == list(range(8))


@pytest.mark.parametrize("world_size", [1, 3, 10])
def test_processes_share_the_boxes(dataset, world_size):
    rows = [
        row
        for rank in range(world_size)
        for batch in validation_batches(dataset, batch_size=2, rank=rank, world_size=world_size)
        for row in batch.rows.tolist()
    ]
    assert rows == list(range(8))


def test_boxes_of_a_detector(labels):
    boxes = ValidationBoxes(
        np.array([2], np.int32),
        np.array([[-4.5, 3, 70, 120]], np.float32),
        np.array([0.7], np.float32),
        np.array([0]),
    )
    dataset = ValidationDataset(
        labels, Path(labels.path.parent / "images"), boxes, input_size_wh=SIZE
    )
    (batch,) = validation_batches(dataset, batch_size=4)
    assert torch.equal(batch.centers, torch.tensor([[32.75, 61.5]]))  # not clipped


def test_unusable_pictures_are_named(dataset):
    (dataset.folder / "20.png").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"20\.png.*image 20 of .*labels\.json"):
        list(validation_batches(dataset, batch_size=4, workers=1))
