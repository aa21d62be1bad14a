"""How long it takes from nothing to the first result, in fresh processes."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import msgspec
from tqdm import tqdm

from ...errors import InferenceError, InvalidArgumentError
from .document import StartTimes

TIMEOUT_S = 600

_PROGRAM = Path(__file__).with_name("cold_start_process.py")


class _Stamps(msgspec.Struct, frozen=True):
    """What the process reports, in seconds since the epoch."""

    started_s: float
    imported_s: float
    loaded_s: float
    first_s: float
    second_s: float


def cold_starts(
    pose: str | Path, detector: str | Path, picture: Path, *, threads: int, runs: int
) -> list[StartTimes]:
    """Starts a fresh process again and again; the first start, which fills the caches, is lost.

    Args:
        pose: Pose model.
        detector: Detector.
        picture: Picture file.
        threads: Threads inside one operator of ONNX Runtime.
        runs: Starts that count.

    Raises:
        InvalidArgumentError: `runs` is below 1.
        InferenceError: A process failed.
    """
    if runs < 1:
        raise InvalidArgumentError(f"runs is {runs}, must be at least 1")
    task = json.dumps(
        {
            "pose": str(pose),
            "detector": str(detector),
            "picture": str(picture),
            "threads": threads,
        }
    )
    bar = tqdm(range(runs + 1), "starts", leave=False, disable=None)
    return [start_once(task) for _ in bar][1:]


def start_once(task: str) -> StartTimes:
    """Starts one process and returns what it took.

    Args:
        task: Models, picture and threads as JSON.

    Raises:
        InferenceError: The process failed, or said something else than times.
    """
    # As text, not as a module of this package: that would import the package before the clock.
    command = [sys.executable, "-c", _PROGRAM.read_text(encoding="utf-8"), task]
    called_s = time.time()
    try:
        done = subprocess.run(
            command, capture_output=True, check=True, timeout=TIMEOUT_S, text=True
        )
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip().splitlines()[-1:]
        raise InferenceError(f"the process started failed: {' '.join(last)}") from error
    except subprocess.TimeoutExpired as error:
        raise InferenceError(f"the process started took over {TIMEOUT_S} s") from error
    return parse_stamps(done.stdout, called_s=called_s)


def parse_stamps(report: str, *, called_s: float) -> StartTimes:
    """Returns the times between the points in time that a process reports.

    Args:
        report: Its standard output.
        called_s: When it was called, in seconds since the epoch.

    Raises:
        InferenceError: The report cannot be read, or the times in it do not follow one another.
    """
    try:
        stamps = msgspec.json.decode(report, type=_Stamps)
    except msgspec.DecodeError as error:
        raise InferenceError(f"the process started said {report[:200]!r}: {error}") from error
    order = [called_s, *msgspec.structs.astuple(stamps)]
    if sorted(order) != order:
        raise InferenceError("the clock of this machine was set back while measuring; try again")
    python_ms, import_ms, sessions_ms, first_ms, second_ms = (
        1e3 * (after - before) for before, after in itertools.pairwise(order)
    )
    return StartTimes(
        python_ms=python_ms,
        import_ms=import_ms,
        sessions_ms=sessions_ms,
        first_ms=first_ms,
        total_ms=1e3 * (stamps.first_s - called_s),
        second_ms=second_ms,
    )
