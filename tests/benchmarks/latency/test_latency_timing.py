"""The clock, with executors whose times are known."""

from __future__ import annotations

import numpy as np
import pytest

from dwpose_infer.backends.base import TensorSpec
from dwpose_infer.benchmarks.latency import timing
from dwpose_infer.benchmarks.latency.backends import Execution
from dwpose_infer.benchmarks.latency.executors import Executor
from dwpose_infer.benchmarks.latency.networks import Network
from dwpose_infer.benchmarks.latency.timing import Protocol, measure_latency
from dwpose_infer.errors import (
    BackendUnavailableError,
    InvalidArgumentError,
    MissingDependencyError,
)

TWO = Execution(threads=2)
NETWORKS = [Network("dwpose-m", "random", None), Network("dwpose-l", "random", None)]


class Clock:
    """Stands in for the module `time`; it goes on only when an executor runs."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


class Scripted(Executor):
    """Takes the milliseconds of a list, one after the other, again and again."""

    description = "scripted"

    def __init__(self, clock, times_ms, log, label, batch):
        self.input = TensorSpec("x", np.dtype(np.float32), (batch, 3, 256, 192))
        self.clock, self.times_ms, self.calls = clock, times_ms, 0
        self.log, self.label = log, label

    def execute(self):
        self.clock.now += self.times_ms[self.calls % len(self.times_ms)] / 1e3
        self.calls += 1
        self.log.append(self.label)

    def close(self):
        self.log.append(f"close {self.label}")


@pytest.fixture
def scripted(monkeypatch):
    """Returns what ran; takes times by (network, backend)."""
    clock, log = Clock(), []
    monkeypatch.setattr(timing, "time", clock)

    def use(times):
        def load(backend, network, execution):
            assert execution.threads == 2
            script = times[network.name, backend]
            if isinstance(script, Exception):
                raise script
            return Scripted(clock, script, log, f"{network.name} {backend}", execution.batch)

        monkeypatch.setattr(timing, "load_executor", load)
        return log

    return use


def test_figures_and_turns(scripted):
    warmup, runs = [100.0, 100.0], [1.0, 2.0, 3.0, 10.0]
    log = scripted(
        {
            # The second repetition is three times as slow as the first, the third twice.
            ("dwpose-m", "ort"): warmup + runs + warmup + [3 * ms for ms in runs]
            + warmup + [2 * ms for ms in runs],
            ("dwpose-l", "ort"): [8.0],
        }
    )  # fmt: skip
    document = measure_latency(NETWORKS, ["ort"], execution=TWO, protocol=Protocol(2, 4, 3))
    turn = ["dwpose-m ort"] * 6 + ["dwpose-l ort"] * 6
    assert log == [*turn * 3, "close dwpose-l ort", "close dwpose-m ort"]
    first, second = document.rows
    assert first.means_ms == pytest.approx((4.0, 12.0, 8.0))
    assert first.mean_ms == pytest.approx(8.0)
    assert first.spread == pytest.approx((12 - 4) / 8)
    pooled = np.outer([1, 3, 2], runs)
    assert first.median_ms == pytest.approx(np.median(pooled))
    assert first.p95_ms == pytest.approx(np.percentile(pooled, 95))
    assert first.min_ms == pytest.approx(1.0)
    assert (second.mean_ms, second.spread) == (pytest.approx(8.0), pytest.approx(0.0))
    assert second.input_shape == (1, 3, 256, 192)
    settings = document.settings
    assert (settings.batch, settings.warmup, settings.runs, settings.repetitions) == (1, 2, 4, 3)
    assert settings.threads == document.environment.threads["network"] == 2


def test_the_definition_of_the_published_table():
    assert Protocol() == Protocol(warmup=50, runs=200, repetitions=3)


def test_rows_are_by_network_then_by_backend(scripted):
    scripted({(n.name, key): [1.0] for n in NETWORKS for key in ("ort", "openvino")})
    document = measure_latency(
        NETWORKS, ["ort", "openvino"], execution=TWO, protocol=Protocol(0, 1, 1)
    )
    assert [(row.network, row.backend) for row in document.rows] == [
        ("dwpose-m", "ort"),
        ("dwpose-m", "openvino"),
        ("dwpose-l", "ort"),
        ("dwpose-l", "openvino"),
    ]


@pytest.mark.parametrize("error", [BackendUnavailableError, MissingDependencyError])
def test_backends_that_cannot_be_used(scripted, error):
    times = {(network.name, "ort"): [1.0] for network in NETWORKS}
    times |= {(network.name, "trt"): error("no GPU") for network in NETWORKS}
    scripted(times)
    protocol, said = Protocol(0, 1, 1), []
    with pytest.raises(error, match="no GPU"):
        measure_latency(NETWORKS, ["ort", "trt"], execution=TWO, protocol=protocol)
    document = measure_latency(
        NETWORKS,
        ["ort", "trt"],
        execution=TWO,
        protocol=protocol,
        where_present=True,
        say=said.append,
    )
    assert {row.backend for row in document.rows} == {"ort"}
    assert said == ["trt is left out: no GPU"]
    with pytest.raises(BackendUnavailableError, match="dwpose-infer --env"):
        measure_latency(NETWORKS, ["trt"], execution=TWO, protocol=protocol, where_present=True)


def test_everything_is_closed_after_an_error(scripted):
    times = {("dwpose-m", "ort"): [1.0], ("dwpose-l", "ort"): InvalidArgumentError("broken")}
    log = scripted(times)
    with pytest.raises(InvalidArgumentError, match="broken"):
        measure_latency(NETWORKS, ["ort"], execution=TWO)
    assert log == ["close dwpose-m ort"]


@pytest.mark.parametrize(
    ("name", "value"), [("warmup", -1), ("runs", 0), ("repetitions", 0), ("repetitions", -3)]
)
def test_numbers_out_of_range(name, value):
    with pytest.raises(InvalidArgumentError, match=f"{name} is {value}, must be at least"):
        Protocol(**{name: value})
    with pytest.raises(InvalidArgumentError, match="threads is 0"):
        measure_latency(NETWORKS, ["ort"], execution=Execution(threads=0))


def test_batches_one_after_the_other(scripted):
    times = {(n.name, key): [1.0] for n in NETWORKS for key in ("ort", "torch")}
    log, said = scripted(times), []
    document = measure_latency(
        NETWORKS,
        ["ort", "torch", "torch-graph"],
        execution=TWO,
        batches=[8, 1, 8],
        protocol=Protocol(0, 1, 1),
        say=said.append,
    )
    assert [(row.network, row.batch, row.backend) for row in document.rows] == [
        (network.name, batch, key)
        for network in NETWORKS
        for batch in (1, 8)
        for key in ("ort", "torch")
    ]
    assert log.index("close dwpose-m ort") < len(log) - 1 - log[::-1].index("dwpose-m ort")
    assert document.settings.batches == (1, 8)
    assert document.settings.backends == ("ort", "torch", "torch-graph")
    assert said == ["torch-graph has no figures: a CUDA graph needs a GPU (--device cuda)"]
    with pytest.raises(InvalidArgumentError, match="batches is 0"):
        measure_latency(NETWORKS, ["ort"], execution=TWO, batches=[0])
    with pytest.raises(BackendUnavailableError, match="none of the backends"):
        measure_latency(NETWORKS, ["torch-graph"], execution=TWO)


def test_what_is_left_out_is_told_once(scripted):
    times = {(n.name, "ort"): [1.0] for n in NETWORKS}
    scripted(times | {(n.name, "trt"): BackendUnavailableError("no GPU") for n in NETWORKS})
    said = []
    document = measure_latency(
        NETWORKS,
        ["ort", "trt"],
        execution=TWO,
        batches=[1, 2, 4],
        protocol=Protocol(0, 1, 1),
        where_present=True,
        say=said.append,
    )
    assert said == ["trt is left out: no GPU"]
    assert document.settings.backends == ("ort",)
