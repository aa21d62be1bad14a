"""The rounds: all contenders on the same clip, in turn."""

from __future__ import annotations

import statistics
from pathlib import Path

from tqdm import tqdm

from ...predictor import Predictor
from ..peers.baselines import NetworkFiles
from ..peers.clock import take_turns
from .contenders import Round, video_contenders
from .document import STREAM, Row, Stage, VideoContender

WARM_UP = 1
"""Rounds of all contenders before any is timed."""


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
    """Returns what every contender does with a clip.

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
    rounds: dict[VideoContender, list[Round]] = {}
    drawn = clip.with_name("drawn.mp4")
    with Predictor(
        files.pose, files.detector, threads=threads, score_threshold=score_threshold
    ) as predictor:
        contenders = video_contenders(
            predictor, files, detect_every=detect_every, score_threshold=score_threshold
        )
        title = f"{persons} person{'s'[persons == 1 :]}"
        for number in tqdm(range(-WARM_UP, repeats), title, leave=False, disable=None):
            for name, contender in take_turns(contenders, number):
                done = contender(clip, drawn)
                if number >= 0:
                    rounds.setdefault(name, []).append(done)
    return _row(rounds, persons)


def _row(rounds: dict[VideoContender, list[Round]], persons: int) -> Row:
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
