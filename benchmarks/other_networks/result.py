"""The result of `dwpose-bench other-networks` as a typed document, and what is said of it."""

from __future__ import annotations

from typing import Literal

import msgspec

from ...evaluation.document import FileFacts
from ..document import Document
from ..markdown import markdown_table
from .command import OURS, Method

BoxOrigin = Literal["labels", "own"]
"""Where the persons' boxes come from."""

POINTS: dict[str, int] = {
    "dwpose_infer": 133,
    "mediapipe pose": 33,
    "mediapipe holistic": 33 + 468 + 2 * 21,
    "ultralytics": 17,
}
"""Points of each person: of the body, and of face and hands where the method has them."""


class Cost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Medians of one method.

    Attributes:
        ms: Milliseconds per picture or frame.
        cpu_ms: CPU time of all threads of its process, in milliseconds per picture or frame.
        persons: Persons found per picture or frame, in the mean.
    """

    ms: float
    cpu_ms: float
    persons: float


class TimeRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was measured on some pictures or on a clip.

    Attributes:
        workload: "picture" for a made-up one, "clip" for a made-up one, "folder" for pictures.
        count: Number of pictures or frames.
        persons_shown: Persons in what was made up; None for a folder.
        costs: Method -> its medians.
    """

    workload: Literal["picture", "clip", "folder"]
    count: int
    persons_shown: int | None
    costs: dict[Method, Cost]


class PckRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Share of labelled body points that are hit.

    Attributes:
        labels: The labels.
        group: The persons' field `label`.
        boxes: Where the persons' boxes come from.
        persons: Labelled persons.
        points: Their labelled body points.
        pck: Method -> share within 5 % of the longer side of the labelled box; those of a person
            not found are missed.
    """

    labels: FileFacts
    group: str
    boxes: BoxOrigin
    persons: int
    points: int
    pck: dict[Method, float]


class OtherNetworksDocument(Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pipelines that run networks of their own, beside this package.

    Attributes:
        pose: Name of this package's pose network.
        detector: Name of its detector.
        random_weights: Whether the pose network's weights are random.
        ultralytics_weights: Name of the file of Ultralytics' network, where it was measured.
        picture_wh: (width, height) of what was made up.
        threads: Threads inside one operator of this package's ONNX Runtime and of PyTorch;
            MediaPipe has no option for them.
        detect_every: This package searched every so many frames of a clip for persons.
        repeats: Calls of each method that count.
        blocks: Blocks in which they were made, by turns.
        versions: Method -> version of Python and of its packages.
        times: One for each workload.
        accuracy: One for each set of labels, group and kind of boxes.
    """

    schema_version: Literal[1] = 1
    benchmark: Literal["other_networks"] = "other_networks"
    pose: str
    detector: str
    random_weights: bool
    ultralytics_weights: str | None
    picture_wh: tuple[int, int]
    threads: int
    detect_every: int
    repeats: int
    blocks: int
    versions: dict[Method, dict[str, str]]
    times: tuple[TimeRow, ...]
    accuracy: tuple[PckRow, ...] = ()

    def __post_init__(self) -> None:
        """Checks what the types do not say; msgspec names the place in its message."""
        if not self.times and not self.accuracy:
            raise ValueError("times and accuracy are both empty")
        named = [row.costs.keys() for row in self.times] + [row.pck.keys() for row in self.accuracy]
        if any(names != self.versions.keys() for names in named):
            raise ValueError("costs, pck and versions must name the same methods")
        if OURS not in self.versions:
            raise ValueError(f"versions must name {OURS}")


def readme_table(document: OtherNetworksDocument) -> str:
    """Returns the tables of ratios and of shares, and where they come from."""
    tables = [speeds_table(document)] if document.times else []
    tables += [pck_table(document)] if document.accuracy else []
    return "\n\n".join([*tables, origin(document)])


def origin(document: OtherNetworksDocument) -> str:
    """Returns the line that says what was measured where."""
    versions = {
        package: version
        for name in document.versions
        if name != OURS
        for package, version in document.versions[name].items()
        if package not in ("numpy", "python")
    }
    weights = " with random weights" if document.random_weights else ""
    theirs = document.ultralytics_weights or ""
    if theirs:
        description = theirs.endswith((".yaml", ".yml"))  # of a network without weights
        theirs = f" with {theirs}{' (random weights)' if description else ''}"
    how = ""
    if document.times:
        load = document.environment.load_average_1min
        how = (
            f"; medians of {document.repeats} calls in {document.blocks} blocks by turns, each "
            "method in a process and a Python of its own"
            f"{'' if load is None else f', load before it {load:.2f}'}"
        )
    return (
        f"Measured on: {document.environment.label}; {document.pose}{weights} and "
        f"{document.detector}, ONNX Runtime on {document.threads} "
        f"thread{'s'[document.threads == 1 :]}; {', '.join(map(' '.join, versions.items()))}"
        f"{theirs}{how}."
    )


def _workload(row: TimeRow) -> str:
    if row.persons_shown is None:
        return f"folder: {row.count} pictures"
    return f"{row.workload}, {row.persons_shown} person{'s'[row.persons_shown == 1 :]}"


def _points(method: Method) -> str:
    return str(next(count for name, count in POINTS.items() if method.startswith(name)))


def _title(method: Method, document: OtherNetworksDocument) -> str:
    return document.pose if method == OURS else method


def speeds_table(document: OtherNetworksDocument) -> str:
    """Returns how many times as fast this package is, and how many persons the other finds."""
    lines = []
    for name in document.versions:
        if name != OURS:
            cells = [_speed(row, name) for row in document.times]
            lines.append([f"beside {name}", _points(name), *cells])
    head = [
        f"{document.pose}: times as fast (as little CPU time)",
        "points",
        *map(_workload, document.times),
    ]
    return markdown_table(head, lines)


def _speed(row: TimeRow, name: Method) -> str:
    ours, theirs = row.costs[OURS], row.costs[name]
    shown = row.persons_shown
    found = "" if shown is None or theirs.persons > shown - 0.5 else f", finds {theirs.persons:.1f}"
    return f"{theirs.ms / ours.ms:.2f} ({theirs.cpu_ms / ours.cpu_ms:.2f}){found}"


def pck_table(document: OtherNetworksDocument) -> str:
    """Returns the shares of labelled body points that are hit."""
    lines = [
        [
            f"{row.labels.name}: {row.group or 'all'}, "
            f"{'labelled' if row.boxes == 'labels' else 'own'} boxes",
            str(row.persons),
            *(f"{100 * row.pck[name]:.0f} %" for name in document.versions),
        ]
        for row in document.accuracy
    ]
    names = [_title(name, document) for name in document.versions]
    return markdown_table(["body points within 5 % of the box", "persons", *names], lines)


def times_table(document: OtherNetworksDocument) -> str:
    """Returns milliseconds, CPU time and persons found of all."""
    lines = []
    for name in document.versions:
        costs = [row.costs[name] for row in document.times]
        lines.append([f"**{name}**", *(f"{cost.ms:.2f}" for cost in costs)])
        lines.append([f"{name}, CPU time", *(f"{cost.cpu_ms:.2f}" for cost in costs)])
        lines.append([f"{name}, persons found", *(f"{cost.persons:.2f}" for cost in costs)])
    head = ["milliseconds per picture or frame", *map(_workload, document.times)]
    return markdown_table(head, lines)


def report(document: OtherNetworksDocument) -> str:
    """Returns all that is printed after measuring."""
    parts = [readme_table(document), *([times_table(document)] if document.times else [])]
    return "\n\n".join(parts)
