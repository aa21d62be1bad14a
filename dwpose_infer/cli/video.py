"""The work of `dwpose-infer` on clips: read, predict, draw, write, report."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from ..errors import DwposeError, InputError, InvalidArgumentError
from ..formats.plain_json import result_to_dict
from ..inputs import Clip, is_live
from ..media import PreviewWindow, Source, open_source, save_face_clip
from ..media.face_clip import FaceTracks
from ..media.span import make_span
from ..pipeline import Pipeline
from ..results import PoseResult
from ..streaming import FrameResult, Stream, StreamReport, StreamSettings
from ..streaming.opening import open_stream, require_tracking
from ..tracking import SmootherSettings, TrackerSettings
from .clip_outputs import ClipPlan, ClipWriter
from .infer_options import InferOptions

Finish = Callable[[PoseResult, str], PoseResult]
"""Puts the name of its source into a result and takes out what is not wanted."""


@dataclass(slots=True)
class ClipTally:
    """What a run has done with clips so far.

    Attributes:
        done: Clips worked on to their end.
        frames: Frames of all clips.
        failed: Clips that failed, and those with damaged frames.
        interrupted: Whether Ctrl-C ended the run.
    """

    done: int = 0
    frames: int = 0
    failed: int = 0
    interrupted: bool = False


def check_clips(options: InferOptions, clips: Sequence[Clip]) -> None:
    """Finds out before the work starts whether the options can be met.

    Raises:
        InvalidArgumentError: --start, --end or --stride cannot be used, or --face-clip with a
            live source.
        MissingDependencyError: A package is needed for them.
    """
    make_span(options.start, options.end, options.stride)
    for clip in clips:
        if options.face_clip and _is_live(clip):
            raise InvalidArgumentError(
                f"{clip.name} is live and cannot be read a second time, as --face-clip does"
            )
    if clips and (options.track or options.smooth):
        require_tracking()
    if clips and options.preview:
        from ..media.preview import require_gui

        require_gui()


@dataclass(frozen=True, slots=True)
class ClipRun:
    """A run over clips, one after the other.

    Attributes:
        options: Those of `dwpose-infer`.
        pipeline: Finds the persons.
        plan: What is written; None where --json alone asks for no file.
        finish: Finishes each frame's result.
        tally: What was done so far.
    """

    options: InferOptions
    pipeline: Pipeline
    plan: ClipPlan | None
    finish: Finish
    tally: ClipTally

    def work_on(self, clips: Sequence[Clip]) -> None:
        """Works on clips; one that fails does not keep the others from it.

        Raises:
            DwposeError: Something is wrong that has nothing to do with one clip.
        """
        with OverallBar(clips, shown=_shows_bars(self.options)) as overall:
            self._work_on(clips, overall)

    def _work_on(self, clips: Sequence[Clip], overall: OverallBar) -> None:
        for clip in clips:
            try:
                report = self._run(clip, overall)
            except DwposeError as error:
                if error.exit_code != DwposeError.exit_code:  # not the clip's fault
                    raise
                self.tally.failed += 1
                said = str(error)
                shown = said if clip.name in said else f"{clip.name}: {said}"
                tqdm.write(f"dwpose-infer: error: {shown}", file=sys.stderr)
                overall.finish_clip()
            except KeyboardInterrupt:
                self.tally.interrupted = True
                return
            else:
                overall.finish_clip()
                damaged = _report_damage(clip, report)
                self.tally.failed += damaged
                self.tally.done += not damaged

    def _run(self, clip: Clip, overall: OverallBar) -> StreamReport:
        before = self.tally.frames
        with ExitStack() as stack:
            source = stack.enter_context(_open(self.options, clip))
            preview = stack.enter_context(PreviewWindow()) if self.options.preview else None
            writer = None
            if self.plan is not None:
                writer = ClipWriter(self.plan, clip, source)
                writer.open(go_on=self.options.skip_existing)
                stack.enter_context(writer)
            known = None if writer is None else writer.known
            stream = stack.enter_context(
                open_stream(self.pipeline, source, _settings(self.options), known=known)
            )
            bar = stack.enter_context(_bar(self.options, source, clip.stem.name))
            began_s = time.perf_counter()
            faces = FaceTracks() if self.options.face_clip else None
            try:
                for frame in _wanted(self.options, stream):
                    if faces is not None:
                        faces.add(frame.index, frame.time_s, frame.result)
                    self._deliver(frame, self.finish(frame.result, clip.name), writer, preview)
                    bar.update()
                    overall.advance(bar.n, source.frame_count)
            except KeyboardInterrupt:
                if not source.is_live:  # it ends a live stream, but breaks off a clip
                    raise
            report = stream.report
            bar.close()
            no_face = None
            if faces is not None:  # before the journal goes: Ctrl-C may end it
                no_face = self._write_face(faces, clip)
            if not self.options.quiet:
                elapsed_s = time.perf_counter() - began_s
                frames = self.tally.frames - before  # of a live stream one more was looked at
                tqdm.write(_summary(clip, report, elapsed_s, frames=frames), file=sys.stderr)
        if no_face is not None:  # the other files are complete now
            raise no_face
        return report

    def _write_face(self, faces: FaceTracks, clip: Clip) -> DwposeError | None:
        """Writes the video of one person's face; returns why there is none."""
        assert self.plan is not None  # --face-clip asks for a file
        options, path = self.options, self.plan.face_path(clip)
        try:
            with _open(options, clip) as source, _bar(options, source, path.stem) as bar:
                written = save_face_clip(
                    faces,
                    source,
                    path,
                    person=options.face_person,
                    size=options.face_size,
                    missing=options.face_missing,
                    progress=bar.update,
                )
        except InvalidArgumentError as error:  # this clip's: the person is not in it
            return InputError(f"no face clip: {error}")
        except DwposeError as error:
            return error
        if not options.quiet:
            whose = "" if written.person is None else f" of id {written.person}"
            if options.face_person is None and written.persons > 1:
                whose += f", of {written.persons} persons the one there most"
            words = [f"face{whose}; {written.frames} frames"]
            if written.frames_without_face:
                shown = "the place held" if options.face_missing == "hold" else "black"
                words.append(f"{written.frames_without_face} without it, {shown}")
            tqdm.write(f"{path.stem}: {', '.join(words)}", file=sys.stderr)
        return None

    def _deliver(
        self,
        frame: FrameResult,
        result: PoseResult,
        writer: ClipWriter | None,
        preview: PreviewWindow | None,
    ) -> None:
        if writer is not None:
            writer.write(frame, result)
        if self.options.json:
            line = {"frame": frame.index, "time_s": frame.time_s, **result_to_dict(result)}
            print(json.dumps(line, allow_nan=False), flush=True)
        self.tally.frames += 1
        if preview is not None:
            drawn = None if writer is None else writer.last_drawn
            if drawn is None:
                drawn = result.draw(frame.image_bgr, style="overlay")
            if not preview.show(drawn):
                raise KeyboardInterrupt


def _open(options: InferOptions, clip: Clip) -> Source:
    return open_source(
        clip.source,
        start=options.start,
        end=None if _is_live(clip) else options.end,
        stride=options.stride,
        frame_rate=options.frame_rate,
        urls=options.urls,
    )


def _is_live(clip: Clip) -> bool:
    return is_live(clip.source) or clip.source.isdecimal()


def _settings(options: InferOptions) -> StreamSettings:
    tracks = options.track or options.smooth
    return StreamSettings(
        detect_every=options.detect_every,
        tracker=TrackerSettings(prefer=options.prefer) if tracks else None,
        smoother=SmootherSettings() if options.smooth else None,
        max_persons=options.max_persons,
        whole_image=options.whole_image,
        on_error="skip",
    )


class OverallBar:
    """One bar over many clips, with the time left; a single clip has its own bar alone.

    Clips count by the sizes of their files, as far as all are files: two hours and ten seconds are
    not the same part of the work.
    """

    def __init__(self, clips: Sequence[Clip], *, shown: bool, file: TextIO | None = None) -> None:
        """Starts at nothing done.

        Args:
            clips: All of them, in order.
            shown: Whether to show it.
            file: Where to; None is standard error.
        """
        paths = [Path(clip.source) for clip in clips]
        known = all(path.is_file() for path in paths)
        self._weights = [max(1, path.stat().st_size) if known else 1 for path in paths]
        self._finished = 0
        self.bar: tqdm[Any] = tqdm(
            total=sum(self._weights),
            desc=f"{len(clips)} videos",
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
            disable=not shown or len(clips) < 2,
            file=file or sys.stderr,
            leave=False,
        )

    def __enter__(self) -> OverallBar:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def advance(self, frames: float, frame_count: int | None) -> None:
        """Notes how much of the current clip is done; of unknown length it counts when finished."""
        share = min(1.0, frames / frame_count) if frame_count else 0.0
        done = sum(self._weights[: self._finished])
        self._move_to(done + share * self._weights[self._finished])

    def finish_clip(self) -> None:
        """Notes that the current clip is over, and whether more come."""
        self._finished += 1
        self.bar.set_postfix_str(f"{self._finished} done", refresh=False)
        self._move_to(sum(self._weights[: self._finished]))

    def _move_to(self, done: float) -> None:
        self.bar.update(max(0.0, done - self.bar.n))


def _shows_bars(options: InferOptions) -> bool:
    return sys.stderr.isatty() and not options.quiet


def _bar(options: InferOptions, source: Source, name: str) -> tqdm[Any]:
    bar: tqdm[Any] = tqdm(
        total=source.frame_count,
        desc=name,
        unit="frame",
        disable=not _shows_bars(options),
        file=sys.stderr,
        leave=False,
    )
    return bar


def _wanted(options: InferOptions, stream: Stream) -> Iterator[FrameResult]:
    """Yields the frames of a clip, or those of a live stream up to --end."""
    span = make_span(None, options.end if stream.source.is_live else None, 1)
    for frame in stream:
        if span.is_after(frame.index, frame.time_s):
            return
        yield frame


def _report_damage(clip: Clip, report: StreamReport) -> int:
    """Prints what is wrong with a clip; returns 1 where something is, else 0."""
    if not report.damaged_frames:
        return 0
    frames = f"{report.damaged_frames} damaged frame{'s'[report.damaged_frames == 1 :]}"
    ending = ", it is cut off" if report.broke_off else ""
    tqdm.write(
        f"dwpose-infer: error: {clip.name}: {frames} left out{ending}; the first: "
        f"{report.damaged[0]}",
        file=sys.stderr,
    )
    return 1


def _summary(clip: Clip, report: StreamReport, elapsed_s: float, *, frames: int) -> str:
    stages = ", ".join(
        f"{_STAGE_NAMES[stage.name]} {min(100.0, 100 * stage.working_s / elapsed_s):.0f} %"
        for stage in report.stages
    )
    words = [
        f"{clip.stem.name}: {frames} frame{'s'[frames == 1 :]}",
        f"{frames / elapsed_s:.1f} fps",
        f"{report.searched_frames} searched",
    ]
    if report.dropped_frames:
        words.append(f"{report.dropped_frames} came too fast")
    return f"{', '.join(words)}; at work: {stages}"


_STAGE_NAMES = {"read": "reading", "networks": "networks", "caller": "drawing and writing"}
