"""What a measurement depends on besides the code: the machine, its load and the versions.

Nothing in it tells whose machine it was: no host name, no user, no path.
"""

from __future__ import annotations

import datetime
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import psutil

from .._version import __version__
from ..cores import usable_cores
from ..wheels import MEASURED_WHEELS, installed

CPU_FLAGS = (
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
    "bf16",
    "sve",
)
"""Instruction sets, as Linux calls them, that decide how fast a network runs."""

LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "OPENCV_CPU_DISABLE")
"""Variables of the environment that keep OpenVINO or OpenCV from instruction sets; ONNX Runtime
knows none."""

GIB = 2**30
MB = 1e6


class Cpu(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The processor.

    Attributes:
        model: Name that it gives itself.
        flags: Those of `CPU_FLAGS` that it has; empty where the system does not tell.
        physical_cores: Cores, or None where the system does not tell.
        logical_cores: Hardware threads.
        usable_cores: Hardware threads that this process may use.
    """

    model: str
    flags: tuple[str, ...]
    physical_cores: int | None
    logical_cores: int
    usable_cores: int


class Gpu(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One NVIDIA GPU, as its driver describes it."""

    name: str
    driver: str
    memory_mib: int


class Environment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machine and what ran on it.

    Attributes:
        label: The machine in a few words, for the line under a table.
        cpu: The processor.
        memory_gib: Memory in GiB.
        os: Operating system and kernel.
        python: Version of Python.
        wheels: Distribution -> version, of those in `MEASURED_WHEELS` that are installed.
        dwpose_infer: Version of this package.
        threads: Setting -> number of threads it stands for.
        gpus: NVIDIA GPUs; empty without a driver.
        load_average_1min: Load of the last minute before the measurement, or None.
        date: Day of the measurement, UTC.
    """

    label: str
    cpu: Cpu
    memory_gib: float
    os: str
    python: str
    wheels: dict[str, str]
    dwpose_infer: str
    threads: dict[str, int]
    gpus: tuple[Gpu, ...]
    load_average_1min: float | None
    date: datetime.date


def capture_environment(*, threads: Mapping[str, int] | None = None) -> Environment:
    """Returns the state of this machine; call it before measuring, for the load.

    Args:
        threads: Settings of the benchmark, such as {"onnxruntime_intra_op": 2}, beside which
            OpenCV's number of threads is recorded.
    """
    import cv2

    cpu, gpus = _cpu(), _gpus()
    memory_gib = round(psutil.virtual_memory().total / GIB, 1)
    return Environment(
        label=_label(cpu, gpus),
        cpu=cpu,
        memory_gib=memory_gib,
        os=_operating_system(),
        python=platform.python_version(),
        wheels=installed(MEASURED_WHEELS),
        dwpose_infer=__version__,
        threads={"opencv": cv2.getNumThreads(), **(threads or {})},
        gpus=gpus,
        load_average_1min=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        date=datetime.datetime.now(datetime.timezone.utc).date(),
    )


def physical_cores() -> int:
    """Returns the number of cores that this process may use, without their second threads."""
    return min(psutil.cpu_count(logical=False) or usable_cores(), usable_cores())


def _cpu() -> Cpu:
    facts = _cpuinfo()
    flags = set((facts.get("flags") or facts.get("Features") or "").split())
    return Cpu(
        model=facts.get("model name") or platform.processor() or platform.machine(),
        flags=tuple(flag for flag in CPU_FLAGS if flag in flags),
        physical_cores=psutil.cpu_count(logical=False),
        logical_cores=psutil.cpu_count() or 1,
        usable_cores=usable_cores(),
    )


def _cpuinfo() -> dict[str, str]:
    """The first processor of Linux's list; empty on other systems."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.split("\n\n", 1)[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _label(cpu: Cpu, gpus: tuple[Gpu, ...]) -> str:
    virtual = "hypervisor" in _cpuinfo().get("flags", "").split()
    kind = "virtual machine" if virtual else platform.system()
    model = cpu.model.replace("(R)", "").replace("(TM)", "")
    cores = f"{cpu.usable_cores} core{'s'[cpu.usable_cores == 1 :]}"
    limits = [f"{name}={os.environ[name]}" for name in LIMITS if os.environ.get(name)]
    return ", ".join([f"{kind}, {cores} of {model}", *(gpu.name for gpu in gpus), *limits])


def _operating_system() -> str:
    kernel = f"{platform.system()} {platform.release()} {platform.machine()}"
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {kernel}"
    except (OSError, KeyError):
        return kernel


def _gpus() -> tuple[Gpu, ...]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    query = "--query-gpu=name,driver_version,memory.total"
    try:
        listed = subprocess.run(
            [program, query, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):  # a driver that does not answer: no GPU to use
        return ()
    rows = (line.split(", ") for line in listed.stdout.splitlines() if line.count(", ") == 2)
    return tuple(
        Gpu(name=name, driver=driver, memory_mib=int(memory))
        for name, driver, memory in rows
        if memory.isdigit()
    )


def resident_mb() -> float:
    """Returns the resident set size of this process now, in MB (1e6 bytes)."""
    return float(psutil.Process().memory_info().rss) / MB


def peak_resident_mb() -> float:
    """Returns the largest resident set size of this process so far, in MB (1e6 bytes).

    On Linux it is read from /proc: `getrusage` there reports that of the program which started
    this one, if it was larger.
    """
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / MB
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return _peak_by_getrusage_mb()
    found = re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 / MB if found else _peak_by_getrusage_mb()


def _peak_by_getrusage_mb() -> float:
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MB
