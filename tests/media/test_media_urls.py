"""Videos over HTTP, from a server of our own: where redirects and playlists may lead."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

av = pytest.importorskip("av")
from video_samples import even_pts, make_clip

from dwpose_infer import picture_url
from dwpose_infer.errors import InputError
from dwpose_infer.media import Frame, Reconnection, open_source
from dwpose_infer.media import opening as opening_module
from dwpose_infer.picture_url import UrlAccess

QUICK = Reconnection(timeout_s=2.0, attempts=0)
FRAMES = 40


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        files, asked = self.server.files, self.server.asked
        asked.append((self.headers["host"], self.path, self.headers["range"]))
        if self.path.startswith("/to/"):
            return self._answer(302, b"", Location=self.path[len("/to/") :])
        wanted = self.server.digest and "Digest" not in self.headers.get("authorization", "")
        if wanted:
            return self._answer(401, b"", **{"WWW-Authenticate": 'Digest realm="r", nonce="n"'})
        if self.path not in files:
            return self._answer(404, b"")
        body = files[self.path]
        kind = "application/x-mpegURL" if body.startswith(b"#EXTM3U") else "video/mp4"
        begin, _, end = self.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
        if not self.server.sends_parts:
            return self._answer(200, body, **{"Content-Type": kind})
        last = min(int(end or len(body)), len(body) - 1)
        part = f"bytes {begin}-{last}/{len(body)}"
        data = body[int(begin) : last + 1]
        return self._answer(206, data, **{"Content-Type": kind, "Content-Range": part})

    def _answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server:
    def __init__(self, httpd):
        self.httpd = httpd
        self.here = f"http://127.0.0.1:{httpd.server_port}"
        self.there = f"http://localhost:{httpd.server_port}"

    def hosts_asked(self):
        return {host.partition(":")[0] for host, _, _ in self.httpd.asked}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    files = {}
    pts = even_pts(FRAMES)
    cut = {"hls_time": "0.8", "hls_list_size": "0", "hls_segment_filename": f"{folder}/%d.ts"}
    make_clip(folder / "list.m3u8", pts=pts, container_options=cut)
    # Its index stands at the end, so that it has to be sought; the other's at the beginning.
    make_clip(folder / "clip.mov", pts=pts, audio="pcm_s16le")
    first = {"movflags": "faststart"}
    make_clip(folder / "first.mp4", pts=pts, container_options=first)
    for name in ("0.ts", "1.ts", "clip.mov", "first.mp4"):
        files[f"/{name}"] = (folder / name).read_bytes()
    return files


@pytest.fixture
def server(clips, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    # The two names of this machine are strangers to each other: one of the internet, one private.
    kinds = {"127.0.0.1": {"public"}, "localhost": {"private"}}
    monkeypatch.setattr(picture_url, "_kinds", lambda host: kinds.get(host, {"public"}))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        httpd.files, httpd.asked, httpd.sends_parts, httpd.digest = dict(clips), [], True, False
        threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
        yield Server(httpd)
        httpd.shutdown()


def playlist(*entries, header="#EXT-X-TARGETDURATION:1"):
    lines = ["#EXTM3U", "#EXT-X-VERSION:4", header]
    for entry in entries:
        lines += ["#EXTINF:0.7,", entry]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()


def master(entry):
    return f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000\n{entry}\n".encode()


def count(url, **options):
    with open_source(url, reconnection=QUICK, **options) as source:
        return sum(isinstance(item, Frame) for item in source)


def test_a_clip_is_read_by_parts_and_sought(server):
    assert count(f"{server.here}/clip.mov") == FRAMES
    assert count(f"{server.here}/clip.mov", start="30f") == FRAMES - 30
    assert len(server.httpd.files["/clip.mov"]) > 100_000
    assert any(begin != "bytes=0-" for _, _, begin in server.httpd.asked)


def test_a_clip_of_a_server_that_sends_no_parts(server):
    server.httpd.sends_parts = False
    assert count(f"{server.here}/first.mp4") == FRAMES


def test_redirects_of_clips(server):
    assert count(f"{server.here}/to/{server.here}/clip.mov") == FRAMES
    url = f"{server.here}/to/{server.there}/clip.mov"
    with pytest.raises(InputError, match=r"leads to a private address.*allow private URLs"):
        open_source(url)
    assert server.hosts_asked() == {"127.0.0.1"}
    url = f"{server.here}/to/{server.there}/first.mp4"
    assert count(url, urls=UrlAccess(allow_private=True)) == FRAMES


def test_a_private_url_that_is_given_needs_no_permission(server):
    server.httpd.files["/list.m3u8"] = playlist(f"{server.there}/0.ts", "1.ts")
    assert count(f"{server.there}/clip.mov") == FRAMES
    assert count(f"{server.there}/list.m3u8") == FRAMES


@pytest.mark.parametrize("name", ["/list.m3u8", "/list?id=3"])
def test_playlists_are_read(server, name):
    server.httpd.files[name] = playlist("0.ts", "1.ts")
    server.httpd.files["/master.m3u8"] = master(f"{server.here}{name}")
    assert count(server.here + name) == FRAMES
    if name.endswith("m3u8"):
        assert count(f"{server.here}/master.m3u8") == FRAMES


def test_parts_of_a_file_in_a_playlist(server):
    whole = server.httpd.files["/0.ts"] + server.httpd.files["/1.ts"]
    first = len(server.httpd.files["/0.ts"])
    lines = ["#EXTM3U", "#EXT-X-VERSION:4", "#EXT-X-TARGETDURATION:1"]
    for begin, end in ((0, first), (first, len(whole))):
        lines += ["#EXTINF:0.7,", f"#EXT-X-BYTERANGE:{end - begin}@{begin}", "whole.ts"]
    server.httpd.files["/whole.ts"] = whole
    server.httpd.files["/list.m3u8"] = "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()
    assert count(f"{server.here}/list.m3u8") == FRAMES
    server.httpd.sends_parts = False
    assert count(f"{server.here}/list.m3u8") == FRAMES


@pytest.mark.parametrize("kind", ["entry", "variant", "redirect", "after"])
def test_playlists_into_private_networks_are_refused_before_anybody_is_asked(server, kind):
    files, strange = server.httpd.files, f"{server.there}/0.ts"
    if kind == "variant":
        files["/list.m3u8"] = master(f"{server.there}/other.m3u8")
        files["/other.m3u8"] = playlist("0.ts", "1.ts")
    elif kind == "redirect":
        files["/list.m3u8"] = playlist(f"/to/{strange}.ts", "1.ts")
    elif kind == "after":
        files["/list.m3u8"] = playlist("1.ts", strange)
    else:
        files["/list.m3u8"] = playlist(strange, "1.ts")
    with (
        pytest.raises(InputError, match="leads to a private address"),
        open_source(f"{server.here}/list.m3u8", reconnection=QUICK) as source,
    ):
        for item in source:
            if not isinstance(item, Frame):
                raise item.error
    assert server.hosts_asked() == {"127.0.0.1"}


def test_playlists_may_be_allowed(server):
    server.httpd.files["/list.m3u8"] = playlist(f"{server.there}/0.ts", "1.ts")
    url = f"{server.here}/list.m3u8"
    assert count(url, urls=UrlAccess(allow_private=True)) == FRAMES
    both = UrlAccess(("127.0.0.1", "localhost"), allow_private=True)
    assert count(url, urls=both) == FRAMES
    with pytest.raises(InputError, match="localhost, which is not among the hosts"):
        open_source(url, urls=UrlAccess(("127.0.0.1",), allow_private=True))


def test_playlists_do_not_lead_to_files_of_this_machine(server, tmp_path):
    (tmp_path / "own.ts").write_bytes(server.httpd.files["/0.ts"])
    for entry in (f"file://{tmp_path}/own.ts", f"{tmp_path.as_uri()}/own.ts"):
        server.httpd.files["/list.m3u8"] = playlist(entry)
        with pytest.raises(InputError):
            open_source(f"{server.here}/list.m3u8", reconnection=QUICK)


def test_encrypted_playlists_say_what_they_need(server):
    key = '#EXT-X-TARGETDURATION:1\n#EXT-X-KEY:METHOD=AES-128,URI="key.bin"'
    server.httpd.files["/list.m3u8"] = playlist("0.ts", header=key)
    server.httpd.files["/key.bin"] = bytes(16)
    with pytest.raises(InputError, match="encrypted"):
        open_source(f"{server.here}/list.m3u8", reconnection=QUICK)


def test_live_urls_are_of_the_hosts_that_are_allowed():
    for url in ("rtsp://camera.example/1", "tcp://camera.example:9000"):
        with pytest.raises(InputError, match=r"camera.example, which is not among the hosts"):
            open_source(url, urls=UrlAccess(("example.org",)))


def test_errors_say_what_the_server_said_and_no_password(server):
    url = server.here.replace("http://", "http://me:secret@")
    with pytest.raises(InputError, match="HTTP 404 Not Found") as caught:
        open_source(f"{url}/none.mp4")
    assert "secret" not in str(caught.value)


def test_passwords_by_digest(server):
    server.httpd.digest = True
    url = server.here.replace("http://", "http://me:secret@")
    assert count(f"{url}/clip.mov") == FRAMES
    with pytest.raises(InputError, match="HTTP 401"):
        open_source(f"{server.here}/clip.mov")


def test_without_pyav_redirects_are_followed_by_the_same_rule(server, monkeypatch):
    monkeypatch.setattr(opening_module, "find_av", lambda: None)
    assert count(f"{server.here}/to/{server.here}/first.mp4") == FRAMES
    with pytest.raises(InputError, match="leads to a private address"):
        open_source(f"{server.here}/to/{server.there}/clip.mov")
    server.httpd.files["/list.m3u8"] = playlist("0.ts")
    with pytest.raises(InputError, match="playlist, which is read with PyAV only"):
        open_source(f"{server.here}/list.m3u8")
