"""The commands `dwpose-bench sweep`, `cold-start` and `soak`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..pipeline.command import add_network_options, models_of, name_of, pose_name_of, threads_of
from ..result_options import add_result_options, show_result

if TYPE_CHECKING:
    from .document import ColdStartDocument, SoakDocument, SweepDocument

SOAK_PERSONS = (1, 2, 1, 3, 1, 2, 1, 5, 1, 3)
"""Persons on the ten pictures that a long run works on in turn."""

_SWEEP = """\
Latency and throughput of networks by themselves, on noise, for every number of threads with every
size of batch. The sizes of batch take turns; one session lives at a time. Which number is best
depends on the machine: `dwpose-infer --threads` and `--max-batch` take it.
"""

_SWEEP_EPILOG = """\
examples:
  dwpose-bench sweep                                  the bundled models
  dwpose-bench sweep dwpose-m dwpose-l-384 --threads 1 2 4 8 --batches 1 4 16 --json sweep.json
  dwpose-bench sweep --random-weights dwpose-m dwpose-l-384
  dwpose-bench sweep --backend openvino
"""

_COLD_START = """\
How long it takes from nothing to the first result: fresh processes import the package, load both
networks and work on one picture (a JPEG of 1280 x 720 pixels with one person). The first start is
lost: it brings the files into the system's cache.
"""

_COLD_START_EPILOG = """\
examples:
  dwpose-bench cold-start
  dwpose-bench cold-start --runs 15 --threads 1 --json cold_start.json
  dwpose-bench cold-start --pose dwpose-l-384 --det yolox-l
"""

_SOAK = """\
A long run over JPEG pictures of one to five persons, from file to drawn picture, in one process.
After the first hundred pictures the memory must not rise by 20 MB, and the last hundred must take
about as long as the first; otherwise the exit status is 1.
"""

_SOAK_EPILOG = """\
examples:
  dwpose-bench soak
  dwpose-bench soak --pictures 10000 --threads 1 --json soak.json
"""


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommands `sweep`, `cold-start` and `soak`."""
    _add_sweep(commands)
    _add_cold_start(commands)
    _add_soak(commands)


def _add_sweep(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "sweep",
        help="latency and throughput over threads and sizes of batch",
        description=_SWEEP,
        epilog=_SWEEP_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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
    add_result_options(parser)
    parser.set_defaults(run=_run_sweep)


def _add_cold_start(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "cold-start",
        help="from nothing to the first result, in fresh processes",
        description=_COLD_START,
        epilog=_COLD_START_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_network_options(parser)
    parser.add_argument("--runs", type=int, default=9, help="starts that count (default: 9)")
    add_result_options(parser)
    parser.set_defaults(run=_run_cold_start)


def _add_soak(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "soak",
        help="a long run: whether memory and latency stay as they began",
        description=_SOAK,
        epilog=_SOAK_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_network_options(parser)
    parser.add_argument(
        "--pictures", type=int, default=1000, help="a multiple of 100 (default: 1000)"
    )
    add_result_options(parser)
    parser.set_defaults(run=_run_soak)


def _run_sweep(arguments: argparse.Namespace) -> int:
    from .document import SweepDocument
    from .tables import sweep_report

    show_result(arguments, SweepDocument, measure=measure_sweep, report=sweep_report)
    return 0


def measure_sweep(arguments: argparse.Namespace) -> SweepDocument:
    """Returns all that is measured, as the parsed arguments say."""
    from ...zoo import DEFAULT_DETECTOR, DEFAULT_POSE, resolve_model
    from ..machine import capture_environment
    from ..peers.networks import random_pose
    from .document import SweepDocument
    from .sweep import sweep

    environment, random = capture_environment(), list(dict.fromkeys(arguments.random_weights))
    models = arguments.models or ([] if random else [DEFAULT_POSE, DEFAULT_DETECTOR])
    with tempfile.TemporaryDirectory(prefix="dwpose-bench-") as folder:
        paths = {name_of(model): resolve_model(model) for model in models}
        paths |= {name: random_pose(name, Path(folder))[0] for name in random}
        rows = [
            row
            for name, path in paths.items()
            for row in sweep(
                name,
                path,
                backend=arguments.backend,
                threads=arguments.threads or _powers_of_two(),
                batches=arguments.batches,
                repeats=arguments.repeats,
            )
        ]
    return SweepDocument(
        environment=environment,
        backend=arguments.backend,
        repeats=arguments.repeats,
        random_weights=tuple(random),
        rows=tuple(rows),
    )


def _powers_of_two() -> list[int]:
    """1, 2, 4 and so on below the number of physical cores, and that number."""
    from ..machine import physical_cores

    cores = physical_cores()
    return [*(1 << power for power in range(cores.bit_length()) if 1 << power < cores), cores]


def _run_cold_start(arguments: argparse.Namespace) -> int:
    from .document import ColdStartDocument
    from .tables import cold_start_report

    show_result(arguments, ColdStartDocument, measure=measure_cold_start, report=cold_start_report)
    return 0


def measure_cold_start(arguments: argparse.Namespace) -> ColdStartDocument:
    """Returns all that is measured, as the parsed arguments say."""
    from ..machine import capture_environment
    from ..peers.montage import write_montages
    from .cold_start import cold_starts
    from .document import ColdStartDocument

    threads = threads_of(arguments)
    environment = capture_environment(threads={"onnxruntime_intra_op": threads})
    with tempfile.TemporaryDirectory(prefix="dwpose-bench-") as temporary:
        folder = Path(temporary)
        (picture,) = write_montages(folder, [1])
        pose, detector = models_of(arguments, folder)
        runs = cold_starts(pose, detector, picture, threads=threads, runs=arguments.runs)
    return ColdStartDocument(
        environment=environment,
        pose=pose_name_of(arguments, pose),
        detector=name_of(detector),
        threads=threads,
        runs=tuple(runs),
    )


def _run_soak(arguments: argparse.Namespace) -> int:
    from .document import SoakDocument
    from .tables import soak_report

    document = show_result(arguments, SoakDocument, measure=measure_soak, report=soak_report)
    return 0 if document.passed else 1


def measure_soak(arguments: argparse.Namespace) -> SoakDocument:
    """Returns all that is measured, as the parsed arguments say."""
    from ...drawing import draw_overlay
    from ...images import read_image
    from ...predictor import Predictor
    from ..machine import capture_environment
    from ..peers.montage import montage_jpeg
    from .document import SoakDocument
    from .soak import MAX_GROWTH_MB, MAX_SLOWDOWN, soak

    threads = threads_of(arguments)
    environment = capture_environment(threads={"onnxruntime_intra_op": threads})
    files = [montage_jpeg(count, first=first) for first, count in enumerate(SOAK_PERSONS)]
    with tempfile.TemporaryDirectory(prefix="dwpose-bench-") as folder:
        pose, detector = models_of(arguments, Path(folder))
        with Predictor(pose, detector, threads=threads) as predictor:

            def work(data: bytes) -> int:
                image_bgr = read_image(data)
                result = predictor(image_bgr)
                draw_overlay(image_bgr, result)
                return len(result)

            hundreds, persons = soak(work, files, pictures=arguments.pictures)
    return SoakDocument(
        environment=environment,
        pose=pose_name_of(arguments, pose),
        detector=name_of(detector),
        threads=threads,
        persons=persons,
        max_growth_mb=MAX_GROWTH_MB,
        max_slowdown=MAX_SLOWDOWN,
        hundreds=tuple(hundreds),
    )
