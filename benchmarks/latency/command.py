"""The command `dwpose-bench table`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..benchmark import Benchmark, Settings, option

_DESCRIPTION = """\
The published latency table, measured here by its own definition: batch 1, 50 calls to warm up,
mean of 200 calls of the network alone; the input lies on the device, the output stays there, and
the clock stops when the device is done. No picture is read, cut out or decoded.

All that is repeated (--repetitions), every network in turn, so that a busy moment of the machine
shows: the figure is the median of the repetitions' means, and their spread stands beside it.
Published columns (i7-11700, GTX 1660 Ti) stand beside measured ones and are called so. The ratios
of the rows depend on the machine much less than the milliseconds do.

What is used for more than the published table: --deploy (pictures as bytes in, points out, in half
precision, as persons are computed on a GPU), --batches, and PyTorch on the same device beside it.
"""

_EPILOG = """\
MODEL is one of
  a name       of `dwpose-models list`; downloaded where it is not at hand
  FILE.onnx    a network with one input of fixed size, but for the batch
  NAME=FILE    a file in the row of the published network NAME, such as dwpose-m=end2end.onnx

backends (--backends a,b,...; default: ort, and openvino, ort-cuda, trt where present):
  ort             ONNX Runtime on the CPU           openvino, openvino-bf16   OpenVINO on the CPU
  ort-cuda        ONNX Runtime on a GPU             trt                       TensorRT (fp16, or
                                                                              as --deploy says)
  torch, torch-graph, torch-compiled
                  PyTorch on --device: eager, as a CUDA graph (on the CPU its column has no
                  figures), compiled; the published form of the network without copies, on a GPU in
                  the precision of --deploy; with --random-weights, and only when asked for

examples:
  dwpose-bench table --random-weights                           no download; needs torch:
                                                        pip install "dwpose-infer[bench,export]"
  dwpose-bench table --json latency.json --plot latency.png     the official models
  dwpose-bench table dwpose-m mine.onnx --backends ort --threads 1
  dwpose-bench table --random-weights --device cuda --deploy fp16 --batches 1 8 64 \\
      --backends ort-cuda,torch,torch-graph,torch-compiled --json gpu.json
  dwpose-bench table --from latency.json --plot latency.png     measures nothing
"""


@dataclass(frozen=True, kw_only=True)
class TableSettings(Settings):
    """What is measured, on what, and how often."""

    models: Sequence[str] = option(
        "models", nargs="*", metavar="MODEL", help="see below (default: the five networks)"
    )
    random_weights: bool = option(
        "--random-weights",
        action="store_true",
        help="build the networks with random weights; the time does not depend on them",
    )
    backends: str | None = option("--backends", metavar="LIST", help="see below")
    device: str | None = option(
        "--device",
        metavar="cpu|cuda[:N]",
        help="where PyTorch runs, and which GPU is taken; on cuda only what runs there is measured "
        "unless --backends says more (default: cpu)",
    )
    deploy: Literal["fp32", "fp16"] | None = option(
        "--deploy",
        choices=("fp32", "fp16"),
        help="convert the networks to deploy form in this precision first, as `dwpose-export` does "
        "(default: as they are)",
    )
    batches: Sequence[int] = option(
        "--batches",
        nargs="+",
        type=int,
        default=[1],
        metavar="N",
        help="crops in one call, one size after the other (default: 1, as published)",
    )
    threads: int | None = option(
        "--threads", type=int, metavar="N", help="of one call (default: one a physical core)"
    )
    warmup: int = option("--warmup", type=int, default=50, metavar="N", help="default: 50")
    runs: int = option("--runs", type=int, default=200, metavar="N", help="default: 200")
    repetitions: int = option("--repetitions", type=int, default=3, metavar="N", help="default: 3")
    markdown: Path | None = option(
        "--markdown", type=Path, metavar="FILE", help="write the tables to a file, too"
    )
    plot: Path | None = option(
        "--plot", type=Path, metavar="FILE", help="draw published AP against latency, as PNG"
    )


BENCHMARK = Benchmark(
    description=_DESCRIPTION,
    epilog=_EPILOG,
    settings=TableSettings,
    module=f"{__package__}.timing",
)
