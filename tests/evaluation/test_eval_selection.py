"""Which pictures and persons take part, and pictures cut as portraits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from eval_samples import image, label, labelled_persons, random_points, save_labels

from dwpose_infer.annotations import read_annotations
from dwpose_infer.errors import InputError, InvalidArgumentError
from dwpose_infer.evaluation.portraits import cut_portraits
from dwpose_infer.evaluation.selection import (
    chosen_images,
    clipped_boxes_xyxy,
    is_evaluated,
    require_pictures,
)


@pytest.fixture
def labels(tmp_path, rng):
    return read_annotations(labelled_persons(tmp_path, rng), dtype="float64")


def test_frame_step_keeps_multiples_of_the_id(labels):
    kept = chosen_images(labels, frame_step=5)
    assert kept.image_ids.tolist() == [5]
    assert kept.ids.tolist() == [4, 5, 6] and kept.image_indices.tolist() == [0, 0, 0]
    assert kept.file_name(0) == "000000000005.jpg"
    np.testing.assert_array_equal(kept.keypoints, labels.keypoints[3:])


def test_limit_keeps_the_first_pictures(labels):
    assert chosen_images(labels, limit=2).image_ids.tolist() == [1, 2]
    assert chosen_images(labels, limit=99) is labels
    for wrong in ({"frame_step": 7}, {"frame_step": 0}, {"limit": 0}):
        with pytest.raises(InvalidArgumentError):
            chosen_images(labels, **wrong)


def test_boxes_are_clipped_to_the_last_pixel(tmp_path, rng):
    box = (-20.0, 100.0, 700.0, 379.75)
    persons = [label(1, 1, random_points(rng, box), box), label(2, 2, random_points(rng, box), box)]
    images = [image(1), {"id": 2, "file_name": "no-size.jpg"}]
    labels = read_annotations(save_labels(tmp_path, images, persons), dtype="float64")
    assert clipped_boxes_xyxy(labels).tolist() == [[0, 100, 639, 479], [0, 100, 680, 479.75]]


def test_crowds_empty_boxes_and_persons_without_points_get_no_prediction(tmp_path, rng):
    box = (10.0, 10.0, 50.0, 60.0)
    points = random_points(rng, box)
    blank = points * [1, 1, 0]
    persons = [
        label(1, 1, points, box),
        label(2, 1, points, box, iscrowd=1),
        label(3, 1, points, (10.0, 10.0, 50.0, 0.0)),
        label(4, 1, blank, box),
        label(5, 1, blank, box, num_keypoints=3),
        label(6, 1, points, box, num_keypoints=0),
    ]
    labels = read_annotations(save_labels(tmp_path, [image(1)], persons))
    assert is_evaluated(labels).tolist() == [True, False, False, False, False, False]


def test_missing_pictures_are_named_with_their_id(labels, tmp_path):
    for name in ("000000000001.jpg", "000000000005.jpg"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"000000000002\.jpg.*image 2 .*; 2 of 4 pictures"):
        require_pictures(labels, Path(tmp_path))


def upright(rng, box, *, shoulders_y, hips_y):
    points = random_points(rng, box)
    points[5:7, 1], points[11:13, 1] = shoulders_y, hips_y
    return points


def test_portraits_end_between_shoulders_and_hips(tmp_path, rng):
    box = (100.0, 40.0, 100.0, 400.0)
    points = upright(rng, box, shoulders_y=100.0, hips_y=200.0)
    lying = upright(rng, box, shoulders_y=200.0, hips_y=190.0)
    two = [label(3 + n, 3, points, box) for n in range(2)]
    persons = [label(1, 1, points, box), label(2, 2, lying, box), *two]
    path = save_labels(tmp_path, [image(n) for n in (1, 2, 3)], persons)
    cut = cut_portraits(read_annotations(path, dtype="float64"))
    assert cut.heights == {1: 160}
    assert cut.annotations.image_ids.tolist() == [1] and cut.annotations.ids.tolist() == [1]
    assert cut.annotations.sizes_wh.tolist() == [[640, 160]]
    assert cut.annotations.boxes_xywh.tolist() == [[100, 40, 100, 120]]
    below = points[:, 1] >= 160
    np.testing.assert_array_equal(cut.outside[0], below)
    np.testing.assert_array_equal(cut.annotations.keypoints[0, :, 2] > 0, ~below)
    assert cut.annotations.num_keypoints[0] == (~below[:17]).sum()


def test_boxes_of_portraits_are_as_wide_as_what_is_left(tmp_path, rng):
    box = (100.0, 40.0, 300.0, 400.0)  # legs apart
    points = upright(rng, box, shoulders_y=100.0, hips_y=200.0)
    above = points[:, 1] < 160
    points[above, 0] = np.clip(points[above, 0], 200, 260)
    points[5, 0], points[6, 0] = 200, 260
    path = save_labels(tmp_path, [image(1)], [label(1, 1, points, box)])
    cut = cut_portraits(read_annotations(path, dtype="float64"))
    margin = 0.15 * 120
    assert cut.annotations.boxes_xywh[0].tolist() == [200 - margin, 40, 60 + 2 * margin, 120]
    assert cut.annotations.areas[0] == pytest.approx(0.6 * (60 + 2 * margin) * 120)


def test_nobody_to_cut_is_an_error(tmp_path, rng):
    box = (100.0, 40.0, 100.0, 400.0)
    lying = upright(rng, box, shoulders_y=200.0, hips_y=190.0)
    path = save_labels(tmp_path, [image(1)], [label(1, 1, lying, box)])
    with pytest.raises(InvalidArgumentError, match="no picture to cut"):
        cut_portraits(read_annotations(path))
