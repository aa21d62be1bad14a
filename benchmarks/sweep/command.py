"""The command `dwpose-bench sweep`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..benchmark import Benchmark, Settings, Work

if TYPE_CHECKING:
    from .sweep import SweepDocument

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
"""


@dataclass(frozen=True, kw_only=True)
class SweepSettings(Settings):
    """What is swept over.

    Attributes:
        models: Names or files; none takes the bundled ones, unless `random_weights` names some.
        random_weights: Names of published pose networks that get random weights.
        backend: Runtime, on the CPU.
        threads: Numbers of threads inside one operator; None takes 1, 2, 4 and so on.
        batches: Sizes of batch.
        repeats: Rounds.
    """

    models: Sequence[str]
    random_weights: Sequence[str]
    backend: Literal["ort", "openvino"]
    threads: Sequence[int] | None
    batches: Sequence[int]
    repeats: int


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="pose models or detectors, names or ONNX files (default: the bundled ones)",
    )
    parser.add_argument(
        "--random-weights",
        nargs="+",
        default=[],
        metavar="NAME",
        help="published pose networks with random weights, such as dwpose-l-384; needs torch",
    )
    parser.add_argument(
        "--backend", choices=("ort", "openvino"), default="ort", help="runtime (default: ort)"
    )
    parser.add_argument(
        "--threads",
        nargs="+",
        type=int,
        metavar="N",
        help="numbers of threads (default: 1, 2, 4 and so on up to the physical cores)",
    )
    parser.add_argument(
        "--batches",
        nargs="+",
        type=int,
        default=[1, 2, 4, 8, 16],
        metavar="N",
        help="sizes of batch (default: 1 2 4 8 16)",
    )
    parser.add_argument("--repeats", type=int, default=20, help="rounds (default: 20)")


def _load() -> Work[SweepSettings, SweepDocument]:
    from .sweep import SweepDocument, measure, report

    return Work(document=SweepDocument, measure=measure, report=report, table="sweep")


SWEEP = Benchmark(
    description=_DESCRIPTION,
    epilog=_EPILOG,
    add_options=_add_options,
    settings=SweepSettings,
    load=_load,
)
