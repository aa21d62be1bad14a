"""The work of `dwpose-infer`: read, predict, write, report."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from ..errors import DwposeError, InvalidArgumentError
from ..formats import FORMATS
from ..images import MAX_PIXELS, ReadPicture, read_picture
from ..inputs import STDIN, Clip, Picture, find_inputs
from ..keypoints import KEYPOINT_INDEX
from ..picture_groups import PictureInput
from ..picture_url import UrlAccess, short, without_password
from ..pipeline import Found, Pipeline, detector_options, open_pipeline
from ..results import PoseResult
from ..zoo import DEFAULT_DETECTOR, DEFAULT_POSE
from .clip_outputs import ClipPlan, out_video
from .drawing_options import min_score_of, named_parts
from .exit_status import printable
from .infer_options import InferOptions, check_inputs, check_outputs
from .outputs import DrawStyle, OutputPlan, check_paths
from .run_files import RunFiles
from .tally import Tally, counted, new_notes, nobody_found, summary
from .video import ClipRun, ClipTally, check_clips

DEFAULT_OUT = Path("dwpose-out")


def run(options: InferOptions) -> int:
    """Does what the options of `dwpose-infer` say.

    Returns:
        Exit status.

    Raises:
        DwposeError: Nothing could be done at all.
    """
    started_s = time.perf_counter()
    video = out_video(options.out)
    if options.preset and not options.quiet:
        print(options.preset, file=sys.stderr)
    plan = _plan(options, folder=options.out if video is None else video.parent)
    pictures, clips = find_inputs(
        options.inputs,
        out_folder=plan.folder if plan and video is None else None,
        cameras=options.camera,
        sequences=options.sequence,
    )
    check_inputs(options, pictures, clips)
    longer = sum(picture.keeps_ending for picture in pictures)
    if plan and longer and not options.quiet:
        print(
            f"{counted(longer, 'picture')} with results of one name: these keep the picture's "
            "ending, as in NAME.jpg.json",
            file=sys.stderr,
        )
    clip_plan = _checked_clip_plan(options, plan, video, pictures, clips)
    if plan and pictures:
        plan.check(pictures)
    tally, clip_tally = Tally(), ClipTally()
    with _run_files(options, plan, pictures) as run_files:
        todo, clips_todo = pictures, clips
        if plan and options.skip_existing:
            todo = [
                picture
                for picture in pictures
                if not (plan.is_done(picture) and (run_files is None or picture in run_files))
            ]
            clips_todo = [clip for clip in clips if not (clip_plan and clip_plan.is_done(clip))]
        if todo or clips_todo:
            with _open_pipeline(options) as pipeline:
                _check_points(options, plan, pipeline)
                try:
                    write = partial(_write, plan, run_files) if plan else None
                    _predict_all(options, pipeline, write, todo, tally)
                except KeyboardInterrupt:
                    tally.interrupted = True
                else:
                    finish = partial(_finish, options)
                    ClipRun(options, pipeline, clip_plan, finish, clip_tally).work_on(clips_todo)
        if run_files is not None and not tally.interrupted:
            run_files.finish(pictures)
    skipped = len(pictures) + len(clips) - len(todo) - len(clips_todo)
    pictures, clips = todo, clips_todo
    if not options.quiet:
        elapsed_s = time.perf_counter() - started_s
        print(summary(tally, clip_tally, skipped, elapsed_s, plan), file=sys.stderr)
        if tally.empty:
            print(nobody_found(options, tally), file=sys.stderr)
    if tally.interrupted or clip_tally.interrupted:
        _print_error(_what_is_left(tally, clip_tally, len(pictures), len(clips), plan))
        return 130
    return 1 if tally.failed or clip_tally.failed else 0


def _what_is_left(
    tally: Tally, clip_tally: ClipTally, pictures: int, clips: int, plan: OutputPlan | None
) -> str:
    left = {
        "picture": pictures - tally.done - tally.failed,
        "video": clips - clip_tally.done - clip_tally.failed,
    }
    words = " and ".join(counted(number, noun) for noun, number in left.items() if number > 0)
    verb = "is" if sum(left.values()) == 1 else "are"
    hint = "; run it again with --skip-existing to go on" if plan else ""
    return f"interrupted; {words or 'no inputs'} {verb} left{hint}"


def _checked_clip_plan(
    options: InferOptions,
    plan: OutputPlan | None,
    video: Path | None,
    pictures: Sequence[Picture],
    clips: Sequence[Clip],
) -> ClipPlan | None:
    """What is written of clips; finds out before the work starts what would go wrong with them."""
    if plan is not None and video is not None and (pictures or not clips):
        raise InvalidArgumentError(
            f"--out {video} is a video, and not every input is one; name a folder instead"
        )
    if clips:
        check_clips(options, clips)
    if plan is None:
        return None
    clip_plan = ClipPlan(plan, video, options.pose_settings, with_face=options.face_clip)
    if not clips:
        return clip_plan
    clip_plan.check(clips)
    paths = [path for clip in clips for path in clip_plan.all_paths(clip)]
    paths += clip_plan.plan.all_paths(pictures)
    sources = [picture.source for picture in pictures] + [clip.source for clip in clips]
    check_paths(paths, sources)
    return clip_plan


def _plan(options: InferOptions, *, folder: Path | None) -> OutputPlan | None:
    """What is to be written; None where --json alone asks for no file."""
    wanted = (options.out, options.format, options.draw)
    if options.json and wanted == (None, None, None) and not options.face_clip:
        check_outputs(options, formats=[], styles=[])
        return None
    named = (options.format, options.draw) != (None, None) or options.face_clip
    only_printed = options.json and named
    formats: Sequence[str] = [] if only_printed else ["json"]
    styles: Sequence[DrawStyle] = [] if only_printed else ["overlay"]
    formats = formats if options.format is None else options.format
    styles = styles if options.draw is None else options.draw
    drawn = {
        "line_scale": options.line_scale,
        "min_score": min_score_of(options.draw_threshold, options.keypoint_threshold),
        "outside": options.draw_outside == "cut",
    }
    check_outputs(options, formats=formats, styles=styles)
    return OutputPlan(
        folder=folder or DEFAULT_OUT,
        formats=list(dict.fromkeys(formats)),
        styles=list(dict.fromkeys(styles)),
        format_options={
            "openpose": {
                "body": options.openpose_body,
                "pupils": options.pupils,
                "confidence": options.openpose_confidence,
                "source": options.openpose_source,
                "canvas_size": options.canvas_size,
                "canvas_multiple": options.canvas_multiple,
                "canvas_fit": options.canvas_fit,
            },
            "coco": {"annotations": options.annotations},
            "coco-dataset": {"layout": options.coco_layout},
            "trc": {"metres_per_pixel": options.metres_per_pixel},
        },
        draw_options={
            "overlay": {**drawn, "boxes": options.boxes},
            "openpose": {
                **drawn,
                "size": options.canvas_size,
                "size_multiple": options.canvas_multiple,
                "fit": options.canvas_fit,
                "line_widths": options.line_widths,
                "fit_parts": options.small_parts == "thin",
                "parts": options.parts,
            },
        },
        clip_names={"openpose": f"{{stem}}_{options.openpose_folder}"},
    )


def _run_files(
    options: InferOptions, plan: OutputPlan | None, pictures: Sequence[Picture]
) -> AbstractContextManager[RunFiles | None]:
    if plan is None or not pictures or not plan.shared_formats:
        return nullcontext()
    parts = None if options.parts is None else ",".join(options.parts)
    finished = f"parts={parts} keypoint_threshold={options.keypoint_threshold}"
    return RunFiles(
        plan.shared_paths(),
        plan.format_options,
        settings=f"{options.pose_settings} {finished}",
        go_on=options.skip_existing,
    )


def _open_pipeline(options: InferOptions) -> Pipeline:
    """Opens the networks; how many persons are kept is said to pictures and clips by themselves.

    A tracker chooses whom to keep, so it has to see everybody.
    """
    detector = options.detector or DEFAULT_DETECTOR
    return open_pipeline(
        options.pose or DEFAULT_POSE,
        detector,
        options.runtime,
        detector_options(
            detector,
            score_threshold=options.score_threshold,
            nms_threshold=options.nms_threshold,
            prefer=options.prefer,
            square_input=options.square_input,
            tile_side=options.tile_side,
        ),
        flip_test=options.flip_test,
        drop_weak_hands=options.drop_weak_hands,
        keep_doubtful=options.keep_doubtful,
    )


def _check_points(options: InferOptions, plan: OutputPlan | None, pipeline: Pipeline) -> None:
    """Finds out whether the network has the parts, and the formats a place for its points."""
    face = ["face"] if options.face_clip else []
    for part in (*(options.parts or ()), *named_parts(options.draw_threshold), *face):
        pipeline.layout.part(part)
    if plan is None:
        return
    plan.check_points(pipeline.layout)
    lost = [name for name in pipeline.layout.point_names if name not in KEYPOINT_INDEX]
    without = [name for name in plan.formats if FORMATS[name].wholebody_only]
    if lost and without and not options.quiet:
        print(
            f"--format {', '.join(without)}: {', '.join(lost)} have no place there and are left "
            "out",
            file=sys.stderr,
        )


def _predict_all(
    options: InferOptions,
    pipeline: Pipeline,
    write: Callable[[Picture, Found, PoseResult], None] | None,
    pictures: Sequence[Picture],
    tally: Tally,
) -> None:
    from tqdm import tqdm

    shown = sys.stderr.isatty() and not options.quiet and len(pictures) > 1
    read = partial(_read, max_pixels=options.max_pixels or MAX_PIXELS, urls=options.urls)
    groups = pipeline.keeping(options.max_persons).run(
        [PictureInput(partial(read, each), source=each.source) for each in pictures],
        whole_image=options.whole_image,
        on_error="return",
        keep_images=True,
    )
    results = chain.from_iterable(groups)
    with tqdm(total=len(pictures), unit="picture", disable=not shown) as bar:
        for picture in pictures:
            # What is found holds the picture's pixels: no name may keep it meanwhile.
            for line in _done(options, write, picture, next(results), tally):
                bar.write(line, file=sys.stderr)
            bar.update()


def _done(
    options: InferOptions,
    write: Callable[[Picture, Found, PoseResult], None] | None,
    picture: Picture,
    found: Found | DwposeError,
    tally: Tally,
) -> list[str]:
    """Delivers what was found in a picture; returns the lines that there are to say."""
    if isinstance(found, Found):
        try:
            _deliver(options, write, picture, found, tally)
            lines = new_notes(found.result, tally)
            return [] if options.quiet else lines
        except DwposeError as caught:
            found = caught
    tally.failed += 1
    return [_failure(picture, found)]


def _read(picture: Picture, *, max_pixels: int, urls: UrlAccess) -> ReadPicture:
    source = sys.stdin.buffer.read() if picture.source == STDIN else picture.source
    return read_picture(source, max_pixels=max_pixels, urls=urls)


def _finish(options: InferOptions, result: PoseResult, source: str) -> PoseResult:
    result = replace(result, source=source)
    if options.parts is None and options.keypoint_threshold is None:
        return result
    return result.masked(parts=options.parts, min_score=options.keypoint_threshold)


def _write(
    plan: OutputPlan,
    run_files: RunFiles | None,
    picture: Picture,
    found: Found,
    result: PoseResult,
) -> None:
    if found.image_bgr is not None:
        plan.write(picture, found.image_bgr, result)
    if run_files is not None:
        run_files.add(picture, result)


def _deliver(
    options: InferOptions,
    write: Callable[[Picture, Found, PoseResult], None] | None,
    picture: Picture,
    found: Found,
    tally: Tally,
) -> None:
    result = _finish(options, found.result, picture.source)
    if write is not None:
        write(picture, found, result)
    if options.json:
        print(json.dumps(result.to_dict(), allow_nan=False), flush=True)
    tally.done += 1
    tally.persons += len(result)
    tally.empty += not len(result)


def _failure(picture: Picture, error: DwposeError) -> str:
    message, name = str(error), short(without_password(picture.source))
    if name not in message:
        message = f"{name}: {message}"
    return printable(f"dwpose-infer: error: {message}")


def _print_error(message: str) -> None:
    print(printable(f"dwpose-infer: {message}"), file=sys.stderr)
