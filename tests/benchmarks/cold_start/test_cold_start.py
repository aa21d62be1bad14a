from __future__ import annotations

import json

import pytest

from dwpose_infer.benchmarks import cli
from dwpose_infer.benchmarks.cold_start import cold_start as starts
from dwpose_infer.benchmarks.cold_start.cold_start import ColdStartDocument
from dwpose_infer.benchmarks.cold_start.command import BENCHMARK
from dwpose_infer.errors import InferenceError
from dwpose_infer.files.document import read_document

STAMPS = {
    "started_s": 100.0625,
    "imported_s": 100.25,
    "loaded_s": 100.75,
    "first_s": 101.0,
    "second_s": 101.125,
}


def test_times_between_the_stamps():
    times = starts.parse_stamps(json.dumps(STAMPS), called_s=100.0)
    assert (times.python_ms, times.import_ms, times.sessions_ms) == (62.5, 187.5, 500.0)
    assert (times.first_ms, times.second_ms, times.total_ms) == (250.0, 125.0, 1000.0)


@pytest.mark.parametrize(
    ("report", "message"),
    [
        ("", "said ''"),
        ("hello", "said 'hello'"),
        (json.dumps({**STAMPS, "first_s": None}), "first_s"),
        (json.dumps({"started_s": 100.0}), "imported_s"),
        (json.dumps({**STAMPS, "loaded_s": 99.0}), "clock of this machine was set back"),
    ],
)
def test_reports_that_cannot_be_used(report, message):
    with pytest.raises(InferenceError, match=message):
        starts.parse_stamps(report, called_s=100.0)


def test_a_process_that_fails_is_told(tmp_path):
    task = {"pose": "no-such-model", "detector": "no-such-model", "picture": ""}
    task |= {"threads": 1, "device": "cpu"}
    with pytest.raises(InferenceError, match=r"the process started failed: .*no-such-model"):
        starts.start_once(json.dumps(task))


@pytest.mark.slow
def test_two_starts(tmp_path, capsys):
    path = tmp_path / "cold.json"
    assert cli.main(["cold-start", "--runs", "1", "--threads", "1", "--json", str(path)]) == 0
    document = read_document(path, ColdStartDocument)
    (run,) = document.runs
    parts = (run.python_ms, run.import_ms, run.sessions_ms, run.first_ms)
    assert min(*parts, run.second_ms) > 0
    assert run.total_ms == pytest.approx(sum(parts), abs=0.01)
    printed = capsys.readouterr().out
    assert BENCHMARK.load().table_of(path) in printed
    assert f"| import | {run.import_ms:.0f} | {run.import_ms:.0f} |" in printed
    assert cli.main(["cold-start", "--from", str(path)]) == 0
    assert capsys.readouterr().out == printed


def test_wrong_usage(capsys):
    assert cli.main(["cold-start", "--runs", "0"]) == 2
    assert "runs is 0" in capsys.readouterr().err
