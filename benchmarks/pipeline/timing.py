"""The whole pipeline of every contender, in turns, and the stages of ours."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from ...drawing import draw_overlay
from ...errors import InputError
from ...images import read_image
from ...predictor import Predictor
from ...results import PoseResult
from ..outside.timing import REST
from ..outside.timing import STAGES as OUTSIDE_STAGES
from ..peers.agreement import check_found
from ..peers.baselines import (
    OURS,
    Contender,
    ContenderName,
    NetworkFiles,
    Picture,
    load_contenders,
)
from ..peers.clock import Clock, take_turns, watch_networks
from .document import Times

WARM_UP = 2
"""Rounds of all contenders before any is timed."""

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
        agreement: Share of points that agree, of the contender that agrees least.
        times: Contender -> its medians per picture.
        stages_ms: Stage of ours -> its median per picture.
    """

    persons: int
    agreement: float
    times: dict[ContenderName, Times]
    stages_ms: dict[str, float]


def measure_pictures(
    files: NetworkFiles,
    paths: Sequence[Path],
    *,
    threads: int,
    score_threshold: float,
    repeats: int,
    title: str,
) -> Measured:
    """Times every contender on the same pictures, in turn, round by round.

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
        DisagreementError: The contenders do not find the same.
        InputError: A picture cannot be read, or nobody is found on any.
    """
    pictures = [Picture.of(read_image(path)) for path in paths]
    clock = Clock()
    samples: dict[ContenderName, list[tuple[float, float]]] = {}
    stages: dict[str, list[float]] = {}
    with (
        load_contenders(files, threads=threads, score_threshold=score_threshold) as loaded,
        watch_networks(clock),
    ):
        predictor, contenders = loaded
        persons, agreement = _check(predictor, contenders, pictures, paths, files.crop_wh)
        turns = _turns(predictor, contenders, pictures)
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
    contenders: Mapping[ContenderName, Contender],
    pictures: Sequence[Picture],
    paths: Sequence[Path],
    crop_wh: tuple[int, int],
) -> tuple[int, float]:
    """Returns the number of persons on all pictures and the least agreement of any."""
    persons, agreement = 0, 1.0
    for picture, path in zip(pictures, paths, strict=True):
        result = predictor(picture.bgr)
        found = {name: contender(picture) for name, contender in contenders.items()}
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
    contenders: Mapping[ContenderName, Contender],
    pictures: Sequence[Picture],
) -> dict[ContenderName, Callable[[], object]]:
    images: list[Any] = [picture.bgr for picture in pictures]

    def one_by_one(contender: Contender) -> None:
        for picture in pictures:
            contender(picture)

    turns: dict[ContenderName, Callable[[], object]] = {
        name: partial(one_by_one, contender) for name, contender in contenders.items()
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
        for stage, owner, attribute in OUTSIDE_STAGES:
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
