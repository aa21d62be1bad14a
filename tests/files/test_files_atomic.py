import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dwpose_infer.errors import InputError, OutputError
from dwpose_infer.files.atomic import (
    STALE_AFTER_S,
    UNLOCKED_STALE_AFTER_S,
    part_file,
    read_bytes,
    remove_stale_parts,
    write_bytes,
)


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "a.json"
    assert write_bytes(path, b"one") == path
    assert write_bytes(str(path), b"two") == path
    assert path.read_bytes() == b"two"
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def test_makes_missing_folders(tmp_path):
    path = write_bytes(tmp_path / "new" / "folder" / "a.json", b"one")
    assert path.read_bytes() == b"one"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_obeys_the_umask(tmp_path):
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    path = write_bytes(tmp_path / "a.json", b"one")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
def test_follows_a_link(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_bytes(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.skipif(os.name != "posix", reason="devices")
def test_does_not_replace_a_device():
    write_bytes("/dev/null", b"anything")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "no space is left on the disk"),
        (errno.EACCES, "no permission to write there"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EIO, "error"),
    ],
)
def test_failure_keeps_the_old_file_and_leaves_no_trace(tmp_path, monkeypatch, code, message):
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def fail(_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match=rf"cannot write .*a\.json: .*{message}") as raised:
        write_bytes(path, b"new")
    assert isinstance(raised.value.__cause__, OSError)
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def test_folder_in_the_way(tmp_path):
    with pytest.raises(OutputError, match="it is a folder"):
        write_bytes(tmp_path, b"one")


def test_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file" / "a.json", tmp_path / "file" / "b" / "a.json"):
        with pytest.raises(OutputError, match="a file, not a folder"):
            write_bytes(path, b"one")


def test_unusable_names(tmp_path):
    with pytest.raises(OutputError, match="null"):
        write_bytes(tmp_path / "a\0b", b"one")
    with pytest.raises(OutputError, match="the name is too long"):
        write_bytes(tmp_path / ("a" * 300), b"one")


def test_reading(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    assert read_bytes(tmp_path / "a") == b"one"
    with pytest.raises(InputError, match="there is no such file"):
        read_bytes(tmp_path / "b")
    with pytest.raises(InputError, match="cannot be read"):
        read_bytes(tmp_path)
    with pytest.raises(InputError, match="null"):
        read_bytes(tmp_path / "a\0b")


HOLD_A_PART = """
import sys; from pathlib import Path
from dwpose_infer.files.atomic import part_file
with part_file(Path(sys.argv[1])) as part:
    part.write_bytes(b"half a file")
    print(part.name, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def writer(tmp_path):
    """A process that writes to `a.json` and never comes to an end."""
    command = [sys.executable, "-c", HOLD_A_PART, str(tmp_path / "a.json")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout.readline() == ".a.json.0.part\n"
        yield process
        process.kill()


def age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


def names(folder):
    return sorted(item.name for item in folder.iterdir())


needs_locks = pytest.mark.skipif(sys.platform == "win32", reason="locks of POSIX")


@needs_locks
@pytest.mark.parametrize("clear", [lambda path: write_bytes(path, b"new"), None])
def test_what_a_killed_process_left_is_cleared(tmp_path, writer, clear):
    clear = clear or (lambda path: remove_stale_parts(path.parent))
    writer.kill()
    writer.wait()
    clear(tmp_path / "a.json")
    assert ".a.json.0.part" in names(tmp_path)  # it might be of another machine
    age(tmp_path / ".a.json.0.part", UNLOCKED_STALE_AFTER_S + 1)
    clear(tmp_path / "a.json")
    assert [name for name in names(tmp_path) if name != "a.json"] == []


@needs_locks
def test_what_a_living_process_writes_is_left_alone(tmp_path, writer):
    age(tmp_path / ".a.json.0.part", STALE_AFTER_S - 60)
    write_bytes(tmp_path / "a.json", b"new")
    remove_stale_parts(tmp_path)
    assert (tmp_path / ".a.json.0.part").read_bytes() == b"half a file"
    assert names(tmp_path) == [".a.json.0.part", "a.json"]


def test_without_locks_a_day_has_to_pass(tmp_path, monkeypatch):
    if sys.platform != "win32":

        def unknown(*_):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr("fcntl.flock", unknown)
    rest = tmp_path / ".a.json.0.part"
    for seconds, left in [(STALE_AFTER_S - 60, [rest.name]), (STALE_AFTER_S + 60, [])]:
        rest.write_bytes(b"half a file")
        age(rest, seconds)
        write_bytes(tmp_path / "a.json", b"new")
        assert names(tmp_path) == [*left, "a.json"]


def test_files_of_others_are_left_alone(tmp_path):
    foreign = [".a.json.part", "a.json.0.part", ".a.json.0.tmp", ".b.json.0.part"]
    for name in foreign:
        (tmp_path / name).write_bytes(b"")
        age(tmp_path / name, 10 * STALE_AFTER_S)
    write_bytes(tmp_path / "a.json", b"new")
    assert names(tmp_path) == sorted([*foreign, "a.json"])


def test_two_parts_of_one_file(tmp_path):
    target = tmp_path / "a.json"
    with part_file(target) as one, part_file(target) as other:
        assert [one.name, other.name] == [".a.json.0.part", ".a.json.1.part"]
        one.write_bytes(b"one")
        one.replace(target)
        with part_file(target) as third:
            assert third == one  # the name is free again
            assert third.read_bytes() == b""
            third.write_bytes(b"three")
        assert target.read_bytes() == b"one"
    assert names(tmp_path) == ["a.json"]


def test_a_part_that_took_a_free_name_outlives_the_one_before(tmp_path):
    target = tmp_path / "a.json"
    with part_file(target) as one:
        one.replace(target)
        one.write_bytes(b"of somebody else")
    assert names(tmp_path) == [".a.json.0.part", "a.json"]


@pytest.mark.parametrize("name", ["a" * 250, "\N{GRINNING FACE}" * 60])
def test_names_of_every_length_that_a_disk_takes(tmp_path, name):
    write_bytes(tmp_path / name, b"new")
    assert names(tmp_path) == [name]
