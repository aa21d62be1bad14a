"""The command `dwpose-bench outside`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .document import OutsideDocument

_EPILOG = """\
Letterbox, detector input, decoding and suppression of boxes, crops, normalisation, decoding of
SimCC and mapping back, on a picture of 1280x720, a letterbox of 640 and crops of 384x288. The
networks are ONNX files made here whose outputs are constants, so that every contender finds the
same persons and the same keypoints; the time of InferenceSession.run is taken off all the same.
`dwpose-bench pipeline` does the same with real networks.

For rtmlib among the contenders: pip install --no-deps rtmlib==0.0.16 (with its dependencies it
would replace cv2).

examples:
  dwpose-bench outside
  dwpose-bench outside --persons 1 3 10 --repeats 200 --json outside.json
  dwpose-bench outside --render outside.json
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand `outside`."""
    parser = commands.add_parser(
        "outside",
        help="what the work outside the networks costs, beside rtmlib",
        description="Measure what everything outside the networks costs, beside rtmlib and the "
        "official recipe, in turns in one process.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--persons",
        nargs="+",
        type=int,
        default=[1, 3, 10],
        metavar="N",
        help="persons on the picture (default: 1 3 10)",
    )
    parser.add_argument("--repeats", type=int, default=60, help="rounds (default: 60)")
    parser.add_argument(
        "--opencv-threads",
        type=int,
        metavar="N",
        help="threads of OpenCV, for all alike (default: its own)",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
    output.add_argument(
        "--render",
        type=Path,
        metavar="FILE",
        help="measure nothing: print the short table of what --json wrote to FILE",
    )
    parser.set_defaults(run=_run)


def measure_all(persons: Sequence[int], *, repeats: int) -> OutsideDocument:
    """Returns all that is measured.

    Args:
        persons: Numbers of persons on the picture, measured one after the other.
        repeats: Rounds of each.

    Raises:
        DisagreementError: The contenders do not find the same keypoints.
        InvalidArgumentError: A number is out of range.
        MissingDependencyError: The package `onnx` is not installed.
    """
    from ..machine import capture_environment
    from ..peers.constant_networks import CROP_WH, DETECTOR_WH, PICTURE_WH
    from .document import TARGET_RATIO, OutsideDocument
    from .timing import measure

    environment = capture_environment(threads={"onnxruntime_intra_op": 1})
    return OutsideDocument(
        environment=environment,
        repeats=repeats,
        picture_wh=PICTURE_WH,
        letterbox_wh=DETECTOR_WH,
        crop_wh=CROP_WH,
        target_ratio_to_rtmlib=TARGET_RATIO,
        rows=tuple(measure(count, repeats=repeats) for count in persons),
    )


def _run(arguments: argparse.Namespace) -> int:
    from ..document import read_document, write_document
    from .document import OutsideDocument
    from .tables import full_table, summary_table, verdict

    if arguments.render is not None:
        print(summary_table(read_document(arguments.render, OutsideDocument)))
        return 0
    if arguments.opencv_threads is not None:
        import cv2

        cv2.setNumThreads(arguments.opencv_threads)
    document = measure_all(arguments.persons, repeats=arguments.repeats)
    print(f"{document.environment.label}\n\n{full_table(document)}\n\n{verdict(document)}")
    if arguments.json is not None:
        write_document(arguments.json, document)
    return 0
