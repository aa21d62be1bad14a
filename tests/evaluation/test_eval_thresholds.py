"""What thresholds show, on points and boxes counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("pycocotools")

from eval_samples import as_predictions, image, label, random_points, save_labels

from dwpose_infer.annotations import read_annotations
from dwpose_infer.evaluation.detection import evaluate_detector
from dwpose_infer.evaluation.groups import compare
from dwpose_infer.evaluation.matching import match_by_id
from dwpose_infer.evaluation.predictions import nobody
from dwpose_infer.evaluation.thresholds import SCORE_THRESHOLDS, point_thresholds

BOX = (100.0, 50.0, 80.0, 200.0)


@pytest.fixture
def labels(tmp_path, rng):
    persons = [label(4, 1, random_points(rng, BOX), BOX), label(5, 2, random_points(rng, BOX), BOX)]
    return read_annotations(save_labels(tmp_path, [image(1), image(2)], persons), dtype="float64")


def at(figures, score):
    return next(each for each in figures if each.score == score)


def test_points_shown_and_right_are_counted_by_part(labels, rng):
    labels.keypoints[1, :, 2] = 0
    labels.keypoints[0, 17:23, 2] = 0  # no feet
    found = as_predictions(labels, rng)
    found.scores[:] = 0.05
    found.scores[0, :8] = 0.45
    found.keypoints[0, 0] += 500
    found.scores[0, 8] = 0.4  # not above 0.4
    figures = point_thresholds(compare(labels, match_by_id(labels, replace(found, ids=labels.ids))))
    assert tuple(each.score for each in figures) == SCORE_THRESHOLDS
    assert at(figures, 0.3).parts["body"].shown == pytest.approx(9 / 17)
    assert at(figures, 0.3).parts["body"].right == pytest.approx(8 / 9)
    assert at(figures, 0.4).parts["body"].shown == pytest.approx(8 / 17)
    assert at(figures, 0.4).parts["body"].right == pytest.approx(7 / 8)
    assert at(figures, 0.5).parts["body"].shown == 0
    assert at(figures, 0.5).parts["body"].right is None
    assert at(figures, 0.1).parts["feet"].shown is None
    assert at(figures, 0.1).parts["hands"].shown == 0


def test_points_of_persons_not_found_are_not_shown(labels):
    figures = point_thresholds(compare(labels, match_by_id(labels, nobody())))
    assert {each.parts["all"].shown for each in figures} == {0.0}


def test_a_higher_threshold_never_shows_more(labels, rng):
    found = as_predictions(labels, rng)
    found.scores[:] = rng.uniform(0, 1, found.scores.shape)
    figures = point_thresholds(compare(labels, match_by_id(labels, replace(found, ids=labels.ids))))
    shown = [each.parts["all"].shown for each in figures]
    assert shown == sorted(shown, reverse=True) and shown[0] > shown[-1]


def test_recall_and_precision_of_boxes_are_counted(labels):
    left, top, width, height = BOX
    right_box = [left, top, left + width, top + height]
    boxes = np.array([right_box, [300, 300, 400, 400], right_box, right_box])
    scores = np.array([0.9, 0.75, 0.35, 0.25])  # the third: in the first picture, a second time
    figures = evaluate_detector(labels, np.array([1, 1, 1, 2]), boxes, scores).thresholds
    assert tuple(each.score for each in figures) == SCORE_THRESHOLDS
    for score, recall, precision in [
        (0.8, 1 / 2, 1.0),
        (0.7, 1 / 2, 1 / 2),
        (0.3, 1 / 2, 1 / 3),
        (0.2, 1.0, 2 / 4),
    ]:
        assert at(figures, score).recall == pytest.approx(recall)
        assert at(figures, score).precision == pytest.approx(precision)


def test_without_boxes_there_is_no_precision(labels):
    nothing = np.zeros(0)
    figures = evaluate_detector(labels, np.zeros(0, np.int64), nothing.reshape(0, 4), nothing)
    assert {(each.recall, each.precision) for each in figures.thresholds} == {(0.0, None)}
