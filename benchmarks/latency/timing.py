"""The clock: the published table's definition, repeated."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from ...backends.device import parse_device
from ...errors import BackendUnavailableError, InvalidArgumentError, MissingDependencyError
from ...files.atomic import write_bytes
from ..benchmark import Work
from ..machine import capture_environment, physical_cores
from .backends import WHERE_PRESENT, BackendKey, Execution, load_executor, parse_backends
from .command import TableSettings
from .executors import Executor
from .networks import Network, find_networks, in_deploy_form, random_networks
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
    keys = parse_backends(
        "ort" if chosen is None else chosen
    )  # a wrong name is told before networks are made
    execution = Execution(
        threads=physical_cores() if settings.threads is None else settings.threads,
        device=None if settings.device is None else parse_device(settings.device),
        deploy=settings.deploy,
    )
    with tempfile.TemporaryDirectory(prefix="dwpose-bench-") as folder:
        if settings.random_weights:
            networks = random_networks(settings.models, Path(folder), progress=progress)
        else:
            networks = find_networks(settings.models, progress=progress)
        if settings.deploy is not None:
            networks = in_deploy_form(networks, settings.deploy, Path(folder))
        return measure_latency(
            networks,
            WHERE_PRESENT[execution.torch_device.kind] if chosen is None else keys,
            execution=execution,
            batches=settings.batches,
            protocol=Protocol(settings.warmup, settings.runs, settings.repetitions),
            where_present=chosen is None,
            say=lambda line: print(f"dwpose-bench table: {line}", file=sys.stderr),
        )


def measure_latency(
    networks: Sequence[Network],
    backends: Sequence[BackendKey],
    *,
    execution: Execution,
    batches: Sequence[int] = (1,),
    protocol: Protocol | None = None,
    where_present: bool = False,
    say: Callable[[str], None] = lambda _line: None,
) -> LatencyDocument:
    """Measures every network on every backend, one size of batch after the other.

    Each repetition goes through all of them in turn, and each runs by itself: first the calls
    for warming up, then those that count, with a clock around every one.

    Args:
        networks: What to measure.
        backends: On what.
        execution: How they are run; its batch is not looked at.
        batches: Sizes of batch.
        protocol: How often; None takes that of the published table, three times.
        where_present: Leave out backends that cannot be used here, and say so, instead of
            raising an error.
        say: Called with a line for each backend left out.

    Raises:
        InvalidArgumentError: A number of threads or crops is below 1, or a backend cannot run a
            network.
        MissingDependencyError: A runtime is not installed.
        BackendUnavailableError: A backend cannot be used on this machine, or none of them.
        ModelFormatError: A file is not a network with one input of fixed size.
    """
    batches = sorted(set(batches))
    for name, number in (("threads", execution.threads), ("batches", batches[0])):
        if number < 1:
            raise InvalidArgumentError(f"{name} is {number}, must be at least 1")
    protocol = protocol or Protocol()
    environment = capture_environment(threads={"network": execution.threads})
    missing = [key for key in backends if not execution.has(key)]
    for key in missing:
        say(f"{key} has no figures: a CUDA graph needs a GPU (--device cuda)")
    possible = [key for key in backends if key not in missing]
    rows: list[LatencyRow] = []
    for batch in batches:
        with ExitStack() as stack:
            contestants = _load(
                stack, networks, possible, replace(execution, batch=batch),
                say if where_present else None,
            )  # fmt: skip
            rows += map(_row, contestants, _measure(contestants, protocol))
        possible = [key for key in possible if any(row.backend == key for row in rows)]
    order = [network.name for network in networks]
    device, deploy = execution.torch_device, execution.deploy
    settings = LatencySettings(
        batch=batches[0],
        batches=() if batches == [1] else tuple(batches),
        warmup=protocol.warmup,
        runs=protocol.runs,
        repetitions=protocol.repetitions,
        threads=execution.threads,
        device=str(device),
        deploy=deploy,
        backends=tuple(key for key in backends if key in missing or key in possible),
    )
    rows.sort(key=lambda row: order.index(row.network))  # and by batch, then by backend
    return LatencyDocument(environment=environment, settings=settings, rows=tuple(rows))


def _load(
    stack: ExitStack,
    networks: Sequence[Network],
    backends: Sequence[BackendKey],
    execution: Execution,
    say: Callable[[str], None] | None,
) -> list[_Contestant]:
    loaded = []
    with tqdm(total=len(backends) * len(networks), leave=False, disable=None) as bar:
        for backend in backends:
            try:
                for network in networks:  # searching, building or compiling it can take minutes
                    bar.set_description(f"loading {network.name}, {backend}")
                    executor = load_executor(backend, network, execution)
                    loaded.append(_Contestant(network, backend, stack.enter_context(executor)))
                    bar.update()
            except (BackendUnavailableError, MissingDependencyError) as error:
                if say is None:
                    raise
                bar.clear()
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
