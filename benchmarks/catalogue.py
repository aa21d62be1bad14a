"""All benchmarks, in the order in which `dwpose-bench --help` names them."""

from __future__ import annotations

from typing import Any

from .benchmark import Benchmark
from .cold_start.command import COLD_START
from .complexity.command import COMPLEXITY
from .latency.command import LATENCY
from .pipeline.command import OVERHEAD, PIPELINE
from .soak.command import SOAK
from .sweep.command import SWEEP
from .video.command import VIDEO

BENCHMARKS: tuple[Benchmark[Any], ...] = (
    COMPLEXITY,
    LATENCY,
    PIPELINE,
    OVERHEAD,
    SWEEP,
    COLD_START,
    SOAK,
    VIDEO,
)
