"""Latency and throughput of networks over threads and sizes of batch."""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from tqdm import tqdm

from ...backends import Backend, BackendName, check_backend, load_backend
from ...errors import InvalidArgumentError
from ...zoo import DEFAULT_DETECTOR, DEFAULT_POSE, resolve_model
from ..benchmark import Work
from ..document import Document
from ..latency.executors import random_sample, single_input
from ..latency.networks import write_deploy_form
from ..machine import capture_environment, physical_cores
from ..markdown import markdown_table
from ..network_options import model_name, on_device
from ..peers.networks import random_pose
from .command import SweepSettings

WARM_UP = 2
"""Rounds over all sizes of batch before any call is timed."""


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
        device: Where it ran.
        deploy: Precision of the deploy form that they were converted to, or None.
        repeats: Rounds.
        random_weights: Models whose weights are random.
        rows: Ordered by model, threads and batch.
    """

    schema_version: Literal[1] = 1
    benchmark: Literal["sweep"] = "sweep"
    backend: str
    device: str = "cpu"
    deploy: Literal["fp32", "fp16"] | None = None
    repeats: int
    random_weights: tuple[str, ...]
    rows: tuple[SweepRow, ...]

    def __post_init__(self) -> None:
        """Checks what the types do not say."""
        if not self.rows:
            raise ValueError("rows is empty")


def measure(settings: SweepSettings) -> SweepDocument:
    """Returns all that is measured, as the settings say; raises as `sweep` does."""
    device = str(check_backend(settings.backend, settings.device))
    threads = settings.threads or (_powers_of_two() if device == "cpu" else [physical_cores()])
    environment, random = capture_environment(), list(dict.fromkeys(settings.random_weights))
    models = settings.models or ([] if random else [DEFAULT_POSE, DEFAULT_DETECTOR])
    with tempfile.TemporaryDirectory(prefix="dwpose-bench-") as folder:
        paths = {model_name(model): resolve_model(model) for model in models}
        paths |= {name: random_pose(name, Path(folder))[0] for name in random}
        if settings.deploy is not None:
            paths = {
                name: write_deploy_form(
                    path, settings.deploy, Path(folder) / f"{number}.deploy.onnx"
                )
                for number, (name, path) in enumerate(paths.items())
            }
        rows = [
            row
            for name, path in paths.items()
            for row in sweep(
                name,
                path,
                backend=settings.backend,
                device=device,
                threads=threads,
                batches=settings.batches,
                repeats=settings.repeats,
            )
        ]
    return SweepDocument(
        environment=environment,
        backend=settings.backend,
        device=device,
        deploy=settings.deploy,
        repeats=settings.repeats,
        random_weights=tuple(random),
        rows=tuple(rows),
    )


def _powers_of_two() -> list[int]:
    """1, 2, 4 and so on below the number of physical cores, and that number."""
    cores = physical_cores()
    return [*(1 << power for power in range(cores.bit_length()) if 1 << power < cores), cores]


def sweep(
    name: str,
    path: Path,
    *,
    backend: BackendName,
    device: str = "cpu",
    threads: Sequence[int],
    batches: Sequence[int],
    repeats: int,
) -> list[SweepRow]:
    """Times a network on noise, the sizes of batch in turn, one number of threads after another.

    Only one session lives at a time, so that no idle threads of another spin beside it.

    Args:
        name: What the network is called in the result.
        path: Its file.
        backend: Runtime.
        device: Where it runs.
        threads: Numbers of threads inside one operator.
        batches: Sizes of batch.
        repeats: Rounds.

    Raises:
        InvalidArgumentError: A number is below 1.
        ModelFormatError: The network has no single input of fixed size.
        BackendUnavailableError: The backend cannot be used on this machine.
    """
    for words, numbers in (("threads", threads), ("batches", batches), ("repeats", [repeats])):
        if min(numbers) < 1:
            raise InvalidArgumentError(f"{words} must be at least 1, given was {min(numbers)}")
    rows: list[SweepRow] = []
    for count in sorted(set(threads)):
        with load_backend(backend, path, device=device, threads=count) as loaded:
            title = f"{name}, {count} thread{'s'[count == 1 :]}"
            samples = _time_batches(loaded, sorted(set(batches)), repeats, title)
        rows += [
            SweepRow(
                model=name,
                threads=count,
                batch=batch,
                call_ms=statistics.median(calls_ms),
                call_p95_ms=float(np.percentile(calls_ms, 95)),
            )
            for batch, calls_ms in samples.items()
        ]
    return rows


def _time_batches(
    backend: Backend, batches: Sequence[int], repeats: int, title: str
) -> dict[int, list[float]]:
    spec = single_input(backend, title)
    noise = random_sample(spec, max(batches))
    samples: dict[int, list[float]] = {batch: [] for batch in batches}
    rounds = itertools.product(range(-WARM_UP, repeats), batches)
    total = (WARM_UP + repeats) * len(batches)
    for number, batch in tqdm(rounds, title, total, leave=False, disable=None):
        start = time.perf_counter()
        backend.run({spec.name: noise[:batch]})
        if number >= 0:
            samples[batch].append(1e3 * (time.perf_counter() - start))
    return samples


def table_of(document: SweepDocument) -> str:
    """Returns milliseconds per picture and pictures per second, one table for all networks."""
    threads = sorted({row.threads for row in document.rows})
    cells = {(row.model, row.batch, row.threads): row for row in document.rows}
    lines = []
    for model, batch in dict.fromkeys((row.model, row.batch) for row in document.rows):
        found = [cells[model, batch, count] for count in threads]
        lines.append([model, str(batch), *(_cell(row) for row in found)])
    words = (f"{count} thread{'s'[count == 1 :]}: ms each (per second)" for count in threads)
    return markdown_table(["network", "batch", *words], lines)


def _cell(row: SweepRow) -> str:
    return f"{row.picture_ms:.2f} ({row.pictures_per_s:.1f})"


def report(document: SweepDocument) -> str:
    """Returns all that is said of a sweep."""
    random = document.random_weights
    weights = f" Random weights: {', '.join(random)}." if random else ""
    form = f", deploy form in {document.deploy}" if document.deploy else ""
    return (
        f"{table_of(document)}\n\nMeasured on: {document.environment.label}; "
        f"{document.backend}{on_device(document.device)}{form}, medians of "
        f"{document.repeats} rounds.{weights}"
    )


WORK = Work(document=SweepDocument, measure=measure, report=report, table="sweep")
