from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from detector_samples import BOX_XYWH, write_pictures

from dwpose_infer.errors import FormatError, InputError
from dwpose_infer.models.training.detector.table import read_table
from dwpose_infer.models.training.settings import DataSource

SOURCE = DataSource(annotations="labels.json", images=".")


def test_pictures_without_persons_take_part(pictures):
    table = read_table([SOURCE], root=pictures)
    assert len(table) == 10
    left, top, width, height = BOX_XYWH
    box = [left, top, left + width, top + height]
    for index in range(9):
        assert table.boxes_of(index).tolist() == [box]
    assert table.boxes_of(9).shape == (0, 4)
    assert table.boxes_xyxy.dtype == np.float32
    assert table.read(0).shape == (60, 72, 3)
    np.testing.assert_array_equal(table.read(3), cv2.imread(str(pictures / "4.png")))


def test_several_sources_follow_one_another(pictures, tmp_path):
    write_pictures(tmp_path, pictures=3)
    other = DataSource(annotations=str(tmp_path / "labels.json"), images=str(tmp_path))
    table = read_table([SOURCE, other], root=pictures)
    assert table.source_indices.tolist() == [0] * 10 + [1] * 3
    assert [len(table.boxes_of(index)) for index in range(13)] == [1] * 9 + [0, 1, 1, 0]
    assert table.path(10) == tmp_path / "1.png"


def test_crowds_and_empty_boxes_are_left_out(tmp_path):
    write_pictures(tmp_path, pictures=4)
    labels = json.loads((tmp_path / "labels.json").read_text())
    first, second, third = labels["annotations"]
    first["iscrowd"], second["bbox"], third["image_id"] = 1, [5, 5, 0, 10], 1
    labels["annotations"] = [third, second, first]
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    table = read_table([SOURCE], root=tmp_path)
    assert [len(table.boxes_of(index)) for index in range(4)] == [1, 0, 0, 0]


def test_what_is_missing_is_named(tmp_path):
    write_pictures(tmp_path, pictures=3)
    with pytest.raises(InputError, match="no pictures to train on"):
        read_table([], root=tmp_path)
    (tmp_path / "2.png").unlink()
    with pytest.raises(InputError, match=r"2\.png: there is no such picture"):
        read_table([SOURCE], root=tmp_path)
    (tmp_path / "labels.json").write_text("{")
    with pytest.raises(FormatError, match=r"labels\.json"):
        read_table([SOURCE], root=tmp_path)


def test_a_picture_of_another_size_is_refused(tmp_path):
    write_pictures(tmp_path, pictures=2)
    table = read_table([SOURCE], root=tmp_path)
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((10, 20, 3), np.uint8))
    with pytest.raises(InputError, match="20x10 pixels, its labels are for 72x60"):
        table.read(0)
