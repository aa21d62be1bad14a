"""The work of `dwpose-retarget`: read, measure, write, report."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..arrays import UInt8Array
from ..drawing import draw
from ..errors import InputError, InvalidArgumentError
from ..formats import FORMATS, PoseClip, load, load_clip
from ..formats.clip_files import open_clip
from ..formats.dense import even_rows
from ..images import MAX_PIXELS, read_image
from ..media import VideoWriter
from ..picture_url import UrlAccess
from ..predictor import Predictor
from ..results import PoseResult
from ..retargeting import Proportions, retarget
from .drawing_options import check_drawings, min_score_of, named_parts
from .exit_status import printable
from .infer_options import OF_CANVAS
from .outputs import DrawStyle
from .picture_options import predictor_options
from .tally import counted

_FAR = 2.0
"""A length whose factor differs so much from the whole person's is pointed out."""


def run(options: argparse.Namespace) -> int:
    """Does what the options of `dwpose-retarget` say.

    Returns:
        Exit status.

    Raises:
        DwposeError: It could not be done.
    """
    formats = ["json"] if options.format is None else options.format
    styles: Sequence[DrawStyle] = ["openpose"] if options.draw is None else options.draw
    _check(options, formats, styles)
    clip = load_clip(options.clip)
    rate = _rate(clip, options.frame_rate) if styles else None
    reference, picture = _reference(options)
    if "overlay" in styles and picture is None:
        raise InvalidArgumentError(
            f"--draw overlay is over the reference's picture, and {options.reference} is none"
        )
    if styles and reference.image_size is None and not isinstance(options.canvas_size, tuple):
        raise InvalidArgumentError(
            f"{options.reference} does not say how large its picture is: give --canvas-size WxH, "
            "or the picture itself"
        )
    for part in (*(options.parts or ()), *named_parts(options.draw_threshold)):
        reference.layout.part(part)
    done = retarget(
        clip,
        reference,
        person=options.person,
        align=options.align,
        min_score=options.keypoint_threshold,
    )
    if not options.quiet:
        for person in done.proportions:
            _say(_words(person))
        _say(f"aligned at the reference by: {done.anchor}")
    out: Path = options.out or options.clip.parent
    base = out / f"{options.clip.stem}_retargeted"
    for path in _save_poses(done.clip, base, formats, options):
        print(path)
    for style in styles:
        print(_save_drawing(done.clip, base, style, options, picture=picture, rate=rate or 0.0))
    return 0


def _check(options: argparse.Namespace, formats: Sequence[str], styles: Sequence[str]) -> None:
    """Finds out before the work starts whether every option applies to something."""
    stated = {name for name, value in vars(options).items() if value is not None}
    for name in formats:
        if FORMATS[name].of_clip is None:
            raise InvalidArgumentError(f"--format {name} is for pictures, not for clips")
    check_drawings(
        stated,
        styles=styles,
        parts=options.parts,
        thresholds=options.draw_threshold,
        keypoint_threshold=None,
    )
    for name in ("line_widths", "small_parts", *OF_CANVAS):
        if name in stated and "openpose" not in styles:
            raise InvalidArgumentError(f"--{name.replace('_', '-')} goes with --draw openpose only")
    if options.parts is not None and not styles:
        raise InvalidArgumentError("--parts is for drawings, and none is asked for (--draw)")


def _rate(clip: PoseClip, given: float | None) -> float:
    """Frames per second of the drawn video, where all frames were even."""
    if clip.has_times:
        if given is not None:
            _say("--frame-rate is not used: the clip has times")
        return even_rows(clip.indices, clip.times_s)[1]
    if given is None:
        raise InvalidArgumentError(
            "the clip has no times: --frame-rate says how many frames a second the drawing has"
        )
    return given


def _reference(options: argparse.Namespace) -> tuple[PoseResult, UInt8Array | None]:
    """Returns the reference, one person, and its picture, None where it is a file of poses."""
    path: str = options.reference
    picture = None
    if Path(path).suffix.lower() == Path(FORMATS["json"].clip_name).suffix:
        raise InvalidArgumentError(
            f"{path} holds the frames of a clip; the reference is one picture, or its poses"
        )
    if Path(path).suffix.lower() in {item.ending for item in FORMATS.values()}:
        results = load(path)
        if len(results) != 1:
            raise InputError(f"{path} has the poses of {len(results)} pictures, not of one")
        (result,) = results
    else:
        urls = UrlAccess.of(options.url_hosts, allow_private=options.allow_private_urls)
        picture = read_image(path, max_pixels=options.max_pixels or MAX_PIXELS, urls=urls)
        with Predictor(**predictor_options(vars(options))) as predictor:
            result = replace(predictor(picture, whole_image=options.whole_image), source=path)
    if not len(result):
        raise InputError(f"{path}: nobody was found there; --whole-image takes the whole picture")
    place = options.reference_person or 0
    if place >= len(result):
        raise InvalidArgumentError(
            f"--reference-person {place}: {path} has {counted(len(result), 'person')}, from 0"
        )
    if options.reference_person is None and len(result) > 1:
        _say(
            f"{path} has {len(result)} persons; the surest is taken, --reference-person 1 is the "
            "next"
        )
    return result.select([place]), picture


def _save_poses(
    clip: PoseClip, base: Path, formats: Sequence[str], options: argparse.Namespace
) -> Iterator[Path]:
    for name in formats:
        path = base.with_name(FORMATS[name].clip_name.format(stem=base.name))
        given = {}
        if name == "openpose":
            given = {each: getattr(options, each) for each in OF_CANVAS}
            given = {each: value for each, value in given.items() if value is not None}
        with open_clip(path, format=name, stem=base.name, **given) as file:
            for frame in clip:
                if frame.result is not None:
                    file.write(frame.index, frame.time_s, frame.result)
        yield path


def _save_drawing(
    clip: PoseClip,
    base: Path,
    style: DrawStyle,
    options: argparse.Namespace,
    *,
    picture: UInt8Array | None,
    rate: float,
) -> Path:
    drawn: dict[str, Any] = {
        "line_scale": options.line_scale or 1.0,
        "min_score": min_score_of(options.draw_threshold, options.keypoint_threshold),
        "outside": options.draw_outside != "drop",
        "parts": options.parts,
    }
    if style == "openpose":
        drawn |= {
            "size": options.canvas_size,
            "size_multiple": options.canvas_multiple or 1,
            "fit": options.canvas_fit or "margins",
            "line_widths": options.line_widths or "scaled",
            "fit_parts": options.small_parts != "full",
        }
    path = base.with_name(f"{base.name}_{style}.mp4")
    known = [(frame, frame.result) for frame in clip if frame.result is not None]
    shown = sys.stderr.isatty() and not options.quiet
    with VideoWriter(path, frame_rate=rate) as video:
        for frame, result in tqdm(known, desc=path.name, unit="frame", disable=not shown):
            time_s = frame.index / rate if frame.time_s is None else frame.time_s
            video.write(draw(result, picture, style=style, **drawn), time_s)
    return path


def _words(person: Proportions) -> str:
    who = "the person" if person.person is None else f"id {person.person}"
    factors = [
        f"{name} {factor:.2f}"
        for name, factor in person.ratios.items()
        if name not in person.assumed
    ]
    text = f"{who}: the reference is {person.whole:.2f} times as large; {', '.join(factors)}"
    if person.assumed:
        text += f"; as the whole, not seen of both: {', '.join(person.assumed)}"
    far = [
        name
        for name, factor in person.ratios.items()
        if not 1 / _FAR <= factor / person.whole <= _FAR
    ]
    if far:
        text += (
            f" (far from the whole: {', '.join(far)}; where a limb of the reference points at the "
            "camera it looks short, so take one seen from the front)"
        )
    return text


def _say(text: str) -> None:
    print(printable(f"dwpose-retarget: {text}"), file=sys.stderr)
