from __future__ import annotations

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dwpose_infer import picture_url
from dwpose_infer.errors import InputError, InvalidArgumentError
from dwpose_infer.picture_url import UrlAccess, fetch_picture, is_url, without_password

BODY = bytes(range(256)) * 40


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/picture.png":
            self._answer(200, BODY, length=len(BODY))
        elif self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/picture.png")
            self.end_headers()
        elif self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path[len("/to/") :])
            self.end_headers()
        elif self.path == "/round":
            self.send_response(302)
            self.send_header("Location", "/round")
            self.end_headers()
        elif self.path == "/short":
            self._answer(200, BODY[:100], length=len(BODY))
        elif self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            for byte in BODY:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(0.05)
        else:
            self._answer(404, b"", length=0)

    def _answer(self, status, body, *, length):
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


@pytest.mark.parametrize("path", ["/picture.png", "/moved"])
def test_a_picture(server, path):
    assert fetch_picture(server + path) == BODY


def test_what_does_not_work_says_why_and_hides_passwords(server):
    secret = server.replace("http://", "http://me:secret@")
    for path, complaint in [
        ("/other.png", "HTTP 404"),
        ("/short", "broke off|IncompleteRead"),
        ("/round", "more than 10 redirects"),
    ]:
        with pytest.raises(InputError, match=complaint) as caught:
            fetch_picture(secret + path)
        assert "secret" not in str(caught.value)
        assert "me:***@127.0.0.1" in str(caught.value)
    with pytest.raises(InputError, match="cannot be read: Failed to establish a new connection"):
        fetch_picture("http://127.0.0.1:1/picture.png")
    with pytest.raises(InputError, match="no URL"):
        fetch_picture("http://[bad/x.jpg")


def test_too_much(server):
    with pytest.raises(InputError, match="larger than 0 MiB"):
        fetch_picture(f"{server}/picture.png", max_bytes=0)


def test_a_server_that_drips_is_given_up(server):
    started_s = time.monotonic()
    with pytest.raises(InputError, match="too slowly"):
        fetch_picture(f"{server}/slow", deadline_s=0.3)
    assert time.monotonic() - started_s < 10


@pytest.fixture
def addresses(monkeypatch):
    """A name service of our own, so that no test asks a real one."""
    known = {"public.example": "93.184.216.34", "lan.example": "192.168.1.5"}
    real = socket.getaddrinfo

    def look_up(host, *args, **kwargs):
        return real(known.get(host, host), *args, **kwargs)

    monkeypatch.setattr(picture_url.socket, "getaddrinfo", look_up)


@pytest.mark.parametrize(
    ("origin", "target", "complaint"),
    [
        ("http://public.example/a", "http://127.0.0.1/b", "loopback"),
        ("http://public.example/a", "http://[::1]/b", "loopback"),
        ("http://public.example/a", "http://169.254.1.1/b", "link-local"),
        ("http://public.example/a", "http://lan.example/b", "private"),
        ("http://lan.example/a", "http://127.0.0.1/b", "loopback"),
        ("https://public.example/a", "http://public.example/b", "https to http"),
        ("http://public.example/a", "ftp://public.example/b", "not to http"),
    ],
)
def test_redirects_that_are_not_followed(addresses, origin, target, complaint):
    with pytest.raises(InputError, match=complaint):
        UrlAccess().check_step(origin, target, "it")


@pytest.mark.parametrize(
    ("origin", "target"),
    [
        ("http://public.example/a", "https://public.example/b"),
        ("http://lan.example/a", "http://192.168.1.7/b"),
        ("http://127.0.0.1:8000/a", "http://localhost:8000/b"),
    ],
)
def test_redirects_that_are_followed(addresses, origin, target):
    UrlAccess().check_step(origin, target, "it")


def test_redirects_to_private_addresses_may_be_allowed(server, monkeypatch):
    monkeypatch.setattr(picture_url, "_kinds", lambda host: {host})
    port = server.rpartition(":")[2]
    url = f"{server}/to/http://localhost:{port}/picture.png"
    with pytest.raises(InputError, match="leads to a localhost address"):
        fetch_picture(url)
    assert fetch_picture(url, urls=UrlAccess(allow_private=True)) == BODY


def test_hosts_may_be_limited_in_urls_and_redirects(server):
    port = server.rpartition(":")[2]
    url = f"{server}/to/http://localhost:{port}/picture.png"
    both = UrlAccess.of(["127.0.0.1", "LOCALHOST"], allow_private=False)
    assert fetch_picture(url, urls=both) == BODY
    one = UrlAccess.of(["127.0.0.1"], allow_private=True)
    assert fetch_picture(f"{server}/moved", urls=one) == BODY
    with pytest.raises(InputError, match="leads to localhost, which is not among the hosts"):
        fetch_picture(url, urls=one)
    with pytest.raises(InputError, match=r"leads to 127.0.0.1, which is not among .*: example.org"):
        fetch_picture(url, urls=UrlAccess(("example.org",)))


def test_a_dot_before_a_host_is_for_all_below_it():
    urls = UrlAccess.of([".example.org", "[::1]"], allow_private=False)
    for allowed in ("http://a.example.org/x", "https://A.B.Example.org", "http://[::1]:80/x"):
        urls.check_host(allowed, "it")
    for refused in ("http://example.org/", "http://anexample.org/", "http://example.org.evil.net/"):
        with pytest.raises(InputError, match="not among the hosts"):
            urls.check_host(refused, "it")


@pytest.mark.parametrize(
    "host", ["http://example.org", "example.org/a", "", "*.example.org", "a b"]
)
def test_what_is_no_host(host):
    with pytest.raises(InvalidArgumentError, match="no name of a host"):
        UrlAccess.of([host], allow_private=False)


def test_a_text_is_no_list_of_hosts():
    with pytest.raises(InvalidArgumentError, match="is a list of names"):
        UrlAccess.of("example.org", allow_private=False)


def test_names():
    assert is_url("HTTPS://host/x.jpg")
    assert not is_url("ftp://host/x.jpg")
    assert without_password("http://host/a?b=c") == "http://host/a?b=c"
    assert without_password("http://me:secret@host:8/a") == "http://me:***@host:8/a"


def test_the_help_of_the_command_states_the_limits(capsys):
    from dwpose_infer.cli.infer import main
    from dwpose_infer.picture_url import DEADLINE_S, MAX_URL_BYTES

    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert f"may take {DEADLINE_S:.0f} s and {MAX_URL_BYTES >> 20} MiB" in said
