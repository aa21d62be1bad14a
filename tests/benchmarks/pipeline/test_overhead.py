from __future__ import annotations

import importlib.util

import pytest

from dwpose_infer.benchmarks.peers import baselines as rivals
from dwpose_infer.benchmarks.peers import clock as clocks
from dwpose_infer.benchmarks.peers.agreement import DisagreementError
from dwpose_infer.benchmarks.pipeline import overhead as timing
from dwpose_infer.errors import InvalidArgumentError

HAS_RTMLIB = importlib.util.find_spec("rtmlib") is not None
REPEATS = 2


@pytest.fixture(scope="module")
def rows():
    return [timing.measure_row(persons, repeats=REPEATS) for persons in (1, 3)]


def test_methods(rows):
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


def test_nothing_is_timed_when_a_method_finds_other_keypoints(monkeypatch):
    honest = rivals.OfficialRecipe.__call__
    monkeypatch.setattr(
        rivals.OfficialRecipe, "__call__", lambda self, image: honest(self, image) + 1.0
    )
    with pytest.raises(DisagreementError, match="official recipe and dwpose_infer"):
        timing.measure_row(1, repeats=1)


def test_persons_and_repeats_out_of_range():
    for persons, repeats in ((0, 1), (timing.MAX_PERSONS + 1, 1), (1, 0)):
        with pytest.raises(InvalidArgumentError, match="persons must be 1 to"):
            timing.measure_row(persons, repeats=repeats)


def test_every_round_begins_with_another_method():
    turns = {"a": 1, "b": 2, "c": 3}
    orders = ["".join(name for name, _ in clocks.take_turns(turns, number)) for number in range(4)]
    assert orders == ["abc", "bca", "cab", "abc"]
    assert [name for name, _ in clocks.take_turns(turns, -1)] == ["c", "a", "b"]


def test_a_clock_adds_up_and_lets_go(monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr(clocks.time, "perf_counter", lambda: float(next(now)))
    clock = clocks.Clock()
    with clock.watch(rivals, "sessions_of", "sessions"):
        for _ in range(2):
            with pytest.raises(AttributeError):
                rivals.sessions_of(None)
    assert clock.spent_ms == {"sessions": 2000.0}
    assert clock.call(lambda: None) == (1000.0, 0.0)
    assert clock.spent_ms == {}
    with pytest.raises(AttributeError):
        rivals.sessions_of(None)
    assert clock.spent_ms == {}
