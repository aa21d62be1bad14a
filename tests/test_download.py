"""Downloads from a server on this machine: what arrives, what is refused, what is left behind."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import logging
import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dwpose_infer import download as module
from dwpose_infer import zoo
from dwpose_infer.download import Source, download, lock_path, read_lock, sha256_of
from dwpose_infer.errors import DownloadError, HashMismatchError

MODEL = b"\x08\x07" + bytes(range(256)) * 9000  # 2.3 MB, starts like an ONNX file
OTHER_MODEL = MODEL[:-1] + b"?"
WEB_PAGE = b"<!DOCTYPE html><title>Log in to this network</title>"
QUICK_S = (2.0, 2.0)
TIMEOUT_S = 10.0

Respond = Callable[[http.server.BaseHTTPRequestHandler], None]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def zipped(**files: bytes) -> bytes:
    """A zip of files; two underscores in a name stand for a slash, one for a dot."""
    named = {key.replace("__", "/").replace("_", "."): value for key, value in files.items()}
    return zipped_names(named)


def zipped_names(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
    return buffer.getvalue()


class ModelServer(http.server.ThreadingHTTPServer):
    """Serves bytes by path, or lets a function answer; `requests` are the paths asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        self.routes: dict[str, bytes | Respond] = {}
        self.requests: list[str] = []
        self.released = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    def url(self, name: str, content: bytes | Respond | None = None) -> str:
        if content is not None:
            self.routes[f"/{name}"] = content
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def handle_error(self, request, client_address) -> None:
        """Clients that hang up are what some of the tests are about."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: ModelServer

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        content = self.server.routes.get(self.path)
        if content is None:
            self.send_error(404)
        elif callable(content):
            content(self)
        else:
            send(self, content, len(content))

    def log_message(self, *_) -> None:
        pass


def send(handler: http.server.BaseHTTPRequestHandler, body: bytes, announced_bytes: int) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(announced_bytes))
    handler.end_headers()
    handler.wfile.write(body)
    handler.wfile.flush()


def truncated(handler: http.server.BaseHTTPRequestHandler) -> None:
    send(handler, MODEL[:100_000], len(MODEL))


def stalling(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Half of the model, and then nothing until the test is over."""
    send(handler, MODEL[: len(MODEL) // 2], len(MODEL))
    handler.server.released.wait(TIMEOUT_S)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("DWPOSE_OFFLINE", raising=False)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.released.set()
        running.shutdown()
        thread.join(TIMEOUT_S)


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "home" / "models" / "net.onnx"


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_with_known_hash_arrives_and_is_recorded(server, destination, caplog):
    caplog.set_level(logging.WARNING)
    url = server.url("net.onnx", MODEL)
    record = download(Source((url,), None, len(MODEL), sha256(MODEL)), destination)
    assert destination.read_bytes() == MODEL
    assert (record.url, record.size_bytes, record.sha256) == (url, len(MODEL), sha256(MODEL))
    assert record == read_lock(destination)
    assert files_in(destination.parent) == ["net.onnx", "net.onnx.lock.json"]
    assert caplog.messages == []


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


@pytest.mark.parametrize(
    ("served", "size_bytes", "error", "words"),
    [
        (OTHER_MODEL, len(MODEL), HashMismatchError, "SHA-256"),
        (MODEL[:-5], len(MODEL), HashMismatchError, f"{len(MODEL) - 5} bytes instead of"),
        (MODEL + MODEL, len(MODEL), DownloadError, "larger than"),
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

    def lenient(self, url, output_file, _):
        self.progressbar.total = len(MODEL)
        Path(output_file).write_bytes(MODEL[:1000])

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", lenient)
    with pytest.raises(DownloadError, match=f"after 1000 of {len(MODEL)} bytes"):
        download(Source((server.url("net.onnx"),)), destination)


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
    assert f"{closed}: the connection failed" in message
    assert str(destination) in message  # where to put it by hand
    assert isinstance(caught.value.__cause__, DownloadError)


def test_a_silent_server_does_not_hang_the_download(server, destination):
    start = time.monotonic()
    with pytest.raises(DownloadError, match="timed out"):
        download(Source((server.url("slow", stalling),)), destination, timeout_s=(1.0, 0.2))
    assert time.monotonic() - start < TIMEOUT_S / 2
    assert files_in(destination.parent) == []


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
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 1_000_000)
    archive = zipped(sdk__end2end_onnx=b"\x08" + bytes(5_000_000))
    assert len(archive) < 10_000
    with pytest.raises(DownloadError, match="unpacks to 5000001 bytes"):
        download(Source((server.url("net.zip", archive),), "*end2end.onnx"), destination)
    assert files_in(destination.parent) == []


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


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": 1}', '{"schema_version": 9}'])
def test_an_unusable_lock_file_is_named(destination, text):
    destination.parent.mkdir(parents=True)
    lock_path(destination).write_text(text)
    with pytest.raises(DownloadError, match=r"net\.onnx\.lock\.json .*delete it"):
        read_lock(destination)


def test_an_interrupted_download_leaves_nothing_and_can_be_repeated(
    server, destination, monkeypatch
):
    source = Source((server.url("net.onnx", MODEL),), sha256=sha256(MODEL))

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module._Meter, "update", interrupt)
        with pytest.raises(KeyboardInterrupt):
            download(source, destination)
    assert files_in(destination.parent) == []
    download(source, destination)
    assert destination.read_bytes() == MODEL


def test_a_killed_process_leaves_nothing_usable_and_its_rest_is_swept_up(server, destination):
    url = server.url("net.onnx", stalling)
    program = (
        "import sys; from pathlib import Path; from dwpose_infer.download import Source, download\n"
        "download(Source((sys.argv[1],)), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", program, url, str(destination)]
    with subprocess.Popen(command, cwd=Path(module.__file__).parents[1]) as process:
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
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(rest, (two_days_ago, two_days_ago))
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
    assert len(MODEL) > module.CHUNK_BYTES
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
        keypoint_threshold=None,
    )
    monkeypatch.setattr(zoo, "_manifest", lambda: {"net": spec})
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
