"""The tables from a document; nothing is measured here."""

from __future__ import annotations

import json

import msgspec
import pytest

from dwpose_infer.benchmarks.machine import capture_environment
from dwpose_infer.benchmarks.peers.baselines import OFFICIAL, OURS, RTMLIB
from dwpose_infer.benchmarks.pipeline import overhead as tables
from dwpose_infer.benchmarks.pipeline.command import OUTSIDE
from dwpose_infer.benchmarks.pipeline.overhead import (
    TARGET_RATIO,
    Cost,
    OverheadDocument,
    Row,
)
from dwpose_infer.errors import FormatError, InputError
from dwpose_infer.files.document import read_document, write_document


def measured(persons, ours_ms, rtmlib_ms, official_ms):
    times = {OURS: ours_ms, RTMLIB: rtmlib_ms, OFFICIAL: official_ms}
    costs = {
        name: Cost(outside_ms=ms, networks_ms=0.25) for name, ms in times.items() if ms is not None
    }
    return Row.of(persons, costs, {"crop": 0.5 * persons, "everything else": 0.125})


def document_of(*rows):
    return OverheadDocument(
        environment=capture_environment(),
        repeats=60,
        picture_wh=(1280, 720),
        letterbox_wh=(640, 640),
        crop_wh=(288, 384),
        target_ratio_to_rtmlib=TARGET_RATIO,
        rows=rows,
    )


@pytest.fixture
def document():
    rows = [measured(1, 2.0, 8.0, 16.0), measured(3, 4.5, 18.0, 36.0), measured(10, 10.0, 50, 80)]
    return document_of(*rows)


def test_summary_table(document):
    assert tables.summary_table(document).splitlines() == [
        "| persons | ours ms per person | rtmlib ms per person | official recipe ms per person "
        "| ours / rtmlib | ours / official |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
        "| 1 | 2.00 | 8.00 | 16.00 | 0.250 | 0.125 |",
        "| 3 | 1.50 | 6.00 | 12.00 | 0.250 | 0.125 |",
        "| 10 | 1.00 | 5.00 | 8.00 | 0.200 | 0.125 |",
    ]


def test_summary_table_without_rtmlib():
    line = tables.summary_table(document_of(measured(2, 3.0, None, 12.0))).splitlines()[-1]
    assert line == "| 2 | 1.50 | - | 6.00 | - | 0.250 |"


def test_full_table(document):
    lines = tables.full_table(document).splitlines()
    assert lines[0] == "| milliseconds | 1 person | 3 persons | 10 persons |"
    assert all(line.count("|") == 5 for line in lines)
    assert f"| **{OURS}**, per picture | 2.00 | 4.50 | 10.00 |" in lines
    assert f"| {RTMLIB}, per person | 8.00 | 6.00 | 5.00 |" in lines
    assert f"| **{OURS} / {OFFICIAL}** | 0.125 | 0.125 | 0.125 |" in lines
    assert f"| {OURS}: crop | 0.500 | 1.500 | 5.000 |" in lines
    assert lines[-1].startswith(f"| InferenceSession.run of {OFFICIAL}, not counted above | 0.25 |")


@pytest.mark.parametrize(
    ("ours_ms", "words"), [(2.0, "MISSED with 1"), (1.0, "met with 1 person(s)")]
)
def test_verdict(ours_ms, words):
    assert words in tables.verdict(document_of(measured(1, ours_ms, 3.0, 5.0)))


def test_verdict_without_rtmlib_tells_the_remedy():
    document = document_of(measured(1, 1.0, None, 5.0))
    assert "pip install --no-deps rtmlib==0.0.16" in tables.verdict(document)


ROW = msgspec.to_builtins(measured(1, 2.0, 8.0, 16.0))


def without(row, key):
    return {name: value for name, value in row.items() if name != key}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"benchmark": "pipeline"}, "this is the result of 'pipeline'"),
        ({"schema_version": 3}, "written by a newer release"),
        ({"schema_version": 1}, r"enum value 1|Invalid"),
        ({"schema_version": None}, "expected a whole number"),
        ({"rows": []}, "rows is empty"),
        ({"rows": {}}, r"Expected `array`.*\$\.rows"),
        ({"rows": [ROW, 1]}, r"Expected `object`.*\$\.rows\[1\]"),
        *[({"rows": [without(ROW, key)]}, rf"`{key}`.*rows\[0\]") for key in ("persons", "costs")],
        ({"rows": [{**ROW, "persons": 0}]}, "persons is 0"),
        ({"rows": [{**ROW, "ratios": {}}]}, "ratios every baseline"),
        ({"rows": [{**ROW, "costs": without(ROW["costs"], OURS)}]}, f"must name {OURS}"),
        ({"rows": [{**ROW, "costs": {**ROW["costs"], RTMLIB: {}}}]}, "`outside_ms`"),
        ({"rows": [{**ROW, "unknown": 0}]}, "`unknown`"),
    ],
)
def test_damaged_documents(tmp_path, document, change, message):
    path = tmp_path / "result.json"
    write_document(path, document)
    assert read_document(path, OverheadDocument) == document
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(FormatError, match=message):
        read_document(path, OverheadDocument)


def test_files_that_hold_no_document(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        OUTSIDE.load().table_of(tmp_path / "missing.json")
    path = tmp_path / "result.json"
    for text in ("", "[]", "3"):
        path.write_text(text)
        with pytest.raises(FormatError):
            OUTSIDE.load().table_of(path)
