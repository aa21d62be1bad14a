"""The command `dwpose-bench sweep`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..benchmark import Benchmark, option
from ..network_options import DeviceSettings

_DESCRIPTION = """\
Latency and throughput of networks by themselves, on noise, for every number of threads with every
size of batch. The sizes of batch take turns; one session lives at a time. Which number is best
depends on the machine: `dwpose-infer --threads` and `--max-batch` take it.
"""

_EPILOG = """\
examples:
  dwpose-bench sweep                                  the bundled models
  dwpose-bench sweep dwpose-m dwpose-l-384 --threads 1 2 4 8 --batches 1 4 16 --json sweep.json
  dwpose-bench sweep --random-weights dwpose-m dwpose-l-384
  dwpose-bench sweep --backend openvino
  dwpose-bench sweep --random-weights dwpose-m --deploy fp16 --device cuda --batches 1 8 64
"""


@dataclass(frozen=True, kw_only=True)
class SweepSettings(DeviceSettings):
    """Which networks are swept over what."""

    models: Sequence[str] = option(
        "models",
        nargs="*",
        metavar="MODEL",
        help="pose models or detectors, names or ONNX files (default: the bundled ones)",
    )
    random_weights: Sequence[str] = option(
        "--random-weights",
        nargs="+",
        default=[],
        metavar="NAME",
        help="published pose networks with random weights, such as dwpose-l-384; needs torch",
    )
    backend: Literal["ort", "openvino"] = option(
        "--backend", choices=("ort", "openvino"), default="ort", help="runtime (default: ort)"
    )
    deploy: Literal["fp32", "fp16"] | None = option(
        "--deploy",
        choices=("fp32", "fp16"),
        help="convert the networks to deploy form (uint8 pictures in) in this precision first, as "
        "`dwpose-export` does (default: as they are)",
    )
    threads: Sequence[int] | None = option(
        "--threads",
        nargs="+",
        type=int,
        metavar="N",
        help="numbers of threads (default: 1, 2, 4 and so on up to the physical cores; on a "
        "GPU those cores alone)",
    )
    batches: Sequence[int] = option(
        "--batches",
        nargs="+",
        type=int,
        default=[1, 2, 4, 8, 16],
        metavar="N",
        help="sizes of batch (default: 1 2 4 8 16)",
    )
    repeats: int = option("--repeats", type=int, default=20, help="rounds (default: 20)")


BENCHMARK = Benchmark(
    description=_DESCRIPTION,
    epilog=_EPILOG,
    settings=SweepSettings,
    module=f"{__package__}.sweep",
)
