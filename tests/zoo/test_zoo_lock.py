"""What is recorded about a download, and what that means for the next one."""

from __future__ import annotations

import json
import logging

import pytest
from model_server import MODEL, OTHER_MODEL, files_in, sha256, zipped

from dwpose_infer.errors import DownloadError, HashMismatchError
from dwpose_infer.zoo.download import Source, download
from dwpose_infer.zoo.lock import lock_path, read_lock


def test_the_lock_file_says_what_was_downloaded(server, destination, caplog):
    caplog.set_level(logging.WARNING)
    archive = zipped(sdk__net__end2end_onnx=MODEL, sdk__deploy_json=b"{}")
    url = server.url("net.zip", archive)
    download(Source((url,), "*end2end.onnx"), destination)
    assert destination.read_bytes() == MODEL
    assert json.loads(lock_path(destination).read_text()) == {
        "schema_version": 1,
        "url": url,
        "size_bytes": len(MODEL),
        "sha256": sha256(MODEL),
        "archive_size_bytes": len(archive),
        "archive_sha256": sha256(archive),
    }
    assert files_in(destination.parent) == ["net.onnx", "net.onnx.lock.json"]  # no zip
    assert len(caplog.messages) == 1
    assert "no published hash" in caplog.messages[0] and sha256(MODEL) in caplog.messages[0]


def test_a_later_download_must_match_the_first(server, destination):
    source = Source((server.url("net.zip", zipped(a__end2end_onnx=MODEL)),), "*end2end.onnx")
    download(source, destination)
    destination.unlink()  # the cache is emptied, the lock stays
    download(source, destination)
    assert destination.read_bytes() == MODEL
    destination.unlink()
    server.url("net.zip", zipped(a__end2end_onnx=OTHER_MODEL))
    with pytest.raises(HashMismatchError, match="as first downloaded") as caught:
        download(source, destination)
    assert str(lock_path(destination)) in str(caught.value)
    assert not destination.exists()
    lock_path(destination).unlink()  # what the message advises
    download(source, destination)
    assert destination.read_bytes() == OTHER_MODEL


def test_a_published_hash_counts_more_than_an_old_lock(server, destination):
    download(Source((server.url("net.onnx", OTHER_MODEL),)), destination)
    download(Source((server.url("net.onnx", MODEL),), sha256=sha256(MODEL)), destination)
    assert read_lock(destination).sha256 == sha256(MODEL)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not a JSON file"),
        ("[]", "expected an object"),
        ("{}", "schema_version is None"),
        ('{"schema_version": 1}', "missing required field `url`"),
        ('{"schema_version": 9}', "written by a newer release"),
        ('{"schema_version": 1, "url": "u", "size_bytes": "1", "sha256": "0"}', r"`\$.size_bytes`"),
    ],
)
def test_an_unusable_lock_file_is_named(destination, text, problem):
    destination.parent.mkdir(parents=True)
    lock_path(destination).write_text(text)
    with pytest.raises(DownloadError, match=rf"net\.onnx\.lock\.json: .*{problem}.*; delete it"):
        read_lock(destination)
