"""Scores of persons and the suppression of near duplicates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.evaluation.predictions import Predictions, nobody, of_images, oks_nms, rank
from dwpose_infer.keypoints import SIGMAS


def persons(count: int, *, seed: int = 0, spread_px: float = 400.0) -> Predictions:
    rng = np.random.default_rng(seed)
    return Predictions(
        image_ids=np.ones(count, np.int64),
        keypoints=spread_px * rng.random((count, 133, 2)),
        scores=rng.random((count, 133)),
        box_scores=rng.random(count),
        areas=np.full(count, 40_000.0),
    )


def test_score_is_the_box_s_times_the_mean_of_sure_points():
    scores = np.full((3, 133), 0.1)
    scores[0, :4] = 0.2, 0.4, 0.8, 0.9  # 0.2 is not above the threshold
    scores[1] = 0.5
    found = replace(persons(3), scores=scores, box_scores=np.array([0.5, 1.0, 1.0]))
    ranked = rank(found)
    assert ranked.instance_scores == pytest.approx([0.5, 0.5 * (0.4 + 0.8 + 0.9) / 3, 0.0])
    np.testing.assert_array_equal(ranked.keypoints, found.keypoints[[1, 0, 2]])


def test_another_threshold_counts_other_points():
    found = replace(persons(1), scores=np.linspace(0, 1, 133)[None], box_scores=np.ones(1))
    expected = np.linspace(0, 1, 133)
    ranked = rank(found, keypoint_threshold=0.7)
    assert ranked.instance_scores[0] == pytest.approx(expected[expected > 0.7].mean())


def test_similarity_is_that_of_the_formula():
    """One point apart by d: OKS = (132 + exp(-d^2 / (2 area (2 sigma)^2))) / 133."""
    found = persons(1)
    twins = np.repeat(found.keypoints, 2, axis=0)
    twins[1, 11, 0] += 150.0
    area = np.array([30_000.0, 50_000.0])
    exponent = 150.0**2 / (2 * 40_000.0 * (2 * SIGMAS[11]) ** 2)
    oks = (132 + np.exp(-exponent)) / 133
    score = np.array([0.3, 0.9])
    for threshold, kept in ((oks - 1e-5, [1]), (oks + 1e-5, [1, 0])):
        assert oks_nms(twins, score, area, threshold=threshold).tolist() == kept


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 8), seed=st.integers(0, 1000), jitter_px=st.floats(0, 0.2))
def test_duplicates_go_and_the_best_stays(count, seed, jitter_px):
    found = persons(count, seed=seed)
    twice = Predictions(
        image_ids=np.repeat(found.image_ids, 2),
        keypoints=np.repeat(found.keypoints, 2, axis=0)
        + jitter_px * np.random.default_rng(seed).random((2 * count, 1, 2)),
        scores=np.repeat(found.scores, 2, axis=0),
        box_scores=np.repeat(found.box_scores, 2) * np.tile([1.0, 0.9], count),
        areas=np.repeat(found.areas, 2),
    )
    ranked = rank(twice)
    assert len(ranked) == count
    np.testing.assert_array_equal(
        np.sort(ranked.instance_scores), np.sort(rank(found).instance_scores)
    )
    assert (np.diff(ranked.instance_scores) <= 0).all()
    assert len(rank(twice, nms_threshold=1.0)) == 2 * count


def test_the_same_person_in_another_picture_is_no_duplicate():
    found = persons(1)
    two = Predictions(
        *(np.repeat(value, 2, axis=0) for value in (found.image_ids, found.keypoints)),
        *(np.repeat(value, 2, axis=0) for value in (found.scores, found.box_scores, found.areas)),
    )
    assert len(rank(two)) == 1
    assert len(rank(replace(two, image_ids=np.array([1, 2])))) == 2


def test_repeated_ids_count_once_and_the_first_one():
    found = replace(persons(4), ids=np.array([7, 3, 7, 3]))
    ranked = rank(found)
    assert len(ranked) == 2
    order = np.argsort(rank(replace(persons(4), ids=None)).instance_scores)
    assert len(order) == 4
    expected = {tuple(found.keypoints[row].ravel()) for row in (0, 1)}
    assert {tuple(row.ravel()) for row in ranked.keypoints} == expected


def test_nobody_stays_nobody():
    assert len(rank(nobody())) == 0
    assert len(oks_nms(np.zeros((0, 133, 2)), np.zeros(0), np.zeros(0))) == 0


def test_persons_of_some_pictures():
    found = replace(persons(3), image_ids=np.array([4, 6, 4]))
    kept = of_images(found, np.array([4, 5]))
    np.testing.assert_array_equal(kept.keypoints, found.keypoints[[0, 2]])
    assert kept.boxes_xyxy is None


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("keypoints", np.zeros((2, 14, 2)), "keypoints has the shape"),
        ("areas", np.zeros(3), "areas has the shape"),
        ("scores", np.full((2, 133), np.nan), "scores holds numbers that are not finite"),
        ("boxes_xyxy", np.zeros((2, 5)), "boxes_xyxy has the shape"),
    ],
)
def test_wrong_arrays_are_refused(field, value, message):
    with pytest.raises(InvalidArgumentError, match=message):
        replace(persons(2), **{field: value})
