"""All benchmarks by the names of their commands, in the order of `dwpose-bench --help`.

Half a line of each is here, the rest is loaded one by one: `--help` is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from .benchmark import Benchmark

BENCHMARKS = {
    "complexity": "parameters and GFLOPs of the networks, or of ONNX files",
    "table": "latency of the networks, beside the published table",
    "pipeline": "from picture to result, stage by stage and beside rtmlib",
    "other-networks": "time and points hit beside MediaPipe and Ultralytics",
    "outside": "another name of pipeline --constant-networks",
    "sweep": "latency and throughput over threads and sizes of batch",
    "cold-start": "from nothing to the first result, in fresh processes",
    "soak": "a long run: whether memory and latency stay as they began",
    "video": "frames per second of videos, beside a plain loop and rtmlib",
    "serve": "the HTTP service with one client and with many, beside LitServe",
    "formats": "how fast poses are written, and the memory that takes",
}

_ELSEWHERE = {"table": "latency.command:BENCHMARK", "outside": "pipeline.command:OUTSIDE"}
"""Those that are not in a folder of their own name."""


def find_benchmark(name: str) -> Benchmark[Any]:
    """Loads the declaration of a benchmark.

    Args:
        name: One of `BENCHMARKS`.

    Raises:
        KeyError: There is no such benchmark.
    """
    from pkgutil import resolve_name

    if name not in BENCHMARKS:
        raise KeyError(name)
    place = _ELSEWHERE.get(name, f"{name.replace('-', '_')}.command:BENCHMARK")
    found: Benchmark[Any] = resolve_name(f"{__package__}.{place}")
    return found
