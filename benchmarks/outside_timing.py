"""How the contenders are timed: a clock around the networks, and one around each stage of ours."""

from __future__ import annotations

import contextlib
import functools
import statistics
import time
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from .. import detector, estimator, geometry
from ..errors import InvalidArgumentError
from .constant_networks import synthetic_picture
from .contenders import OURS, Contender, check_agreement, contenders

MAX_PERSONS = 100

WARM_UP = 3
"""Calls of each contender before any is timed."""

STAGES: tuple[tuple[str, Any, str], ...] = (
    ("letterbox", detector, "letterbox"),
    ("detector input", detector.Detector, "_network_input"),
    ("decode boxes", detector, "decode_yolox"),
    ("suppression (NMS)", detector, "nms"),
    ("crop", geometry, "crop_boxes"),
    ("normalise", estimator.PoseEstimator, "_network_input"),
    ("decode SimCC", estimator, "decode_simcc"),
    ("map back", geometry, "crop_to_picture"),
)
"""Stage -> the function of this package that does it: its owner and its name there."""

REST = "everything else"
NETWORKS = "InferenceSession.run"


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians of one contender, milliseconds per picture.

    Attributes:
        outside_ms: Everything outside `InferenceSession.run`.
        networks_ms: Time inside `InferenceSession.run`, not part of the other.
    """

    outside_ms: float
    networks_ms: float


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured on the picture with one number of persons.

    Attributes:
        persons: Number of persons found.
        costs: Contender -> its medians.
        stages_ms: Stage of ours -> median in milliseconds per picture.
    """

    persons: int
    costs: dict[str, Cost]
    stages_ms: dict[str, float]

    @property
    def ratios(self) -> dict[str, float]:
        """Other contender -> our cost as a share of its cost."""
        ours = self.costs[OURS].outside_ms
        return {name: ours / cost.outside_ms for name, cost in self.costs.items() if name != OURS}


class _Clock:
    """Adds up the time spent inside functions, in milliseconds, by name."""

    def __init__(self) -> None:
        self.spent_ms: dict[str, float] = {}

    def watch(
        self, owner: Any, attribute: str, name: str
    ) -> contextlib.AbstractContextManager[Any]:
        """Returns a context in which a function of a module or class is timed."""
        function = getattr(owner, attribute)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                elapsed_ms = 1e3 * (time.perf_counter() - start)
                self.spent_ms[name] = self.spent_ms.get(name, 0.0) + elapsed_ms

        return mock.patch.object(owner, attribute, timed)

    def call(self, contender: Contender, image_bgr: npt.NDArray[np.uint8]) -> tuple[float, float]:
        """Returns the milliseconds of one call outside the networks and inside them."""
        self.spent_ms.clear()
        start = time.perf_counter()
        contender(image_bgr)
        total_ms = 1e3 * (time.perf_counter() - start)
        networks_ms = self.spent_ms.pop(NETWORKS, 0.0)
        return total_ms - networks_ms, networks_ms


def measure(persons: int, *, repeats: int) -> Row:
    """Times every contender, in turn, round by round.

    Args:
        persons: Number of persons on the picture.
        repeats: Rounds.

    Raises:
        DisagreementError: The contenders do not find the same keypoints.
        InvalidArgumentError: A number is out of range.
        MissingDependencyError: The package `onnx` is not installed.
    """
    if not 1 <= persons <= MAX_PERSONS or repeats < 1:
        raise InvalidArgumentError(
            f"persons must be 1 to {MAX_PERSONS} and repeats at least 1, "
            f"given were {persons} and {repeats}"
        )
    import onnxruntime

    image_bgr, clock = synthetic_picture(), _Clock()
    with (
        contenders(persons) as loaded,
        clock.watch(onnxruntime.InferenceSession, "run", NETWORKS),
    ):
        for _ in range(WARM_UP):
            found = {name: contender(image_bgr) for name, contender in loaded.items()}
            check_agreement(found, persons=persons)
        samples: dict[str, list[tuple[float, float]]] = {name: [] for name in loaded}
        stages: dict[str, list[float]] = {}
        for _ in tqdm(range(repeats), f"{persons} person(s)", leave=False, disable=None):
            for name, contender in loaded.items():
                samples[name].append(clock.call(contender, image_bgr))
            for stage, spent_ms in _time_stages(clock, loaded[OURS], image_bgr).items():
                stages.setdefault(stage, []).append(spent_ms)
    costs = {
        name: Cost(*(statistics.median(column) for column in zip(*pairs, strict=True)))
        for name, pairs in samples.items()
    }
    return Row(persons, costs, {name: statistics.median(each) for name, each in stages.items()})


def _time_stages(
    clock: _Clock, ours: Contender, image_bgr: npt.NDArray[np.uint8]
) -> dict[str, float]:
    """One call of ours with a clock at every stage."""
    with contextlib.ExitStack() as watched:
        for stage, owner, attribute in STAGES:
            watched.enter_context(clock.watch(owner, attribute, stage))
        outside_ms, _ = clock.call(ours, image_bgr)
    spent_ms = {stage: clock.spent_ms.get(stage, 0.0) for stage, _, _ in STAGES}
    return {**spent_ms, REST: outside_ms - sum(spent_ms.values())}
