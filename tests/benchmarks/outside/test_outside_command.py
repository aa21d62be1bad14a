from __future__ import annotations

import sys

import pytest

from dwpose_infer.benchmarks import cli
from dwpose_infer.benchmarks.document import read_document
from dwpose_infer.benchmarks.outside import tables, timing
from dwpose_infer.benchmarks.outside.document import OutsideDocument
from dwpose_infer.benchmarks.peers import baselines as rivals

REPEATS = 2


def test_without_rtmlib_the_remedy_is_told(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "rtmlib", None)
    path = tmp_path / "outside.json"
    arguments = ["--persons", "2", "--repeats", str(REPEATS), "--json", str(path)]
    assert cli.main(["outside", *arguments]) == 0
    assert "pip install --no-deps rtmlib==0.0.16" in capsys.readouterr().out

    document = read_document(path, OutsideDocument)
    assert document.repeats == REPEATS
    assert document.environment.threads["onnxruntime_intra_op"] == 1
    (row,) = document.rows
    assert row.persons == 2
    assert set(row.costs) == {rivals.OURS, rivals.OFFICIAL}
    assert row.ratios[rivals.OFFICIAL] > 0
    assert row.stages_ms[timing.REST] > 0


def test_a_written_result_is_rendered_without_measuring(monkeypatch, capsys, tmp_path):
    path = tmp_path / "outside.json"
    arguments = ["--persons", "1", "3", "--repeats", "1", "--json", str(path)]
    assert cli.main(["outside", *arguments]) == 0
    document = read_document(path, OutsideDocument)
    printed = capsys.readouterr().out
    assert tables.full_table(document) in printed
    assert tables.verdict(document) in printed

    monkeypatch.setattr(timing, "measure", lambda *_, **__: pytest.fail("it measures"))
    assert cli.main(["outside", "--render", str(path)]) == 0
    assert capsys.readouterr().out == f"{tables.summary_table(document)}\n"
    readme = tables.readme_table(path)
    assert readme.startswith(tables.summary_table(document))
    assert document.environment.label in readme


def test_wrong_usage_is_told_without_a_traceback(capsys):
    assert cli.main(["outside", "--persons", "0"]) == 2
    assert capsys.readouterr().err.startswith("dwpose-bench outside: error: persons must be")


def test_a_file_that_cannot_be_rendered_is_told_without_a_traceback(tmp_path, capsys):
    assert cli.main(["outside", "--render", str(tmp_path / "missing.json")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("dwpose-bench outside: error:")
    assert "no such file" in error


def test_render_and_json_exclude_each_other(tmp_path):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["outside", "--render", "a.json", "--json", str(tmp_path / "b.json")])
