from __future__ import annotations

import itertools
import mmap

import pytest

from dwpose_infer.benchmarks import cli
from dwpose_infer.benchmarks.machine import capture_environment
from dwpose_infer.benchmarks.soak import soak as runs
from dwpose_infer.benchmarks.soak.command import BENCHMARK
from dwpose_infer.benchmarks.soak.soak import SoakDocument, SoakHundred
from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.files.document import read_document

FILES = [b"picture"] * 10
LEAK_BYTES = 2**18


def document_of(*hundreds):
    return SoakDocument(
        environment=capture_environment(),
        pose="pose",
        detector="detector",
        threads=1,
        persons=3,
        max_growth_mb=runs.MAX_GROWTH_MB,
        max_slowdown=runs.MAX_SLOWDOWN,
        hundreds=tuple(
            SoakHundred(pictures=100 * number, resident_mb=memory, median_ms=latency)
            for number, (memory, latency) in enumerate(hundreds, 1)
        ),
    )


def test_steady_work_passes():
    hundreds, persons = runs.soak(lambda data: len(data) - 5, FILES, pictures=300)
    assert persons == 600
    assert [each.pictures for each in hundreds] == [100, 200, 300]
    document = document_of(*((each.resident_mb, 1.0) for each in hundreds))
    assert document.growth_mb < 5
    assert document.passed


def test_a_leak_is_caught():
    leaked = []

    def leak(data):
        leaked.append(mmap.mmap(-1, LEAK_BYTES))  # never from what was freed before
        leaked[-1].write(b"\1" * LEAK_BYTES)  # and resident, for it is written to
        return 0

    hundreds, _ = runs.soak(leak, FILES, pictures=200)
    document = document_of(*((each.resident_mb, 1.0) for each in hundreds))
    assert 26 < document.growth_mb < 40  # 100 x 0.262 MB
    assert not document.passed
    assert "limit 20 MB, EXCEEDED" in runs.verdict(document)


def test_slower_and_slower_is_caught(monkeypatch):
    ticks = itertools.accumulate(itertools.count(1))
    monkeypatch.setattr(runs.time, "perf_counter", lambda: float(next(ticks)))
    hundreds, _ = runs.soak(lambda _: 0, FILES, pictures=200)
    document = document_of(*((100.0, each.median_ms) for each in hundreds))
    assert document.slowdown == pytest.approx(301 / 101)  # the times are 2, 4, 6 ... 400 s
    assert not document.passed
    assert "of the first, limit 1.25, EXCEEDED" in runs.verdict(document)


@pytest.mark.parametrize(
    ("hundreds", "passed"),
    [
        ([(100, 10), (119.9, 12.5)], True),
        ([(100, 10), (120, 10)], False),
        ([(100, 10), (121, 10), (100, 10)], False),  # the worst of all hundreds counts
        ([(100, 10), (90, 12.6)], False),
        ([(100, 10), (100, 99), (100, 10)], True),  # only the last hundred's latency counts
    ],
)
def test_limits(hundreds, passed):
    assert document_of(*hundreds).passed is passed


@pytest.mark.parametrize(
    ("pictures", "files"), [(100, FILES), (250, FILES), (0, FILES), (200, []), (200, FILES[:3])]
)
def test_wrong_numbers(pictures, files):
    with pytest.raises(InvalidArgumentError, match=r"must be 200, 300|do not divide"):
        runs.soak(lambda _: 0, files, pictures=pictures)


@pytest.mark.slow
def test_exit_status_and_file(tmp_path, monkeypatch, capsys):
    """The command with a run of made-up figures: what it says, writes and returns."""
    hundreds = [
        SoakHundred(pictures=100, resident_mb=100.0, median_ms=10.0),
        SoakHundred(pictures=200, resident_mb=125.5, median_ms=10.0),
    ]
    monkeypatch.setattr(runs, "soak", lambda *_, **__: (hundreds, 400))
    path = tmp_path / "soak.json"
    assert cli.main(["soak", "--threads", "1", "--json", str(path)]) == 1
    printed = capsys.readouterr().out
    assert "+25.5 MB at most, limit 20 MB, EXCEEDED" in printed
    document = read_document(path, SoakDocument)
    assert (document.persons, document.growth_mb) == (400, 25.5)
    assert cli.main(["soak", "--from", str(path)]) == 1
    assert capsys.readouterr().out == printed
    hundreds[1] = SoakHundred(pictures=200, resident_mb=101.0, median_ms=10.0)
    assert cli.main(["soak", "--threads", "1"]) == 0
    assert BENCHMARK.load().table_of(path) in printed


@pytest.mark.slow
def test_pictures_of_a_real_run(monkeypatch, capsys):
    """Each of the ten pictures once, through the bundled networks."""

    def once(work, files, *, pictures):
        persons = [work(data) for data in files]
        assert persons == [1, 2, 1, 3, 1, 2, 1, 5, 1, 3]
        assert 100 % len(files) == 0
        hundred = SoakHundred(pictures=pictures, resident_mb=1.0, median_ms=1.0)
        return [hundred, hundred], sum(persons)

    monkeypatch.setattr(runs, "soak", once)
    assert cli.main(["soak", "--pictures", "200"]) == 0
    assert "20 persons found" in capsys.readouterr().out
