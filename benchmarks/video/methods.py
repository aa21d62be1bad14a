"""The methods: clip in, drawn clip out, with the same networks, drawing and encoder."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from ...detector import PERSON_CLASS
from ...drawing import draw_overlay
from ...errors import InputError
from ...media import VideoWriter
from ...predictor import Predictor
from ...results import PoseResult
from ..peers.baselines import OURS, OURS_BF16, OURS_OPENVINO, MethodName, open_method
from ..peers.networks import NetworkFiles
from .result import PLAIN_LOOP, STREAM, STREAM_BF16, STREAM_OPENVINO, VideoMethod
from .scene import FRAME_RATE

UInt8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Round:
    """What one method did with a clip.

    Attributes:
        seconds: From opening the clip to the complete video.
        frames: Frames written.
        persons: Persons found in all frames together.
        searched_frames: Frames in which the detector searched; the stream's only.
        working_s: Stage -> seconds at work; the stream's only.
        cpu_s: CPU time of all threads of the process, in seconds.
    """

    seconds: float
    frames: int
    persons: int
    searched_frames: int = 0
    working_s: dict[str, float] | None = None
    cpu_s: float = 0.0


Method = Callable[[Path, Path], Round]
"""Reads the clip at the first path, writes the drawn one to the second."""


def open_video_method(
    name: VideoMethod,
    files: NetworkFiles,
    *,
    detect_every: int,
    score_threshold: float,
    threads: int,
    device: str = "cpu",
) -> Method:
    """Loads one method by itself.

    Args:
        name: The method.
        files: The networks.
        detect_every: The stream and rtmlib search every so many frames.
        score_threshold: Persons must score above this.
        threads: Threads inside one operator.
        device: Where ONNX Runtime's networks run.
    """
    opened = open_method(
        picture_method(name),
        files,
        threads=threads,
        score_threshold=score_threshold,
        device=device,
    )
    if not isinstance(opened, Predictor):
        return lambda clip, out: _loop(_pose_tracker(opened, detect_every), clip, out)
    if name != PLAIN_LOOP:
        return lambda clip, out: _stream(opened, clip, out, detect_every=detect_every)
    return lambda clip, out: _loop(opened, clip, out)


def picture_method(name: VideoMethod) -> MethodName:
    """Returns the method for single pictures that one for clips stands on."""
    ours: dict[str, MethodName] = {
        STREAM: OURS,
        PLAIN_LOOP: OURS,
        STREAM_OPENVINO: OURS_OPENVINO,
        STREAM_BF16: OURS_BF16,
    }
    return ours.get(name) or cast("MethodName", name)


def _stream(predictor: Predictor, clip: Path, out: Path, *, detect_every: int) -> Round:
    began_s = time.perf_counter()
    frames = persons = 0
    with (
        predictor.stream(clip, detect_every=detect_every) as stream,
        VideoWriter(out, frame_rate=FRAME_RATE) as writer,
    ):
        for frame in stream:
            writer.write(draw_overlay(frame.image_bgr, frame.result), frame.time_s)
            frames += 1
            persons += len(frame.result)
    seconds = time.perf_counter() - began_s
    report = stream.report
    working_s = {stage.name: stage.working_s for stage in report.stages}
    working_s["draw"] = working_s.pop("caller")
    working_s["encode"] = writer.working_s
    return Round(seconds, frames, persons, report.searched_frames, working_s)


def _loop(predict: Callable[[UInt8Array], PoseResult], clip: Path, out: Path) -> Round:
    """What people write first: read a frame, predict, draw, write, and so on."""
    began_s = time.perf_counter()
    frames = persons = 0
    with VideoWriter(out, frame_rate=FRAME_RATE) as writer:
        for image_bgr in _frames(clip):
            result = predict(image_bgr)
            writer.write(draw_overlay(image_bgr, result))
            frames += 1
            persons += len(result)
    return Round(time.perf_counter() - began_s, frames, persons)


def _frames(clip: Path) -> Iterator[UInt8Array]:
    capture = cv2.VideoCapture(str(clip))
    if not capture.isOpened():
        raise InputError(f"{clip}: OpenCV cannot read it")
    try:
        while True:
            done, image_bgr = capture.read()
            if not done:
                return
            yield np.asarray(image_bgr, np.uint8)
    finally:
        capture.release()


def _pose_tracker(rtmlib: Any, detect_every: int) -> Callable[[UInt8Array], PoseResult]:
    """Returns a call of rtmlib's `PoseTracker`, which takes its two models out of a solution.

    Without tracking, which it calls the faster way. It hands the same picture to both networks.
    """
    from rtmlib import PoseTracker

    def solution(**_: Any) -> SimpleNamespace:
        return SimpleNamespace(
            det_model=rtmlib.detector, pose_model=rtmlib.pose, det_categories=[PERSON_CLASS]
        )

    with contextlib.redirect_stdout(io.StringIO()):
        tracker = PoseTracker(solution, det_frequency=detect_every, tracking=False)

    def predict(image_bgr: UInt8Array) -> PoseResult:
        keypoints, scores = tracker(image_bgr)
        return PoseResult(
            keypoints=np.asarray(keypoints, np.float32).reshape(-1, 133, 2),
            scores=np.asarray(scores, np.float32).reshape(-1, 133),
            image_size=(image_bgr.shape[1], image_bgr.shape[0]),
        )

    return predict
