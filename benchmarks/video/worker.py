"""One method on one clip, in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from ..peers.networks import NetworkFiles
from ..peers.process import serve
from .methods import Round, open_video_method
from .result import VideoMethod


class VideoTask(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is to do.

    Attributes:
        method: Who works.
        files: The networks.
        clip: The clip; what is drawn is written beside it.
        detect_every: The stream and rtmlib search every so many frames.
        score_threshold: Persons must score above this.
        threads: Threads inside one operator.
        device: Where ONNX Runtime's networks run.
    """

    method: VideoMethod
    files: NetworkFiles
    clip: Path
    detect_every: int
    score_threshold: float
    threads: int
    device: str


def prepare(task: VideoTask) -> tuple[Round, Callable[[int], list[Round]]]:
    """Loads the method, takes the clip once to warm up, and returns what times it."""
    method = open_video_method(
        task.method,
        task.files,
        detect_every=task.detect_every,
        score_threshold=task.score_threshold,
        threads=task.threads,
        device=task.device,
    )
    drawn = task.clip.with_name("drawn.mp4")

    def timed() -> Round:
        began_s = time.process_time()
        done = method(task.clip, drawn)
        return replace(done, cpu_s=time.process_time() - began_s)

    return timed(), lambda calls: [timed() for _ in range(calls)]


if __name__ == "__main__":
    serve(VideoTask, prepare)
