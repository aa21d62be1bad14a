"""The COCO-WholeBody protocol against figures of mmpose and xtcocotools, and its laws."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("pycocotools")

from eval_samples import as_predictions, image, label, labelled_persons, random_points, save_labels

import tolerances
from dwpose_infer.annotations import read_annotations
from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.evaluation.predictions import Predictions, nobody, rank
from dwpose_infer.evaluation.results_file import read_results
from dwpose_infer.evaluation.wholebody import EVALUATED_PARTS, METRIC_NAMES, evaluate_wholebody


def shuffled(predictions: Predictions, order) -> Predictions:
    return Predictions(
        image_ids=predictions.image_ids[order],
        keypoints=predictions.keypoints[order],
        scores=predictions.scores[order],
        box_scores=predictions.box_scores[order],
        areas=predictions.areas[order],
    )


@pytest.fixture
def labels(tmp_path, rng):
    return read_annotations(labelled_persons(tmp_path, rng), dtype="float64")


@pytest.mark.parametrize("name", ["A_small", "A_medium"])
def test_figures_are_those_of_mmpose(reference, name):
    """golden.json was made by mmpose's CocoWholeBodyMetric with xtcocotools 1.14.3."""
    golden = json.loads((reference / "eval/golden.json").read_text())[name]
    annotations = read_annotations(reference / "eval/gt_A.json", dtype="float64")
    predictions = read_results(reference / f"eval/raw_{name}.json")
    assert len(predictions) == golden["n_raw"]
    metrics = evaluate_wholebody(annotations, predictions)
    assert metrics.persons == golden["n_after_unique_and_nms"]
    assert set(metrics.parts) == set(golden["parts"]) == set(EVALUATED_PARTS)
    for part, figures in golden["parts"].items():
        assert list(metrics.parts[part]) == list(figures) == list(METRIC_NAMES)
        for metric, value in figures.items():
            assert metrics.parts[part][metric] == pytest.approx(value, abs=tolerances.AP), part


@pytest.mark.parametrize("shift_px", [6.0, 25.0])
def test_a_shifted_prediction_lowers_average_precision(reference, shift_px):
    annotations = read_annotations(reference / "eval/gt_A.json", dtype="float64")
    right = read_results(reference / "eval/raw_A_medium.json")
    shifted = Predictions(
        image_ids=right.image_ids,
        keypoints=right.keypoints + shift_px,
        scores=right.scores,
        box_scores=right.box_scores,
        areas=right.areas,
        ids=right.ids,
    )
    before = evaluate_wholebody(annotations, right).parts
    after = evaluate_wholebody(annotations, shifted).parts
    for part in EVALUATED_PARTS:
        assert after[part]["AP"] < before[part]["AP"], part


def test_perfect_persons_have_average_precision_1(labels, rng):
    metrics = evaluate_wholebody(labels, as_predictions(labels, rng))
    for part, figures in metrics.parts.items():
        assert all(value == pytest.approx(1.0) for value in figures.values()), part


def test_farther_is_never_better(labels, rng):
    scores = [
        evaluate_wholebody(labels, as_predictions(labels, rng, shift_px=shift)).parts["wholebody"]
        for shift in (0.0, 4.0, 12.0, 60.0)
    ]
    values = [figures["AP"] for figures in scores]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[1] > values[2] and values[3] == 0.0


@pytest.mark.slow
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(order=st.permutations(range(12)), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_results_does_not_matter(labels, order, seed):
    rng = np.random.default_rng(seed)
    exact, off = as_predictions(labels, rng), as_predictions(labels, rng, shift_px=9.0)
    both = Predictions(
        image_ids=np.concatenate([exact.image_ids, off.image_ids]),
        keypoints=np.concatenate([exact.keypoints, off.keypoints]),
        scores=np.concatenate([exact.scores, off.scores]),
        box_scores=np.concatenate([exact.box_scores, off.box_scores]),
        areas=np.concatenate([exact.areas, off.areas]),
    )
    straight = evaluate_wholebody(labels, both)
    assert evaluate_wholebody(labels, shuffled(both, list(order))) == straight


def test_nobody_found_is_zero_and_no_crash(labels):
    metrics = evaluate_wholebody(labels, nobody())
    assert metrics.persons == 0
    assert all(value == 0.0 for figures in metrics.parts.values() for value in figures.values())
    assert evaluate_wholebody(labels, rank(nobody())) == metrics


def test_what_nobody_labelled_is_undefined(tmp_path, rng):
    points = random_points(rng, (0, 0, 300, 300))
    points[91:112, 2] = 0
    path = save_labels(tmp_path, [image(1)], [label(1, 1, points, (0, 0, 300, 300))])
    labels = read_annotations(path, dtype="float64")
    parts = evaluate_wholebody(labels, as_predictions(labels, rng)).parts
    assert set(parts["lefthand"].values()) == {-1.0}
    assert parts["righthand"]["AP"] == pytest.approx(1.0)
    assert parts["righthand"]["AP (M)"] == -1.0  # nobody of middle size


def test_an_annotation_numbered_0_counts(tmp_path, rng):
    points = random_points(rng, (0, 0, 300, 300))
    path = save_labels(tmp_path, [image(1)], [label(0, 1, points, (0, 0, 300, 300))])
    labels = read_annotations(path, dtype="float64")
    assert evaluate_wholebody(labels, as_predictions(labels, rng)).parts["body"][
        "AP"
    ] == pytest.approx(1.0)


def test_a_crowd_is_neither_missed_nor_a_mistake(tmp_path, rng):
    box = (0, 0, 300, 300)
    points, crowd = random_points(rng, box), random_points(rng, box)
    persons = [label(1, 1, points, box), label(2, 1, crowd, box, iscrowd=1)]
    labels = read_annotations(save_labels(tmp_path, [image(1)], persons), dtype="float64")
    everyone = as_predictions(labels, rng)
    for found in (everyone, shuffled(everyone, [0])):
        assert evaluate_wholebody(labels, found).parts["body"]["AP"] == pytest.approx(1.0)


def test_results_of_another_data_set_are_refused(labels, rng):
    found = as_predictions(labels, rng)
    found.image_ids[:] += 1000
    with pytest.raises(InvalidArgumentError, match=r"no image with the id 1001.*3 image ids"):
        evaluate_wholebody(labels, found)


def test_areas_of_zero_are_an_error_and_not_a_result_of_zero(labels, rng, caplog):
    from dataclasses import replace

    nothing = replace(labels, areas=np.zeros(len(labels)))
    with pytest.raises(InvalidArgumentError, match="area of all"):
        evaluate_wholebody(nothing, as_predictions(labels, rng))
    some = labels.areas.copy()
    some[0] = 0
    evaluate_wholebody(replace(labels, areas=some), as_predictions(labels, rng))
    assert "1 of" in caplog.text and "area 0" in caplog.text
