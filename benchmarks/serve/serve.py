"""A service under load: throughput and latency with one client and with many."""

from __future__ import annotations

import base64
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from socket import socket
from typing import IO, Any, Literal

import msgspec
import numpy as np
from tqdm import tqdm

from ...errors import InferenceError
from ...formats.codecs import FORMATS, encode
from ...predictor import Predictor
from ...wheels import installed
from ..benchmark import Work
from ..document import Document
from ..machine import capture_environment
from ..markdown import markdown_table
from ..network_options import at_least_one, model_name
from ..peers.constant_networks import (
    CROP_WH,
    DETECTOR_WH,
    detector_output,
    pose_outputs,
    save_constant_network,
)
from ..peers.montage import montage_jpeg
from .command import ServeSettings

MIN_GAIN = 1.5
"""Throughput of all clients at once should be so many times that of one."""

MAX_ADDED_MS = 3.0
"""HTTP, the queue and the answer should add less to a request of one client."""

READY_S = 120.0
STOP_S = 30.0
TIMEOUT_S = 60.0
REST_S = 0.2
"""Before a round nothing is done for so long: threads of the last one have stopped by then."""


class Load(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server with so many clients.

    Attributes:
        server: Its name, with its version where it is not this package.
        clients: Clients at once, each of which asks again as soon as it has its answer.
        pictures_per_s: Pictures a second, a round each.
        median_ms: Median over the requests of all rounds, from asking to the whole answer.
        p99_ms: 99th percentile of the same.
    """

    server: str
    clients: int
    pictures_per_s: tuple[float, ...]
    median_ms: float
    p99_ms: float


class ServeDocument(Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The service under load.

    Attributes:
        pose: Name of the pose network.
        detector: Name of the detector.
        threads: Threads inside one operator of ONNX Runtime.
        requests: Requests of a round.
        added_ms: Of networks that answer at once, median of a request of one client, a picture's
            bytes, less that of the same work without HTTP, a round each.
        loads: Those of dwpose-serve, one client and many, then those of LitServe if it was there.
    """

    schema_version: Literal[1] = 1
    benchmark: Literal["serve"] = "serve"
    pose: str
    detector: str
    threads: int
    requests: int
    added_ms: tuple[float, ...]
    loads: tuple[Load, ...]

    def __post_init__(self) -> None:
        """Checks what the types do not say."""
        if len(self.loads) not in (2, 4) or not self.added_ms:
            raise ValueError("loads has not two or four entries, or added_ms none")

    @property
    def gain(self) -> float:
        """Throughput of dwpose-serve with all clients as a multiple of that with one."""
        one, many = self.loads[:2]
        return statistics.median(many.pictures_per_s) / statistics.median(one.pictures_per_s)

    @property
    def p99_bound_ms(self) -> float:
        """What the last of all clients would wait in a fair queue without batches."""
        one, many = self.loads[:2]
        return many.clients * one.median_ms


def measure(settings: ServeSettings) -> ServeDocument:
    """Returns all that is measured, as the settings say.

    Raises:
        InvalidArgumentError: A number is below 1.
        InferenceError: A server does not start, or answers with an error.
    """
    at_least_one(clients=settings.clients, requests=settings.requests, rounds=settings.rounds)
    threads = settings.thread_count()
    environment = capture_environment(threads={"onnxruntime_intra_op": threads})
    picture = montage_jpeg(1)
    with tempfile.TemporaryDirectory(prefix="dwpose-bench-") as temporary, ExitStack() as servers:
        folder = Path(temporary)
        pose, detector = settings.models(folder)
        added_ms = _added_ms(folder, picture, settings)
        models = (str(pose), str(detector), threads)
        addresses = {"dwpose-serve": servers.enter_context(_dwpose_serve(*models))}
        for version in installed(("litserve",)).values():
            addresses[f"LitServe {version}"] = servers.enter_context(_litserve(*models))
        loads = _loads(addresses, picture, settings)
    return ServeDocument(
        environment=environment,
        pose=settings.pose_label(pose),
        detector=model_name(detector),
        threads=threads,
        requests=settings.requests,
        added_ms=tuple(added_ms),
        loads=tuple(loads),
    )


def _added_ms(folder: Path, picture: bytes, settings: ServeSettings) -> list[float]:
    """With networks of constant outputs, which take next to no time."""
    pose = save_constant_network(folder / "pose.onnx", CROP_WH, pose_outputs())
    boxes = {"output": detector_output(persons=1)}
    detector = save_constant_network(folder / "detector.onnx", DETECTOR_WH, boxes)
    with (
        _dwpose_serve(str(pose), str(detector), 1) as address,
        Predictor(pose, detector, threads=1) as predictor,
    ):

        def direct() -> None:
            encode([predictor(picture)], FORMATS["json"])

        added = []
        for _ in tqdm(range(settings.rounds), "added", unit="round", leave=False, disable=None):
            served, _ = ask(address, picture, clients=1, requests=settings.requests)
            alone = [_timed(direct) for _ in range(settings.requests)]
            added.append(statistics.median(served) - statistics.median(alone))
    return added


def _timed(work: Callable[[], None]) -> float:
    begun_s = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - begun_s)


def _loads(
    addresses: dict[str, tuple[int, str]], picture: bytes, settings: ServeSettings
) -> list[Load]:
    cases = [(name, clients) for name in addresses for clients in (1, settings.clients)]
    times_ms: dict[Any, list[float]] = {case: [] for case in cases}
    rates: dict[Any, list[float]] = {case: [] for case in cases}
    images = [{"name": "picture", "data": base64.b64encode(picture).decode("ascii")}]
    body = json.dumps({"images": images}).encode("ascii")
    turns = [case for _ in range(settings.rounds) for case in cases]
    for name, clients in tqdm(turns, "serve", unit="round", leave=False, disable=None):
        time.sleep(REST_S)
        taken_ms, seconds = ask(addresses[name], body, clients=clients, requests=settings.requests)
        times_ms[name, clients] += taken_ms
        rates[name, clients].append(len(taken_ms) / seconds)
    return [
        Load(
            server=name,
            clients=clients,
            pictures_per_s=tuple(rates[name, clients]),
            median_ms=statistics.median(times_ms[name, clients]),
            p99_ms=float(np.percentile(times_ms[name, clients], 99)),
        )
        for name, clients in cases
    ]


def ask(
    address: tuple[int, str], body: bytes, *, clients: int, requests: int
) -> tuple[list[float], float]:
    """Sends a request again and again.

    Args:
        address: Port and path of the server.
        body: JSON, or the bytes of a picture file.
        clients: How many ask at once.
        requests: Requests of all together.

    Returns:
        Milliseconds of each request, and seconds of all.

    Raises:
        InferenceError: An answer is an error, or there is none.
    """
    port, path = address
    kind = "application/json" if body.startswith(b"{") else "image/jpeg"
    left = iter(range(requests))

    def client(_: int) -> list[float]:
        times_ms = []
        with closing(HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)) as connection:
            for _ in left:  # a step of an iterator over a range is atomic
                begun_s = time.perf_counter()
                connection.request("POST", path, body, {"Content-Type": kind})
                answer = connection.getresponse()
                said = answer.read()
                times_ms.append(1e3 * (time.perf_counter() - begun_s))
                if answer.status != 200:
                    raise InferenceError(f"{path} answered {answer.status}: {said[:200]!r}")
        return times_ms

    try:
        with ThreadPoolExecutor(clients) as pool:
            begun_s = time.perf_counter()
            times_ms = [each for found in pool.map(client, range(clients)) for each in found]
            return times_ms, time.perf_counter() - begun_s
    except (OSError, HTTPException) as error:
        raise InferenceError(f"{path} did not answer: {error!r}") from error


@contextmanager
def _dwpose_serve(pose: str, detector: str, threads: int) -> Iterator[tuple[int, str]]:
    port = str(_free_port())
    options = ("--port", port, "--pose", pose, "--det", detector, "--threads", str(threads))
    command = ("-m", "dwpose_infer.serving.cli", "--quiet", *options)
    with _server(command, int(port), "/readyz"):
        yield int(port), "/v1/predict"


@contextmanager
def _litserve(pose: str, detector: str, threads: int) -> Iterator[tuple[int, str]]:
    port = str(_free_port())
    command = ("-m", f"{__package__}.litserve_peer", port, pose, detector, str(threads))
    with _server(command, int(port), "/health"):
        yield int(port), "/predict"


@contextmanager
def _server(command: Sequence[str], port: int, health: str) -> Iterator[None]:
    """A process that serves; it is told to stop at the end."""
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [sys.executable, *command], stdout=errors, stderr=errors, start_new_session=True
        ) as process,
    ):
        try:
            _await(process, errors, port, health)
            yield
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
            with suppress(ProcessLookupError):  # processes of its own that outlive it
                os.killpg(process.pid, signal.SIGKILL)


def _await(process: subprocess.Popen[bytes], errors: IO[bytes], port: int, health: str) -> None:
    until_s = time.monotonic() + READY_S
    while time.monotonic() < until_s and process.poll() is None:
        with (
            suppress(OSError, HTTPException),
            closing(HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)) as connection,
        ):
            connection.request("GET", health)
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    errors.seek(0)
    last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
    raise InferenceError(f"the server did not start: {' '.join(last)}")


def _free_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def report(document: ServeDocument) -> str:
    """Returns all that is said of the service under load."""
    table = markdown_table(
        ["server", "clients", "pictures/s", "lowest and highest round", "median ms", "p99 ms"],
        [
            [
                each.server,
                str(each.clients),
                f"{statistics.median(each.pictures_per_s):.1f}",
                f"{min(each.pictures_per_s):.1f}, {max(each.pictures_per_s):.1f}",
                f"{each.median_ms:.1f}",
                f"{each.p99_ms:.1f}",
            ]
            for each in document.loads
        ],
    )
    return f"{table}\n\n{verdict(document)}\n\n" + (
        f"Measured on: {document.environment.label}, load before "
        f"{document.environment.load_average_1min}; {document.pose} and {document.detector}, "
        f"{document.threads} thread{'s'[document.threads == 1 :]}, {len(document.added_ms)} rounds "
        f"of {document.requests} requests."
    )


def verdict(document: ServeDocument) -> str:
    """Returns the sentences that hold the service against its targets."""
    many = document.loads[1]
    added_ms = statistics.median(document.added_ms)
    met = {True: "met", False: "MISSED"}
    return (
        f"{many.clients} clients have {document.gain:.2f} times the throughput of one, target "
        f"{MIN_GAIN:g}, {met[document.gain >= MIN_GAIN]}; their p99 is {many.p99_ms:.0f} ms, bound "
        f"{document.p99_bound_ms:.0f} ms ({many.clients} times the median of one client), "
        f"{met[many.p99_ms <= document.p99_bound_ms]}; HTTP, queue and answer add {added_ms:.2f} "
        f"ms, target below {MAX_ADDED_MS:g}, {met[added_ms < MAX_ADDED_MS]}."
    )


WORK = Work(document=ServeDocument, measure=measure, report=report, table="serve")
