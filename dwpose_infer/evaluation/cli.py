"""The command `dwpose-eval`: how good poses and boxes are, against labels."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..cli.argument_values import positive_number, share_number
from ..cli.model_options import add_model_options
from ..cli.standard_options import run_command, standard_parser

_EPILOG = """\
examples:
  dwpose-eval --annotations val.json --results result_keypoints.json --out metrics.json
  dwpose-eval --annotations val.json --images val2017/ --out metrics.json
  dwpose-eval --annotations val.json --images val2017/ --boxes detections.json --flip-test \\
      --pose dwpose-l-384 --out metrics.json --save-results results.json
  dwpose-eval --annotations val.json --images val2017/ --boxes detector --out pipeline.json \\
      --per-person persons.csv --draw worst/
  dwpose-eval --annotations val.json --images val2017/ --task detector --out detector.json
  dwpose-eval --annotations val.json --results results.json --bootstrap --out metrics.json
  dwpose-eval --annotations scene.json --images ubody/ --frame-step 10 --out scene-metrics.json

what is evaluated:
  COCO-WholeBody protocol   average precision and recall of body, foot, face, lefthand, righthand
                            and wholebody, equal to mmpose's and xtcocotools'
  points                    share of labelled points within 5 % of the labelled box's longer side
                            (PCK) and mean error, by part, label and source; for small sets
  detector                  COCO's AP and AP50 for persons (--task detector)

Annotations are COCO-WholeBody's or UBody's. An interrupted run goes on when the same command is
given again; --restart begins anew. Needs pip install "dwpose-infer[eval]".

exit status:
  0 done    1 failed    2 wrong usage    3 backend, device or optional package unavailable
  4 model not available    130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        Exit status, see `dwpose-eval --help`.
    """
    words = "interrupted; give the same command again to go on"
    return run_command(
        command_parser(), lambda given: _evaluate(vars(given)), argv, interrupted=words
    )


def _evaluate(given: Mapping[str, Any]) -> int:
    from .options import options_of
    from .report import to_markdown
    from .run import run

    options = options_of(given)
    document = run(options)
    if not options.quiet:
        print(to_markdown(document))
    return 0


def command_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command."""
    parser = standard_parser(
        "dwpose-eval",
        "Evaluate whole-body poses, or a person detector, against labels.",
        _EPILOG,
    )
    _add_files(parser.add_argument_group("files"))
    _add_prediction(parser.add_argument_group("what is predicted (with --images)"))
    add_model_options(parser.add_argument_group("models and where they run (with --images)"))
    _add_selection(parser.add_argument_group("pictures and thresholds"))
    return parser


def _add_files(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--annotations",
        type=Path,
        required=True,
        metavar="GT.json",
        help="labels in the layout of COCO-WholeBody or UBody",
    )
    group.add_argument(
        "--results",
        type=Path,
        metavar="RESULTS.json",
        help="persons found: a results list as mmpose and `dwpose-infer --format coco` write it, "
        "or raw predictions, which are scored and suppressed first",
    )
    group.add_argument(
        "--images", type=Path, metavar="DIR", help="folder of the pictures, to predict on them"
    )
    group.add_argument(
        "--out", type=Path, required=True, metavar="METRICS.json", help="file of all figures"
    )
    group.add_argument(
        "--save-results",
        type=Path,
        metavar="FILE",
        help="write the persons as a results list, scored and suppressed",
    )
    group.add_argument(
        "--per-person",
        type=Path,
        metavar="FILE",
        help="write the errors of every labelled person, worst first: .csv or .json",
    )
    group.add_argument(
        "--draw", type=Path, metavar="DIR", help="draw the persons that were missed most"
    )
    group.add_argument(
        "--draw-count",
        type=positive_number,
        default=40,
        metavar="N",
        help="how many of them (default: 40)",
    )
    group.add_argument(
        "--restart", action="store_true", help="forget what an interrupted run has done"
    )
    group.add_argument("--quiet", action="store_true", help="print errors only")


def _add_prediction(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--task",
        choices=("pose", "detector"),
        default="pose",
        help="pose (default), or detector for the boxes alone",
    )
    group.add_argument(
        "--boxes",
        metavar="labels|detector|FILE.json",
        help="boxes for the pose network: the labelled ones, clipped to the picture (default), "
        "those of our detector, or a COCO detection file",
    )
    group.add_argument(
        "--flip-test",
        action="store_true",
        help="average with the mirrored crop, as mmpose's evaluation does",
    )
    group.add_argument(
        "--score-threshold",
        type=share_number,
        metavar="X",
        help="least score of a detected person (default: the detector's own; 0.01 with --task "
        "detector, for average precision needs weak boxes)",
    )
    group.add_argument(
        "--nms-threshold",
        type=share_number,
        metavar="X",
        help="of two boxes whose IoU is above this the better one stays (default: 0.45; 0.65 with "
        "--task detector)",
    )
    group.add_argument(
        "--cut",
        choices=("portrait",),
        help="cut the pictures of single upright persons between shoulders and hips, to see what "
        "becomes of points outside the picture",
    )


def _add_selection(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--frame-step",
        type=positive_number,
        default=1,
        metavar="N",
        help="take only pictures whose id is a multiple of N; 10 for UBody (default: 1)",
    )
    group.add_argument(
        "--limit",
        type=positive_number,
        metavar="N",
        help="take the first N pictures only, for a quick look",
    )
    group.add_argument(
        "--bootstrap",
        type=positive_number,
        nargs="?",
        const=1000,
        metavar="N",
        help="AP with its 95 %% interval: pictures are drawn anew with replacement, N times "
        "(default N: 1000)",
    )
    group.add_argument(
        "--pck-threshold",
        type=float,
        default=0.05,
        metavar="X",
        help="a point is hit within this share of the box's longer side (default: 0.05)",
    )
    group.add_argument(
        "--confident-score",
        type=float,
        default=0.3,
        metavar="X",
        help="points that score above it count as sure (default: 0.3)",
    )


if __name__ == "__main__":
    raise SystemExit(main())
