"""A quick look at accuracy: how many labelled points of single persons are hit.

The whole pipeline runs on pictures with one labelled person each, and every labelled point
counts as hit within a share of the height of the labelled box. This is a check to repeat after
every change of a model, small and without further packages; it is not the COCO-WholeBody
protocol (OKS, average precision), whose evaluator is a module of its own.

Run it with `python -m dwpose_infer.benchmarks.quick_accuracy`; README.md beside this file
defines every number.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from ..errors import DwposeError, InvalidArgumentError
from ..formats.atomic import write_bytes
from ..keypoints import BODY
from ..predictor import DEFAULT_DETECTOR, DEFAULT_POSE, Predictor
from .person_choice import TAKES, choose, read_pictures
from .person_hits import FOUND_IOU, GOOD_PCK, TOLERANCE, Outcome, evaluate, summarise

SCHEMA_VERSION = 1
"""Version of the layout of the JSON file."""


def to_markdown(summary: dict[str, Any]) -> str:
    """Returns the figures as tables."""
    within = f"{100 * summary['tolerance']:g} % of the box's height"
    lines = [f"| part | labelled points | within {within} |", "| --- | ---: | ---: |"]
    for name, part in summary["parts"].items():
        hit = "-" if part["hit"] is None else f"{100 * part['hit']:.1f} %"
        lines.append(f"| {name.replace('_', ' ')} | {part['labelled_points']} | {hit} |")
    figures = {
        "body PCK, mean over persons": "body_pck_mean",
        f"body PCK at least {100 * GOOD_PCK:g} %": "persons_body_pck_80",
        f"median body error within {within}": "persons_body_median",
        f"found, IoU at least {FOUND_IOU:g}": "persons_found",
    }
    lines += ["", f"| of {summary['persons_compared']} persons | share |", "| --- | ---: |"]
    lines += [f"| {text} | {100 * summary[key]:.1f} % |" for text, key in figures.items()]
    weak = [person for person in summary["persons"] if person["body_pck"] < GOOD_PCK]
    weak.sort(key=lambda person: float(person["body_pck"]))
    if weak:
        lines += ["", "| below | body PCK | IoU of the box |", "| --- | ---: | ---: |"]
    lines += [
        f"| {person['file_name']} | {100 * person['body_pck']:.0f} % | {person['iou']:.2f} |"
        for person in weak
    ]
    return "\n".join(lines)


def draw(outcome: Outcome, images: Path, folder: Path, *, tolerance: float = TOLERANCE) -> Path:
    """Writes the person found over the picture, with the labelled box and body points.

    Labelled points are green where hit and red where missed. The file's name begins with the
    share of body points hit, so that the worst come first in a listing.
    """
    picture = outcome.picture
    canvas = outcome.result.draw(images / picture.file_name, style="overlay")
    corners = np.rint(picture.box_xyxy).astype(int).tolist()
    cv2.rectangle(canvas, corners[:2], corners[2:], (200, 200, 200), 1)
    for index in np.flatnonzero(picture.labelled[BODY]):
        hit = outcome.errors[BODY][index] <= tolerance
        place = np.rint(picture.keypoints[BODY][index]).astype(int).tolist()
        cv2.circle(canvas, place, 4, (80, 220, 80) if hit else (40, 40, 230), 2, cv2.LINE_AA)
    name = picture.file_name.replace("/", "_")
    share = f"{outcome.pck(BODY, tolerance):.2f}"
    encoded = cv2.imencode(".png", canvas)[1]
    return write_bytes(folder / f"{share}_{Path(name).stem}.png", encoded.tobytes())


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the check.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        Exit status: 0 measured, else that of the error, see `dwpose_infer.errors`.
    """
    arguments = _parser().parse_args(argv)
    try:
        print(_run(arguments))
    except DwposeError as error:
        print(f"quick_accuracy: error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _run(arguments: argparse.Namespace) -> str:
    if not 0 < arguments.tolerance < np.inf:
        raise InvalidArgumentError(f"--tolerance is {arguments.tolerance}, must be above 0")
    pictures = read_pictures(arguments.annotations, label=arguments.label)
    chosen = choose(pictures, count=arguments.persons, seed=arguments.seed, take=arguments.take)
    given = arguments.ground_truth_boxes
    outcomes = []
    with Predictor(arguments.pose, None if given else arguments.detector) as predictor:
        for picture in tqdm(chosen, unit="picture", disable=None):
            outcome = evaluate(predictor, picture, arguments.images, ground_truth_box=given)
            outcomes.append(outcome)
            if arguments.draw is not None:
                draw(outcome, arguments.images, arguments.draw, tolerance=arguments.tolerance)
    summary = summarise(outcomes, tolerance=arguments.tolerance)
    if arguments.json is not None:
        document = {
            "schema_version": SCHEMA_VERSION,
            "benchmark": "quick_accuracy",
            "pose": str(arguments.pose),
            "detector": None if given else str(arguments.detector),
            "annotations": Path(arguments.annotations).name,
            "label": arguments.label,
            "take": arguments.take,
            "seed": arguments.seed if arguments.take == "spread" else None,
            **summary,
        }
        write_bytes(arguments.json, f"{json.dumps(document, indent=2)}\n".encode())
    return to_markdown(summary)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dwpose_infer.benchmarks.quick_accuracy",
        description="How many labelled points of single persons are hit, picture by picture.",
    )
    parser.add_argument(
        "--annotations", type=Path, required=True, metavar="FILE", help="COCO-WholeBody labels"
    )
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="their pictures")
    parser.add_argument("--persons", type=int, default=40, help="how many (default: 40)")
    parser.add_argument("--label", help="only persons whose field `label` is this")
    parser.add_argument(
        "--take",
        choices=TAKES,
        default="spread",
        help="which of them: spread, from each source in turn, shuffled (default), or first, "
        "the first in the order of the file's annotations",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="order within each source for spread (default: 0)"
    )
    parser.add_argument(
        "--tolerance", type=float, default=TOLERANCE, help="share of the box's height"
    )
    parser.add_argument("--pose", default=DEFAULT_POSE, metavar="NAME|PATH", help="pose model")
    boxes = parser.add_mutually_exclusive_group()
    boxes.add_argument(
        "--detector", default=DEFAULT_DETECTOR, metavar="NAME|PATH", help="detector model"
    )
    boxes.add_argument(
        "--ground-truth-boxes", action="store_true", help="labelled boxes, no detector"
    )
    parser.add_argument("--draw", type=Path, metavar="DIR", help="write pictures for looking")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
