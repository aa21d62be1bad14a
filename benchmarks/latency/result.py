"""The result of `dwpose-bench table`, and what is said of it: published beside measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from ..document import Document
from ..markdown import markdown_table
from ..published import ORT_MACHINE, PUBLISHED, TRT_MACHINE, find_published
from ..random_networks import sides

Weights = Literal["model", "file", "random"]
"""Where weights come from: a model by name, a file, or drawn by this package."""


class LatencySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How it was measured.

    Attributes:
        batch: Crops in one call; where several numbers were measured, the smallest.
        batches: All of them, where they are other than 1.
        warmup: Calls before those that count, in each repetition.
        runs: Calls that count, in each repetition.
        repetitions: Repetitions, each of all networks in turn.
        threads: Threads of one call on the CPU.
        device: Where PyTorch ran, and which GPU was taken.
        deploy: Precision of the deploy form they were converted to, or None.
        backends: Columns, those without a figure too; () for those of the rows.
    """

    batch: int
    batches: tuple[int, ...] = ()
    warmup: int
    runs: int
    repetitions: int
    threads: int
    device: str = "cpu"
    deploy: Literal["fp32", "fp16"] | None = None
    backends: tuple[str, ...] = ()


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
    def batch(self) -> int:
        """Crops in one call."""
        return self.input_shape[0]

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


MISSING = "-"

COLUMN_TITLES: dict[str, str] = {
    "ort": "ONNX Runtime",
    "openvino": "OpenVINO",
    "openvino-bf16": "OpenVINO bf16",
    "ort-cuda": "ONNX Runtime, CUDA",
    "trt": "TensorRT FP16",
    "torch": "PyTorch",
    "torch-graph": "PyTorch, CUDA graph",
    "torch-compiled": "PyTorch, compiled",
}

RATIO_BASE = "dwpose-m"
"""Ratios are to this network, the smallest whose latency was published."""

WEIGHTS_IN_WORDS = {
    "model": "the models of these names",
    "file": "files given",
    "random": "random weights, on which the time does not depend",
}


def published_table(document: LatencyDocument) -> str:
    """Returns one row for each network and batch: published and measured milliseconds a call."""
    backends = _backends(document)
    several = bool(document.settings.batches)
    header = [
        "network",
        "input",
        *(["batch"] if several else []),
        "AP, published",
        f"published ms: {ORT_MACHINE}",
        f"published ms: {TRT_MACHINE}",
        *(f"**measured ms: {COLUMN_TITLES.get(key, key)}**" for key in backends),
    ]
    times = {(row.network, row.batch, row.backend): row.mean_ms for row in document.rows}
    rows = []
    for name, batch in dict.fromkeys((row.network, row.batch) for row in document.rows):
        published = find_published(name)
        accuracy = published.accuracy if published else None
        timed = published if batch == 1 else None
        rows.append(
            [
                name,
                _input(document, name),
                *([str(batch)] if several else []),
                MISSING if accuracy is None else f"{accuracy.ap:.1f}",
                _ms(timed.ort_ms if timed else None),
                _ms(timed.trt_ms if timed else None),
                *(_ms(times.get((name, batch, key))) for key in backends),
            ]
        )
    return markdown_table(header, rows, text_columns=2)


def ratio_table(document: LatencyDocument) -> str:
    """Returns the times at batch 1 as multiples of that of `RATIO_BASE`; "" where it is missing.

    Ratios depend on the machine much less than milliseconds do.
    """
    backends = _backends(document)
    columns: list[tuple[str, dict[str, float]]] = [
        (
            f"published: {ORT_MACHINE}",
            {row.name: row.ort_ms for row in PUBLISHED if row.ort_ms is not None},
        ),
        (
            f"published: {TRT_MACHINE}",
            {row.name: row.trt_ms for row in PUBLISHED if row.trt_ms is not None},
        ),
    ]
    columns += [
        (
            f"**measured: {COLUMN_TITLES.get(key, key)}**",
            {row.network: row.mean_ms for row in at_one(document) if row.backend == key},
        )
        for key in backends
    ]
    names = list(dict.fromkeys(row.network for row in at_one(document)))
    if RATIO_BASE not in names or len(names) < 2:
        return ""
    rows = [
        [
            name,
            *(
                f"{times[name] / times[RATIO_BASE]:.2f}"
                if name in times and RATIO_BASE in times
                else MISSING
                for _, times in columns
            ),
        ]
        for name in names
    ]
    return markdown_table([f"time / {RATIO_BASE}", *(title for title, _ in columns)], rows)


def detail_table(document: LatencyDocument) -> str:
    """Returns every figure of every row."""
    several = bool(document.settings.batches)
    figures = ("mean ms", "spread", "median ms", "p95 ms", "min ms")
    header = ("network", "backend", *(["batch"] if several else []), *figures)
    rows = [
        (
            row.network,
            row.description,
            *([str(row.batch)] if several else []),
            _ms(row.mean_ms),
            f"{100 * row.spread:.1f} %",
            _ms(row.median_ms),
            _ms(row.p95_ms),
            _ms(row.min_ms),
        )
        for row in document.rows
    ]
    return markdown_table(header, rows, text_columns=2)


def caption(document: LatencyDocument) -> str:
    """Returns what has to be known to read the tables: machine, settings, weights, date."""
    environment, settings = document.environment, document.settings
    runtimes = dict.fromkeys(row.description for row in document.rows)
    weights = dict.fromkeys(WEIGHTS_IN_WORDS[row.weights] for row in document.rows)
    load = environment.load_average_1min
    return (
        f"Measured on a {environment.label}, {settings.threads} thread"
        f"{'s'[settings.threads == 1 :]}, {environment.date}"
        f"{'' if load is None else f', load before it {load:.2f}'}; {'; '.join(runtimes)}; "
        f"weights: {'; '.join(weights)}. {_form(settings)}, {settings.warmup} calls to warm "
        f"up, mean of {settings.runs}, the execute call alone; median of {settings.repetitions} "
        f"repetition{'s'[settings.repetitions == 1 :]}, which differ by at most "
        f"{100 * max(row.spread for row in document.rows):.0f} %."
    )


def full_report(document: LatencyDocument) -> str:
    """Returns all tables."""
    tables = [published_table(document), ratio_table(document), detail_table(document)]
    return "\n\n".join([table for table in tables if table] + [caption(document)])


def readme_table(document: LatencyDocument) -> str:
    """Returns the tables for a README: all but that of every figure."""
    tables = [published_table(document), ratio_table(document), caption(document)]
    return "\n\n".join(table for table in tables if table)


def at_one(document: LatencyDocument) -> list[LatencyRow]:
    """Returns the rows with a batch of one, that of the published table."""
    return [row for row in document.rows if row.batch == 1]


def _form(settings: LatencySettings) -> str:
    """Batches and form in words; networks of PyTorch keep the published form."""
    batches = settings.batches or (settings.batch,)
    words = f"Batch {', '.join(map(str, batches))}"
    return f"{words}, deploy form in {settings.deploy}" if settings.deploy else words


def _backends(document: LatencyDocument) -> Sequence[str]:
    rows = dict.fromkeys(row.backend for row in document.rows)
    return document.settings.backends or list(rows)


def _input(document: LatencyDocument, name: str) -> str:
    return next(sides(row.input_shape) for row in document.rows if row.network == name)


def _ms(value: float | None) -> str:
    return MISSING if value is None else f"{value:.2f}"
