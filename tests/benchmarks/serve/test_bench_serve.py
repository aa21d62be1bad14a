from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dwpose_infer.benchmarks import cli
from dwpose_infer.benchmarks.machine import capture_environment
from dwpose_infer.benchmarks.serve import serve
from dwpose_infer.benchmarks.serve.serve import Load, ServeDocument, ask, report, verdict
from dwpose_infer.errors import InferenceError
from dwpose_infer.files.document import read_document


def load(server, clients, rates, median_ms, p99_ms):
    return Load(
        server=server,
        clients=clients,
        pictures_per_s=rates,
        median_ms=median_ms,
        p99_ms=p99_ms,
    )


def document_of(many_rate, p99_ms, added_ms):
    return ServeDocument(
        environment=capture_environment(),
        pose="pose",
        detector="detector",
        threads=2,
        requests=160,
        added_ms=(0.1, added_ms, 9.0),
        loads=(
            load("dwpose-serve", 1, (9.0, 10.0, 99.0), 100.0, 120.0),
            load("dwpose-serve", 16, (many_rate,) * 3, 900.0, p99_ms),
        ),
    )


def test_the_verdict_is_that_of_medians():
    said = verdict(document_of(15.0, 1600.0, 2.99))
    assert "1.50 times the throughput of one, target 1.5, met" in said
    assert "p99 is 1600 ms, bound 1600 ms (16 times the median of one client), met" in said
    assert "add 2.99 ms, target below 3, met" in said


def test_what_is_missed_is_said():
    said = verdict(document_of(14.9, 1601.0, 3.0))
    assert said.count("MISSED") == 3


def test_the_table_has_all_rounds():
    assert "| dwpose-serve | 1 | 10.0 | 9.0, 99.0 | 100.0 | 120.0 |" in report(
        document_of(15.0, 1600.0, 1.0)
    )


@pytest.fixture
def server():
    """Answers 200 to JSON and 422 to everything else, and keeps what it was sent."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200 if "json" in self.headers["Content-Type"] else 422)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield httpd.server_address[1], bodies
        httpd.shutdown()
        thread.join()


@pytest.mark.parametrize("clients", [1, 4])
def test_every_request_is_sent_once(server, clients):
    port, bodies = server
    times_ms, seconds = ask((port, "/"), b'{"images": []}', clients=clients, requests=30)
    assert len(times_ms) == len(bodies) == 30
    assert set(bodies) == {b'{"images": []}'}
    assert 0 < max(times_ms) <= 1e3 * seconds


def test_errors_end_the_measurement(server):
    port, _ = server
    with pytest.raises(InferenceError, match="/ answered 422"):
        ask((port, "/"), b"\xff\xd8", clients=2, requests=8)
    with pytest.raises(InferenceError, match="did not answer"):
        ask((1, "/"), b"{}", clients=1, requests=1)


def test_a_server_that_does_not_start_is_an_error():
    command = ("-c", "raise SystemExit('no such model')")
    with (
        pytest.raises(InferenceError, match="did not start: no such model"),
        serve._server(command, 1, "/readyz"),
    ):
        pass


@pytest.mark.slow
def test_a_short_run(tmp_path, monkeypatch, capsys):
    pytest.importorskip("fastapi")
    monkeypatch.setattr(serve, "installed", lambda names: {})
    path = tmp_path / "serve.json"
    command = ["serve", "--requests", "6", "--clients", "3", "--rounds", "1", "--threads", "1"]
    assert cli.main([*command, "--json", str(path)]) == 0
    document = read_document(path, ServeDocument)
    assert [each.clients for each in document.loads] == [1, 3]
    assert all(0 < each.median_ms <= each.p99_ms for each in document.loads)
    assert "3 clients have" in capsys.readouterr().out
    assert cli.main(["serve", "--from", str(path)]) == 0
    assert cli.main(["serve", "--clients", "0"]) == 2
