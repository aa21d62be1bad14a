"""The command `dwpose-retarget`: a clip's movements with the proportions of another person."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .argument_values import finite_number, format_names, frame_rate, names, positive_number
from .drawing_options import add_drawing_options
from .model_options import add_model_options
from .picture_options import add_person_options, add_picture_options, add_url_options
from .standard_options import run_command, standard_parser

_EPILOG = """\
examples:
  dwpose-infer dance.mp4 --track --smooth --draw none          # dwpose-out/dance.jsonl
  dwpose-retarget dwpose-out/dance.jsonl person.jpg            # skeletons for person.jpg
  dwpose-retarget dwpose-out/dance.jsonl person.jpg --draw openpose,overlay --canvas-multiple 16
  dwpose-retarget dance.npz person.json --person 2 --align hips --format npz --draw none

what is written (NAME is the clip's name), beside the clip or in --out:
  NAME_retargeted.jsonl (or other formats)   the poses, in pixels of the reference picture
  NAME_retargeted_openpose.mp4               skeletons on black, of the reference picture's size
  NAME_retargeted_overlay.mp4                skeletons over the reference picture, to look at

Each limb gets the reference's length: by one factor for the whole clip, the reference's length by
the clip's median. Directions of limbs stay, and so do scores and ids. The person begins where the
reference stands, by the ankles if both show them. Lengths are those seen in the picture, so take a
reference seen from the front, with straight limbs.

exit status: 0 done, 1 failed, 2 wrong usage, 3 optional package missing, 4 model not available,
130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        Exit status, see `dwpose-retarget --help`.
    """
    return run_command(_parser(), _run, argv)


def _run(options: argparse.Namespace) -> int:
    from .retarget_run import run

    return run(options)


def _parser() -> argparse.ArgumentParser:
    parser = standard_parser(
        "dwpose-retarget",
        "Give the movements of a clip the limb lengths of another person, at the place where that "
        "one stands: skeletons for the picture that is to be animated.",
        _EPILOG,
    )
    parser.add_argument("clip", type=Path, metavar="CLIP", help="file or folder of a clip's poses")
    parser.add_argument(
        "reference",
        metavar="REFERENCE",
        help="picture of the person (path or URL), or a file of its poses",
    )
    persons = parser.add_argument_group("persons")
    persons.add_argument(
        "--person",
        type=positive_number,
        metavar="ID",
        help="retarget this person and leave out the others (default: all; the one who is there "
        "most begins where the reference stands, the others go along)",
    )
    persons.add_argument(
        "--reference-person",
        type=int,
        choices=range(100),
        metavar="N",
        help="which person of the reference picture, from 0 in the order of box scores (default: "
        "0)",
    )
    persons.add_argument(
        "--align",
        choices=("auto", "ankles", "hips", "neck", "nose"),
        default="auto",
        help="what begins where the reference has it, and keeps its way (default: auto, the first "
        "of them that both show)",
    )
    persons.add_argument(
        "--keypoint-threshold",
        type=finite_number,
        default=0.3,
        metavar="X",
        help="points that score less are neither measured nor drawn (default: %(default)s)",
    )
    _add_outputs(parser.add_argument_group("results"))
    add_drawing_options(parser.add_argument_group("drawings"))
    add_model_options(parser.add_argument_group("models that look at the reference picture"))
    looked_at = parser.add_argument_group("persons of the reference picture")
    add_person_options(looked_at)
    add_picture_options(looked_at)
    add_url_options(
        looked_at, hosts="all", private="a private URL that you give needs no permission"
    )
    return parser


def _add_outputs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--out", type=Path, metavar="FOLDER", help="folder of the results (default: the clip's)"
    )
    group.add_argument(
        "--format",
        action="extend",
        type=format_names,
        metavar="NAME[,NAME]",
        help="files of poses: json, openpose, npz, csv, parquet, pose, trc, nwb, sleap or none "
        "(default: json)",
    )
    group.add_argument(
        "--draw",
        action="extend",
        type=names("openpose", "overlay"),
        metavar="NAME[,NAME]",
        help="videos: openpose, overlay or none (default: openpose)",
    )
    group.add_argument(
        "--parts",
        action="extend",
        type=names("body", "feet", "face", "left_hand", "right_hand", "midline"),
        metavar="NAME[,NAME]",
        help="parts that are drawn (default: all, without the feet on the openpose canvas)",
    )
    group.add_argument(
        "--frame-rate",
        type=frame_rate,
        metavar="FPS",
        help="frames per second of a clip whose file has no times, as OpenPose's",
    )
    group.add_argument("--quiet", action="store_true", help="print errors and written files only")


if __name__ == "__main__":
    raise SystemExit(main())
