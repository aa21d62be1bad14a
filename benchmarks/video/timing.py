"""The rounds: all methods on the same clip, in turn, each in a process of its own."""

from __future__ import annotations

import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

from tqdm import tqdm

from ..benchmark import Work
from ..machine import capture_environment
from ..network_options import at_least_one, model_name
from ..peers.baselines import installed_methods
from ..peers.clock import take_turns
from ..peers.montage import PICTURE_WH
from ..peers.networks import NetworkFiles, official_files
from ..peers.process import start_worker
from .command import VideoSettings
from .methods import Round, open_video_method, picture_method
from .result import (
    STREAM,
    Row,
    Stage,
    VideoDocument,
    VideoMethod,
    readme_table,
    report,
)
from .scene import write_clip, write_hdr_clip
from .worker import VideoTask


def measure(settings: VideoSettings) -> VideoDocument:
    """Returns all that is measured, as the settings say.

    Raises:
        DwposeError: Networks cannot be had, or a package is missing.
    """
    at_least_one(
        repeats=settings.repeats, frames=settings.frames, detect_every=settings.detect_every
    )
    threads, device = settings.thread_count(), settings.place()
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
                device=device,
                repeats=settings.repeats,
            )
            for persons, clip in clips.items()
        )
        hdr_stages: tuple[Stage, ...] = ()
        if settings.hdr:
            clip = write_hdr_clip(folder / "hdr.mp4", frames=settings.frames)
            hdr_stages = _hdr_stages(files, clip, settings, score_threshold=score_threshold)
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
        device=device,
        repeats=settings.repeats,
        own_processes=True,
        rows=rows,
        hdr_stages=hdr_stages,
    )


def measure_clip(
    files: NetworkFiles,
    clip: Path,
    *,
    persons: int,
    detect_every: int,
    score_threshold: float,
    threads: int,
    device: str,
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
        device: Where its networks run.
        repeats: Rounds.

    Raises:
        InferenceError: A process failed, such as at a clip that cannot be read.
    """
    rounds: dict[VideoMethod, list[Round]] = {}
    title = f"{persons} person{'s'[persons == 1 :]}"
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(
                start_worker(
                    "dwpose_infer.benchmarks.video.worker",
                    VideoTask(
                        method=name,
                        files=files,
                        clip=clip,
                        detect_every=detect_every,
                        score_threshold=score_threshold,
                        threads=threads,
                        device=device,
                    ),
                    name=name,
                    ready=Round,
                    answer=list[Round],
                )
            )
            for name in tqdm(_installed(device), f"{title}, warming up", leave=False, disable=None)
        }
        for number in tqdm(range(repeats), title, leave=False, disable=None):
            for name, worker in take_turns(workers, number):
                rounds.setdefault(name, []).extend(worker.work(1))
    return _row(rounds, persons)


def _hdr_stages(
    files: NetworkFiles, clip: Path, settings: VideoSettings, *, score_threshold: float
) -> tuple[Stage, ...]:
    """Returns the stages of the stream on a clip in HDR, in the round of its median."""
    stream = open_video_method(
        STREAM,
        files,
        detect_every=settings.detect_every,
        score_threshold=score_threshold,
        threads=settings.thread_count(),
        device=settings.place(),
    )
    rounds = [stream(clip, clip.with_name("drawn.mp4")) for _ in range(settings.repeats + 1)]
    return _stages(_median(rounds[1:]))


def _median(rounds: list[Round]) -> Round:
    return sorted(rounds, key=lambda done: done.seconds)[len(rounds) // 2]


def _stages(done: Round) -> tuple[Stage, ...]:
    return tuple(
        Stage(name=name, working_ms=1e3 * working_s / done.frames, share=working_s / done.seconds)
        for name, working_s in (done.working_s or {}).items()
    )


def _installed(device: str) -> list[VideoMethod]:
    there = installed_methods(device)
    return [name for name in get_args(VideoMethod) if picture_method(name) in there]


def _row(rounds: dict[VideoMethod, list[Round]], persons: int) -> Row:
    all_fps = {
        name: tuple(done.frames / done.seconds for done in each) for name, each in rounds.items()
    }
    fps = {name: statistics.median(each) for name, each in all_fps.items()}
    ours = _median(rounds[STREAM])
    return Row(
        persons=persons,
        fps=fps,
        all_fps=all_fps,
        persons_found={name: each[-1].persons / each[-1].frames for name, each in rounds.items()},
        speed={name: fps[STREAM] / each for name, each in fps.items() if name != STREAM},
        stages=_stages(ours),
        searched_frames=ours.searched_frames,
        cpu_ms={
            name: statistics.median(1e3 * done.cpu_s / done.frames for done in each)
            for name, each in rounds.items()
        },
    )


WORK = Work(
    document=VideoDocument,
    measure=measure,
    report=report,
    table="video",
    readme_table=readme_table,
)
