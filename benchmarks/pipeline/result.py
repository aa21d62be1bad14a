"""The result of `dwpose-bench pipeline` as a typed document, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from ..document import Document
from ..markdown import markdown_table
from ..network_options import on_device
from ..peers.baselines import (
    ALL_METHODS,
    IN_BF16,
    MISSING,
    OFFICIAL,
    OURS,
    OURS_BF16,
    OURS_OPENVINO,
    RTMLIB,
    RTMLIB_BF16,
    RTMLIB_OPENVINO,
    RTMLIB_REMEDY,
    SHORT_NAMES,
    MethodName,
)

TARGET_OUTSIDE_RATIO = 1 / 3
"""Outside the networks ours must cost at most so much of what rtmlib costs."""

TARGET_SPEED_ONE_PERSON = 0.98
"""At one person the whole pipeline must be at least so many times as fast as rtmlib's."""

TARGET_SPEED_SEVERAL = 1.0
"""From two persons on it must be more than so many times as fast."""


class Times(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Medians of one method, milliseconds per picture, from decoded picture to keypoints.

    Attributes:
        total_ms: The whole call.
        networks_ms: Time inside `InferenceSession.run`.
        outside_ms: The rest of the call.
        cpu_ms: CPU time of all threads of its process; None where all worked in one process.
    """

    total_ms: float
    networks_ms: float
    outside_ms: float
    cpu_ms: float | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was measured on one picture, or on a folder of pictures.

    Attributes:
        workload: "persons" for a made-up picture, "folder" for a folder of pictures.
        pictures: Number of pictures.
        persons_shown: Persons on the made-up picture; None for a folder.
        persons: Persons that the detector finds, on all pictures together; the same for every
            method.
        agreement: Share of the points that agree, of the method in fp32 that agrees least.
        agreements: The same of each method; empty in older results.
        times: Method -> its medians.
        ratios: Baseline -> our whole time as a share of its time.
        outside_ratios: The same of the time outside the networks.
        stages_ms: Stage of ours -> median in milliseconds per picture, from picture file to
            drawn picture.
        peak_mb: Method -> largest resident memory of a process that does only this, in 1e6
            bytes; empty where it was not measured.
    """

    workload: Literal["persons", "folder"]
    pictures: int
    persons_shown: int | None
    persons: int
    agreement: float
    times: dict[MethodName, Times]
    ratios: dict[MethodName, float]
    outside_ratios: dict[MethodName, float]
    stages_ms: dict[str, float]
    peak_mb: dict[MethodName, float]
    agreements: dict[MethodName, float] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks what the types do not say; msgspec names the place in its message."""
        if self.pictures < 1 or self.persons < 0:
            raise ValueError("a row is of at least one picture, and of no negative persons")
        others = set(self.times) - {OURS}
        if (
            OURS not in self.times
            or set(self.ratios) != others
            or set(self.outside_ratios) != others
        ):
            raise ValueError(f"times must name {OURS}, and the ratios every baseline")


class PipelineDocument(Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole pipeline beside other programs.

    Attributes:
        pose: Name of the pose network.
        detector: Name of the detector.
        random_weights: Whether the pose network's weights are random.
        crop_wh: (width, height) of the pose network's input in pixels.
        detector_wh: Those of the detector's.
        picture_wh: Those of the made-up pictures.
        score_threshold: Persons score above this, with every method.
        threads: Threads inside one operator of ONNX Runtime.
        device: Where its networks ran.
        repeats: Calls of each method that count.
        blocks: Blocks in which they were made, each method in a process of its own; None where all
            took turns in one process, call by call.
        rows: One for each number of persons, and one for the folder.
    """

    schema_version: Literal[1] = 1
    benchmark: Literal["pipeline"] = "pipeline"
    pose: str
    detector: str
    random_weights: bool
    crop_wh: tuple[int, int]
    detector_wh: tuple[int, int]
    picture_wh: tuple[int, int]
    score_threshold: float
    threads: int
    device: str = "cpu"
    repeats: int
    rows: tuple[Row, ...]
    blocks: int | None = None

    def __post_init__(self) -> None:
        """Checks what the types do not say."""
        if not self.rows:
            raise ValueError("rows is empty")


def ratios_of(times: Mapping[MethodName, float]) -> dict[MethodName, float]:
    """Returns our time as a share of every baseline's."""
    return {name: times[OURS] / spent for name, spent in times.items() if name != OURS}


def misses(row: Row) -> list[str]:
    """Returns what a row misses of the targets against rtmlib, in words; nothing where all is met.

    Raises:
        KeyError: rtmlib was not measured.
    """
    found = []
    if row.outside_ratios[RTMLIB] > TARGET_OUTSIDE_RATIO:
        found.append(f"outside the networks {row.outside_ratios[RTMLIB]:.3f} of {RTMLIB}'s time")
    speed = 1 / row.ratios[RTMLIB]
    one = row.persons <= row.pictures
    if speed < TARGET_SPEED_ONE_PERSON if one else speed <= TARGET_SPEED_SEVERAL:
        found.append(f"in all {speed:.3f} times as fast as {RTMLIB}")
    return found


def readme_table(document: PipelineDocument) -> str:
    """Returns the short table and where it comes from.

    Where the methods worked in processes of their own it has ratios alone: they travel from a busy
    machine to a quiet one, milliseconds do not.
    """
    table = summary_table if document.blocks is None else speeds_table
    return f"{table(document)}\n\n{origin(document)}"


def origin(document: PipelineDocument) -> str:
    """Returns the line that says what was measured where."""
    weights = " with random weights" if document.random_weights else ""
    how = "interleaved rounds"
    if document.blocks is not None:
        how = f"calls in {document.blocks} blocks by turns, each method in a process of its own"
    load = document.environment.load_average_1min
    if document.blocks is not None and load is not None:
        how += f", load before it {load:.2f}"
    return (
        f"Measured on: {document.environment.label}; {document.pose}{weights} and "
        f"{document.detector}, ONNX Runtime{on_device(document.device)} on {document.threads} "
        f"thread{'s'[document.threads == 1 :]}, medians of {document.repeats} {how}."
    )


def _workload(row: Row) -> str:
    if row.workload == "folder":
        return f"folder: {row.pictures} pictures, {row.persons} persons"
    missed = "" if row.persons == row.persons_shown else f" (of {row.persons_shown})"
    return f"{row.persons}{missed} person{'s'[row.persons == 1 :]}"


def _present(document: PipelineDocument) -> list[MethodName]:
    return [name for name in ALL_METHODS if any(name in row.times for row in document.rows)]


def _figures(figures: Iterable[float | None], pattern: str) -> list[str]:
    return [MISSING if figure is None else format(figure, pattern) for figure in figures]


def summary_table(document: PipelineDocument) -> str:
    """Returns the short table: milliseconds per picture, and how many times as fast."""
    rows, present = document.rows, _present(document)
    with_cpu = any(times.cpu_ms for row in rows for times in row.times.values())
    lines = [
        [SHORT_NAMES.get(name, name), *(_wall_and_cpu(row.times.get(name)) for row in rows)]
        for name in (name for name in _ORDER if name in present)
    ]
    for ours, theirs in _COMPARED:
        if ours in present and theirs in present:
            title = f"**{SHORT_NAMES[ours]}: times as fast as {theirs}**"
            lines.append([title, *_figures([_speed(row, ours, theirs) for row in rows], ".2f")])
    outside = _figures([row.outside_ratios.get(RTMLIB) for row in rows], ".3f")
    lines.append([f"outside the networks, ours / {RTMLIB}", *outside])
    title = f"ms per picture{' (CPU time)' if with_cpu else ''}"
    return markdown_table([title, *map(_workload, rows)], lines)


def speeds_table(document: PipelineDocument) -> str:
    """Returns how many times as fast, and how many times as much CPU time the other takes."""
    rows, present = document.rows, _present(document)
    lines = []
    for ours, theirs in _COMPARED:
        if ours in present and theirs in present:
            title = f"{SHORT_NAMES[ours]}, beside {theirs}"
            lines.append([title, *(_speed_and_cpu(row, ours, theirs) for row in rows)])
    return markdown_table(["times as fast (as little CPU time)", *map(_workload, rows)], lines)


def _speed_and_cpu(row: Row, ours: MethodName, theirs: MethodName) -> str:
    speed = _speed(row, ours, theirs)
    if speed is None:
        return MISSING
    cpu = [row.times[name].cpu_ms for name in (theirs, ours)]
    return f"{speed:.2f} ({cpu[0] / cpu[1]:.2f})" if cpu[0] and cpu[1] else f"{speed:.2f}"


_ORDER = (OURS, OURS_OPENVINO, OURS_BF16, RTMLIB, RTMLIB_OPENVINO, RTMLIB_BF16, OFFICIAL)

_COMPARED = (
    (OURS, RTMLIB),
    (OURS_OPENVINO, RTMLIB_OPENVINO),
    (OURS_BF16, RTMLIB_BF16),
    (OURS_BF16, RTMLIB),
    (OURS, OFFICIAL),
)
"""Whose times are compared: the same runtime and precision, and the best with the usual."""


def _wall_and_cpu(times: Times | None) -> str:
    if times is None:
        return MISSING
    cpu = "" if times.cpu_ms is None else f" ({times.cpu_ms:.1f})"
    return f"{times.total_ms:.1f}{cpu}"


def _speed(row: Row, ours: MethodName, theirs: MethodName) -> float | None:
    if ours not in row.times or theirs not in row.times:
        return None
    return row.times[theirs].total_ms / row.times[ours].total_ms


def methods_table(document: PipelineDocument) -> str:
    """Returns the long table of the methods: times inside and outside, CPU time, ratios, memory."""
    rows, names = document.rows, _present(document)
    lines = []
    for name in names:
        times = [row.times.get(name) for row in rows]
        for title, field in (
            (f"**{name}**", "total_ms"),
            (f"{name}, networks", "networks_ms"),
            (f"{name}, outside", "outside_ms"),
            (f"{name}, CPU time", "cpu_ms"),
        ):
            figures = [getattr(each, field, None) for each in times]
            if field != "cpu_ms" or any(figures):
                lines.append([title, *_figures(figures, ".2f")])
    for name in names[1:]:
        ratios = (row.ratios.get(name) for row in rows)
        outside = (row.outside_ratios.get(name) for row in rows)
        lines.append([f"**{OURS} / {name}**", *_figures(ratios, ".3f")])
        lines.append([f"{OURS} / {name}, outside", *_figures(outside, ".3f")])
    for name in names:
        peaks = (row.peak_mb.get(name) for row in rows)
        lines.append([f"{name}, peak memory in MB", *_figures(peaks, ".0f")])
    agreement = [f"{100 * row.agreement:.1f} %" for row in rows]
    lines.append(["points that agree, at least", *agreement])
    for name in (name for name in names if name in IN_BF16):
        shares = _figures([row.agreements.get(name) for row in rows], ".1%")
        lines.append([f"points of {name} that agree", *shares])
    return markdown_table(["milliseconds per picture", *map(_workload, rows)], lines)


def stages_table(document: PipelineDocument) -> str:
    """Returns the table of our stages, from picture file to drawn picture."""
    rows = document.rows
    lines = [
        [stage, *(f"{row.stages_ms.get(stage, 0.0):.3f}" for row in rows)]
        for stage in rows[0].stages_ms
    ]
    header = [f"{OURS}: stage, milliseconds per picture", *map(_workload, rows)]
    return markdown_table(header, lines)


def verdict(document: PipelineDocument) -> str:
    """Returns what is met and what is missed of the targets, one line for each workload."""
    if any(RTMLIB not in row.times for row in document.rows):
        return RTMLIB_REMEDY
    lines = [
        f"Targets beside {RTMLIB}: outside the networks at most a third of its time; in all at "
        "least 0.98 times as fast at one person, faster from two on."
    ]
    for row in document.rows:
        missed = misses(row)
        lines.append(f"- {_workload(row)}: {'MISSED: ' + ', '.join(missed) if missed else 'met'}")
    return "\n".join(lines)


def report(document: PipelineDocument) -> str:
    """Returns all that is printed after measuring."""
    parts = (
        origin(document),
        summary_table(document),
        methods_table(document),
        stages_table(document),
        verdict(document),
    )
    return "\n\n".join(parts)
