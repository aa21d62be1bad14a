"""The shards of a plan through workers of Ray, on this machine or a cluster.

Ray's actors are used as they are, not through Ray Data's pool of them: a shard that costs its
worker the life each time is tried `MAX_TRIES` times, and what became of each is known.
"""

from __future__ import annotations

import logging
import os
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from ..errors import BackendUnavailableError, DwposeError, InferenceError
from .shard import ShardDone, ShardWork, ShardWorker
from .workers import Workers, import_ray

MAX_TRIES: Final = 4
"""How often a shard may lose its worker: to a lost machine, a full memory, or by its pictures."""

KNOCK_TIMEOUT_S: Final = 10.0


def run_shards(
    work: ShardWork,
    shards: Sequence[int],
    *,
    predictor: Mapping[str, Any],
    workers: Workers,
    address: str | None,
) -> Iterator[ShardDone]:
    """Works on the shards of a plan, in any order.

    Args:
        work: What is done with each.
        shards: Their numbers.
        predictor: Options of `Predictor`.
        workers: How many, and what each of them gets.
        address: Of a running cluster; None starts Ray on this machine and stops it at the end.

    Yields:
        What became of each shard.

    Raises:
        MissingDependencyError: Ray is not installed.
        BackendUnavailableError: There is no cluster at the address, or workers do not start.
        InvalidArgumentError: The cluster has not what a worker needs.
        DwposeError: The networks cannot be loaded, see `Predictor`.
    """
    ray = import_ray()
    _start(ray, address)
    try:
        workers = workers.fitted(ray.cluster_resources(), tasks=len(shards))
        actor = ray.remote(num_cpus=workers.cpus, num_gpus=workers.gpus)(ShardWorker)
        options = workers.predictor_options(predictor)
        yield from _run(ray, lambda: actor.remote(work, options), shards, workers.count or 1)
    finally:
        if address is None:
            ray.shutdown()


def _run(
    ray: Any, hire: Callable[[], Any], shards: Sequence[int], count: int
) -> Iterator[ShardDone]:
    """Gives shards to workers as these become free; a worker that died has a successor."""
    waiting, tries = deque(shards), Counter[int | None]()
    running: dict[Any, tuple[Any, int | None]] = {}
    for _ in range(count):
        worker = hire()
        running[worker.open.remote()] = (worker, None)
    while running:
        (ready,), _ = ray.wait(list(running), num_returns=1)
        worker, shard = running.pop(ready)
        try:
            done = ray.get(ready)
        except ray.exceptions.RayTaskError as error:
            raise _own(error) from error
        except ray.exceptions.RayError as error:
            tries[shard] += 1
            if tries[shard] < MAX_TRIES:
                waiting.extend([] if shard is None else [shard])
            elif shard is None:
                raise BackendUnavailableError(f"workers die as they start: {error}") from error
            else:
                yield ShardDone(
                    shard=shard, failure=f"its worker died {MAX_TRIES} times, last of: {error}"
                )
            if waiting:
                worker = hire()
                running[worker.open.remote()] = (worker, None)
            continue
        if done is not None:
            yield done
        if waiting:
            shard = waiting.popleft()
            running[worker.do.remote(shard)] = (worker, shard)


def _own(error: Any) -> DwposeError:
    """What was raised in a worker, if it is an error of this package."""
    if isinstance(error.cause, DwposeError):
        return error.cause
    return InferenceError(f"a worker failed: {error}")


def _start(ray: Any, address: str | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    local = {"include_dashboard": False} if address is None else {}
    try:
        _knock(address or "")
        ray.init(
            address=address or "local", logging_level=logging.ERROR, log_to_driver=False, **local
        )
    except (OSError, ValueError, RuntimeError) as error:
        where = "on this machine" if address is None else f"at {address}"
        raise BackendUnavailableError(f"there is no Ray {where}: {error}") from error


def _knock(address: str) -> None:
    """Finds out at once whether a host and port answer: Ray tries for more than ten minutes."""
    host, separator, port = address.rpartition(":")
    if separator and "://" not in host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=KNOCK_TIMEOUT_S).close()
