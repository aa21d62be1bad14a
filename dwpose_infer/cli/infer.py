"""The command `dwpose-infer`: pictures and videos in, pose files and drawings out."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .argument_values import finite_number, format_names, frame_rate, names, positive_number
from .drawing_options import add_drawing_options, add_face_options
from .exit_status import exit_status
from .format_options import add_format_options
from .model_options import add_model_options
from .picture_options import add_person_options, add_picture_options, add_url_options
from .presets import PRESETS
from .standard_options import add_standard_options

_EPILOG = """\
examples:
  dwpose-infer photo.jpg                             # JSON and a drawing in ./dwpose-out/
  dwpose-infer photos/ --out poses --format openpose,npz --draw openpose
  dwpose-infer 'set/**/*.png' --skip-existing        # go on where a run stopped
  dwpose-infer clip.mp4 --track --detect-every 5     # a video with identities
  dwpose-infer clip.mp4 --out clip_pose.mp4 --format openpose --draw openpose --smooth
  dwpose-infer clip.mp4 --for pose-format             # what this package reads; also pose2sim, ...
  dwpose-infer photo.jpg --pose dwpose-l-384 --det yolox-l      # official models, downloaded
  dwpose-infer photo.jpg --device cuda               # an NVIDIA GPU, or an error that says why not
  dwpose-infer photo.jpg --backend trt               # TensorRT; builds its engines at first use
  curl -s https://example.org/a.jpg | dwpose-infer - --json | jq .persons
  dwpose-infer --env                                 # what this machine can run

what is written (NAME is the picture's name; folders keep their tree):
  NAME.json            --format json      everything, lossless (default)
  NAME_keypoints.json  --format openpose  OpenPose JSON for ControlNet's tools
  NAME.npz             --format npz       everything, as NumPy arrays
  results_coco.json    --format coco      COCO-WholeBody results of all pictures
  dataset_coco.json    --format coco-dataset    all pictures as labels, for annotation tools
  poses.csv, .parquet  --format csv, parquet    a row for each person of all pictures, or nobody
  NAME_overlay.jpg     --draw overlay     skeletons over the picture (default)
  NAME_openpose.png    --draw openpose    skeletons on black, for ControlNet

what is written for a video:
  NAME.jsonl           --format json      a line of JSON for each frame (default)
  NAME_keypoints/      --format openpose  OpenPose JSON for each frame
  NAME.npz, .csv, .parquet                the whole video in one file
  NAME.pose, .nwb, .slp                   the same for sign language, neuroscience, SLEAP
  NAME_trc/            --format trc       markers for biomechanics, a file for each person
  NAME_overlay.mp4, NAME_openpose.mp4     drawings, with the sound of the video
  NAME_face.mp4        --face-clip        the face of one person

environment variables:
  DWPOSE_HOME     folder for downloaded models (default: the user's cache folder)
  DWPOSE_OFFLINE  1 forbids every download

exit status:
  0 done (nobody found is done too)   1 some picture or frame failed; the others are done
  2 wrong usage                       3 backend, device or optional package unavailable
  4 model not available               130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        Exit status, see `dwpose-infer --help`.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    if not (arguments.env or arguments.inputs or arguments.camera):
        parser.error(
            "no input: give pictures, videos, folders, glob patterns, URLs or '-' (see --help)"
        )
    return exit_status(lambda: _infer(vars(arguments)), program="dwpose-infer")


def _infer(given: Mapping[str, Any]) -> int:
    if given["env"]:
        from .env import print_environment

        return print_environment(as_json=given["json"])
    from .infer_options import options_of
    from .run import run

    return run(options_of(given))


class _PrintSchema(argparse.Action):
    """Prints a schema and ends the command, as `--version` does."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        from ..formats.json_schema import json_schema

        print(json_schema(str(values)), end="")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dwpose-infer",
        description="Find every person in pictures and videos, and 133 whole-body keypoints of "
        "each: body 17, feet 6, face 68, hands 2x21.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="picture, video, folder (searched with its subfolders), glob pattern, URL (http, "
        "https, rtsp and other live streams; a picture may take 300 s and 512 MiB), or - for a "
        "picture on standard input",
    )
    add_standard_options(parser)
    parser.add_argument(
        "--env", action="store_true", help="print what this machine can run and why not, and stop"
    )
    parser.add_argument(
        "--schema",
        action=_PrintSchema,
        dest=argparse.SUPPRESS,
        default=argparse.SUPPRESS,
        choices=("json", "openpose", "coco", "coco-dataset"),
        help="print the JSON Schema of the files of a format (json: also of lines of .jsonl and "
        "--json), and stop",
    )
    _add_outputs(parser.add_argument_group("results"))
    add_model_options(parser.add_argument_group("models and where they run"))
    _add_persons(parser.add_argument_group("persons and keypoints"))
    _add_videos(parser.add_argument_group("videos and cameras"))
    add_url_options(
        parser.add_argument_group("URLs"),
        hosts="all",
        private="a private URL that you give needs no permission",
    )
    add_format_options(parser.add_argument_group("formats"))
    drawings = parser.add_argument_group("drawings")
    add_drawing_options(drawings)
    drawings.add_argument("--boxes", action="store_true", help="draw boxes in overlays")
    return parser


def _add_outputs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER|VIDEO",
        help="folder of the results (default: ./dwpose-out/), or the drawn video (.mp4, .mov, "
        ".mkv) of a single one; inputs are never overwritten",
    )
    group.add_argument(
        "--for",
        dest="consumer",
        choices=tuple(PRESETS),
        metavar="NAME",
        help="set what this reader needs, where it is not given by hand: "
        + "; ".join(f"{name} for {preset.reader}" for name, preset in PRESETS.items()),
    )
    group.add_argument(
        "--format",
        action="extend",
        type=format_names,
        metavar="NAME[,NAME]",
        help="pose files to write: json, openpose, coco, coco-dataset, npz, csv, parquet, "
        "pose, trc, nwb, sleap or none (default: json)",
    )
    group.add_argument(
        "--draw",
        action="extend",
        type=names("overlay", "openpose"),
        metavar="NAME[,NAME]",
        help="drawings to write: overlay, openpose or none (default: overlay)",
    )
    group.add_argument(
        "--skip-existing",
        action="store_true",
        help="leave out pictures and videos whose results are all there already, and go on with "
        "videos, tables and COCO files that were broken off",
    )
    group.add_argument(
        "--json",
        action="store_true",
        help="print one line of JSON for each picture or frame on standard output; files are then "
        "written only if --out, --format or --draw is given too",
    )
    group.add_argument("--quiet", action="store_true", help="print errors only")


def _add_persons(group: argparse._ArgumentGroup) -> None:
    add_person_options(group)
    add_picture_options(group)
    group.add_argument(
        "--keypoint-threshold",
        type=finite_number,
        metavar="X",
        help="least score of a keypoint, in files and drawings alike (default: all points in "
        "files, 0.3 in drawings)",
    )
    group.add_argument(
        "--parts",
        action="extend",
        type=names("body", "feet", "face", "left_hand", "right_hand", "midline"),
        metavar="NAME[,NAME]",
        help="keep these parts only, in files and drawings alike: body, feet, face, left_hand, "
        "right_hand; midline (head, neck, hip) with networks of Halpe's 26 points",
    )
    group.add_argument(
        "--drop-weak-hands",
        action="store_true",
        help="leave out a hand unless its wrist and its mean score reach 0.3",
    )


def _add_videos(group: argparse._ArgumentGroup) -> None:
    _add_sources(group)
    add_face_options(group)
    group.add_argument(
        "--detect-every",
        type=positive_number,
        metavar="N",
        help="search every N frames for persons and follow them in between (default: 1)",
    )
    group.add_argument("--track", action="store_true", help="give persons ids that stay")
    group.add_argument(
        "--smooth", action="store_true", help="take the jitter out of keypoints; tracks too"
    )
    group.add_argument(
        "--preview",
        action="store_true",
        help="show the frames in a window; q ends it; needs an OpenCV with windows",
    )


def _add_sources(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--camera",
        action="append",
        type=_camera_number,
        default=[],
        metavar="N",
        help="a camera, the first one is 0; may be given several times; Ctrl-C ends it",
    )
    group.add_argument(
        "--start",
        metavar="TIME",
        help="begin there: seconds (12.5), 1:30, 1:02:03.5, or a frame (300f)",
    )
    group.add_argument("--end", metavar="TIME", help="stop there, the same way")
    group.add_argument(
        "--stride",
        type=positive_number,
        metavar="N",
        help="take every N frames (default: 1)",
    )
    group.add_argument(
        "--sequence",
        action="store_true",
        help="take each folder or pattern for one video, whose frames are the pictures in it",
    )
    group.add_argument(
        "--frame-rate",
        type=frame_rate,
        metavar="FPS",
        help="frames per second of --sequence (default: 25)",
    )


def _camera_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a camera")
    return int(text)
