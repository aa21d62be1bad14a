from __future__ import annotations

import json
import sys

import pytest

from dwpose_infer.benchmarks import contenders as rivals
from dwpose_infer.benchmarks import outside_networks as benchmark
from dwpose_infer.benchmarks import outside_tables as tables
from dwpose_infer.benchmarks import outside_timing as timing

REPEATS = 2


def test_without_rtmlib_the_remedy_is_told(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "rtmlib", None)
    path = tmp_path / "outside.json"
    arguments = ["--persons", "2", "--repeats", str(REPEATS), "--json", str(path)]
    assert benchmark.main(arguments) == 0
    assert "pip install --no-deps rtmlib==0.0.16" in capsys.readouterr().out

    document = json.loads(path.read_text())
    assert tables.read_document(path) == document
    assert document["schema_version"] == tables.SCHEMA_VERSION
    assert document["repeats"] == REPEATS
    assert {"host", "cpu", "cv2", "numpy", "onnxruntime"} <= set(document["environment"])
    (row,) = document["rows"]
    assert row["persons"] == 2
    assert set(row["costs"]) == {rivals.OURS, rivals.OFFICIAL}
    assert set(row["costs"][rivals.OURS]) == {"outside_ms", "networks_ms"}
    assert row["ratios"][rivals.OFFICIAL] > 0
    assert row["stages_ms"][timing.REST] > 0


def test_a_written_result_is_rendered_without_measuring(monkeypatch, capsys, tmp_path):
    path = tmp_path / "outside.json"
    arguments = ["--persons", "1", "3", "--repeats", "1", "--json", str(path)]
    assert benchmark.main(arguments) == 0
    document = json.loads(path.read_text())
    printed = capsys.readouterr().out
    assert tables.full_table(document) in printed
    assert tables.verdict(document) in printed

    monkeypatch.setattr(benchmark, "measure", lambda *_, **__: pytest.fail("it measures"))
    assert benchmark.main(["--render", str(path)]) == 0
    assert capsys.readouterr().out == f"{tables.summary_table(document)}\n"


def test_wrong_usage_is_told_without_a_traceback(capsys):
    assert benchmark.main(["--persons", "0"]) == 2
    assert capsys.readouterr().err.startswith("outside_networks: error: persons must be")


def test_a_file_that_cannot_be_rendered_is_told_without_a_traceback(tmp_path, capsys):
    assert benchmark.main(["--render", str(tmp_path / "missing.json")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("outside_networks: error:")
    assert "no such file" in error


def test_render_and_json_exclude_each_other(tmp_path):
    with pytest.raises(SystemExit, match="2"):
        benchmark.main(["--render", "a.json", "--json", str(tmp_path / "b.json")])
