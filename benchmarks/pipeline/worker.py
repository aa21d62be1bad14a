"""One method on some pictures, in a process of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ...arrays import Array
from ...drawing import draw_overlay
from ...images import read_image
from ...predictor import Predictor
from ...results import PoseResult
from ..machine import peak_resident_mb
from ..peers.baselines import OURS, MethodName, Picture, open_method
from ..peers.clock import REST, Clock, watch_networks
from ..peers.clock import STAGES as WATCHED
from ..peers.networks import NetworkFiles
from ..peers.process import Sample, sample, serve

WARM_UP = 2
"""Calls before any is timed; each block begins with one more."""

MEMORY_CALLS = 3
"""Times the pictures are worked on for the memory; ONNX Runtime's arena has its size after one."""

READ, DETECT, POSE, DRAW = "read picture", "detector network", "pose network", "draw"

STAGES = (
    READ,
    "letterbox",
    "detector input",
    DETECT,
    "decode boxes",
    "suppression (NMS)",
    "crop",
    "normalise",
    POSE,
    "decode SimCC",
    "map back",
    REST,
    DRAW,
)
"""All stages, from picture file to drawn picture, in order."""


class PipelineTask(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is to do.

    Attributes:
        method: Who works.
        files: The networks.
        pictures: Picture files.
        threads: Threads inside one operator.
        device: Where ONNX Runtime's networks run.
        score_threshold: Persons must score above this.
        memory: Whether the largest memory is measured first.
    """

    method: MethodName
    files: NetworkFiles
    pictures: tuple[Path, ...]
    threads: int
    device: str
    score_threshold: float
    memory: bool


class PipelineReady(msgspec.Struct, frozen=True, kw_only=True):
    """What the method found.

    Attributes:
        keypoints: Of each picture, (P, 133, 2) in pixels.
        boxes_xyxy: Of each picture, (P, 4) in pixels; of this package only.
        peak_mb: Largest resident memory in 1e6 bytes, from the start of Python to the third result
            from picture files, or None.
    """

    keypoints: list[list[list[list[float]]]]
    boxes_xyxy: list[list[list[float]]]
    peak_mb: float | None


class PipelineBlock(msgspec.Struct, frozen=True, kw_only=True):
    """What some calls took, all pictures together.

    Attributes:
        samples: One for each call.
        stages_ms: Stage -> milliseconds, for each call of its own; of this package only.
    """

    samples: list[Sample]
    stages_ms: list[dict[str, float]]


def prepare(task: PipelineTask) -> tuple[PipelineReady, Callable[[int], PipelineBlock]]:
    """Loads the method, lets it find what is there, and returns what times it."""
    method = open_method(
        task.method,
        task.files,
        threads=task.threads,
        score_threshold=task.score_threshold,
        device=task.device,
    )
    peak_mb = None
    if task.memory:
        for _ in range(MEMORY_CALLS):
            if isinstance(method, Predictor):
                method(list(task.pictures))
                continue
            for path in task.pictures:
                method(Picture.of(read_image(path)))
        peak_mb = peak_resident_mb()
    pictures = [Picture.of(read_image(path)) for path in task.pictures]
    images: list[Any] = [picture.bgr for picture in pictures]

    def work_on_all() -> list[PoseResult] | list[Array]:
        if isinstance(method, Predictor):
            return method(images)
        return [method(picture) for picture in pictures]

    for _ in range(WARM_UP):
        found = work_on_all()
    results = [each for each in found if isinstance(each, PoseResult)]
    keypoints = [each.keypoints if isinstance(each, PoseResult) else each for each in found]
    ready = PipelineReady(
        keypoints=[each.tolist() for each in keypoints],
        boxes_xyxy=[np.asarray(each.boxes_xyxy).tolist() for each in results],
        peak_mb=peak_mb,
    )
    clock = Clock()

    def work(calls: int) -> PipelineBlock:
        work_on_all()
        with watch_networks(clock):
            samples = [sample(clock, work_on_all) for _ in range(calls)]
            stages_ms = []
            if task.method == OURS and isinstance(method, Predictor):
                stages_ms = [time_stages(clock, method, task.pictures) for _ in range(calls)]
        return PipelineBlock(samples=samples, stages_ms=stages_ms)

    return ready, work


def time_stages(clock: Clock, predictor: Predictor, paths: Sequence[Path]) -> dict[str, float]:
    """Returns the milliseconds of every stage of ours, all pictures together.

    Args:
        clock: A clock; what it has counted is forgotten.
        predictor: A predictor with a detector.
        paths: Picture files.
    """
    if predictor.detector is None:
        raise TypeError("this predictor has no detector")
    backends = ((DETECT, predictor.detector.backend), (POSE, predictor.estimator.backend))

    def from_files_to_drawings() -> None:
        images: list[Any] = [_timed_read(clock, path) for path in paths]
        for image, result in zip(images, predictor(images), strict=True):
            _timed_draw(clock, image, result)

    with contextlib.ExitStack() as watched:
        for stage, owner, attribute in WATCHED:
            watched.enter_context(clock.watch(owner, attribute, stage))
        for stage, backend in backends:
            watched.enter_context(clock.watch(backend, "run", stage))
        outside_ms, networks_ms = clock.call(from_files_to_drawings)
    spent_ms = {stage: clock.spent_ms.get(stage, 0.0) for stage in STAGES}
    spent_ms[REST] = outside_ms + networks_ms - sum(spent_ms.values())
    return spent_ms


def _timed_read(clock: Clock, path: Path) -> npt.NDArray[np.uint8]:
    with clock.running(READ):
        return read_image(path)


def _timed_draw(clock: Clock, image_bgr: npt.NDArray[np.uint8], result: PoseResult) -> None:
    with clock.running(DRAW):
        draw_overlay(image_bgr, result)


if __name__ == "__main__":
    serve(PipelineTask, prepare)
