"""The results of `dwpose-bench sweep`, `cold-start` and `soak` as typed documents."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..document import Document


class SweepRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One network with one number of threads and one size of batch.

    Attributes:
        model: Name of the network.
        threads: Threads inside one operator.
        batch: Pictures in one call.
        call_ms: Median of the calls in milliseconds.
        call_p95_ms: The 95th percentile.
    """

    model: str
    threads: int
    batch: int
    call_ms: float
    call_p95_ms: float

    @property
    def picture_ms(self) -> float:
        """Milliseconds of a call for each picture in it."""
        return self.call_ms / self.batch

    @property
    def pictures_per_s(self) -> float:
        """Pictures in a second, one call after the other."""
        return 1e3 / self.picture_ms


class SweepDocument(Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Latency and throughput over threads and sizes of batch.

    Attributes:
        backend: Runtime, in the words of `dwpose-infer --backend`.
        repeats: Rounds.
        random_weights: Models whose weights are random.
        rows: Ordered by model, threads and batch.
    """

    schema_version: Literal[1] = 1
    benchmark: Literal["sweep"] = "sweep"
    backend: str
    repeats: int
    random_weights: tuple[str, ...]
    rows: tuple[SweepRow, ...]

    def __post_init__(self) -> None:
        """Checks what the types do not say."""
        if not self.rows:
            raise ValueError("rows is empty")


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
        runs: Every start that counts, in order.
    """

    schema_version: Literal[1] = 1
    benchmark: Literal["cold_start"] = "cold_start"
    pose: str
    detector: str
    threads: int
    runs: tuple[StartTimes, ...]

    def __post_init__(self) -> None:
        """Checks what the types do not say."""
        if not self.runs:
            raise ValueError("runs is empty")


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
