"""The clock: the published table's definition, repeated."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from ...errors import BackendUnavailableError, InvalidArgumentError, MissingDependencyError
from ...files.atomic import write_bytes
from ..benchmark import Work
from ..machine import capture_environment, physical_cores
from .command import TableSettings
from .executors import WHERE_PRESENT, BackendKey, Executor, load_executor, parse_backends
from .networks import Network, find_networks, random_networks
from .plot import save_plot
from .result import LatencyDocument, LatencyRow, LatencySettings, full_report, readme_table

Milliseconds = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Protocol:
    """How often each network runs.

    Attributes:
        warmup: Calls before those that count; 50 in the published table.
        runs: Calls that count; 200 in the published table.
        repetitions: Times all that is repeated; 1 in the published table.
    """

    warmup: int = 50
    runs: int = 200
    repetitions: int = 3

    def __post_init__(self) -> None:
        for name, least in (("warmup", 0), ("runs", 1), ("repetitions", 1)):
            if getattr(self, name) < least:
                given = getattr(self, name)
                raise InvalidArgumentError(f"{name} is {given}, must be at least {least}")


@dataclass(frozen=True, slots=True, eq=False)
class _Contestant:
    network: Network
    backend: BackendKey
    executor: Executor


def measure(settings: TableSettings) -> LatencyDocument:
    """Measures as the settings say; raises as `measure_latency` and what finds networks do."""
    chosen, progress = settings.backends, sys.stderr.isatty()
    with tempfile.TemporaryDirectory(prefix="dwpose-bench-") as folder:
        if settings.random_weights:
            networks = random_networks(settings.models, Path(folder), progress=progress)
        else:
            networks = find_networks(settings.models, progress=progress)
        return measure_latency(
            networks,
            WHERE_PRESENT if chosen is None else parse_backends(chosen),
            threads=physical_cores() if settings.threads is None else settings.threads,
            protocol=Protocol(settings.warmup, settings.runs, settings.repetitions),
            where_present=chosen is None,
            say=lambda line: print(f"dwpose-bench table: {line}", file=sys.stderr),
        )


def measure_latency(
    networks: Sequence[Network],
    backends: Sequence[BackendKey],
    *,
    threads: int,
    protocol: Protocol | None = None,
    where_present: bool = False,
    say: Callable[[str], None] = lambda _line: None,
) -> LatencyDocument:
    """Measures every network on every backend.

    Each repetition goes through all of them in turn, and each runs by itself: first the calls
    for warming up, then those that count, with a clock around every one.

    Args:
        networks: What to measure.
        backends: On what.
        threads: Threads of one call on the CPU.
        protocol: How often; None takes that of the published table, three times.
        where_present: Leave out backends that cannot be used here, and say so, instead of
            raising an error.
        say: Called with a line for each backend left out.

    Raises:
        InvalidArgumentError: The number of threads is none, or a backend cannot run a network.
        MissingDependencyError: A runtime is not installed.
        BackendUnavailableError: A backend cannot be used on this machine, or none of them.
        ModelFormatError: A file is not a network with one input of fixed size.
    """
    if threads < 1:
        raise InvalidArgumentError(f"threads is {threads}, must be at least 1")
    protocol = protocol or Protocol()
    environment = capture_environment(threads={"network": threads})
    with ExitStack() as stack:
        contestants = _load(stack, networks, backends, threads, say if where_present else None)
        samples = _measure(contestants, protocol)
    settings = LatencySettings(
        batch=1,
        warmup=protocol.warmup,
        runs=protocol.runs,
        repetitions=protocol.repetitions,
        threads=threads,
    )
    rows = tuple(map(_row, contestants, samples))
    return LatencyDocument(environment=environment, settings=settings, rows=rows)


def _load(
    stack: ExitStack,
    networks: Sequence[Network],
    backends: Sequence[BackendKey],
    threads: int,
    say: Callable[[str], None] | None,
) -> list[_Contestant]:
    loaded = []
    for backend in backends:
        try:
            for network in networks:
                executor = load_executor(backend, network, threads=threads)
                loaded.append(_Contestant(network, backend, stack.enter_context(executor)))
        except (BackendUnavailableError, MissingDependencyError) as error:
            if say is None:
                raise
            say(f"{backend} is left out: {error}")
    if not loaded:
        raise BackendUnavailableError(
            "none of the backends can be used here: dwpose-infer --env says why and what to do"
        )
    # By network, then by backend: the rows of the table.
    return sorted(loaded, key=lambda each: networks.index(each.network))


def _measure(contestants: Sequence[_Contestant], protocol: Protocol) -> list[list[Milliseconds]]:
    """The times of each repetition of each contestant."""
    samples: list[list[Milliseconds]] = [[] for _ in contestants]
    for index in _turns(contestants, protocol.repetitions):
        executor = contestants[index].executor
        for _ in range(protocol.warmup):
            executor.execute()
        samples[index].append(_time(executor, protocol.runs))
    return samples


def _turns(contestants: Sequence[_Contestant], repetitions: int) -> Iterator[int]:
    with tqdm(total=repetitions * len(contestants), leave=False, disable=None) as bar:
        for _ in range(repetitions):
            for index, each in enumerate(contestants):
                bar.set_description(f"{each.network.name}, {each.backend}")
                yield index
                bar.update()


def _time(executor: Executor, runs: int) -> Milliseconds:
    times = np.empty(runs)
    for index in range(runs):
        start = time.perf_counter()
        executor.execute()
        times[index] = 1e3 * (time.perf_counter() - start)
    return times


def _row(contestant: _Contestant, samples: Sequence[Milliseconds]) -> LatencyRow:
    means = tuple(float(each.mean()) for each in samples)
    times = np.concatenate(samples)
    spec = contestant.executor.input
    return LatencyRow(
        network=contestant.network.name,
        weights=contestant.network.weights,
        input_shape=tuple(size or 0 for size in spec.shape),
        input_dtype=str(spec.dtype),
        backend=contestant.backend,
        description=contestant.executor.description,
        mean_ms=statistics.median(means),
        means_ms=means,
        median_ms=float(np.median(times)),
        p95_ms=float(np.percentile(times, 95)),
        min_ms=float(times.min()),
    )


def _write_markdown_and_plot(settings: TableSettings, document: LatencyDocument) -> int:
    if settings.markdown is not None:
        write_bytes(settings.markdown, f"{full_report(document)}\n".encode())
    if settings.plot is not None:
        save_plot(document, settings.plot)
    return 0


WORK = Work(
    document=LatencyDocument,
    measure=measure,
    report=full_report,
    table="latency",
    readme_table=readme_table,
    finish=_write_markdown_and_plot,
)
