"""A long run: whether its memory and its latency stay as they began."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from tqdm import tqdm

from ...drawing import draw_overlay
from ...errors import InvalidArgumentError
from ...images import read_image
from ...predictor import Predictor
from .. import benchmark
from ..document import Document
from ..machine import capture_environment, resident_mb
from ..markdown import markdown_table
from ..network_options import model_name
from ..peers.montage import montage_jpeg
from .command import SoakSettings

SOAK_PERSONS = (1, 2, 1, 3, 1, 2, 1, 5, 1, 3)
"""Persons on the ten pictures that a long run works on in turn."""

HUNDRED = 100

MAX_GROWTH_MB = 20.0
"""The memory may rise by less than so many 1e6 bytes after the first hundred pictures."""

MAX_SLOWDOWN = 1.25
"""The last hundred pictures may take so many times as long as the first, by their medians."""

Work = Callable[[bytes], int]
"""Takes the bytes of a picture file to a result and returns the number of persons."""


class SoakHundred(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A hundred pictures of a long run.

    Attributes:
        pictures: Pictures done at its end.
        resident_mb: Resident memory at its end in 1e6 bytes.
        median_ms: Median of its pictures in milliseconds, from file to result.
    """

    pictures: int
    resident_mb: float
    median_ms: float


class SoakDocument(Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether a long run stays as it began.

    Attributes:
        pose: Name of the pose network.
        detector: Name of the detector.
        threads: Threads inside one operator of ONNX Runtime.
        persons: Persons found on all pictures together.
        max_growth_mb: Limit of `growth_mb`.
        max_slowdown: Limit of `slowdown`.
        hundreds: At least two, in order.
    """

    schema_version: Literal[1] = 1
    benchmark: Literal["soak"] = "soak"
    pose: str
    detector: str
    threads: int
    persons: int
    max_growth_mb: float
    max_slowdown: float
    hundreds: tuple[SoakHundred, ...]

    def __post_init__(self) -> None:
        """Checks what the types do not say."""
        if len(self.hundreds) < 2:
            raise ValueError("hundreds has fewer than two entries")

    @property
    def growth_mb(self) -> float:
        """How far the resident memory ever rises above what it is after the first hundred."""
        first, *later = self.hundreds
        return max(each.resident_mb for each in later) - first.resident_mb

    @property
    def slowdown(self) -> float:
        """Median of the last hundred pictures as a share of that of the first."""
        return self.hundreds[-1].median_ms / self.hundreds[0].median_ms

    @property
    def passed(self) -> bool:
        """Whether both limits are kept."""
        return self.growth_mb < self.max_growth_mb and self.slowdown <= self.max_slowdown


def measure(settings: SoakSettings) -> SoakDocument:
    """Returns all that is measured, as the settings say; raises as `soak` does."""
    threads = settings.thread_count()
    environment = capture_environment(threads={"onnxruntime_intra_op": threads})
    files = [montage_jpeg(count, first=first) for first, count in enumerate(SOAK_PERSONS)]
    with tempfile.TemporaryDirectory(prefix="dwpose-bench-") as folder:
        pose, detector = settings.models(Path(folder))
        with Predictor(pose, detector, threads=threads) as predictor:

            def work(data: bytes) -> int:
                image_bgr = read_image(data)
                result = predictor(image_bgr)
                draw_overlay(image_bgr, result)
                return len(result)

            hundreds, persons = soak(work, files, pictures=settings.pictures)
    return SoakDocument(
        environment=environment,
        pose=settings.pose_label(pose),
        detector=model_name(detector),
        threads=threads,
        persons=persons,
        max_growth_mb=MAX_GROWTH_MB,
        max_slowdown=MAX_SLOWDOWN,
        hundreds=tuple(hundreds),
    )


def soak(work: Work, files: Sequence[bytes], *, pictures: int) -> tuple[list[SoakHundred], int]:
    """Works on the same pictures again and again.

    Args:
        work: What is done with a picture.
        files: Picture files, taken in turn; their number divides 100, so that every hundred
            pictures are the same.
        pictures: How many pictures in all, a multiple of 100 and at least 200.

    Returns:
        What was measured of every hundred, and the persons found on all pictures together.

    Raises:
        InvalidArgumentError: A number is not as described.
    """
    if pictures < 2 * HUNDRED or pictures % HUNDRED:
        raise InvalidArgumentError(f"pictures is {pictures}, must be 200, 300, 400 and so on")
    if not files or HUNDRED % len(files):
        raise InvalidArgumentError(f"{len(files)} files do not divide {HUNDRED}")
    hundreds: list[SoakHundred] = []
    persons, times_ms = 0, []
    for number in tqdm(range(pictures), "soak", unit="picture", leave=False, disable=None):
        start = time.perf_counter()
        persons += work(files[number % len(files)])
        times_ms.append(1e3 * (time.perf_counter() - start))
        if len(times_ms) == HUNDRED:
            median_ms = statistics.median(times_ms)
            hundreds.append(
                SoakHundred(pictures=number + 1, resident_mb=resident_mb(), median_ms=median_ms)
            )
            times_ms = []
    return hundreds, persons


def verdict(document: SoakDocument) -> str:
    """Returns the sentence that holds a long run against its limits."""
    begin, end = document.hundreds[0].pictures, document.hundreds[-1].pictures
    growth_met = document.growth_mb < document.max_growth_mb
    slowdown_met = document.slowdown <= document.max_slowdown
    return (
        f"Memory from picture {begin} to {end}: {document.growth_mb:+.1f} MB at most, limit "
        f"{document.max_growth_mb:g} MB, {'met' if growth_met else 'EXCEEDED'}; latency of the "
        f"last hundred: {document.slowdown:.3f} of the first, limit {document.max_slowdown:g}, "
        f"{'met' if slowdown_met else 'EXCEEDED'}."
    )


def report(document: SoakDocument) -> str:
    """Returns all that is said of a long run."""
    table = markdown_table(
        ["after pictures", "resident MB", "median ms of the last hundred"],
        [
            [str(each.pictures), f"{each.resident_mb:.1f}", f"{each.median_ms:.2f}"]
            for each in document.hundreds
        ],
        text_columns=0,
    )
    return (
        f"{table}\n\n{verdict(document)}\n\nMeasured on: {document.environment.label}; "
        f"{document.pose} and {document.detector}, {document.threads} "
        f"thread{'s'[document.threads == 1 :]}, {document.persons} persons found."
    )


WORK = benchmark.Work(
    document=SoakDocument,
    measure=measure,
    report=report,
    table="soak",
    finish=lambda _, document: 0 if document.passed else 1,
)
