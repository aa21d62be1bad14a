import errno
import os
import stat
from pathlib import Path

import pytest

from dwpose_infer.errors import InputError, OutputError
from dwpose_infer.files.atomic import read_bytes, write_bytes


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
