"""Latency and throughput of networks over threads and sizes of batch."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ...backends import Backend, BackendName, load_backend
from ...backends.base import Array, TensorSpec
from ...errors import InvalidArgumentError, ModelFormatError
from .document import SweepRow

WARM_UP = 2
"""Rounds over all sizes of batch before any call is timed."""


def sweep(
    name: str,
    path: Path,
    *,
    backend: BackendName,
    threads: Sequence[int],
    batches: Sequence[int],
    repeats: int,
) -> list[SweepRow]:
    """Times a network on noise, the sizes of batch in turn, one number of threads after another.

    Only one session lives at a time, so that no idle threads of another spin beside it.

    Args:
        name: What the network is called in the result.
        path: Its file.
        backend: Runtime, on the CPU.
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
        with load_backend(backend, path, threads=count) as loaded:
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
    (spec,) = backend.inputs
    noise = _noise(spec, max(batches))
    samples: dict[int, list[float]] = {batch: [] for batch in batches}
    rounds = itertools.product(range(-WARM_UP, repeats), batches)
    total = (WARM_UP + repeats) * len(batches)
    for number, batch in tqdm(rounds, title, total, leave=False, disable=None):
        start = time.perf_counter()
        backend.run({spec.name: noise[:batch]})
        if number >= 0:
            samples[batch].append(1e3 * (time.perf_counter() - start))
    return samples


def _noise(spec: TensorSpec, batch: int) -> Array:
    if None in spec.shape[1:]:
        raise ModelFormatError(f"the input {spec} has no fixed height and width")
    rng = np.random.default_rng(0)
    shape = (batch, *(size for size in spec.shape[1:] if size is not None))
    if spec.dtype == np.uint8:
        return rng.integers(0, 256, shape, np.uint8)
    return rng.standard_normal(shape, np.float32).astype(spec.dtype)
