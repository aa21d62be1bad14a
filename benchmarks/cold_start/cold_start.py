"""How long it takes from nothing to the first result, in fresh processes."""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

import msgspec
from tqdm import tqdm

from ...errors import InferenceError, InvalidArgumentError
from ..benchmark import Work
from ..document import Document
from ..machine import capture_environment
from ..markdown import markdown_table
from ..network_options import model_name, on_device
from ..peers.montage import write_montages
from .command import ColdStartSettings

TIMEOUT_S = 600

_PROGRAM = Path(__file__).with_name("process.py")


_START_WORDS = {
    "python_ms": "start of Python",
    "import_ms": "import",
    "sessions_ms": "both networks loaded",
    "first_ms": "first result",
    "total_ms": "**from the call to the first result**",
    "second_ms": "second result, for comparison",
}


class _Stamps(msgspec.Struct, frozen=True):
    """What the process reports, in seconds since the epoch."""

    started_s: float
    imported_s: float
    loaded_s: float
    first_s: float
    second_s: float


class StartTimes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one start of a fresh process took, in milliseconds.

    Attributes:
        python_ms: From the call of the operating system to the first line of the program.
        import_ms: `from dwpose_infer import Predictor`.
        sessions_ms: `Predictor(...)`: both networks loaded.
        first_ms: The first result, from the bytes of a picture file.
        total_ms: From the call of the operating system to the first result.
        second_ms: A second result, for comparison; not part of the total.
    """

    python_ms: float
    import_ms: float
    sessions_ms: float
    first_ms: float
    total_ms: float
    second_ms: float


class ColdStartDocument(Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Cold starts in fresh processes.

    Attributes:
        pose: Name of the pose network.
        detector: Name of the detector.
        threads: Threads inside one operator of ONNX Runtime.
        device: Where it ran.
        runs: Every start that counts, in order.
    """

    schema_version: Literal[1] = 1
    benchmark: Literal["cold_start"] = "cold_start"
    pose: str
    detector: str
    threads: int
    device: str = "cpu"
    runs: tuple[StartTimes, ...]

    def __post_init__(self) -> None:
        """Checks what the types do not say."""
        if not self.runs:
            raise ValueError("runs is empty")


def measure(settings: ColdStartSettings) -> ColdStartDocument:
    """Returns all that is measured, as the settings say; raises as `cold_starts` does."""
    threads, device = settings.thread_count(), settings.place()
    environment = capture_environment(threads={"onnxruntime_intra_op": threads})
    with tempfile.TemporaryDirectory(prefix="dwpose-bench-") as temporary:
        folder = Path(temporary)
        (picture,) = write_montages(folder, [1])
        pose, detector = settings.models(folder)
        runs = cold_starts(
            pose, detector, picture, threads=threads, device=device, runs=settings.runs
        )
    return ColdStartDocument(
        environment=environment,
        pose=settings.pose_label(pose),
        detector=model_name(detector),
        threads=threads,
        device=device,
        runs=tuple(runs),
    )


def cold_starts(
    pose: str | Path,
    detector: str | Path,
    picture: Path,
    *,
    threads: int,
    device: str = "cpu",
    runs: int,
) -> list[StartTimes]:
    """Starts a fresh process again and again; the first start, which fills the caches, is lost.

    Args:
        pose: Pose model.
        detector: Detector.
        picture: Picture file.
        threads: Threads inside one operator of ONNX Runtime.
        device: Where it runs.
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
            "device": device,
        }
    )
    bar = tqdm(range(runs + 1), "starts", leave=False, disable=None)
    return [start_once(task) for _ in bar][1:]


def start_once(task: str) -> StartTimes:
    """Starts one process and returns what it took.

    Args:
        task: Models, picture, threads and device as JSON.

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


def report(document: ColdStartDocument) -> str:
    """Returns all that is said of cold starts."""
    lines = []
    for field in msgspec.structs.fields(StartTimes):
        times = [getattr(run, field.name) for run in document.runs]
        figures = (statistics.median(times), min(times), max(times))
        lines.append([_START_WORDS[field.name], *(f"{figure:.0f}" for figure in figures)])
    table = markdown_table(["milliseconds", "median", "least", "most"], lines)
    return (
        f"{table}\n\nMeasured on: {document.environment.label}; {document.pose} and "
        f"{document.detector}, {document.threads} thread{'s'[document.threads == 1 :]}"
        f"{on_device(document.device)}, {len(document.runs)} fresh processes, files in the "
        "system's cache."
    )


WORK = Work(document=ColdStartDocument, measure=measure, report=report, table="cold-start")
