"""The command `dwpose-plot`: a clip's poses over time, or its frames on a sheet, as a picture."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from pathlib import Path

from ..cli.argument_values import finite_number, frame_rate, positive_number
from ..cli.exit_status import printable
from ..cli.standard_options import run_command, standard_parser
from ..layouts import POINTS_OF_PART
from .catalogue import (
    ANGLE_GROUPS,
    ANGLES,
    DEFAULT_CELL_WIDTH,
    DEFAULT_MIN_SCORE,
    DEFAULT_POINTS,
    DEFAULT_SHEET_FRAMES,
    PANELS,
    SPEED_UNITS,
)

_OF_PLOTS = ("points", "angles", "panels", "speed_unit")
_OF_SHEETS = ("video", "frames", "columns", "cell_width", "draw")

MOST_PERSONS = 4
"""Columns of a plot where no persons are named."""

_EPILOG = (
    """\
examples:
  dwpose-plot clip.jsonl
  dwpose-plot clip.jsonl --points left_wrist,right_wrist --angles elbows --out arms.svg
  dwpose-plot clip.jsonl --points left_hand --persons 1,2
  dwpose-plot clip.npz --panels angles,speeds --speed-unit body --out run.pdf
  dwpose-plot clip_keypoints/ --frame-rate 30
  dwpose-plot clip.jsonl --sheet --video clip.mp4          # frames with their skeletons, a picture

panels, from top to bottom:
"""
    + "\n".join(f"  {name:10}{words}" for name, words in PANELS.items())
    + """

A column is a person. Left is a solid line, right a dashed one. A point that is absent, or below the
threshold, is a gap in its lines, and so is a missing frame; nothing is interpolated. Angles are
those seen in the picture, 180 degrees is straight. A speed is that from a frame to the next.

Clips are what dwpose-infer writes of videos: .jsonl, .npz, .csv, .parquet, .pose, .nwb, .slp, .trc
and folders of OpenPose or .trc files. Needs pip install "dwpose-infer[plot]"; --sheet needs no more
than dwpose-infer itself.

exit status: 0 done, 1 failed, 2 wrong usage, 3 optional package missing, 130 interrupted
"""
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        Exit status, see `dwpose-plot --help`.
    """
    return run_command(_parser(), _work, argv)


def _work(options: argparse.Namespace) -> int:
    from ..errors import InvalidArgumentError

    for name in _OF_PLOTS if options.sheet else _OF_SHEETS:
        if getattr(options, name) is not None:
            flag = f"--{name.replace('_', '-')}"
            where = "of plots, not of --sheet" if options.sheet else "of --sheet; give it, too"
            raise InvalidArgumentError(f"{flag} is {where}")
    return _draw_sheet(options) if options.sheet else _plot(options)


def _draw_sheet(options: argparse.Namespace) -> int:
    from ..formats import load_clip
    from .contact_sheet import SheetSettings, contact_sheet, require_sheet_ending, save_sheet

    clip_path: Path = options.clip
    out: Path = options.out or clip_path.with_name(f"{clip_path.stem}_sheet.png")
    require_sheet_ending(out)
    clip = load_clip(clip_path)
    if options.frame_rate is not None and clip.has_times:
        _say("--frame-rate is not used: the clip has times")
    settings = SheetSettings(
        frames=options.frames or DEFAULT_SHEET_FRAMES,
        columns=options.columns,
        cell_width=options.cell_width or DEFAULT_CELL_WIDTH,
        style=options.draw or "overlay",
        min_score=options.keypoint_threshold,
        persons=options.persons,
    )
    sheet = contact_sheet(clip, settings, video=options.video, frame_rate=options.frame_rate)
    shown = min(settings.frames, len(clip))
    if shown < len(clip) and options.frames is None:
        _say(f"{shown} of {len(clip)} frames are shown; --frames shows more")
    print(save_sheet(sheet, out))
    return 0


def _plot(options: argparse.Namespace) -> int:
    from ..formats import load_clip
    from .kinematics import tracks_of
    from .panels import PlotSettings, draw, require_ending, save

    clip_path: Path = options.clip
    out: Path = options.out or clip_path.with_name(f"{clip_path.stem}_plot.png")
    require_ending(out)
    settings = PlotSettings(
        points=options.points or DEFAULT_POINTS,
        angles=options.angles or tuple(ANGLES),
        panels=[panel for panel in PANELS if panel in (options.panels or PANELS)],
        min_score=options.keypoint_threshold,
        speed_unit=options.speed_unit or "pixels",
        title=f"{clip_path.name}, points of a score of {options.keypoint_threshold:g} or more",
    )
    clip = load_clip(clip_path)
    tracks = tracks_of(clip, frame_rate=options.frame_rate)
    if tracks.time_unit == "frame":
        _say("the clip has no times: frames are counted; --frame-rate gives seconds")
    elif options.frame_rate is not None and clip.has_times:
        _say("--frame-rate is not used: the clip has times")
    if not tracks.tracked and len(tracks.persons) > 1:
        _say(
            "people of this clip have no identities (--track gives them): place 0 is the first "
            "of each frame, and may be somebody else in the next"
        )
    persons = options.persons or tracks.most_present(MOST_PERSONS)
    if options.persons is None and len(persons) < len(tracks.persons):
        _say(
            f"the {len(persons)} persons who are there longest are shown, of "
            f"{len(tracks.persons)}; --persons names others"
        )
    print(save(draw(tracks.select(persons), settings), out))
    return 0


def _say(text: str) -> None:
    print(printable(f"dwpose-plot: {text}"), file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = standard_parser(
        "dwpose-plot",
        "Plot the poses of a clip over time: paths, joint angles, speeds, scores; or show its "
        "frames with their skeletons on a contact sheet.",
        _EPILOG,
    )
    parser.add_argument("clip", type=Path, metavar="CLIP", help="file or folder of a clip's poses")
    parser.add_argument(
        "--points",
        type=_points,
        metavar="NAMES",
        help="points whose paths and speeds are shown, by name, or parts "
        f"({', '.join(POINTS_OF_PART)}) (default: {','.join(DEFAULT_POINTS)})",
    )
    parser.add_argument(
        "--angles",
        type=_angles,
        metavar="NAMES",
        help=f"joints: {', '.join(ANGLE_GROUPS)}, or one side, as left_knee (default: all)",
    )
    parser.add_argument(
        "--persons",
        type=_persons,
        metavar="IDS",
        help="ids of persons; of a clip without ids places in the frame, from 0 (default: the "
        f"{MOST_PERSONS} who are there longest; on a sheet all)",
    )
    parser.add_argument(
        "--panels",
        type=_panels,
        metavar="NAMES",
        help=f"what is shown: {','.join(PANELS)} (default: all)",
    )
    parser.add_argument(
        "--keypoint-threshold",
        type=finite_number,
        default=DEFAULT_MIN_SCORE,
        metavar="X",
        help="points that score less are gaps (default: %(default)s)",
    )
    parser.add_argument(
        "--speed-unit",
        choices=tuple(SPEED_UNITS),
        help="length in which speeds are given: pixels; body, the person's own from shoulders to "
        "ankles along the bones; shoulders, the person's own width of shoulders (default: pixels)",
    )
    parser.add_argument(
        "--frame-rate",
        type=frame_rate,
        metavar="FPS",
        help="frames per second of a clip whose file has no times, as OpenPose's",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="file to write: .png, .svg or .pdf (default: CLIP_plot.png); of a sheet .png or .jpg "
        "(default: CLIP_sheet.png)",
    )
    _add_sheet(parser.add_argument_group("contact sheet"))
    return parser


def _add_sheet(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--sheet",
        action="store_true",
        help="in place of plots: frames of the clip side by side with their skeletons",
    )
    group.add_argument(
        "--video", metavar="VIDEO", help="the clip itself, shown below them (default: dark cells)"
    )
    group.add_argument(
        "--frames",
        type=positive_number,
        metavar="N",
        help=f"how many, from the first to the last (default: {DEFAULT_SHEET_FRAMES})",
    )
    group.add_argument(
        "--columns",
        type=positive_number,
        metavar="N",
        help="how many side by side (default: for a sheet of about 16 to 10)",
    )
    group.add_argument(
        "--cell-width",
        type=positive_number,
        metavar="N",
        help=f"width of a frame in pixels (default: {DEFAULT_CELL_WIDTH})",
    )
    group.add_argument(
        "--draw",
        choices=("overlay", "openpose"),
        help="how skeletons look (default: overlay)",
    )


def _points(text: str) -> tuple[str, ...]:
    names = [name for part in POINTS_OF_PART.values() for name in part]
    return _chosen(text, {**{name: (name,) for name in names}, **POINTS_OF_PART}, "point")


def _angles(text: str) -> tuple[str, ...]:
    return _chosen(text, {**{name: (name,) for name in ANGLES}, **ANGLE_GROUPS}, "joint")


def _panels(text: str) -> tuple[str, ...]:
    return _chosen(text, {name: (name,) for name in PANELS}, "panel")


def _chosen(text: str, known: dict[str, tuple[str, ...]], what: str) -> tuple[str, ...]:
    """The names in a list with commas, each once; a known name may stand for several."""
    found: dict[str, None] = {}
    for word in text.split(","):
        name = word.strip()
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3) or list(known)[:8]
            raise argparse.ArgumentTypeError(
                f"there is no {what} {name!r}; did you mean {', '.join(near)}?"
            )
        found |= dict.fromkeys(known[name])
    return tuple(found)


def _persons(text: str) -> list[int]:
    try:
        return list(dict.fromkeys(int(word) for word in text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers, as 1,2") from None


if __name__ == "__main__":
    raise SystemExit(main())
