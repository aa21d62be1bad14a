"""The largest memory of every method, each in a fresh process that does nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from ...errors import InferenceError
from ..peers.baselines import (
    OURS,
    RTMLIB,
    Method,
    MethodName,
    NetworkFiles,
    OfficialRecipe,
    Picture,
    Rtmlib,
    open_sessions,
)

CALLS = 3
"""Times that the pictures are worked on; the arena of ONNX Runtime has its size after one."""

TIMEOUT_S = 600


class MemoryTask(msgspec.Struct, frozen=True, kw_only=True):
    """What a fresh process is to do.

    Attributes:
        method: Who works.
        files: The networks.
        pictures: Picture files.
        threads: Threads inside one operator of ONNX Runtime.
        score_threshold: Persons must score above this.
    """

    method: MethodName
    files: NetworkFiles
    pictures: tuple[Path, ...]
    threads: int
    score_threshold: float


class MemoryUsed(msgspec.Struct, frozen=True, kw_only=True):
    """What a fresh process reports.

    Attributes:
        persons: Persons found on all pictures together.
        peak_mb: Largest resident set size in 1e6 bytes.
    """

    persons: int
    peak_mb: float


def peaks_mb(
    methods: Iterable[MethodName],
    files: NetworkFiles,
    pictures: Sequence[Path],
    *,
    threads: int,
    score_threshold: float,
) -> dict[MethodName, float]:
    """Returns the largest memory of each method, from the start of Python to its third result.

    Raises:
        InferenceError: A process failed.
    """
    return {
        method: in_fresh_process(
            MemoryTask(
                method=method,
                files=files,
                pictures=tuple(pictures),
                threads=threads,
                score_threshold=score_threshold,
            )
        ).peak_mb
        for method in methods
    }


def in_fresh_process(task: MemoryTask) -> MemoryUsed:
    """Does a task in a new process.

    Raises:
        InferenceError: The process failed.
    """
    command = [sys.executable, "-m", "dwpose_infer.benchmarks.pipeline.memory_process"]
    try:
        done = subprocess.run(
            command,
            input=msgspec.json.encode(task, enc_hook=str),
            capture_output=True,
            check=True,
            timeout=TIMEOUT_S,
        )
        return msgspec.json.decode(done.stdout, type=MemoryUsed)
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise InferenceError(
            f"measuring the memory of {task.method} failed: {' '.join(last)}"
        ) from error
    except (subprocess.TimeoutExpired, msgspec.DecodeError) as error:
        raise InferenceError(f"measuring the memory of {task.method} failed: {error}") from error


def work(task: MemoryTask) -> MemoryUsed:
    """Does a task in this process and returns what it took."""
    from ...images import read_image
    from ...predictor import Predictor
    from ..machine import peak_resident_mb

    files, threshold = task.files, task.score_threshold
    if task.method == OURS:
        with Predictor(
            files.pose, files.detector, threads=task.threads, score_threshold=threshold
        ) as predictor:
            for _ in range(CALLS):
                persons = sum(map(len, predictor(list(task.pictures))))
        return MemoryUsed(persons=persons, peak_mb=peak_resident_mb())
    sessions = open_sessions(files, threads=task.threads)
    kind = Rtmlib if task.method == RTMLIB else OfficialRecipe
    method: Method = kind(files, sessions, score_threshold=threshold)
    for _ in range(CALLS):
        found = [method(Picture.of(read_image(path))) for path in task.pictures]
    return MemoryUsed(persons=sum(map(len, found)), peak_mb=peak_resident_mb())
