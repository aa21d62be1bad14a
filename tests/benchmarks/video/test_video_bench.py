"""The whole command on short clips, and what is said of its result."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import cv2
import msgspec
import numpy as np
import pytest

from dwpose_infer import Predictor
from dwpose_infer.benchmarks import cli
from dwpose_infer.benchmarks.peers.baselines import installed_methods
from dwpose_infer.benchmarks.video import timing
from dwpose_infer.benchmarks.video.command import BENCHMARK
from dwpose_infer.benchmarks.video.methods import picture_method
from dwpose_infer.benchmarks.video.result import (
    PLAIN_LOOP,
    RTMLIB,
    STREAM,
    VideoDocument,
    VideoMethod,
    misses,
    summary_table,
    verdict,
)
from dwpose_infer.benchmarks.video.scene import moving_people, write_hdr_clip
from dwpose_infer.files.document import read_document
from dwpose_infer.media import open_source
from dwpose_infer.zoo import DEFAULT_DETECTOR, DEFAULT_POSE


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "video.json"
    options = ["--frames", "6", "--repeats", "1", "--persons", "1", "--threads", "1", "--hdr"]
    assert cli.main(["video", *options, "--detect-every", "3", "--json", str(path)]) == 0
    return path


@pytest.mark.slow
def test_whole_run(measured, capsys, monkeypatch):
    document = read_document(measured, VideoDocument)
    assert (document.frames, document.detect_every, document.repeats) == (6, 3, 1)
    assert (document.pose, document.detector) == (DEFAULT_POSE, DEFAULT_DETECTOR)
    (row,) = document.rows
    there = installed_methods()
    expected = {name for name in get_args(VideoMethod) if picture_method(name) in there}
    assert {STREAM, PLAIN_LOOP} <= expected
    assert document.own_processes
    assert set(row.cpu_ms) == expected
    assert min(row.cpu_ms.values()) > 0
    assert set(row.fps) == expected
    assert set(row.speed) == expected - {STREAM}
    for name, speed in row.speed.items():
        assert speed == pytest.approx(row.fps[STREAM] / row.fps[name])
    assert row.searched_frames == 2
    assert all(0.5 <= found <= 2 for found in row.persons_found.values())
    assert [stage.name for stage in row.stages] == ["read", "networks", "draw", "encode"]
    assert [stage.name for stage in document.hdr_stages] == [stage.name for stage in row.stages]
    for stage in (*row.stages, *document.hdr_stages):
        assert stage.working_ms > 0
        assert 0 < stage.share <= 1

    monkeypatch.setattr(timing, "measure_clip", lambda *_, **__: pytest.fail("it measures"))
    assert cli.main(["video", "--from", str(measured)]) == 0
    printed = capsys.readouterr().out
    assert summary_table(document) in printed
    assert "The slowest stage on the clip in HDR: " in printed
    assert printed.rstrip().endswith(verdict(document).splitlines()[-1])
    table = BENCHMARK.load().table_of(measured)
    assert table.startswith("| times as fast (as little CPU time) | 1 person |")
    cpu = row.cpu_ms[PLAIN_LOOP] / row.cpu_ms[STREAM]
    assert f"| stream, beside plain loop | {row.speed[PLAIN_LOOP]:.2f} ({cpu:.2f}) |" in table


@pytest.mark.slow
@pytest.mark.parametrize(
    ("persons", "plain", "rtmlib", "missed"),
    [
        (1, 1.5, 1.01, []),
        (1, 1.49, 1.01, ["1.49 times a plain loop, not 1.5"]),
        (4, 1.15, 1.01, []),
        (4, 1.14, 1.0, ["1.14 times a plain loop, not 1.15", "1.00 times rtmlib"]),
    ],
)
def test_targets(measured, persons, plain, rtmlib, missed):
    document = read_document(measured, VideoDocument)
    row = msgspec.structs.replace(
        document.rows[0],
        persons=persons,
        fps={STREAM: 30.0, PLAIN_LOOP: 30 / plain, RTMLIB: 30 / rtmlib},
        all_fps={STREAM: (30.0,), PLAIN_LOOP: (30 / plain,), RTMLIB: (30 / rtmlib,)},
        persons_found={STREAM: 1.0, PLAIN_LOOP: 1.0, RTMLIB: 1.0},
        speed={PLAIN_LOOP: plain, RTMLIB: rtmlib},
    )
    assert misses(row) == missed
    said = verdict(msgspec.structs.replace(document, rows=(row,)))
    assert ("MISSED: " + ", ".join(missed) if missed else ": met") in said


@pytest.mark.slow
def test_rows_that_contradict_themselves_are_refused(measured):
    row = read_document(measured, VideoDocument).rows[0]
    with pytest.raises(ValueError, match="every baseline"):
        msgspec.structs.replace(row, speed={}).__post_init__()
    with pytest.raises(ValueError, match="must name stream"):
        msgspec.structs.replace(row, all_fps={}).__post_init__()


@pytest.mark.slow
@pytest.mark.parametrize("persons", [1, 4])
def test_the_bundled_detector_finds_the_persons_while_they_move(persons):
    frames = list(moving_people(persons, 80))[::10]
    assert all(frame.shape == (720, 1280, 3) and frame.dtype == np.uint8 for frame in frames)
    with Predictor(threads=1) as predictor:
        found = Counter(len(predictor.detector([frame])[0]) for frame in frames)
    assert found[persons] >= 6
    assert min(found) >= persons


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--frames", "0"], 2, "--frames is 0"),
        (["--repeats", "0"], 2, "--repeats is 0"),
        (["--detect-every", "0"], 2, "--detect-every is 0"),
        (["--persons", "11", "--frames", "1"], 2, "1 to 10 persons"),
        (["--from", "missing.json"], 1, "no such file"),
    ],
)
def test_errors_are_told_without_a_traceback(arguments, status, message, capsys):
    assert cli.main(["video", *arguments]) == status
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


@pytest.mark.slow
def test_the_clip_in_hdr_is_read_as_the_scene_it_shows(tmp_path):
    pytest.importorskip("av")
    clip = write_hdr_clip(tmp_path / "hdr.mp4", frames=1)
    with open_source(clip) as source:
        (frame,) = source
    assert frame.image_bgr.shape == (1080, 1920, 3)
    (shown,) = moving_people(1, 1)
    small = cv2.resize(frame.image_bgr, shown.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - shown).mean() < 6  # grey levels; undone PQ: over 40
