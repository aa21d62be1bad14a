"""The command as a process of its own: signals, broken clients, a port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("fastapi_offline")
pytest.importorskip("uvicorn")

from dwpose_infer.serving import cli
from dwpose_infer.serving.cli import main

pytestmark = pytest.mark.slow
READY_S = 60.0

REQUESTS = int(os.environ.get("DWPOSE_TEST_REQUESTS", "300"))
"""Hundreds of them; docs/serving.md has the figures of 10,000."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(url, data=None):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    port = free_port()
    command = [sys.executable, "-m", "dwpose_infer.serving.cli", "--port", str(port), "--quiet"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{port}"
    until_s = time.monotonic() + READY_S
    while time.monotonic() < until_s:
        try:
            if ask(f"{url}/readyz")[0] == 200:
                break
        except urllib.error.URLError:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.2)
    with process:  # waits for it, and closes its pipe
        yield process, url, port
        process.kill()


def test_sigterm_finishes_what_was_accepted(service, astronaut):
    process, url, _ = service
    answers = []
    photo = astronaut.read_bytes()
    threads = [
        threading.Thread(target=lambda: answers.append(ask(f"{url}/v1/predict", photo)[0]))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join(60)
    assert answers == [200] * 6
    assert process.wait(60) == 0
    assert "Traceback" not in process.stderr.read()


def test_broken_clients_cost_nobody_else_anything(service, astronaut):
    process, url, port = service
    head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    half_a_form = head.replace(
        b"\r\n\r\n", b"\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    for data in (b"", b"GARBAGE\r\n\r\n", head + b"half", half_a_form + b"--x\r\n"):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(data)
    assert ask(f"{url}/v1/predict", astronaut.read_bytes())[0] == 200
    assert ask(f"{url}/v1/predict", b"no picture")[0] == 422
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert "Traceback" not in process.stderr.read()


def test_many_requests_lose_nothing_and_memory_stays_flat(service, astronaut, record_property):
    """Of 8 clients, 1 % bad and 1 % given up: every other has its own answer."""
    psutil = pytest.importorskip("psutil")
    process, url, port = service
    photo = astronaut.read_bytes()
    head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(photo)

    def send(number):
        if number % 100 == 50:  # the whole request, and nobody there for the answer
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(head + photo)
            return None
        return ask(f"{url}/v1/predict", b"bad" if number % 100 == 7 else photo)[0]

    def memory_mib():
        return psutil.Process(process.pid).memory_info().rss / 2**20

    with ThreadPoolExecutor(8) as pool:
        # Until batches of every size were met, the allocators grow.
        assert set(pool.map(send, [0] * 200)) == {200}
        before_mib = memory_mib()
        answers = list(pool.map(send, range(REQUESTS)))
    record_property("before_mib", before_mib)
    record_property("after_mib", memory_mib())
    hundredth = REQUESTS // 100
    expected = [REQUESTS - 2 * hundredth, hundredth, hundredth]
    assert [answers.count(each) for each in (200, 422, None)] == expected
    assert memory_mib() - before_mib < 64
    assert b"dwpose_waiting_pictures 0.0" in ask(f"{url}/metrics")[1]


@pytest.mark.parametrize(
    ("option", "complaint"),
    [("--port=70000", "no port"), ("--timeout=nan", "not a number")],
)
def test_bad_options(option, complaint, capsys):
    with pytest.raises(SystemExit) as ended:
        main([option])
    assert ended.value.code == 2 and complaint in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--timeout=0", "--delay-ms=-1", "--prefer=largest"])
def test_options_that_mean_nothing(option, capsys):
    assert main([option]) == 2
    assert capsys.readouterr().err.startswith("dwpose-serve: ")


def test_a_port_that_is_taken(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port), "--quiet"]) == 2
    said = capsys.readouterr().err
    assert f"cannot listen on 127.0.0.1, port {port}: Address already in use" in said
    assert "--port" in said


def test_answers_do_not_wait_for_the_client_to_acknowledge_the_last_one():
    with (
        cli._listen("127.0.0.1", 0) as place,
        socket.create_connection(place.getsockname()),
        place.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_page_that_is_not_there(tmp_path, capsys):
    assert main(["--web", str(tmp_path)]) == 2
    assert "no index.html" in capsys.readouterr().err


def test_an_open_address_without_a_token_is_said(monkeypatch, capsys):
    import uvicorn

    class Idle:
        def __init__(self, config):
            pass

        def run(self, sockets):
            pass

    # A real Config sets up logging, which closes the handlers of the test runner itself.
    monkeypatch.setattr(uvicorn, "Config", lambda app, **options: None)
    monkeypatch.setattr(uvicorn, "Server", Idle)
    monkeypatch.setattr(cli, "_open_networks", lambda arguments: (None, None))
    monkeypatch.delenv("DWPOSE_SERVE_TOKEN", raising=False)
    assert main(["--host", "0.0.0.0", "--port", str(free_port())]) == 0
    assert "open to others, and no token is set" in capsys.readouterr().err
    monkeypatch.setenv("DWPOSE_SERVE_TOKEN", "secret")
    assert main(["--host", "0.0.0.0", "--port", str(free_port())]) == 0
    assert capsys.readouterr().err == ""


def test_the_page_of_docs_in_a_browser(service, astronaut):
    """It sends a photo, shows the drawing, and asks no other host for anything."""
    web = Path(__file__).resolve().parents[2] / "web"
    if not (web / "node_modules/playwright-core").is_dir() or shutil.which("node") is None:
        pytest.skip("the page's packages are not installed: make web")
    if not (os.environ.get("CHROMIUM") or shutil.which("chromium")):
        pytest.skip("no Chromium is installed (apt-get install chromium)")
    _, url, _ = service
    environment = os.environ | {"PAGE": f"{url}/docs", "PHOTO": str(astronaut)}
    command = ["node", "tests/serve_docs.js"]
    done = subprocess.run(
        command, cwd=web, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
