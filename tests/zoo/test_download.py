"""Downloads from a server on this machine: what arrives, what is refused, what is left behind."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from model_server import (
    MODEL,
    OTHER_MODEL,
    TIMEOUT_S,
    WEB_PAGE,
    files_in,
    send,
    sha256,
    stalling,
    truncated,
    zipped,
)

from dwpose_infer import zoo
from dwpose_infer.errors import DownloadError, HashMismatchError
from dwpose_infer.files.atomic import CHUNK_BYTES, UNLOCKED_STALE_AFTER_S, sha256_of
from dwpose_infer.zoo import manifest
from dwpose_infer.zoo.download import Source, download
from dwpose_infer.zoo.lock import read_lock

QUICK_S = (2.0, 2.0)


def test_a_file_with_known_hash_arrives_and_is_recorded(server, destination, caplog):
    caplog.set_level(logging.WARNING)
    url = server.url("net.onnx", MODEL)
    record = download(Source((url,), None, len(MODEL), sha256(MODEL)), destination)
    assert destination.read_bytes() == MODEL
    assert (record.url, record.size_bytes, record.sha256) == (url, len(MODEL), sha256(MODEL))
    assert record == read_lock(destination)
    assert files_in(destination.parent) == ["net.onnx", "net.onnx.lock.json"]
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("served", "size_bytes", "error", "words"),
    [
        (OTHER_MODEL, len(MODEL), HashMismatchError, "SHA-256"),
        (MODEL[:-5], len(MODEL), HashMismatchError, f"{len(MODEL) - 5} bytes instead of"),
        (MODEL + b"!", len(MODEL), DownloadError, f"larger than the {len(MODEL)} bytes"),
        (WEB_PAGE, None, HashMismatchError, "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", None, HashMismatchError, "Git LFS"),
    ],
)
def test_a_wrong_file_is_refused(server, destination, served, size_bytes, error, words):
    url = server.url("net.onnx", served)
    with pytest.raises(DownloadError, match=words) as caught:
        download(Source((url,), None, size_bytes, sha256(MODEL)), destination)
    assert type(caught.value) is error
    assert caught.value.exit_code == 4
    assert files_in(destination.parent) == []


def test_a_wrong_file_does_not_replace_the_old_one(server, destination):
    destination.parent.mkdir(parents=True)
    destination.write_bytes(b"old")
    with pytest.raises(HashMismatchError):
        download(Source((server.url("net", OTHER_MODEL),), sha256=sha256(MODEL)), destination)
    assert destination.read_bytes() == b"old"


def test_a_body_shorter_than_announced_is_refused(server, destination):
    with pytest.raises(DownloadError, match="broke off"):
        download(Source((server.url("net.onnx", truncated),)), destination)
    assert files_in(destination.parent) == []


def test_a_body_shorter_than_announced_is_noticed_without_the_help_of_requests(
    server, destination, monkeypatch
):
    """Old releases of urllib3 took a connection that ends early for the end of the file."""

    monkeypatch.setattr("requests.Response.iter_content", lambda *_: iter([MODEL[:1000]]))
    with pytest.raises(DownloadError, match=f"after 1000 of {len(MODEL)} bytes"):
        download(Source((server.url("net.onnx", MODEL),)), destination)


def test_the_next_mirror_is_tried(server, destination):
    urls = (server.url("gone.onnx"), server.url("bad.onnx", OTHER_MODEL), server.url("ok", MODEL))
    record = download(Source(urls, None, len(MODEL), sha256(MODEL)), destination)
    assert record.url == urls[2]
    assert server.requests == ["/gone.onnx", "/bad.onnx", "/ok"]


def test_when_all_mirrors_fail_each_is_named_with_its_reason(server, destination):
    gone, page = server.url("gone.zip"), server.url("page.zip", WEB_PAGE)
    closed = "http://127.0.0.1:9/net.zip"
    with pytest.raises(DownloadError) as caught:
        download(Source((gone, page, closed), "*.onnx"), destination, timeout_s=QUICK_S)
    message = str(caught.value)
    assert f"{gone}: HTTP 404" in message
    assert f"{page}: not a complete zip file but a web page" in message
    assert f"{closed}: the connection failed or broke off (Failed to establish" in message
    assert "Max retries" not in message and "HTTPConnection" not in message
    assert str(destination) in message  # where to put it by hand
    assert isinstance(caught.value.__cause__, DownloadError)


def test_a_silent_server_does_not_hang_the_download(server, destination):
    start = time.monotonic()
    with pytest.raises(DownloadError, match="timed out"):
        download(Source((server.url("slow", stalling),)), destination, timeout_s=(1.0, 0.2))
    assert time.monotonic() - start < TIMEOUT_S / 2
    assert files_in(destination.parent) == []


def test_an_interrupted_download_leaves_nothing_and_can_be_repeated(
    server, destination, monkeypatch
):
    source = Source((server.url("net.onnx", MODEL),), sha256=sha256(MODEL))

    def interrupted(*_):
        yield MODEL[:1000]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("requests.Response.iter_content", interrupted)
        with pytest.raises(KeyboardInterrupt):
            download(source, destination)
    assert files_in(destination.parent) == []
    download(source, destination)
    assert destination.read_bytes() == MODEL


def test_a_killed_process_leaves_nothing_usable_and_its_rest_is_swept_up(server, destination):
    url = server.url("net.onnx", stalling)
    program = (
        "import sys; from pathlib import Path\n"
        "from dwpose_infer.zoo.download import Source, download\n"
        "download(Source((sys.argv[1],)), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", program, url, str(destination)]
    with subprocess.Popen(command, cwd=Path(zoo.__file__).parents[2]) as process:
        deadline = time.monotonic() + TIMEOUT_S
        while not files_in(destination.parent) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    (rest,) = destination.parent.iterdir()
    assert rest.name.startswith(".net.onnx.") and rest.suffix == ".part"

    source = Source((server.url("net.onnx", MODEL),))
    download(source, destination)
    assert destination.read_bytes() == MODEL
    assert rest.exists()  # it might belong to a download under way
    long_ago = time.time() - UNLOCKED_STALE_AFTER_S - 1
    os.utime(rest, (long_ago, long_ago))
    download(source, destination)
    assert files_in(destination.parent) == ["net.onnx", "net.onnx.lock.json"]


def test_two_downloads_of_one_model_at_a_time(server, destination):
    both_asked = threading.Barrier(2, timeout=TIMEOUT_S)

    def respond(handler):
        both_asked.wait()
        send(handler, MODEL, len(MODEL))

    source = Source((server.url("net.onnx", respond),))
    outcomes: list[object] = []

    def work() -> None:
        try:
            outcomes.append(download(source, destination).sha256)
        except DownloadError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_S)
    assert outcomes == [sha256(MODEL)] * 2
    assert destination.read_bytes() == MODEL
    assert files_in(destination.parent) == ["net.onnx", "net.onnx.lock.json"]


def test_a_folder_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "home").write_text("a file where the folder should be")
    destination = tmp_path / "home" / "models" / "net.onnx"
    with pytest.raises(DownloadError, match="DWPOSE_HOME") as caught:
        download(Source((server.url("net.onnx", MODEL),)), destination)
    assert str(destination.parent) in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    assert server.requests == []


def test_the_progress_bar_is_drawn_on_standard_error(server, destination, capsys):
    download(Source((server.url("net.onnx", MODEL),)), destination, progress=True)
    output = capsys.readouterr()
    assert output.out == ""
    assert "net.onnx: 100%" in output.err


def test_a_published_file_has_the_usual_rights(server, destination):
    download(Source((server.url("net.onnx", MODEL),)), destination)
    plain = destination.with_name("plain")
    plain.touch()
    assert destination.stat().st_mode == plain.stat().st_mode


def test_a_file_in_use_is_kept_where_it_is_the_same(server, destination, monkeypatch):
    """What Windows does while another process has the model open."""
    source = Source((server.url("net.onnx", MODEL),))
    download(source, destination)

    rename = Path.replace

    def in_use(self, target):
        if target == destination:
            raise PermissionError(13, "in use")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", in_use)
    assert download(source, destination).sha256 == sha256(MODEL)
    destination.write_bytes(OTHER_MODEL)
    with pytest.raises(DownloadError, match="in use"):
        download(source, destination)


def test_sha256_of_a_file_longer_than_one_chunk(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(MODEL)
    assert len(MODEL) > CHUNK_BYTES
    assert sha256_of(path) == sha256(MODEL)


def test_a_name_is_downloaded_once_and_then_never_asked_for_again(
    server, tmp_path, monkeypatch, caplog
):
    archive = zipped(sdk__end2end_onnx=MODEL)
    spec = zoo.ModelSpec(
        name="net",
        kind="pose",
        description="",
        input_hw=(256, 192),
        urls=(server.url("gone.zip"), server.url("net.zip", archive)),
        archive_member="*end2end.onnx",
        bundled_file=None,
        size_bytes=None,
        sha256=None,
        licence="Apache-2.0",
        licence_note="",
        accuracy=None,
        score_threshold=None,
    )
    monkeypatch.setattr(manifest, "read_manifest", lambda: {"net": spec})
    monkeypatch.setenv("DWPOSE_HOME", str(tmp_path / "chosen"))
    path = zoo.resolve_model("net", kind="pose")
    assert path == tmp_path / "chosen" / "models" / "net.onnx"
    assert path.read_bytes() == MODEL
    assert server.requests == ["/gone.zip", "/net.zip"]

    assert zoo.resolve_model("net") == path
    assert zoo.download_model("net") == path
    assert server.requests == ["/gone.zip", "/net.zip"]

    path.write_bytes(OTHER_MODEL)  # damage that keeps the size
    with pytest.raises(HashMismatchError, match="is damaged"):
        zoo.download_model("net", offline=True)
    assert zoo.download_model("net") == path
    assert "downloading it again" in caplog.text
    assert path.read_bytes() == MODEL
    path.write_bytes(MODEL[:-1])  # damage that does not
    assert zoo.resolve_model("net").read_bytes() == MODEL
    assert len(server.requests) == 6
