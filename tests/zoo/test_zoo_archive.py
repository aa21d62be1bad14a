"""Zips as they come from a server: the one file wanted from them, or a refusal."""

from __future__ import annotations

import os

import pytest
from model_server import MODEL, WEB_PAGE, files_in, zipped, zipped_names

from dwpose_infer.errors import DownloadError
from dwpose_infer.zoo import download as download_module
from dwpose_infer.zoo.download import Source, download


@pytest.mark.parametrize(
    ("served", "words"),
    [
        (WEB_PAGE, "web page"),
        (zipped(sdk__end2end_onnx=MODEL)[:-3000], "not a complete zip"),
        (zipped(sdk__other_txt=b"x"), r"0 files .* it holds sdk/other.txt"),
        (zipped(a__end2end_onnx=MODEL, b__end2end_onnx=MODEL), "2 files"),
        (zipped(sdk__end2end_onnx=b"text, no network"), "not an ONNX file"),
        (zipped(), "it holds nothing"),
    ],
)
def test_an_unusable_zip_is_refused(server, destination, served, words):
    with pytest.raises(DownloadError, match=words):
        download(Source((server.url("net.zip", served),), "*end2end.onnx"), destination)
    assert files_in(destination.parent) == []


def test_a_zip_with_flipped_bytes_is_refused(server, destination):
    noise = b"\x08" + os.urandom(5000)
    damaged = bytearray(zipped(sdk__end2end_onnx=noise))
    damaged[2000] ^= 0xFF
    with pytest.raises(DownloadError, match="zip file is damaged"):
        download(Source((server.url("net.zip", bytes(damaged)),), "*end2end.onnx"), destination)
    assert files_in(destination.parent) == []


def test_names_in_a_zip_do_not_decide_where_files_go(server, destination, tmp_path):
    archive = zipped_names({"../../../escaped/end2end.onnx": MODEL, "/tmp/other": b"x"})
    download(Source((server.url("net.zip", archive),), "*end2end.onnx"), destination)
    assert destination.read_bytes() == MODEL
    assert files_in(tmp_path) == ["net.onnx", "net.onnx.lock.json"]


def test_a_zip_bomb_is_refused(server, destination, monkeypatch):
    monkeypatch.setattr(download_module, "MAX_FILE_BYTES", 1_000_000)
    archive = zipped(sdk__end2end_onnx=b"\x08" + bytes(5_000_000))
    assert len(archive) < 10_000
    with pytest.raises(DownloadError, match="unpacks to 5000001 bytes"):
        download(Source((server.url("net.zip", archive),), "*end2end.onnx"), destination)
    assert files_in(destination.parent) == []
