"""How the contenders are timed: a clock around the networks, and one around each stage of ours."""

from __future__ import annotations

import contextlib
import statistics
from functools import partial
from typing import Any

from tqdm import tqdm

from ... import detector, estimator, geometry
from ...errors import InvalidArgumentError
from ..peers.baselines import (
    OURS,
    Contender,
    ContenderName,
    Picture,
    check_agreement,
    constant_contenders,
)
from ..peers.clock import Clock, take_turns, watch_networks
from ..peers.constant_networks import synthetic_picture
from .document import Cost, Row

MAX_PERSONS = 100

WARM_UP = 3
"""Calls of each contender before any is timed."""

STAGES: tuple[tuple[str, Any, str], ...] = (
    ("letterbox", detector, "letterbox"),
    ("detector input", detector.Detector, "network_input"),
    ("decode boxes", detector, "decode_yolox"),
    ("suppression (NMS)", detector, "nms"),
    ("crop", geometry, "crop_boxes"),
    ("normalise", estimator.PoseEstimator, "network_input"),
    ("decode SimCC", estimator, "decode_simcc"),
    ("map back", geometry, "crop_to_picture"),
)
"""Stage -> the function of this package that does it: its owner and its name there."""

REST = "everything else"


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
    picture, clock = Picture.of(synthetic_picture()), Clock()
    with constant_contenders(persons) as loaded, watch_networks(clock):
        for _ in range(WARM_UP):
            found = {name: contender(picture) for name, contender in loaded.items()}
            check_agreement(found, persons=persons)
        samples: dict[ContenderName, list[tuple[float, float]]] = {name: [] for name in loaded}
        stages: dict[str, list[float]] = {}
        for number in tqdm(range(repeats), f"{persons} person(s)", leave=False, disable=None):
            for name, contender in take_turns(loaded, number):
                samples[name].append(clock.call(partial(contender, picture)))
            for stage, spent_ms in _time_stages(clock, loaded[OURS], picture).items():
                stages.setdefault(stage, []).append(spent_ms)
    costs = {
        name: Cost(
            outside_ms=statistics.median(outside_ms for outside_ms, _ in pairs),
            networks_ms=statistics.median(networks_ms for _, networks_ms in pairs),
        )
        for name, pairs in samples.items()
    }
    return Row.of(persons, costs, {name: statistics.median(each) for name, each in stages.items()})


def _time_stages(clock: Clock, ours: Contender, picture: Picture) -> dict[str, float]:
    """One call of ours with a clock at every stage."""
    with contextlib.ExitStack() as watched:
        for stage, owner, attribute in STAGES:
            watched.enter_context(clock.watch(owner, attribute, stage))
        outside_ms, _ = clock.call(lambda: ours(picture))
    spent_ms = {stage: clock.spent_ms.get(stage, 0.0) for stage, _, _ in STAGES}
    return {**spent_ms, REST: outside_ms - sum(spent_ms.values())}
