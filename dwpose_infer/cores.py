"""How many cores this process may use: its CPU mask and its container's quota say.

Runtimes count the cores of the machine. In a container with half a core, or under `taskset`, they
start a thread for each of them, and these wait for one another.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from .errors import InvalidArgumentError

MAX_THREADS = 1024
"""More than any machine has hardware threads for one process, and few enough to start."""

SYSTEM_ROOT = Path("/")


def usable_cores(*, root: Path = SYSTEM_ROOT) -> int:
    """Returns how many hardware threads this process may use, at least 1.

    Args:
        root: Folder in which `proc` and `sys` lie.
    """
    cpus = len(_mask())
    quota = _quota(root)
    return cpus if quota is None else max(1, min(cpus, int(quota)))


def limited_threads(*, root: Path = SYSTEM_ROOT) -> int | None:
    """Returns the threads that a runtime should use, or None where nothing limits the process.

    Where something does, it is one thread for each physical core of the mask, as runtimes have
    it, and no more than the quota: threads beyond it only make the others wait.

    Args:
        root: Folder in which `proc` and `sys` lie.
    """
    mask, quota, machine = _mask(), _quota(root), os.cpu_count() or 1
    if len(mask) >= machine and (quota is None or quota >= machine):
        return None
    cores = len({_siblings(cpu, root) for cpu in mask})
    return cores if quota is None else max(1, min(cores, int(quota)))


def require_threads(name: str, threads: int | None) -> None:
    """Checks a number of threads; runtimes start as many as they are told, or die of it.

    Raises:
        InvalidArgumentError: It is no whole number from 1 to `MAX_THREADS`.
    """
    if threads is None:
        return
    if not isinstance(threads, int) or not 1 <= threads <= MAX_THREADS:
        raise InvalidArgumentError(
            f"{name} is {threads!r}, must be a whole number from 1 to {MAX_THREADS}"
        )


def _mask() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _siblings(cpu: int, root: Path) -> str:
    """The hardware threads of a CPU's core, as the kernel writes them; the CPU alone if unknown."""
    path = root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
    return _text(path) or str(cpu)


def _quota(root: Path) -> float | None:
    """The least number of cores that control groups leave, of this one and those around it."""
    quotas: list[float] = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, place = line.split(":", 2) if line.count(":") >= 2 else ("", "none", "")
        if controllers == "":  # version 2: one hierarchy
            quotas += _quotas_above(root / "sys/fs/cgroup", place, _quota_v2)
        elif "cpu" in controllers.split(","):
            quotas += _quotas_above(root / "sys/fs/cgroup/cpu", place, _quota_v1)
    return min(quotas, default=None)


def _quotas_above(top: Path, place: str, read: Callable[[Path], float | None]) -> Iterator[float]:
    folder = top / place.lstrip("/")
    for each in (folder, *folder.parents):
        quota = read(each)
        if quota is not None:
            yield quota
        if each == top:
            return


def _quota_v2(folder: Path) -> float | None:
    """`cpu.max`: "max 100000", or microseconds of CPU time and of the period."""
    quota_us, _, period_us = _text(folder / "cpu.max").partition(" ")
    return _share(quota_us, period_us)


def _quota_v1(folder: Path) -> float | None:
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    return _share(*(_text(folder / name).strip() for name in names))


def _share(quota_us: str, period_us: str) -> float | None:
    if not (quota_us.isdigit() and period_us.isdigit()) or int(period_us) == 0:
        return None  # "max", "-1", or not there
    return int(quota_us) / int(period_us)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
