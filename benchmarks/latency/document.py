"""The result of `dwpose-bench table`."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..document import Document

Weights = Literal["model", "file", "random"]
"""Where weights come from: a model by name, a file, or drawn by this package."""


class LatencySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How it was measured.

    Attributes:
        batch: Crops in one call.
        warmup: Calls before those that count, in each repetition.
        runs: Calls that count, in each repetition.
        repetitions: Repetitions, each of all networks in turn.
        threads: Threads of one call on the CPU.
    """

    batch: int
    warmup: int
    runs: int
    repetitions: int
    threads: int


class LatencyRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One network on one backend; all times are milliseconds of the execute call alone.

    Attributes:
        network: Name; that of the published table where the network is in it.
        weights: Where its weights come from.
        input_shape: Shape of the input.
        input_dtype: Element type of the input.
        backend: Key of the backend, as the command takes it.
        description: Runtime, version and device in words.
        mean_ms: Median of `means_ms`; the figure of the published table's definition.
        means_ms: Mean of each repetition.
        median_ms: Median of all calls that count.
        p95_ms: 95th percentile of them.
        min_ms: Fastest of them.
    """

    network: str
    weights: Weights
    input_shape: tuple[int, ...]
    input_dtype: str
    backend: str
    description: str
    mean_ms: float
    means_ms: tuple[float, ...]
    median_ms: float
    p95_ms: float
    min_ms: float

    @property
    def spread(self) -> float:
        """Largest distance of two repetitions' means, as a share of `mean_ms`."""
        return (max(self.means_ms) - min(self.means_ms)) / self.mean_ms


class LatencyDocument(Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Result of `dwpose-bench table`: one row for each network and backend."""

    schema_version: Literal[1] = 1
    benchmark: Literal["latency"] = "latency"
    settings: LatencySettings
    rows: tuple[LatencyRow, ...]
