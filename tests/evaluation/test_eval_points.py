"""PCK, mean errors, matching, and confident nonsense, on persons counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from eval_samples import as_predictions, image, label, labelled_persons, random_points, save_labels

from dwpose_infer.annotations import read_annotations
from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.evaluation.confidence import confident_shares, doubtful_points
from dwpose_infer.evaluation.groups import compare, group_figures
from dwpose_infer.evaluation.matching import match, match_by_id
from dwpose_infer.evaluation.points import part_errors, pck, point_errors
from dwpose_infer.evaluation.predictions import nobody, rank
from dwpose_infer.evaluation.selection import labelled_boxes_xyxy


@pytest.fixture
def labels(tmp_path, rng):
    return read_annotations(labelled_persons(tmp_path, rng), dtype="float64")


def one_person(tmp_path, rng, **extra):
    box = (100.0, 50.0, 80.0, 200.0)
    persons = [label(4, 1, random_points(rng, box), box, **extra)]
    path = save_labels(tmp_path, [image(1, source="album")], persons)
    return read_annotations(path, dtype="float64")


def test_errors_are_relative_to_the_longer_side(tmp_path, rng):
    labels = one_person(tmp_path, rng)
    labels.keypoints[0, 5:17, 2] = 0  # of the body, five points are labelled
    keypoints = labels.keypoints[..., :2].copy()
    keypoints[0, 0] += 6.0, 8.0  # 10 px: exactly 5 % of 200
    keypoints[0, 1, 0] += 11.0
    errors = point_errors(keypoints, labels)
    assert errors.pixels[0, :3] == pytest.approx([10.0, 11.0, 0.0])
    assert np.isnan(errors.pixels[0, 5:17]).all()
    figures = part_errors(errors)
    assert figures["body"].points == 5
    assert figures["body"].pck == pytest.approx(4 / 5)
    assert figures["body"].mean_error_px == pytest.approx(21 / 5)
    assert figures["body"].mean_error_relative == pytest.approx(21 / 5 / 200)
    assert figures["hands"].points == 42 and figures["hands"].pck == 1.0
    assert figures["all"].points == 121
    assert pck(keypoints, labels, threshold=0.06)["body"] == 1.0


def test_a_person_not_found_misses_everything_and_has_no_distance(labels):
    keypoints = labels.keypoints[..., :2].copy()
    keypoints[1] = np.nan
    figures = part_errors(point_errors(keypoints, labels))
    assert figures["face"].pck == pytest.approx(5 / 6)
    assert figures["face"].mean_error_px == 0.0
    keypoints[:] = np.nan
    assert part_errors(point_errors(keypoints, labels))["face"].mean_error_px is None


def test_without_labels_there_is_no_figure(labels):
    labels.keypoints[:, 17:23, 2] = 0
    figures = part_errors(point_errors(labels.keypoints[..., :2], labels))["feet"]
    assert (figures.points, figures.pck, figures.mean_error_px) == (0, None, None)


def test_one_prediction_for_each_person_is_needed(labels):
    with pytest.raises(InvalidArgumentError, match=r"expected \(6, 133, 2\)"):
        point_errors(labels.keypoints[1:, :, :2], labels)


def test_persons_match_by_their_boxes_whatever_the_order(labels, rng):
    order = rng.permutation(6)
    found = as_predictions(labels.select(order), rng)
    found = replace(found, boxes_xyxy=labelled_boxes_xyxy(labels.select(order)))
    for persons in (found, rank(found)):
        matches = match(labels, persons)
        np.testing.assert_array_equal(matches.keypoints, labels.keypoints[..., :2])
        np.testing.assert_allclose(matches.ious, 1.0)


def test_without_boxes_the_points_tell_where_a_person_is(labels, rng):
    matches = match(labels, as_predictions(labels, rng))
    np.testing.assert_array_equal(matches.keypoints, labels.keypoints[..., :2])
    assert (matches.ious > 0.9).all() and (matches.ious < 1.0).all()


def test_nobody_is_taken_twice(labels, rng):
    found = as_predictions(labels, rng)
    first = np.flatnonzero(labels.image_indices == 0)
    both = np.array([[20.0, 30.0, 460.0, 430.0]])  # overlaps both persons of the first picture
    found = replace(
        found,
        **{
            name: getattr(found, name)[first[:1]]
            for name in ("image_ids", "keypoints", "scores", "box_scores", "areas")
        },
        boxes_xyxy=both,
    )
    matches = match(labels, found)
    assert (matches.ious > 0).sum() == 1
    assert np.isnan(matches.keypoints).all(axis=(1, 2)).sum() == 5


def test_match_by_id_ignores_places(labels, rng):
    order = np.array([3, 0, 5])
    found = replace(as_predictions(labels.select(order), rng), ids=labels.ids[order])
    found.keypoints[:] += 5000
    matches = match_by_id(labels, found)
    assert matches.ious.tolist() == [1, 0, 0, 1, 0, 1]
    np.testing.assert_array_equal(matches.keypoints[order], found.keypoints)
    assert match_by_id(labels, nobody()).ious.tolist() == [0] * 6


def test_confident_nonsense_is_counted_by_kind(tmp_path, rng):
    labels = one_person(tmp_path, rng, lefthand_valid=False)
    labels.keypoints[0, 0, :2] = -5, 100  # labelled outside the picture
    labels.keypoints[0, 1, :2] = 100, 480
    labels.keypoints[0, 130:132, 0] = 640
    found = as_predictions(labels, rng)
    found.keypoints[0, 2] = 639.5, 479.5  # inside
    found.keypoints[0, 3] = 640, 100
    found.scores[:] = 0.2
    found.scores[0, [1, 91, 92, 131]] = 0.9
    matches = match_by_id(labels, replace(found, ids=labels.ids))
    shares = confident_shares(doubtful_points(labels, matches), matches, np.ones(1, bool))
    assert shares["labelled_outside"] == (4, 0.5)
    assert shares["hand_outside"] == (2, 0.5)
    assert shares["predicted_outside"] == (5, pytest.approx(2 / 5))
    assert shares["part_not_valid"] == (21, pytest.approx(2 / 21))
    beside = np.zeros((1, 133), bool)
    beside[0, 10:14] = True
    more = doubtful_points(labels, matches, outside=beside)
    assert more["labelled_outside"].sum() == 8
    assert more["hand_outside"].sum() == 2


def test_groups_are_all_then_labels_then_sources(tmp_path, rng):
    box = (100.0, 50.0, 80.0, 200.0)
    persons = [
        label(1, 1, random_points(rng, box), box, label="human"),
        label(2, 2, random_points(rng, box), box, label="auto"),
        label(3, 3, random_points(rng, box), box),
    ]
    images = [image(1, source="a"), image(2, source="b"), image(3)]
    labels = read_annotations(save_labels(tmp_path, images, persons), dtype="float64")
    found = as_predictions(labels, rng)
    found.keypoints[1] += 500
    matches = match_by_id(labels, replace(found, ids=labels.ids))
    figures = group_figures(compare(labels, matches))
    groups = [group for group in figures if group.by != "kind"]  # their points are random
    assert [(group.by, group.name, group.persons) for group in groups] == [
        ("all", "", 3),
        ("label", "auto", 1),
        ("label", "human", 1),
        ("source", "a", 1),
        ("source", "b", 1),
    ]
    assert [group.parts["all"].pck for group in groups] == [pytest.approx(2 / 3), 0, 1, 1, 0]
