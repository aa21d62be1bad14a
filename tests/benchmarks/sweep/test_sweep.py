from __future__ import annotations

import numpy as np
import pytest

from dwpose_infer.backends import load_backend
from dwpose_infer.benchmarks import cli
from dwpose_infer.benchmarks.latency.networks import write_deploy_form
from dwpose_infer.benchmarks.machine import capture_environment
from dwpose_infer.benchmarks.peers.constant_networks import save_constant_network
from dwpose_infer.benchmarks.sweep import sweep as sweeps
from dwpose_infer.benchmarks.sweep.command import BENCHMARK
from dwpose_infer.benchmarks.sweep.sweep import SweepDocument, SweepRow
from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.files.document import read_document
from dwpose_infer.zoo import resolve_model


@pytest.fixture
def network(tmp_path):
    outputs = {"output": np.zeros((1, 21, 6), np.float32)}
    return save_constant_network(tmp_path / "tiny.onnx", (32, 32), outputs)


def test_every_batch_with_every_number_of_threads(network, tmp_path, capsys):
    path = tmp_path / "sweep.json"
    arguments = ["--threads", "2", "1", "--batches", "4", "1", "4", "--repeats", "3"]
    assert cli.main(["sweep", str(network), *arguments, "--json", str(path)]) == 0
    document = read_document(path, SweepDocument)
    keys = [(row.model, row.threads, row.batch) for row in document.rows]
    assert keys == [("tiny.onnx", threads, batch) for threads in (1, 2) for batch in (1, 4)]
    assert all(0 < row.call_ms <= row.call_p95_ms for row in document.rows)
    printed = capsys.readouterr().out
    assert BENCHMARK.load().table_of(path) in printed
    assert cli.main(["sweep", "--from", str(path)]) == 0
    assert capsys.readouterr().out == printed


def test_table(tmp_path):
    rows = [
        SweepRow(
            model="m", threads=threads, batch=batch, call_ms=batch * 8 / threads, call_p95_ms=9
        )
        for threads in (1, 2)
        for batch in (1, 4)
    ]
    document = SweepDocument(
        environment=capture_environment(),
        backend="ort",
        repeats=3,
        random_weights=("m",),
        rows=tuple(rows),
    )
    assert sweeps.table_of(document).splitlines() == [
        "| network | batch | 1 thread: ms each (per second) | 2 threads: ms each (per second) |",
        "| --- | ---: | ---: | ---: |",
        "| m | 1 | 8.00 (125.0) | 4.00 (250.0) |",
        "| m | 4 | 8.00 (125.0) | 4.00 (250.0) |",
    ]
    assert "Random weights: m." in sweeps.report(document)


def test_the_batch_that_is_asked_for_is_run(network, monkeypatch):
    sizes = []

    class Recorder:
        def __init__(self, backend):
            self.inputs, self.metadata, self._run = backend.inputs, {}, backend.run

        def run(self, inputs):
            sizes.append(len(inputs["images"]))
            return self._run(inputs)

    with sweeps.load_backend("ort", network, threads=1) as backend:
        sweeps._time_batches(Recorder(backend), [1, 3], 2, "test")
    assert sizes == [1, 3] * (2 + sweeps.WARM_UP)


def test_a_network_of_any_size_is_given_its_own(capsys):
    arguments = ["--threads", "1", "--batches", "1", "--repeats", "1"]
    assert cli.main(["sweep", "yolox-nano-person-bundled", *arguments]) == 0
    assert "| yolox-nano-person-bundled | 1 |" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["threads", "batches", "repeats"])
def test_numbers_below_one(network, option):
    options = {"threads": [1], "batches": [1], "repeats": 1}
    options[option] = 0 if option == "repeats" else [2, 0]
    with pytest.raises(InvalidArgumentError, match=f"{option} must be at least 1, given was 0"):
        sweeps.sweep("tiny", network, backend="ort", **options)


@pytest.mark.parametrize(
    ("cores", "expected"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])]
)
def test_numbers_of_threads_by_default(cores, expected, monkeypatch):
    monkeypatch.setattr(sweeps, "physical_cores", lambda: cores)
    assert sweeps._powers_of_two() == expected


@pytest.mark.slow
def test_networks_are_converted_before(tmp_path):
    path = tmp_path / "sweep.json"
    arguments = ["dwpose-t-bundled", "--deploy", "fp16", "--threads", "1", "--batches", "1"]
    assert cli.main(["sweep", *arguments, "--repeats", "1", "--json", str(path)]) == 0
    document = read_document(path, SweepDocument)
    assert (document.deploy, document.device, len(document.rows)) == ("fp16", "cpu", 1)
    assert "ort, deploy form in fp16, medians of 1 rounds" in sweeps.report(document)


@pytest.mark.slow
def test_the_converted_network_takes_bytes(tmp_path):
    deployed = write_deploy_form(resolve_model("dwpose-t-bundled"), "fp32", tmp_path / "t.onnx")
    with load_backend("ort", deployed) as backend:
        assert [str(spec.dtype) for spec in backend.inputs] == ["uint8"]
