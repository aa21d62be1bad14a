"""What the work outside the networks costs: ours, rtmlib's and the official recipe's.

Letterbox, detector input, decoding and suppression of boxes, crops, normalisation, decoding of
SimCC and mapping back, on a picture of 1280x720, a letterbox of 640 and crops of 384x288. The
networks are ONNX files made here whose outputs are constants, so that every contender finds the
same persons and the same keypoints; the time of `InferenceSession.run` is taken off all the same.

Run it with `python -m dwpose_infer.benchmarks.outside_networks`; README.md beside this file
defines every number.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2

from .._version import __version__
from ..errors import DwposeError
from ..formats.atomic import write_bytes
from .constant_networks import CROP_WH, DETECTOR_WH, PICTURE_WH
from .contenders import OURS
from .outside_tables import (
    BENCHMARK,
    SCHEMA_VERSION,
    TARGET_RATIO,
    full_table,
    read_document,
    summary_table,
    verdict,
)
from .outside_timing import measure


def measure_all(persons: Sequence[int], *, repeats: int) -> dict[str, Any]:
    """Returns all that is measured as plain values, ready for `json.dumps`.

    Args:
        persons: Numbers of persons on the picture, measured one after the other.
        repeats: Rounds of each.

    Raises:
        DisagreementError: The contenders do not find the same keypoints.
        InvalidArgumentError: A number is out of range.
        MissingDependencyError: The package `onnx` is not installed.
    """
    rows = [measure(count, repeats=repeats) for count in persons]
    return {
        "schema_version": SCHEMA_VERSION,
        "benchmark": BENCHMARK,
        "environment": environment(),
        "repeats": repeats,
        "picture_wh": list(PICTURE_WH),
        "letterbox_wh": list(DETECTOR_WH),
        "crop_wh": list(CROP_WH),
        "target_ratio_to_rtmlib": TARGET_RATIO,
        "rows": [{**asdict(row), "ratios": row.ratios} for row in rows],
    }


def environment() -> dict[str, str | int | float]:
    """Returns what the times depend on: machine, its load, threads and versions."""
    names = ("numpy", "opencv-python-headless", "onnxruntime", "rtmlib")
    versions: dict[str, str | int | float] = {
        OURS: __version__,
        "python": platform.python_version(),
    }
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {
        "host": platform.node(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 0,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0,
        "opencv_threads": cv2.getNumThreads(),
        "cv2": cv2.__version__,
        **versions,
    }


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        Exit status: 0 measured, 1 failed, 2 wrong usage, 3 something is not installed.
    """
    arguments = _parser().parse_args(argv)
    try:
        if arguments.render is not None:
            print(summary_table(read_document(arguments.render)))
        else:
            _measure_and_tell(arguments)
    except DwposeError as error:
        print(f"outside_networks: error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _measure_and_tell(arguments: argparse.Namespace) -> None:
    if arguments.opencv_threads is not None:
        cv2.setNumThreads(arguments.opencv_threads)
    document = measure_all(arguments.persons, repeats=arguments.repeats)
    print("; ".join(f"{name} {value}" for name, value in document["environment"].items()))
    print(f"\n{full_table(document)}\n\n{verdict(document)}")
    if arguments.json is not None:
        write_bytes(arguments.json, f"{json.dumps(document, indent=2)}\n".encode())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dwpose_infer.benchmarks.outside_networks",
        description="What the work outside the networks costs, beside rtmlib's and the official "
        "recipe's.",
    )
    parser.add_argument(
        "--persons", nargs="+", type=int, default=[1, 3, 10], help="persons on the picture"
    )
    parser.add_argument("--repeats", type=int, default=60, help="rounds (default: 60)")
    parser.add_argument(
        "--opencv-threads", type=int, help="threads of OpenCV, for all alike (default: its own)"
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
    output.add_argument(
        "--render",
        type=Path,
        metavar="FILE",
        help="measure nothing: print the short table of what --json wrote to FILE",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
