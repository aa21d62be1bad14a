from __future__ import annotations

import sys

import pytest

from dwpose_infer.benchmarks import cli
from dwpose_infer.benchmarks.peers import baselines as rivals
from dwpose_infer.benchmarks.pipeline import overhead
from dwpose_infer.benchmarks.pipeline.command import OUTSIDE
from dwpose_infer.benchmarks.pipeline.overhead import OverheadDocument
from dwpose_infer.files.document import read_document

REPEATS = 2


def test_without_rtmlib_the_remedy_is_told(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "rtmlib", None)
    path = tmp_path / "outside.json"
    arguments = ["--persons", "2", "--repeats", str(REPEATS), "--json", str(path)]
    assert cli.main(["outside", *arguments]) == 0
    assert "pip install --no-deps rtmlib==0.0.16" in capsys.readouterr().out

    document = read_document(path, OverheadDocument)
    assert document.repeats == REPEATS
    assert document.environment.threads["onnxruntime_intra_op"] == 1
    (row,) = document.rows
    assert row.persons == 2
    assert set(row.costs) == {rivals.OURS, rivals.OFFICIAL}
    assert row.ratios[rivals.OFFICIAL] > 0
    assert row.stages_ms[overhead.REST] > 0


@pytest.mark.slow
def test_a_written_result_is_rendered_without_measuring(monkeypatch, capsys, tmp_path):
    path = tmp_path / "outside.json"
    arguments = ["--persons", "1", "3", "--repeats", "1", "--json", str(path)]
    assert cli.main(["outside", *arguments]) == 0
    document = read_document(path, OverheadDocument)
    printed = capsys.readouterr().out
    assert overhead.full_table(document) in printed
    assert overhead.verdict(document) in printed

    monkeypatch.setattr(overhead, "measure_row", lambda *_, **__: pytest.fail("it measures"))
    for command in (
        ["outside", "--from", str(path)],
        ["outside", "--render", str(path)],
        ["pipeline", "--constant-networks", "--from", str(path)],
    ):
        assert cli.main(command) == 0
        assert capsys.readouterr().out == printed
    readme = OUTSIDE.load().table_of(path)
    assert readme.startswith(overhead.summary_table(document))
    assert document.environment.label in readme


@pytest.mark.slow
def test_the_mode_of_pipeline_is_the_same(tmp_path):
    paths = tmp_path / "a.json", tmp_path / "b.json"
    few = ["--persons", "2", "--repeats", "1", "--opencv-threads", "1"]
    assert cli.main(["outside", *few, "--json", str(paths[0])]) == 0
    assert cli.main(["pipeline", "--constant-networks", *few, "--json", str(paths[1])]) == 0
    one, other = (read_document(path, OverheadDocument) for path in paths)
    assert one.environment.threads == other.environment.threads
    assert one.environment.threads["opencv"] == 1
    assert (one.repeats, one.picture_wh) == (other.repeats, other.picture_wh)
    assert list(one.rows[0].stages_ms) == list(other.rows[0].stages_ms)


@pytest.mark.parametrize(
    "option",
    [
        ["--pose", "dwpose-m"],
        ["--random-weights", "dwpose-m"],
        ["--det", "yolox-l"],
        ["--threads", "2"],
        ["--score-threshold", "0.5"],
        ["--pictures", "photos"],
        ["--no-memory"],
    ],
)
def test_options_of_real_networks_are_refused(option, capsys):
    assert cli.main(["pipeline", "--constant-networks", *option]) == 2
    assert f"{option[0]} does not apply to --constant-networks" in capsys.readouterr().err


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
