from __future__ import annotations

import errno
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dwpose_infer import PoseResult
from dwpose_infer.errors import FormatError, InputError, InvalidArgumentError, OutputError
from dwpose_infer.files import journal
from dwpose_infer.formats.plain_json import result_from_dict
from dwpose_infer.media import FrameLog, read_frame_log


def result(seed, persons=2):
    rng = np.random.default_rng(seed)
    return PoseResult(
        keypoints=rng.uniform(0, 640, (persons, 133, 2)).astype(np.float32),
        scores=rng.uniform(0, 1, (persons, 133)).astype(np.float32),
        boxes_xyxy=rng.uniform(0, 640, (persons, 4)).astype(np.float32),
        box_scores=rng.uniform(0, 1, persons).astype(np.float32),
        ids=np.arange(persons) + 7,
        image_size=(640, 480),
        source="clip.mp4",
    )


def assert_same(found, expected):
    np.testing.assert_array_equal(found.keypoints, expected.keypoints)
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.ids, expected.ids)
    assert found.image_size == expected.image_size


def write(path, indices, **options):
    with FrameLog(path, **options) as log:
        for index in indices:
            log.write(index, index / 25, result(index))


def test_there_and_back(tmp_path):
    path = tmp_path / "new" / "clip.jsonl"
    with FrameLog(path) as log:
        log.write(0, 0.0, result(0))
        log.write_damaged(2, None, "parts of it are missing")
        log.write(3, 0.12, PoseResult.empty(image_size=(640, 480)))
        assert log.next_index == 4
    first, second, third = read_frame_log(path)
    assert (first.index, first.time_s, first.damage) == (0, 0.0, None)
    assert_same(first.result, result(0))
    assert (second.index, second.time_s, second.result) == (2, None, None)
    assert second.damage == "parts of it are missing"
    assert (third.index, len(third.result)) == (3, 0)


def test_every_line_is_json_that_the_package_reads(tmp_path):
    path = tmp_path / "clip.jsonl"
    write(path, range(3))
    for index, line in enumerate(path.read_text("ascii").splitlines()):
        document = json.loads(line)
        assert (document["frame"], document["time_s"]) == (index, index / 25)
        assert_same(result_from_dict(document), result(index))


def test_lines_are_in_the_file_at_once(tmp_path):
    path = tmp_path / "clip.jsonl"
    log = FrameLog(path)
    for index in range(3):
        log.write(index, None, result(index))
        assert len(list(read_frame_log(path))) == index + 1
    log.close()
    log.close()


@pytest.mark.parametrize(
    "torn", [b'{"frame": 5, "time', b"\x00" * 40, b"\x00" * 40 + b"\n", b"7\n"]
)
def test_a_torn_end_is_left_out_and_written_over(tmp_path, torn):
    path = tmp_path / "clip.jsonl"
    write(path, range(5))
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert [frame.index for frame in read_frame_log(path)] == list(range(5))
    with FrameLog(path, resume=True) as log:
        assert log.next_index == 5
        assert log.last.index == 4
        assert_same(log.last.result, result(4))
        assert path.read_bytes() == whole
        log.write(5, 0.2, result(5))
    assert [frame.index for frame in read_frame_log(path)] == list(range(6))


def test_a_line_cut_anywhere_costs_only_that_line(tmp_path):
    path = tmp_path / "clip.jsonl"
    write(path, range(3))
    data = path.read_bytes()
    second_end = data.rindex(b"\n", 0, -1) + 1
    for length in range(second_end, len(data), 997):
        path.write_bytes(data[:length])
        assert [frame.index for frame in read_frame_log(path)] == [0, 1]
        with FrameLog(path, resume=True) as log:
            assert log.next_index == 2
        assert path.stat().st_size == second_end


def test_going_on_where_nothing_is(tmp_path):
    path = tmp_path / "clip.jsonl"
    with FrameLog(path, resume=True) as log:
        assert (log.next_index, log.last) == (0, None)
    path.write_bytes(b'{"frame"')
    with FrameLog(path, resume=True) as log:
        assert log.next_index == 0
    assert path.read_bytes() == b""
    assert list(read_frame_log(path)) == []


def test_a_new_run_replaces_the_file(tmp_path):
    path = tmp_path / "clip.jsonl"
    write(path, range(5))
    write(path, range(2))
    assert len(list(read_frame_log(path))) == 2


def test_a_process_that_is_killed_leaves_whole_lines(tmp_path):
    path = tmp_path / "clip.jsonl"
    code = (
        "import sys, itertools\n"
        "from dwpose_infer import PoseResult\n"
        "from dwpose_infer.media import FrameLog\n"
        "log = FrameLog(sys.argv[1])\n"
        "for index in itertools.count():\n"
        "    log.write(index, None, PoseResult.empty())\n"
        "    print(index, flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line) >= 20:
                break
        process.kill()
        process.communicate()
    frames = list(read_frame_log(path))
    assert len(frames) > 20
    assert [frame.index for frame in frames] == list(range(len(frames)))
    with FrameLog(path, resume=True) as log:
        assert log.next_index == len(frames)


def test_what_is_no_log(tmp_path):
    path = tmp_path / "clip.jsonl"
    path.write_text("first\nsecond\nthird\n")
    with pytest.raises(FormatError, match=r"clip\.jsonl, line 1: not JSON"):
        list(read_frame_log(path))
    with pytest.raises(FormatError, match="no log that can be gone on with"):
        FrameLog(path, resume=True)
    assert path.read_text() == "first\nsecond\nthird\n"
    with pytest.raises(InputError, match="cannot be read"):
        list(read_frame_log(tmp_path / "absent.jsonl"))


def test_a_damaged_line_in_the_middle_is_an_error(tmp_path):
    path = tmp_path / "clip.jsonl"
    write(path, range(3))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"frame": -1}\n' + lines[2])
    with pytest.raises(FormatError, match="line 2: frame is not a whole number"):
        list(read_frame_log(path))


def test_frames_must_follow_one_another(tmp_path):
    with FrameLog(tmp_path / "clip.jsonl") as log:
        log.write(4, None, result(0))
        with pytest.raises(InvalidArgumentError, match="frame 4 comes after frame 4"):
            log.write(4, None, result(0))
    with pytest.raises(InvalidArgumentError, match="closed"):
        log.write(5, None, result(0))


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "a.jsonl", tmp_path / "a\0b"):
        with pytest.raises(OutputError, match="cannot write"):
            FrameLog(path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_told():
    log = FrameLog("/dev/full")
    with pytest.raises(OutputError, match="no space is left on the disk"):
        log.write(0, 0.0, result(0))
    log.close()


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch):
    path = tmp_path / "clip.jsonl"
    log = FrameLog(path)
    log.write(0, 0.0, result(0))
    whole = path.read_bytes()

    class Full:
        def __init__(self, file):
            self._file = file

        def write(self, data):
            self._file.write(data[:500])
            self._file.flush()
            raise OSError(errno.ENOSPC, "No space left on device")

        def __getattr__(self, name):
            return getattr(self._file, name)

    log._journal._file = Full(log._journal._file)
    with pytest.raises(OutputError, match="it holds the frames up to 0"):
        log.write(1, 0.1, result(1))
    assert path.read_bytes() == whole


def test_the_disk_is_reached_once_a_second(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(journal.os, "fsync", synced.append)
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with FrameLog(tmp_path / "clip.jsonl") as log:
        for index in range(20):
            now[0] += 0.3
            log.write(index, None, PoseResult.empty())
    assert len(synced) == 20 // 4 + 1
