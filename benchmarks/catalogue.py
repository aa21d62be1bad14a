"""All benchmarks by the names of their commands, in the order of `dwpose-bench --help`.

Names and half a line are here, the rest is loaded one by one: `--help` is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .benchmark import Benchmark

BENCHMARKS = {
    "complexity": "parameters and GFLOPs of the networks, or of ONNX files",
    "table": "latency of the networks, beside the published table",
    "pipeline": "from picture to result, stage by stage and beside rtmlib",
    "outside": "another name of pipeline --constant-networks",
    "sweep": "latency and throughput over threads and sizes of batch",
    "cold-start": "from nothing to the first result, in fresh processes",
    "soak": "a long run: whether memory and latency stay as they began",
    "video": "frames per second of videos, beside a plain loop and rtmlib",
}


def find_benchmark(name: str) -> Benchmark[Any]:
    """Loads the declaration of a benchmark.

    Args:
        name: One of `BENCHMARKS`.

    Raises:
        KeyError: There is no such benchmark.
    """
    if name == "complexity":
        from .complexity.command import COMPLEXITY

        return COMPLEXITY
    if name == "table":
        from .latency.command import LATENCY

        return LATENCY
    if name == "pipeline":
        from .pipeline.command import PIPELINE

        return PIPELINE
    if name == "outside":
        from .pipeline.command import OVERHEAD

        return OVERHEAD
    if name == "sweep":
        from .sweep.command import SWEEP

        return SWEEP
    if name == "cold-start":
        from .cold_start.command import COLD_START

        return COLD_START
    if name == "soak":
        from .soak.command import SOAK

        return SOAK
    if name == "video":
        from .video.command import VIDEO

        return VIDEO
    raise KeyError(name)
