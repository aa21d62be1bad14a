"""What everything outside the networks costs, beside the baselines: networks of constant outputs.

The document keeps the name `outside_networks` that its files have.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Mapping
from functools import partial
from typing import Literal

import cv2
import msgspec
from tqdm import tqdm

from ...errors import InvalidArgumentError
from ..benchmark import Work
from ..document import Document
from ..machine import capture_environment
from ..markdown import markdown_table
from ..peers.agreement import check_equal
from ..peers.baselines import (
    METHODS,
    MISSING,
    OURS,
    RTMLIB,
    RTMLIB_REMEDY,
    SHORT_NAMES,
    Method,
    MethodName,
    Picture,
    constant_methods,
)
from ..peers.clock import NETWORKS, REST, STAGES, Clock, take_turns, watch_networks
from ..peers.constant_networks import CROP_WH, DETECTOR_WH, PICTURE_WH, synthetic_picture
from .command import OverheadSettings

PERSONS = (1, 3, 10)
REPEATS = 60

MAX_PERSONS = 100

WARM_UP = 3
"""Calls of each method before any is timed."""

TARGET_RATIO = 1 / 3
"""Ours must cost at most so much of what rtmlib costs."""


class Cost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Medians of one method, milliseconds per picture.

    Attributes:
        outside_ms: Everything outside `InferenceSession.run`.
        networks_ms: Time inside `InferenceSession.run`, not part of the other.
    """

    outside_ms: float
    networks_ms: float


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was measured on the picture with one number of persons.

    Attributes:
        persons: Number of persons found.
        costs: Method -> its medians.
        stages_ms: Stage of ours -> median in milliseconds per picture.
        ratios: Baseline -> our cost outside the networks as a share of its cost.
    """

    persons: int
    costs: dict[MethodName, Cost]
    stages_ms: dict[str, float]
    ratios: dict[MethodName, float]

    @classmethod
    def of(
        cls, persons: int, costs: Mapping[MethodName, Cost], stages_ms: Mapping[str, float]
    ) -> Row:
        """Returns a row with the ratios that follow from the costs."""
        ours = costs[OURS].outside_ms
        ratios = {name: ours / cost.outside_ms for name, cost in costs.items() if name != OURS}
        return cls(persons=persons, costs=dict(costs), stages_ms=dict(stages_ms), ratios=ratios)

    def __post_init__(self) -> None:
        """Checks what the types do not say; msgspec names the place in its message."""
        if self.persons < 1:
            raise ValueError(f"persons is {self.persons}, must be at least 1")
        if OURS not in self.costs or set(self.ratios) != set(self.costs) - {OURS}:
            raise ValueError(f"costs must name {OURS}, and ratios every baseline of costs")


class OverheadDocument(Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the work outside the networks costs.

    Attributes:
        repeats: Rounds.
        picture_wh: Width and height of the picture in pixels.
        letterbox_wh: Those of the detector's input.
        crop_wh: Those of the pose network's input.
        target_ratio_to_rtmlib: The ratio to rtmlib that ours is held against.
        rows: One for each number of persons.
    """

    schema_version: Literal[2] = 2
    benchmark: Literal["outside_networks"] = "outside_networks"
    repeats: int
    picture_wh: tuple[int, int]
    letterbox_wh: tuple[int, int]
    crop_wh: tuple[int, int]
    target_ratio_to_rtmlib: float
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        """Checks what the types do not say."""
        if not self.rows:
            raise ValueError("rows is empty")


def measure(settings: OverheadSettings) -> OverheadDocument:
    """Returns all that is measured, as the settings say; raises as `measure_row` does."""
    repeats = REPEATS if settings.repeats is None else settings.repeats
    if settings.opencv_threads is not None:
        cv2.setNumThreads(settings.opencv_threads)
    return OverheadDocument(
        environment=capture_environment(threads={"onnxruntime_intra_op": 1}),
        repeats=repeats,
        picture_wh=PICTURE_WH,
        letterbox_wh=DETECTOR_WH,
        crop_wh=CROP_WH,
        target_ratio_to_rtmlib=TARGET_RATIO,
        rows=tuple(measure_row(count, repeats=repeats) for count in settings.persons or PERSONS),
    )


def measure_row(persons: int, *, repeats: int) -> Row:
    """Times every method, in turn, round by round.

    Args:
        persons: Number of persons on the picture.
        repeats: Rounds.

    Raises:
        DisagreementError: The methods do not find the same keypoints.
        InvalidArgumentError: A number is out of range.
        MissingDependencyError: The package `onnx` is not installed.
    """
    if not 1 <= persons <= MAX_PERSONS or repeats < 1:
        raise InvalidArgumentError(
            f"persons must be 1 to {MAX_PERSONS} and repeats at least 1, "
            f"given were {persons} and {repeats}"
        )
    picture, clock = Picture.of(synthetic_picture()), Clock()
    with constant_methods(persons) as loaded, watch_networks(clock):
        for _ in range(WARM_UP):
            found = {name: method(picture) for name, method in loaded.items()}
            check_equal(found, persons=persons)
        samples: dict[MethodName, list[tuple[float, float]]] = {name: [] for name in loaded}
        stages: dict[str, list[float]] = {}
        for number in tqdm(range(repeats), f"{persons} person(s)", leave=False, disable=None):
            for name, method in take_turns(loaded, number):
                samples[name].append(clock.call(partial(method, picture)))
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


def _time_stages(clock: Clock, ours: Method, picture: Picture) -> dict[str, float]:
    """One call of ours with a clock at every stage."""
    with contextlib.ExitStack() as watched:
        for stage, owner, attribute in STAGES:
            watched.enter_context(clock.watch(owner, attribute, stage))
        outside_ms, _ = clock.call(lambda: ours(picture))
    spent_ms = {stage: clock.spent_ms.get(stage, 0.0) for stage, _, _ in STAGES}
    return {**spent_ms, REST: outside_ms - sum(spent_ms.values())}


def report(document: OverheadDocument) -> str:
    """Returns all that is printed after measuring."""
    parts = readme_table(document), full_table(document), verdict(document)
    return "\n\n".join(parts)


def readme_table(document: OverheadDocument) -> str:
    """Returns the short table and where it comes from."""
    origin = (
        f"Measured on: {document.environment.label}; medians of {document.repeats} interleaved "
        f"rounds, OpenCV on {document.environment.threads['opencv']} threads."
    )
    return f"{summary_table(document)}\n\n{origin}"


def summary_table(document: OverheadDocument) -> str:
    """Returns the short table: one row for each number of persons, ms per person and ratios."""
    others: list[MethodName] = [name for name in METHODS if name != OURS]
    header = [
        "persons",
        *(f"{SHORT_NAMES.get(name, name)} ms per person" for name in METHODS),
        f"ours / {RTMLIB}",
        "ours / official",
    ]
    lines = []
    for row in document.rows:
        per_person = [
            f"{row.costs[name].outside_ms / row.persons:.2f}" if name in row.costs else MISSING
            for name in METHODS
        ]
        shares = [f"{row.ratios[name]:.3f}" if name in row.ratios else MISSING for name in others]
        lines.append([str(row.persons), *per_person, *shares])
    return markdown_table(header, lines, text_columns=0)


def full_table(document: OverheadDocument) -> str:
    """Returns the long table: one column for each number of persons, all times and ratios."""
    rows = document.rows
    header = ["milliseconds", *(f"{row.persons} person{'s'[row.persons == 1 :]}" for row in rows)]
    lines = []
    for name in rows[0].costs:
        times = [row.costs[name].outside_ms for row in rows]
        each = [time / row.persons for time, row in zip(times, rows, strict=True)]
        lines.append([f"**{name}**, per picture", *(f"{time:.2f}" for time in times)])
        lines.append([f"{name}, per person", *(f"{time:.2f}" for time in each)])
    for name in rows[0].ratios:
        ratios = [f"{row.ratios[name]:.3f}" for row in rows]
        lines.append([f"**{OURS} / {name}**", *ratios])
    for stage in rows[0].stages_ms:
        stages = [f"{row.stages_ms[stage]:.3f}" for row in rows]
        lines.append([f"{OURS}: {stage}", *stages])
    for name in rows[0].costs:
        networks = [f"{row.costs[name].networks_ms:.2f}" for row in rows]
        lines.append([f"{NETWORKS} of {name}, not counted above", *networks])
    return markdown_table(header, lines)


def verdict(document: OverheadDocument) -> str:
    """Returns the sentence that holds ours against the target."""
    rows = document.rows
    if any(RTMLIB not in row.costs for row in rows):
        return RTMLIB_REMEDY
    words = [
        f"{'met' if row.ratios[RTMLIB] <= TARGET_RATIO else 'MISSED'} with {row.persons}"
        for row in rows
    ]
    return f"At most a third of {RTMLIB} per person: {', '.join(words)} person(s)."


WORK = Work(
    document=OverheadDocument,
    measure=measure,
    report=report,
    table="outside",
    readme_table=readme_table,
)
