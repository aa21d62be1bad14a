from __future__ import annotations

import errno
import itertools

import pytest

from dwpose_infer.errors import FormatError, InvalidArgumentError, OutputError
from dwpose_infer.files.journal import Journal, last_whole_line, whole_lines


def number(line):
    try:
        return int(line)
    except ValueError as error:
        raise FormatError(f"{line!r} is no number") from error


def test_lines_are_in_the_file_at_once_and_none_after_it_is_closed(tmp_path):
    path = tmp_path / "new" / "a.log"
    with Journal(path) as journal:
        journal.add(b"1\n")
        assert path.read_bytes() == b"1\n"
        journal.add(b"2\n3\n")
        assert path.read_bytes() == b"1\n2\n3\n"
        journal.close()
        with pytest.raises(InvalidArgumentError, match=r"a\.log is closed"):
            journal.add(b"4\n")
    assert path.read_bytes() == b"1\n2\n3\n"


@pytest.mark.parametrize(("kept_bytes", "expected"), [(0, b"9\n"), (2, b"1\n9\n")])
def test_going_on_cuts_off_what_is_not_kept(tmp_path, kept_bytes, expected):
    path = tmp_path / "a.log"
    path.write_bytes(b"1\n2\n3")
    with Journal(path, kept_bytes=kept_bytes) as journal:
        journal.add(b"9\n")
    assert path.read_bytes() == expected


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_lines_that_the_disk_does_not_take_are_taken_back(tmp_path, monkeypatch, error):
    path = tmp_path / "a.log"
    with Journal(path) as journal:
        journal.add(b"1\n")

        def fail(_):
            raise OSError(error, "refused")

        monkeypatch.setattr("os.fsync", fail)
        with pytest.raises(OutputError, match=r"cannot write .*a\.log"):
            journal.add(b"2\n")
        with pytest.raises(InvalidArgumentError, match="closed"):
            journal.add(b"3\n")
    assert path.read_bytes() == b"1\n"


def test_a_torn_end_is_no_line():
    assert whole_lines(b"1\n2\n3") == [b"1\n", b"2\n"]
    assert whole_lines(b"3") == whole_lines(b"") == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", (0, None)),
        (b"12", (0, None)),
        (b"12\n", (3, 12)),
        (b"12\n13\n", (6, 13)),
        (b"12\n13\n1", (6, 13)),
        (b"12\n13\n\0\0\0\n", (6, 13)),
        (b"12\n13\n\0\0\0\n\0", (6, 13)),
        (b"x\n" * 100_000 + b"12\n", (200_003, 12)),
    ],
)
def test_the_last_whole_line(tmp_path, data, expected):
    path = tmp_path / "a.log"
    path.write_bytes(data)
    assert last_whole_line(path, number) == expected
    path.unlink()
    assert last_whole_line(path, number) == (0, None)


@pytest.mark.parametrize("data", [b"x\n", b"1\nx\ny\n", b"1\nx\ny\nz"])
def test_a_file_without_lines_of_the_kind_is_refused(tmp_path, data):
    path = tmp_path / "a.log"
    path.write_bytes(data)
    with pytest.raises(FormatError, match="no log that can be gone on with"):
        last_whole_line(path, number)


def test_a_file_cut_anywhere_goes_on_after_its_last_whole_line(tmp_path):
    path = tmp_path / "a.log"
    data = b"".join(b"%d\n" % 7**power for power in range(12))
    for length in range(len(data)):
        path.write_bytes(data[:length])
        end, last = last_whole_line(path, number)
        assert data[:end] == b"".join(whole_lines(data[:length]))
        assert last == (7 ** (data[:end].count(b"\n") - 1) if end else None)
        with Journal(path, kept_bytes=end) as journal:
            journal.add(data[end:])
        assert path.read_bytes() == data


def test_the_disk_is_reached_once_in_an_interval(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr("os.fsync", synced.append)
    clock = itertools.count(100.0, 0.3)
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with Journal(tmp_path / "a.log") as journal:
        journal.add(b"1\n")
        journal.add(b"2\n")
    assert len(synced) == 3
