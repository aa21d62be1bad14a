"""Times writers of pose files, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path
from typing import Literal

import msgspec
from tqdm import tqdm

from ...errors import InferenceError, InvalidArgumentError
from ..document import Document
from ..machine import capture_environment, peak_resident_mb, resident_mb
from ..markdown import markdown_table
from .settings import FormatSettings
from .writers import PERSONS_A_FRAME, WRITERS, frames_of, is_whole

CHECKED_FRAMES = 100
"""Frames of a file of their own that are read back and compared, with every writer."""


class Writing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A writer's figures.

    Attributes:
        name: What it writes.
        times_s: Seconds of each round, from frames in memory to the file's own name on the disk.
        growth_mb: How far the process grew at most while it wrote, in 1e6 bytes, the most of all
            rounds.
        file_mb: Size of the file in 1e6 bytes.
    """

    name: str
    times_s: tuple[float, ...]
    growth_mb: float
    file_mb: float

    @property
    def median_s(self) -> float:
        """Median of the rounds in seconds."""
        return statistics.median(self.times_s)


class FormatsDocument(Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast poses are written.

    Attributes:
        persons: Persons written, four a frame.
        writings: The plain way, then the others.
    """

    schema_version: Literal[1] = 1
    benchmark: Literal["formats"] = "formats"
    persons: int
    writings: tuple[Writing, ...]


def measure(settings: FormatSettings) -> FormatsDocument:
    """Returns what is measured.

    Raises:
        InvalidArgumentError: A number is not above 0, or persons do not come in fours.
        InferenceError: A file does not hold what was written, or a process ended.
    """
    if settings.persons < PERSONS_A_FRAME or settings.persons % PERSONS_A_FRAME:
        raise InvalidArgumentError(f"--persons is {settings.persons}, expected a multiple of 4")
    if settings.rounds < 1:
        raise InvalidArgumentError(f"--rounds is {settings.rounds}, expected at least 1")
    environment = capture_environment()
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in WRITERS}
    context = multiprocessing.get_context("spawn")
    runs = [name for _ in range(settings.rounds) for name in WRITERS]
    for name in tqdm(runs, "formats", unit="file", leave=False, disable=None):
        with context.Pool(1) as pool:
            found[name].append(pool.apply(write_once, (name, settings.persons)))
    return FormatsDocument(
        environment=environment,
        persons=settings.persons,
        writings=tuple(
            Writing(
                name=name,
                times_s=tuple(time_s for time_s, _, _ in rounds),
                growth_mb=max(growth_mb for _, growth_mb, _ in rounds),
                file_mb=rounds[0][2],
            )
            for name, rounds in found.items()
        ),
    )


def write_once(name: str, persons: int) -> tuple[float, float, float]:
    """Writes a file in this process: seconds, growth of the memory and size in 1e6 bytes.

    Raises:
        InferenceError: A file of the first frames does not hold what was written.
    """
    file_name, write = WRITERS[name]
    frames = frames_of(persons)
    with tempfile.TemporaryDirectory(prefix="dwpose-bench-") as folder:
        first = Path(folder) / f"first_{file_name}"
        write(frames[:CHECKED_FRAMES], first)  # loads what is loaded on demand, too
        if not is_whole(frames[:CHECKED_FRAMES], first):
            raise InferenceError(f"{name}: the file does not hold what was written")
        path = Path(folder) / file_name
        before_mb = resident_mb()
        start_s = time.perf_counter()
        write(frames, path)
        time_s = time.perf_counter() - start_s
        growth_mb = max(0.0, peak_resident_mb() - before_mb)
        return time_s, growth_mb, path.stat().st_size / 1e6


def report(document: FormatsDocument) -> str:
    """Returns all that is said of it."""
    plain = document.writings[0]
    rows = [
        [
            each.name,
            f"{each.median_s:.1f}",
            f"{1e6 * each.median_s / document.persons:.0f}",
            f"{plain.median_s / each.median_s:.1f}",
            f"{each.growth_mb:.0f}",
            f"{each.file_mb:.0f}",
        ]
        for each in document.writings
    ]
    head = ["what", "s", "us a person", "times as fast", "memory, MB", "file, MB"]
    return (
        f"{markdown_table(head, rows)}\n\nMeasured on: {document.environment.label}; "
        f"{document.persons} persons, {PERSONS_A_FRAME} a frame, medians of "
        f"{len(plain.times_s)} rounds in turns; memory is what a process grows by while it writes."
    )
