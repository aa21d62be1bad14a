"""The whole pipeline of every method, in turns, and the stages of ours."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from ...drawing import draw_overlay
from ...errors import InputError
from ...images import read_image
from ...inputs import find_pictures
from ...predictor import Predictor
from ...results import PoseResult
from ..machine import capture_environment
from ..network_options import at_least_one, model_name
from ..peers.agreement import check_found
from ..peers.baselines import (
    OURS,
    Method,
    MethodName,
    NetworkFiles,
    Picture,
    load_methods,
)
from ..peers.clock import REST, Clock, take_turns, watch_networks
from ..peers.clock import STAGES as WATCHED
from ..peers.montage import PICTURE_WH, write_montages
from ..peers.networks import official_files
from .command import PipelineSettings
from .memory import peaks_mb
from .result import PipelineDocument, Row, Times, ratios_of

PERSONS = (1, 2, 5, 10)
FOLDER_PERSONS = tuple(range(1, 11))
"""Persons on the pictures of the made-up folder."""

REPEATS = 30

WARM_UP = 2
"""Rounds of all methods before any is timed."""

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


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured on one workload.

    Attributes:
        persons: Persons found on all pictures together.
        agreement: Share of points that agree, of the method that agrees least.
        times: Method -> its medians per picture.
        stages_ms: Stage of ours -> its median per picture.
    """

    persons: int
    agreement: float
    times: dict[MethodName, Times]
    stages_ms: dict[str, float]


def measure(settings: PipelineSettings) -> PipelineDocument:
    """Returns all that is measured, as the settings say.

    Raises:
        DwposeError: Networks or pictures cannot be had, or the methods do not agree.
    """
    repeats = REPEATS if settings.repeats is None else settings.repeats
    at_least_one(repeats=repeats)
    threads, counts = settings.thread_count(), settings.persons or PERSONS
    if settings.opencv_threads is not None:
        cv2.setNumThreads(settings.opencv_threads)
    environment = capture_environment(threads={"onnxruntime_intra_op": threads})
    with tempfile.TemporaryDirectory(prefix="dwpose-bench-") as temporary:
        folder = Path(temporary)
        paths = write_montages(folder / "persons", counts)
        if settings.pictures is None:
            in_folder = write_montages(folder / "folder", FOLDER_PERSONS)
        else:
            in_folder = _pictures_in(settings.pictures)
        pose, detector = settings.models(folder)
        score_threshold = settings.threshold(detector)
        files = official_files(folder, pose=pose, detector=detector)
        rows = [
            _row(
                files,
                pictures,
                shown=shown,
                threads=threads,
                score_threshold=score_threshold,
                repeats=repeats,
                memory=not settings.no_memory,
            )
            for pictures, shown in [
                *(([path], shown) for path, shown in zip(paths, counts, strict=True)),
                (in_folder, None),
            ]
        ]
    return PipelineDocument(
        environment=environment,
        pose=settings.random_weights or model_name(pose),
        detector=model_name(detector),
        random_weights=settings.random_weights is not None,
        crop_wh=files.crop_wh,
        detector_wh=files.detector_wh,
        picture_wh=PICTURE_WH,
        score_threshold=score_threshold,
        threads=threads,
        repeats=repeats,
        rows=tuple(rows),
    )


def _pictures_in(folder: Path) -> list[Path]:
    return [Path(picture.source) for picture in find_pictures([str(folder)], out_folder=None)]


def _row(
    files: NetworkFiles,
    paths: Sequence[Path],
    *,
    shown: int | None,
    threads: int,
    score_threshold: float,
    repeats: int,
    memory: bool,
) -> Row:
    measured = measure_pictures(
        files,
        paths,
        threads=threads,
        score_threshold=score_threshold,
        repeats=repeats,
        title="folder" if shown is None else f"{shown} person{'s'[shown == 1 :]}",
    )
    peaks = peaks_mb(
        measured.times if memory else (),
        files,
        paths,
        threads=threads,
        score_threshold=score_threshold,
    )
    times = measured.times.items()
    return Row(
        workload="folder" if shown is None else "persons",
        pictures=len(paths),
        persons_shown=shown,
        persons=measured.persons,
        agreement=measured.agreement,
        times=measured.times,
        ratios=ratios_of({name: each.total_ms for name, each in times}),
        outside_ratios=ratios_of({name: each.outside_ms for name, each in times}),
        stages_ms=measured.stages_ms,
        peak_mb=peaks,
    )


def measure_pictures(
    files: NetworkFiles,
    paths: Sequence[Path],
    *,
    threads: int,
    score_threshold: float,
    repeats: int,
    title: str,
) -> Measured:
    """Times every method on the same pictures, in turn, round by round.

    The pictures are decoded beforehand, for decoding is the same work for all. Ours gets the list
    in one call, the others picture by picture, as they are made.

    Args:
        files: The networks.
        paths: Picture files, at least one.
        threads: Threads inside one operator of ONNX Runtime.
        score_threshold: Persons must score above this.
        repeats: Rounds.
        title: What the progress bar says.

    Raises:
        DisagreementError: The methods do not find the same.
        InputError: A picture cannot be read, or nobody is found on any.
    """
    pictures = [Picture.of(read_image(path)) for path in paths]
    clock = Clock()
    samples: dict[MethodName, list[tuple[float, float]]] = {}
    stages: dict[str, list[float]] = {}
    with (
        load_methods(files, threads=threads, score_threshold=score_threshold) as loaded,
        watch_networks(clock),
    ):
        predictor, methods = loaded
        persons, agreement = _check(predictor, methods, pictures, paths, files.crop_wh)
        turns = _turns(predictor, methods, pictures)
        for number in tqdm(range(-WARM_UP, repeats), title, leave=False, disable=None):
            for name, turn in take_turns(turns, number):
                spent = clock.call(turn)
                if number >= 0:
                    samples.setdefault(name, []).append(spent)
            staged = time_stages(clock, predictor, paths)
            for stage, spent_ms in staged.items() if number >= 0 else ():
                stages.setdefault(stage, []).append(spent_ms)
    count = len(pictures)
    return Measured(
        persons,
        agreement,
        {name: _medians(pairs, count) for name, pairs in samples.items()},
        {stage: statistics.median(each) / count for stage, each in stages.items()},
    )


def _check(
    predictor: Predictor,
    methods: Mapping[MethodName, Method],
    pictures: Sequence[Picture],
    paths: Sequence[Path],
    crop_wh: tuple[int, int],
) -> tuple[int, float]:
    """Returns the number of persons on all pictures and the least agreement of any."""
    persons, agreement = 0, 1.0
    for picture, path in zip(pictures, paths, strict=True):
        result = predictor(picture.bgr)
        found = {name: method(picture) for name, method in methods.items()}
        agreement = min(agreement, check_found(found, result, crop_wh=crop_wh, name=path.name))
        persons += len(result)
    if not persons:
        raise InputError(
            "the detector finds nobody on the pictures; give another one with --det, or a lower "
            "--score-threshold"
        )
    return persons, agreement


def _turns(
    predictor: Predictor,
    methods: Mapping[MethodName, Method],
    pictures: Sequence[Picture],
) -> dict[MethodName, Callable[[], object]]:
    images: list[Any] = [picture.bgr for picture in pictures]

    def one_by_one(method: Method) -> None:
        for picture in pictures:
            method(picture)

    turns: dict[MethodName, Callable[[], object]] = {
        name: partial(one_by_one, method) for name, method in methods.items()
    }
    turns[OURS] = lambda: predictor(images)
    return turns


def _medians(pairs: Sequence[tuple[float, float]], count: int) -> Times:
    return Times(
        total_ms=statistics.median(outside + networks for outside, networks in pairs) / count,
        networks_ms=statistics.median(networks for _, networks in pairs) / count,
        outside_ms=statistics.median(outside for outside, _ in pairs) / count,
    )


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
