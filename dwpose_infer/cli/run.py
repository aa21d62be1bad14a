"""The work of `dwpose-infer`: read, predict, write, report."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import DwposeError, InvalidArgumentError
from ..images import MAX_PIXELS, read_image
from ..inputs import STDIN, Clip, Picture, find_inputs
from ..predictor import GROUP_PICTURES, GROUP_PIXELS, Predictor
from ..results import PoseResult
from ..zoo import DEFAULT_DETECTOR, DEFAULT_POSE, get_spec
from .clip_outputs import ClipPlan, out_video
from .infer import DEFAULT_OUT
from .outputs import DrawStyle, OutputPlan, check_paths
from .video import ClipRun, ClipTally, check_clips

READ_AHEAD = 4
"""Pictures that are decoded while the networks work on earlier ones."""

_Decoded = tuple[Picture, "npt.NDArray[np.uint8] | DwposeError"]
_Predicted = tuple["npt.NDArray[np.uint8]", PoseResult]


@dataclass
class _Tally:
    """What a run has done so far."""

    done: int = 0
    persons: int = 0
    empty: int = 0  # of those done, pictures with nobody on them
    failed: int = 0
    interrupted: bool = False
    results: list[PoseResult] = field(default_factory=list)


def run(arguments: argparse.Namespace) -> int:
    """Does what the arguments of `dwpose-infer` say.

    Returns:
        Exit status.

    Raises:
        DwposeError: Nothing could be done at all.
    """
    started_s = time.perf_counter()
    arguments.track = arguments.track or arguments.smooth
    video = out_video(arguments.out)
    plan = _plan(arguments, folder=arguments.out if video is None else video.parent)
    pictures, clips = find_inputs(
        arguments.inputs,
        out_folder=plan.folder if plan and video is None else None,
        cameras=arguments.camera,
        sequences=arguments.sequence,
    )
    longer = sum(picture.keeps_ending for picture in pictures)
    if plan and longer and not arguments.quiet:
        print(
            f"{_count(longer, 'picture')} with results of one name: these keep the picture's "
            "ending, as in NAME.jpg.json",
            file=sys.stderr,
        )
    clip_plan = ClipPlan(plan, video, _pose_settings(arguments)) if plan else None
    _check_clips(arguments, clip_plan, pictures, clips)
    skipped = 0
    if plan:
        _check_plan(arguments, plan, pictures)
        if arguments.skip_existing:
            todo = [picture for picture in pictures if not plan.is_done(picture)]
            clips_todo = [clip for clip in clips if not (clip_plan and clip_plan.is_done(clip))]
            skipped = len(pictures) + len(clips) - len(todo) - len(clips_todo)
            pictures, clips = todo, clips_todo
    tally, clip_tally = _Tally(), ClipTally()
    if pictures or clips:
        with _predictor(arguments, limit=bool(pictures)) as predictor:
            try:
                _predict_all(arguments, predictor, plan, pictures, tally)
            except KeyboardInterrupt:
                tally.interrupted = True
            else:
                finish = partial(_finish, arguments)
                ClipRun(arguments, predictor, clip_plan, finish, clip_tally).work_on(clips)
    if plan and pictures and not tally.interrupted and plan.shared_formats:
        plan.write_shared(tally.results)
    if not arguments.quiet:
        elapsed_s = time.perf_counter() - started_s
        print(_summary(tally, clip_tally, skipped, elapsed_s, plan), file=sys.stderr)
        if tally.empty:
            print(_nobody_found(arguments, tally), file=sys.stderr)
    if tally.interrupted or clip_tally.interrupted:
        _print_error(_what_is_left(tally, clip_tally, len(pictures), len(clips), plan))
        return 130
    return 1 if tally.failed or clip_tally.failed else 0


def _what_is_left(
    tally: _Tally, clip_tally: ClipTally, pictures: int, clips: int, plan: OutputPlan | None
) -> str:
    left = {
        "picture": pictures - tally.done - tally.failed,
        "video": clips - clip_tally.done - clip_tally.failed,
    }
    words = " and ".join(_count(number, noun) for noun, number in left.items() if number > 0)
    verb = "is" if sum(left.values()) == 1 else "are"
    hint = "; run it again with --skip-existing to go on" if plan else ""
    return f"interrupted; {words or 'no inputs'} {verb} left{hint}"


def _pose_settings(arguments: argparse.Namespace) -> str:
    """All that the poses of a clip's frames depend on, besides the clip."""
    names = (
        *("pose", "detector", "backend", "device", "provider", "precision", "drop_weak_hands"),
        *("score_threshold", "nms_threshold", "max_persons", "whole_image", "track"),
        *("square_input", "detect_every", "start", "end", "stride", "frame_rate", "flip_test"),
    )
    return " ".join(f"{name}={getattr(arguments, name)}" for name in names)


def _check_clips(
    arguments: argparse.Namespace,
    clip_plan: ClipPlan | None,
    pictures: Sequence[Picture],
    clips: Sequence[Clip],
) -> None:
    """Finds out before the work starts what would go wrong with clips."""
    if clip_plan is not None and clip_plan.video is not None and (pictures or not clips):
        raise InvalidArgumentError(
            f"--out {clip_plan.video} is a video, and not every input is one; name a folder instead"
        )
    if not clips:
        return
    check_clips(arguments, clips)
    if clip_plan is None:
        return
    clip_plan.check(clips)
    paths = [path for clip in clips for path in clip_plan.all_paths(clip)]
    paths += clip_plan.plan.all_paths(pictures)
    sources = [picture.source for picture in pictures] + [clip.source for clip in clips]
    check_paths(paths, sources)


def _plan(arguments: argparse.Namespace, *, folder: Path | None) -> OutputPlan | None:
    """What is to be written; None where --json alone asks for no file."""
    wanted = (arguments.out, arguments.format, arguments.draw)
    if arguments.json and wanted == (None, None, None):
        return None
    only_printed = arguments.json and (arguments.format, arguments.draw) != (None, None)
    formats: list[str] = [] if only_printed else ["json"]
    styles: list[DrawStyle] = [] if only_printed else ["overlay"]
    formats = formats if arguments.format is None else arguments.format
    styles = styles if arguments.draw is None else arguments.draw
    drawn = {"line_scale": arguments.line_scale}
    if arguments.keypoint_threshold is not None:
        drawn["min_score"] = arguments.keypoint_threshold
    return OutputPlan(
        folder=folder or DEFAULT_OUT,
        formats=list(dict.fromkeys(formats)),
        styles=list(dict.fromkeys(styles)),
        format_options={
            "openpose": {
                "body": arguments.openpose_body,
                "pupils": arguments.pupils,
                "confidence": arguments.openpose_confidence,
            },
            "coco": {"annotations": arguments.annotations},
        },
        draw_options={
            "overlay": {**drawn, "boxes": arguments.boxes},
            "openpose": {**drawn, "size": arguments.canvas_size, "parts": arguments.parts},
        },
    )


def _check_plan(
    arguments: argparse.Namespace, plan: OutputPlan, pictures: Sequence[Picture]
) -> None:
    """Finds out before the work starts what would go wrong at its end."""
    if not pictures:
        return
    shared = ", ".join(plan.shared_formats)
    if arguments.skip_existing and shared:
        raise InvalidArgumentError(
            f"--skip-existing does not go with --format {shared}: one file holds all pictures"
        )
    plan.check(pictures)


@contextmanager
def _predictor(arguments: argparse.Namespace, *, limit: bool) -> Iterator[Predictor]:
    # A tracker chooses whom to keep, so it has to see everybody; `limit` is for pictures.
    # What takes minutes, as building TensorRT's engines does, is told to a log file too.
    seen = sys.stderr.isatty() or arguments.backend == "trt"
    with Predictor(
        arguments.pose or DEFAULT_POSE,
        arguments.detector or DEFAULT_DETECTOR,
        backend=arguments.backend,
        device=arguments.device,
        provider=arguments.provider,
        provider_options=dict(arguments.provider_option or ()),
        threads=arguments.threads,
        precision=arguments.precision,
        max_batch=arguments.max_batch,
        score_threshold=arguments.score_threshold,
        nms_threshold=arguments.nms_threshold,
        max_persons=arguments.max_persons if limit or not arguments.track else None,
        square_input=arguments.square_input,
        drop_weak_hands=arguments.drop_weak_hands,
        flip_test=arguments.flip_test,
        offline=True if arguments.offline else None,
        progress=seen and not arguments.quiet,
    ) as predictor:
        yield predictor


def _predict_all(
    arguments: argparse.Namespace,
    predictor: Predictor,
    plan: OutputPlan | None,
    pictures: Sequence[Picture],
    tally: _Tally,
) -> None:
    from tqdm import tqdm

    shown = sys.stderr.isatty() and not arguments.quiet and len(pictures) > 1
    with tqdm(total=len(pictures), unit="picture", disable=not shown) as bar:
        for group in _groups(pictures, arguments.max_pixels or MAX_PIXELS):
            for picture, outcome in _predict_group(arguments, predictor, group):
                error = outcome if isinstance(outcome, DwposeError) else None
                if not isinstance(outcome, DwposeError):
                    try:
                        _deliver(arguments, plan, picture, outcome, tally)
                    except DwposeError as caught:
                        error = caught
                if error is not None:
                    tally.failed += 1
                    bar.write(_failure(picture, error), file=sys.stderr)
                bar.update()


def _groups(pictures: Sequence[Picture], max_pixels: int) -> Iterator[list[_Decoded]]:
    """Yields pictures in order, as many together as share the networks' batches.

    The next pictures are decoded in the background meanwhile.
    """
    group: list[_Decoded] = []
    pixels = 0
    for picture, future in _decoded(pictures, max_pixels):
        try:
            image_bgr = future.result()
        except DwposeError as error:
            group.append((picture, error))
        else:
            group.append((picture, image_bgr))
            pixels += image_bgr.size // 3
        if len(group) >= GROUP_PICTURES or pixels >= GROUP_PIXELS:
            yield group
            group, pixels = [], 0
    if group:
        yield group


def _predict_group(
    arguments: argparse.Namespace, predictor: Predictor, group: Sequence[_Decoded]
) -> Iterator[tuple[Picture, _Predicted | DwposeError]]:
    readable = [image for _, image in group if not isinstance(image, DwposeError)]
    try:
        results = iter(predictor(list(readable), whole_image=arguments.whole_image))
    except DwposeError as error:
        for picture, image in group:
            yield picture, image if isinstance(image, DwposeError) else error
        return
    for picture, image in group:
        if isinstance(image, DwposeError):
            yield picture, image
        else:
            yield picture, (image, _finish(arguments, next(results), picture.source))


def _finish(arguments: argparse.Namespace, result: PoseResult, source: str) -> PoseResult:
    result = replace(result, source=source)
    if arguments.parts is None and arguments.keypoint_threshold is None:
        return result
    return result.masked(parts=arguments.parts, min_score=arguments.keypoint_threshold)


def _deliver(
    arguments: argparse.Namespace,
    plan: OutputPlan | None,
    picture: Picture,
    predicted: _Predicted,
    tally: _Tally,
) -> None:
    image_bgr, result = predicted
    if plan:
        plan.write(picture, image_bgr, result)
        if plan.shared_formats:
            tally.results.append(result)
    if arguments.json:
        print(json.dumps(result.to_dict(), allow_nan=False), flush=True)
    tally.done += 1
    tally.persons += len(result)
    tally.empty += not len(result)


def _failure(picture: Picture, error: DwposeError) -> str:
    message = str(error)
    if picture.source not in message:
        message = f"{picture.source}: {message}"
    return f"dwpose-infer: error: {message}"


def _decoded(
    pictures: Sequence[Picture], max_pixels: int
) -> Iterator[tuple[Picture, Future[npt.NDArray[np.uint8]]]]:
    """Yields pictures in order while the next ones are decoded in the background."""

    def read(picture: Picture) -> npt.NDArray[np.uint8]:
        source = sys.stdin.buffer.read() if picture.source == STDIN else picture.source
        return read_image(source, max_pixels=max_pixels)

    waiting: deque[tuple[Picture, Future[npt.NDArray[np.uint8]]]] = deque()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode") as pool:
        try:
            for picture in pictures:
                waiting.append((picture, pool.submit(read, picture)))
                if len(waiting) > READ_AHEAD:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            for _, future in waiting:
                future.cancel()


def _summary(
    tally: _Tally, clips: ClipTally, skipped: int, elapsed_s: float, plan: OutputPlan | None
) -> str:
    words = []
    if tally.done or tally.failed or not (clips.done or clips.failed or clips.interrupted):
        words.append(f"{_count(tally.done, 'picture')}, {_count(tally.persons, 'person')}")
    if clips.done or clips.failed or clips.interrupted:
        words.append(f"{_count(clips.done, 'video')}, {_count(clips.frames, 'frame')}")
    if tally.failed or clips.failed:
        words.append(f"{tally.failed + clips.failed} failed")
    if skipped:
        words.append(f"{skipped} skipped, their results were there already")
    words.append(f"{elapsed_s:.1f} s")
    if plan and (tally.done or clips.frames):
        words.append(f"results in {plan.folder}")
    return "; ".join(words)


def _nobody_found(arguments: argparse.Namespace, tally: _Tally) -> str:
    """Says on how many pictures nobody was found, and which options not yet given may help."""
    ways = []
    if arguments.score_threshold is None:
        own = get_spec(DEFAULT_DETECTOR).score_threshold if arguments.detector is None else None
        usual = "" if own is None else f" (default {own:g})"
        ways.append(f"--score-threshold 0.2{usual} takes less sure ones")
    if not arguments.whole_image:
        ways.append("--whole-image takes the whole picture where nobody is found")
    if arguments.detector is None:
        ways.append("--det yolox-nano or larger (yolox-m, yolox-l) finds more, by download")
    found = f"nobody found on {tally.empty} of {_count(tally.done, 'picture')}"
    return f"{found}. If there is somebody: {'; '.join(ways)}" if ways else found


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _print_error(message: str) -> None:
    print(f"dwpose-infer: {message}", file=sys.stderr)
