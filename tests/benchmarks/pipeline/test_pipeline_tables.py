"""Verdicts and tables from a document; nothing is measured here."""

from __future__ import annotations

import json

import msgspec
import pytest

from dwpose_infer.benchmarks.machine import capture_environment
from dwpose_infer.benchmarks.peers.baselines import OFFICIAL, OURS, OURS_BF16, RTMLIB
from dwpose_infer.benchmarks.pipeline import result as tables
from dwpose_infer.benchmarks.pipeline.command import BENCHMARK
from dwpose_infer.benchmarks.pipeline.result import (
    PipelineDocument,
    Row,
    Times,
    misses,
    ratios_of,
)
from dwpose_infer.errors import FormatError
from dwpose_infer.files.document import read_document, write_document


def row_of(ours, rtmlib, *, persons=1, pictures=1, shown=None):
    """A row from (outside, networks) milliseconds."""
    pairs = {OURS: ours, RTMLIB: rtmlib, OFFICIAL: (8.0, 30.0)}
    times = {
        name: Times(outside_ms=pair[0], networks_ms=pair[1], total_ms=sum(pair))
        for name, pair in pairs.items()
        if pair is not None
    }
    return Row(
        workload="persons" if pictures == 1 else "folder",
        pictures=pictures,
        persons_shown=(shown or persons) if pictures == 1 else None,
        persons=persons,
        agreement=0.995,
        times=times,
        ratios=ratios_of({name: each.total_ms for name, each in times.items()}),
        outside_ratios=ratios_of({name: each.outside_ms for name, each in times.items()}),
        stages_ms={"letterbox": 0.25, "draw": 1.5},
        peak_mb={OURS: 181.4},
    )


def document_of(*rows):
    return PipelineDocument(
        environment=capture_environment(),
        pose="dwpose-l-384",
        detector="yolox-l",
        random_weights=True,
        crop_wh=(288, 384),
        detector_wh=(640, 640),
        picture_wh=(1280, 720),
        score_threshold=0.3,
        threads=2,
        repeats=30,
        rows=rows,
    )


@pytest.mark.parametrize(
    ("ours", "rtmlib", "persons", "expected"),
    [
        ((2.0, 18.0), (6.0, 18.0), 1, []),
        ((2.0, 22.0), (6.0, 17.53), 1, []),  # 0.9804 times as fast at one person
        ((2.0, 22.0), (6.0, 17.50), 1, ["in all 0.979 times as fast as rtmlib"]),
        ((2.0, 22.0), (6.0, 18.01), 2, []),
        ((2.0, 22.0), (6.0, 18.0), 2, ["in all 1.000 times as fast as rtmlib"]),
        ((2.1, 18.0), (6.0, 18.0), 2, ["outside the networks 0.350 of rtmlib's time"]),
        (
            (3.0, 30.0),
            (6.0, 18.0),
            2,
            ["outside the networks 0.500 of rtmlib's time", "in all 0.727 times as fast as rtmlib"],
        ),
    ],
)
def test_targets(ours, rtmlib, persons, expected):
    row = row_of(ours, rtmlib, persons=persons)
    assert misses(row) == expected
    line = tables.verdict(document_of(row)).splitlines()[-1]
    assert ("MISSED" in line) == bool(expected)
    assert all(words in line for words in expected)


def test_a_folder_is_held_to_one_person_only_if_there_is_no_more_than_one_a_picture():
    slower = {"ours": (1.0, 22.8), "rtmlib": (6.0, 17.5), "pictures": 10}
    assert misses(row_of(**slower, persons=10)) == []
    assert misses(row_of(**slower, persons=11)) == ["in all 0.987 times as fast as rtmlib"]


def test_summary_table():
    rows = (
        row_of((2.0, 18.0), (6.0, 19.0)),
        row_of((3.0, 30.0), None, persons=4, shown=5),
        row_of((3.0, 17.0), (9.0, 31.0), persons=55, pictures=10),
    )
    lines = tables.summary_table(document_of(*rows)).splitlines()
    assert lines[0] == (
        "| ms per picture | 1 person | 4 (of 5) persons | folder: 10 pictures, 55 persons |"
    )
    assert lines[2:] == [
        "| ours | 20.0 | 33.0 | 20.0 |",
        "| rtmlib | 25.0 | - | 40.0 |",
        "| official recipe | 38.0 | 38.0 | 38.0 |",
        "| **ours: times as fast as rtmlib** | 1.25 | - | 2.00 |",
        "| **ours: times as fast as official recipe** | 1.90 | 1.15 | 1.90 |",
        "| outside the networks, ours / rtmlib | 0.333 | - | 0.333 |",
    ]


def test_cpu_time_and_methods_in_bf16():
    row = row_of((2.0, 18.0), (6.0, 19.0))
    quick = Times(total_ms=10.0, networks_ms=8.0, outside_ms=2.0, cpu_ms=19.5)
    times = {**row.times, OURS_BF16: quick}
    row = msgspec.structs.replace(
        row,
        times=times,
        ratios=ratios_of({name: each.total_ms for name, each in times.items()}),
        outside_ratios=ratios_of({name: each.outside_ms for name, each in times.items()}),
        agreements={OURS_BF16: 0.985},
    )
    document = document_of(row)
    lines = tables.summary_table(document).splitlines()
    assert lines[0] == "| ms per picture (CPU time) | 1 person |"
    assert "| ours, openvino bf16 | 10.0 (19.5) |" in lines
    assert "| **ours, openvino bf16: times as fast as rtmlib** | 2.50 |" in lines
    assert tables.speeds_table(document).splitlines()[2:] == [
        "| ours, beside rtmlib | 1.25 |",
        "| ours, openvino bf16, beside rtmlib | 2.50 |",
        "| ours, beside official recipe | 1.90 |",
    ]
    in_blocks = msgspec.structs.replace(document, blocks=5)
    assert tables.readme_table(in_blocks).startswith("| times as fast (as little CPU time) |")
    agree = "| points of dwpose_infer, openvino bf16 that agree | 98.5% |"
    assert agree in tables.methods_table(document)


def test_all_tables(tmp_path):
    document = document_of(row_of((2.0, 18.0), (6.0, 19.0)))
    text = tables.report(document)
    for line in (
        "| **dwpose_infer / rtmlib** | 0.800 |",
        "| dwpose_infer, peak memory in MB | 181 |",
        "| rtmlib, peak memory in MB | - |",
        "| points that agree, at least | 99.5 % |",
        "| letterbox | 0.250 |",
        "dwpose-l-384 with random weights and yolox-l, ONNX Runtime on 2 threads",
    ):
        assert line in text
    path = tmp_path / "pipeline.json"
    write_document(path, document)
    assert read_document(path, PipelineDocument) == document
    assert BENCHMARK.load().table_of(path).startswith(tables.summary_table(document))


def test_without_rtmlib_the_remedy_is_told():
    verdict = tables.verdict(document_of(row_of((2.0, 18.0), None)))
    assert "pip install --no-deps rtmlib==0.0.16" in verdict


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("ratios", {}, "ratios every baseline"),
        ("times", {}, "times must name dwpose_infer"),
        ("pictures", 0, "at least one picture"),
        ("workload", "video", "workload"),
        ("peak_mb", {"nobody": 1.0}, "nobody"),
    ],
)
def test_damaged_documents(tmp_path, field, value, message):
    path = tmp_path / "pipeline.json"
    write_document(path, document_of(row_of((2.0, 18.0), (6.0, 19.0))))
    plain = json.loads(path.read_text())
    plain["rows"][0][field] = value
    path.write_text(json.dumps(plain))
    with pytest.raises(FormatError, match=message):
        BENCHMARK.load().table_of(path)
    plain["rows"] = []
    path.write_text(json.dumps(plain))
    with pytest.raises(FormatError, match="rows is empty"):
        BENCHMARK.load().table_of(path)
