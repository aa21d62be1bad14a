"""The bootstrap interval of average precision, held against pycocotools' own figures."""

from __future__ import annotations

import json

import numpy as np
import pytest
from eval_samples import as_predictions, image, label, random_points, save_labels

pytest.importorskip("pycocotools")

from dwpose_infer.annotations import read_annotations
from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.evaluation import bootstrap, wholebody
from dwpose_infer.evaluation.cli import main
from dwpose_infer.evaluation.predictions import nobody, of_images, rank
from dwpose_infer.evaluation.results_file import write_results

PICTURES = 40


@pytest.fixture
def labels(tmp_path):
    """One or two persons on each of 40 pictures."""
    rng = np.random.default_rng(1)
    persons = []
    for number in range(1, PICTURES + 1):
        for _ in range(1 + number % 2):
            box = (*rng.uniform(0, 200, 2), *rng.uniform(150, 250, 2))
            persons.append(label(len(persons) + 1, number, random_points(rng, box), box))
    images = [image(number) for number in range(1, PICTURES + 1)]
    return read_annotations(save_labels(tmp_path, images, persons), dtype="float64")


@pytest.fixture
def found(labels):
    """Persons found, each farther off than the one before."""
    rng = np.random.default_rng(2)
    predictions = as_predictions(labels, rng)
    off = np.linspace(0, 5, len(predictions))[:, None, None]
    predictions.keypoints[:] += off * rng.normal(size=predictions.keypoints.shape)
    return rank(predictions)


@pytest.fixture
def evaluators(monkeypatch):
    """The evaluators that `evaluate_wholebody` made, one for each part."""
    kept = []
    real = bootstrap.ap_interval

    def keep(evaluator, **options):
        kept.append(evaluator)
        return real(evaluator, **options)

    monkeypatch.setattr(wholebody, "ap_interval", keep)
    return kept


def test_each_picture_once_gives_cocos_figure(labels, found, evaluators):
    metrics = wholebody.evaluate_wholebody(labels, found, resamples=1)
    assert len(evaluators) == 6
    for part, evaluator in zip(metrics.parts, evaluators, strict=True):
        matched = bootstrap._matched(evaluator)
        for times in (1, 3):
            drawn = np.full(PICTURES, times)
            expected = pytest.approx(metrics.parts[part]["AP"], abs=1e-12)
            assert bootstrap.average_precision(matched, drawn) == expected
    assert 0.3 < metrics.parts["wholebody"]["AP"] < 0.95


def test_pictures_not_drawn_are_not_there(labels, found, evaluators):
    wholebody.evaluate_wholebody(labels, found, resamples=1)
    drawn = (np.arange(PICTURES) >= 15).astype(np.int64)
    matched = bootstrap._matched(evaluators[-1])
    left = labels.select(labels.image_indices >= 15)
    persons = of_images(found, labels.image_ids[15:])
    expected = wholebody.evaluate_wholebody(left, persons).parts["wholebody"]["AP"]
    assert bootstrap.average_precision(matched, drawn) == pytest.approx(expected, abs=1e-12)
    assert bootstrap.average_precision(matched, np.zeros(PICTURES, np.int64)) is None


def test_intervals(labels, found):
    metrics = wholebody.evaluate_wholebody(labels, found, resamples=200)
    again = wholebody.evaluate_wholebody(labels, found, resamples=200)
    assert metrics.ap_intervals == again.ap_intervals
    for part, (low, high) in metrics.ap_intervals.items():
        assert low < metrics.parts[part]["AP"] < high, part
        assert high - low < 0.3
    assert not wholebody.evaluate_wholebody(labels, found).ap_intervals
    with pytest.raises(InvalidArgumentError, match="-1 resamples: give at least 1"):
        wholebody.evaluate_wholebody(labels, found, resamples=-1)


def test_nobody_found(labels):
    metrics = wholebody.evaluate_wholebody(labels, nobody(), resamples=5)
    assert set(metrics.ap_intervals.values()) == {(0.0, 0.0)}


def test_the_command(labels, found, tmp_path, capsys):
    write_results(tmp_path / "found.json", found)
    out = tmp_path / "metrics.json"
    command = ["--annotations", str(labels.path), "--results", str(tmp_path / "found.json")]
    assert main([*command, "--out", str(out), "--bootstrap", "50"]) == 0
    body = json.loads(out.read_bytes())["parts"]["body"]
    low, high = body["AP 95 %"]
    assert low < body["AP"] < high
    printed = capsys.readouterr().out
    assert "| part | AP | 95 % | AP .5 |" in printed
    assert f"| body | {body['AP']:.3f} | {low:.3f} to {high:.3f} |" in printed
    assert main([*command, "--out", str(out), "--quiet"]) == 0
    assert "AP 95 %" not in json.loads(out.read_bytes())["parts"]["body"]
