from __future__ import annotations

import socket
import threading
import time

import pytest

pytest.importorskip("av")
from video_samples import even_pts, make_clip

from dwpose_infer.errors import InputError, InvalidArgumentError
from dwpose_infer.media import Frame, Reconnection, open_source
from dwpose_infer.media.opening import without_password

QUICK = Reconnection(timeout_s=1.0, attempts=2, first_delay_s=0.01, longest_delay_s=0.02)


class StreamServer:
    """Sends the same bytes to whoever connects, piece by piece, and then hangs up."""

    def __init__(self, data, *, connections, pause_s=0.0, hold_open=False):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._data, self._pause_s, self._hold_open = data, pause_s, hold_open
        self._stop = threading.Event()
        self.served = 0
        self._thread = threading.Thread(target=self._serve, args=(connections,), daemon=True)
        self._thread.start()
        self.url = f"tcp://127.0.0.1:{self._socket.getsockname()[1]}"

    def _serve(self, connections):
        for _ in range(connections):
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client:
                self.served += 1
                try:
                    for start in range(0, len(self._data), 188 * 4):
                        client.sendall(self._data[start : start + 188 * 4])
                        time.sleep(self._pause_s)
                except OSError:
                    continue
                if self._hold_open:
                    self._stop.wait(20)
        self._socket.close()

    def close(self):
        self._stop.set()
        self._socket.close()
        self._thread.join(5)


@pytest.fixture
def serve():
    servers = []

    def start(data, **options):
        servers.append(StreamServer(data, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def transport_stream(tmp_path_factory):
    clip = make_clip(
        tmp_path_factory.mktemp("ts") / "clip.ts", pts=even_pts(60), options={"bf": "0"}
    )
    return clip.read_bytes()


def test_a_stream_that_breaks_off_is_connected_again_and_then_given_up(serve, transport_stream):
    server = serve(transport_stream, connections=2)
    with open_source(server.url, reconnection=QUICK) as source:
        assert source.is_live
        assert source.size_wh == (160, 120)
        assert source.frame_count is None and source.path is None
        frames = []
        with pytest.raises(InputError, match="broke off and did not come back in 2 attempts"):
            for item in source:
                frames.append(item)
        assert source.reconnected == 1
    assert server.served == 2
    whole = [item for item in frames if isinstance(item, Frame)]
    assert whole
    indices = [item.index for item in frames]
    assert indices == sorted(set(indices))
    times = [item.time_s for item in frames]
    assert times == sorted(times) and times[0] >= 0
    assert frames[-1].index + 1 == len(frames) + source.dropped_frames


def test_a_slow_reader_gets_the_latest_frame(serve, transport_stream):
    server = serve(transport_stream, connections=1, hold_open=True)
    with open_source(server.url, reconnection=QUICK) as source:
        items = iter(source)
        first = next(items)
        time.sleep(0.5)
        later = next(items)
        assert first.index < 5
        assert later.index > 30
        assert source.dropped_frames >= later.index - first.index - 2
        assert source._channel.peak == 1


def test_a_server_that_says_nothing_runs_into_the_time_limit(serve):
    server = serve(b"", connections=1, hold_open=True)
    began = time.monotonic()
    with pytest.raises(InputError, match="nothing came within 1 s"):
        open_source(server.url, reconnection=QUICK)
    assert time.monotonic() - began < 5


def test_a_stream_that_falls_silent_runs_into_the_time_limit(serve, transport_stream):
    server = serve(transport_stream, connections=1, hold_open=True)
    never = Reconnection(timeout_s=0.7, attempts=0)
    with (
        open_source(server.url, reconnection=never) as source,
        pytest.raises(InputError, match=r"the stream broke off: nothing came within 0\.7 s"),
    ):
        for _ in source:
            pass


def test_closing_does_not_wait_for_the_server(serve, transport_stream):
    server = serve(transport_stream, connections=1, hold_open=True)
    before = threading.active_count()
    source = open_source(server.url, reconnection=Reconnection(timeout_s=1.0, attempts=5))
    next(iter(source))
    began = time.monotonic()
    source.close()
    assert time.monotonic() - began < 3
    assert threading.active_count() <= before


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for scheme in ("rtsp", "http", "tcp"):
        with pytest.raises(InputError, match=rf"{scheme}://.*: it cannot be read: .*refused"):
            open_source(f"{scheme}://127.0.0.1:{port}/x", reconnection=QUICK)


def test_live_streams_have_no_parts(serve, transport_stream):
    for options in ({"start": 1}, {"end": 1}, {"stride": 2}):
        with pytest.raises(InvalidArgumentError, match="is live"):
            open_source("rtsp://127.0.0.1:9/x", **options)
    with pytest.raises(InvalidArgumentError, match="frame_rate is for pictures"):
        open_source("rtsp://127.0.0.1:9/x", frame_rate=25)


def test_passwords_are_not_shown():
    assert without_password("rtsp://me:se%40cret@host:554/a?b") == "rtsp://me:***@host:554/a?b"
    assert without_password("rtsp://host/a") == "rtsp://host/a"
    with pytest.raises(InputError) as caught:
        open_source("rtsp://me:secret@127.0.0.1:9/x", reconnection=QUICK)
    assert "secret" not in str(caught.value) and "me:***@127.0.0.1" in str(caught.value)


def test_pauses_double_up_to_a_limit():
    policy = Reconnection(first_delay_s=0.5, longest_delay_s=3.0)
    assert [policy.delay_s(attempt) for attempt in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_recorded_video_behind_a_url(tmp_path):
    import functools
    import http.server

    clip = make_clip(tmp_path / "clip.mp4")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))

    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, request, client_address):
            """A reader that hangs up early is no error."""

    handler.func.log_message = lambda *args: None
    with Quiet(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{clip.name}"
        with open_source(url) as source:
            assert not source.is_live
            assert source.path is None
            assert [frame.index for frame in source] == list(range(60))
        with pytest.raises(InputError, match=r"404|Not Found"):
            open_source(f"{url}x")
        server.shutdown()
