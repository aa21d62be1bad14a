"""`dwpose-bench table`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .document import LatencyDocument
    from .networks import Network

_DESCRIPTION = """\
The published latency table, measured here by its own definition: batch 1, 50 calls to warm up,
mean of 200 calls of the network alone; the input lies on the device, the output stays there, and
the clock stops when the device is done. No picture is read, cut out or decoded.

All that is repeated (--repetitions), every network in turn, so that a busy moment of the machine
shows: the figure is the median of the repetitions' means, and their spread stands beside it.
Published columns (i7-11700, GTX 1660 Ti) stand beside measured ones and are called so. The ratios
of the rows depend on the machine much less than the milliseconds do.
"""

_EPILOG = """\
MODEL is one of
  a name       of `dwpose-models list`; downloaded where it is not at hand
  FILE.onnx    a network with one input of fixed size, but for the batch
  NAME=FILE    a file in the row of the published network NAME, such as dwpose-m=end2end.onnx

backends (--backends a,b,...; default: ort, and openvino, ort-cuda, trt where present):
  ort             ONNX Runtime on the CPU           openvino, openvino-bf16   OpenVINO on the CPU
  ort-cuda        ONNX Runtime on a GPU, fp32       trt                       TensorRT, FP16
  torch, torch-compiled   PyTorch on the CPU; with --random-weights only

examples:
  dwpose-bench table --random-weights                           no download; needs torch:
                                                        pip install "dwpose-infer[bench,export]"
  dwpose-bench table --json latency.json --plot latency.png     the official models
  dwpose-bench table dwpose-m mine.onnx --backends ort --threads 1
  dwpose-bench table --from latency.json --plot latency.png     measures nothing
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand."""
    parser = commands.add_parser(
        "table",
        help="latency of the networks, beside the published table",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="see below (default: the five networks)"
    )
    parser.add_argument(
        "--random-weights",
        action="store_true",
        help="build the networks with random weights; the time does not depend on them",
    )
    parser.add_argument("--backends", metavar="LIST", help="see below")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="of one call (default: one a physical core)"
    )
    parser.add_argument("--warmup", type=int, default=50, metavar="N", help="default: 50")
    parser.add_argument("--runs", type=int, default=200, metavar="N", help="default: 200")
    parser.add_argument("--repetitions", type=int, default=3, metavar="N", help="default: 3")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the tables to a file, too"
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw published AP against latency, as PNG"
    )
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="measure nothing: show what --json wrote to FILE",
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from ...files.atomic import write_bytes
    from ..document import read_document, write_document
    from .document import LatencyDocument
    from .tables import full_report

    if arguments.source is not None:
        document = read_document(arguments.source, LatencyDocument)
    else:
        document = _measure(arguments)
    report = full_report(document)
    print(report)
    if arguments.json is not None:
        write_document(arguments.json, document)
    if arguments.markdown is not None:
        write_bytes(arguments.markdown, f"{report}\n".encode())
    if arguments.plot is not None:
        from .plot import save_plot

        save_plot(document, arguments.plot)
    return 0


def _measure(arguments: argparse.Namespace) -> LatencyDocument:
    from ..machine import physical_cores
    from .backends import WHERE_PRESENT, parse_backends
    from .timing import Protocol, measure_latency

    chosen = arguments.backends
    protocol = Protocol(arguments.warmup, arguments.runs, arguments.repetitions)
    backends = WHERE_PRESENT if chosen is None else parse_backends(chosen)
    threads = physical_cores() if arguments.threads is None else arguments.threads
    with tempfile.TemporaryDirectory(prefix="dwpose-bench-") as folder:
        return measure_latency(
            _networks(arguments, Path(folder)),
            backends,
            threads=threads,
            protocol=protocol,
            where_present=chosen is None,
            say=lambda line: print(f"dwpose-bench table: {line}", file=sys.stderr),
        )


def _networks(arguments: argparse.Namespace, folder: Path) -> list[Network]:
    from .networks import find_networks, random_networks

    progress = sys.stderr.isatty()
    if arguments.random_weights:
        return random_networks(arguments.models, folder, progress=progress)
    return find_networks(arguments.models, progress=progress)
