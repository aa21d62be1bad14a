from __future__ import annotations

import importlib.util

import pytest

from dwpose_infer.benchmarks import contenders as rivals
from dwpose_infer.benchmarks import outside_timing as timing
from dwpose_infer.errors import InvalidArgumentError

HAS_RTMLIB = importlib.util.find_spec("rtmlib") is not None
REPEATS = 2


@pytest.fixture(scope="module")
def rows():
    return [timing.measure(persons, repeats=REPEATS) for persons in (1, 3)]


def test_contenders(rows):
    expected = {rivals.OURS, rivals.OFFICIAL} | ({rivals.RTMLIB} if HAS_RTMLIB else set())
    for row in rows:
        assert set(row.costs) == expected
        assert set(row.ratios) == expected - {rivals.OURS}


def test_times_and_ratios_are_positive(rows):
    for row in rows:
        assert all(cost.outside_ms > 0 and cost.networks_ms > 0 for cost in row.costs.values())
        for name, ratio in row.ratios.items():
            ours, other = row.costs[rivals.OURS], row.costs[name]
            assert ratio == ours.outside_ms / other.outside_ms > 0


def test_every_stage_is_still_where_the_benchmark_looks_for_it(rows):
    for row in rows:
        assert list(row.stages_ms) == [*(stage for stage, _, _ in timing.STAGES), timing.REST]
        assert all(spent_ms > 0 for spent_ms in row.stages_ms.values())


def test_nothing_is_timed_when_a_contender_finds_other_keypoints(monkeypatch):
    honest = rivals.OfficialRecipe.__call__
    monkeypatch.setattr(
        rivals.OfficialRecipe, "__call__", lambda self, image: honest(self, image) + 1.0
    )
    with pytest.raises(rivals.DisagreementError, match="official recipe and dwpose_infer"):
        timing.measure(1, repeats=1)


def test_persons_and_repeats_out_of_range():
    for persons, repeats in ((0, 1), (timing.MAX_PERSONS + 1, 1), (1, 0)):
        with pytest.raises(InvalidArgumentError, match="persons must be 1 to"):
            timing.measure(persons, repeats=repeats)
