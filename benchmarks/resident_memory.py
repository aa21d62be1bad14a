"""How much memory this process has in use, and had at most, in MB (1e6 bytes)."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import psutil

MB = 1e6


def resident_mb() -> float:
    """Returns the resident set size now."""
    return float(psutil.Process().memory_info().rss) / MB


def peak_resident_mb() -> float:
    """Returns the largest resident set size so far.

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
