"""The rounds: all methods on the same clip, in turn."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from tqdm import tqdm

from ...predictor import Predictor
from ..machine import capture_environment
from ..network_options import at_least_one, model_name
from ..peers.baselines import NetworkFiles
from ..peers.clock import take_turns
from ..peers.montage import PICTURE_WH
from ..peers.networks import official_files
from .command import VideoSettings
from .methods import Round, video_methods
from .result import STREAM, Row, Stage, VideoDocument, VideoMethod
from .scene import write_clip

WARM_UP = 1
"""Rounds of all methods before any is timed."""


def measure(settings: VideoSettings) -> VideoDocument:
    """Returns all that is measured, as the settings say.

    Raises:
        DwposeError: Networks cannot be had, or a package is missing.
    """
    at_least_one(
        repeats=settings.repeats, frames=settings.frames, detect_every=settings.detect_every
    )
    threads = settings.thread_count()
    environment = capture_environment(threads={"onnxruntime_intra_op": threads})
    with tempfile.TemporaryDirectory(prefix="dwpose-bench-") as temporary:
        folder = Path(temporary)
        clips = {
            persons: write_clip(folder / f"{persons}.mp4", persons=persons, frames=settings.frames)
            for persons in settings.persons
        }
        pose, detector = settings.models(folder)
        score_threshold = settings.threshold(detector)
        files = official_files(folder, pose=pose, detector=detector)
        rows = tuple(
            measure_clip(
                files,
                clip,
                persons=persons,
                detect_every=settings.detect_every,
                score_threshold=score_threshold,
                threads=threads,
                repeats=settings.repeats,
            )
            for persons, clip in clips.items()
        )
    return VideoDocument(
        environment=environment,
        pose=settings.random_weights or model_name(pose),
        detector=model_name(detector),
        random_weights=settings.random_weights is not None,
        picture_wh=PICTURE_WH,
        frames=settings.frames,
        detect_every=settings.detect_every,
        score_threshold=score_threshold,
        threads=threads,
        repeats=settings.repeats,
        rows=rows,
    )


def measure_clip(
    files: NetworkFiles,
    clip: Path,
    *,
    persons: int,
    detect_every: int,
    score_threshold: float,
    threads: int,
    repeats: int,
) -> Row:
    """Returns what every method does with a clip.

    Args:
        files: The networks.
        clip: The clip; what is drawn is written beside it.
        persons: Persons in it.
        detect_every: The stream and rtmlib search every so many frames.
        score_threshold: Persons must score above this.
        threads: Threads inside one operator of ONNX Runtime.
        repeats: Rounds.

    Raises:
        InputError: The clip cannot be read.
    """
    rounds: dict[VideoMethod, list[Round]] = {}
    drawn = clip.with_name("drawn.mp4")
    with Predictor(
        files.pose, files.detector, threads=threads, score_threshold=score_threshold
    ) as predictor:
        methods = video_methods(
            predictor, files, detect_every=detect_every, score_threshold=score_threshold
        )
        title = f"{persons} person{'s'[persons == 1 :]}"
        for number in tqdm(range(-WARM_UP, repeats), title, leave=False, disable=None):
            for name, method in take_turns(methods, number):
                done = method(clip, drawn)
                if number >= 0:
                    rounds.setdefault(name, []).append(done)
    return _row(rounds, persons)


def _row(rounds: dict[VideoMethod, list[Round]], persons: int) -> Row:
    all_fps = {
        name: tuple(done.frames / done.seconds for done in each) for name, each in rounds.items()
    }
    fps = {name: statistics.median(each) for name, each in all_fps.items()}
    ours = sorted(rounds[STREAM], key=lambda done: done.seconds)[len(rounds[STREAM]) // 2]
    return Row(
        persons=persons,
        fps=fps,
        all_fps=all_fps,
        persons_found={name: each[-1].persons / each[-1].frames for name, each in rounds.items()},
        speed={name: fps[STREAM] / each for name, each in fps.items() if name != STREAM},
        stages=tuple(
            Stage(
                name=name,
                working_ms=1e3 * working_s / ours.frames,
                share=working_s / ours.seconds,
            )
            for name, working_s in (ours.working_s or {}).items()
        ),
        searched_frames=ours.searched_frames,
    )
