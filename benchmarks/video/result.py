"""The result of `dwpose-bench video` as a typed document, and what is said of it."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..document import Document
from ..markdown import markdown_table
from ..network_options import on_device
from ..peers.baselines import MISSING, RTMLIB_REMEDY

VideoMethod = Literal[
    "stream",
    "plain loop",
    "rtmlib",
    "rtmlib, openvino",
    "stream, openvino",
    "stream, openvino bf16",
    "rtmlib, openvino bf16",
]
"""`Predictor.stream`; a loop of OpenCV's reader and `Predictor`; rtmlib's `PoseTracker`."""

STREAM: VideoMethod = "stream"
PLAIN_LOOP: VideoMethod = "plain loop"
RTMLIB: VideoMethod = "rtmlib"
RTMLIB_OPENVINO: VideoMethod = "rtmlib, openvino"
STREAM_OPENVINO: VideoMethod = "stream, openvino"
STREAM_BF16: VideoMethod = "stream, openvino bf16"
RTMLIB_BF16: VideoMethod = "rtmlib, openvino bf16"

TARGET_ONE_PERSON = 1.5
"""At one person the stream gives at least so many times the frames per second of a plain loop."""

TARGET_SEVERAL = 1.15
"""At several persons, four for one."""

TARGET_RTMLIB = 1.0
"""It gives more than so many times the frames per second of rtmlib's tracker."""


class Stage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stage of the stream, in the round of its median.

    Attributes:
        name: "read", "networks", "draw" (with the wait for the encoder) or "encode".
        working_ms: Milliseconds at work per frame.
        share: Share of the round in which it was at work.
    """

    name: str
    working_ms: float
    share: float


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was measured on one clip.

    Attributes:
        persons: Persons in the clip.
        fps: Method -> frames per second, median of the rounds.
        all_fps: Method -> frames per second of each round, in order.
        persons_found: Method -> persons found per frame, in the mean.
        speed: Baseline -> our frames per second as a multiple of its.
        stages: Stages of the stream, in the order frames pass them.
        searched_frames: Frames in which the stream's detector searched.
        cpu_ms: Method -> CPU time of all threads of its process in milliseconds per frame, median
            of the rounds; empty where all worked in one process.
    """

    persons: int
    fps: dict[VideoMethod, float]
    all_fps: dict[VideoMethod, tuple[float, ...]]
    persons_found: dict[VideoMethod, float]
    speed: dict[VideoMethod, float]
    stages: tuple[Stage, ...]
    searched_frames: int
    cpu_ms: dict[VideoMethod, float] = {}

    def __post_init__(self) -> None:
        """Checks what the types do not say; msgspec names the place in its message."""
        names = set(self.fps)
        if STREAM not in names or set(self.all_fps) != names or set(self.persons_found) != names:
            raise ValueError(f"fps, all_fps and persons_found must name {STREAM} and the same ones")
        if set(self.speed) != names - {STREAM}:
            raise ValueError("speed must name every baseline")


class VideoDocument(Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frames per second of videos, read, predicted, drawn and encoded.

    Attributes:
        pose: Name of the pose network.
        detector: Name of the detector.
        random_weights: Whether the pose network's weights are random.
        picture_wh: (width, height) of the clips.
        frames: Frames of each clip.
        detect_every: The stream and rtmlib search every so many frames, the plain loop all.
        score_threshold: Persons score above this, with every method.
        threads: Threads inside one operator of ONNX Runtime.
        device: Where its networks ran.
        repeats: Rounds.
        rows: One for each number of persons.
        own_processes: Whether each method had a process of its own.
        hdr_stages: Stages of the stream on a clip of one person in HDR (PQ), 1920x1080, which is
            tone-mapped as it is read; empty where none was taken.
    """

    schema_version: Literal[1] = 1
    benchmark: Literal["video"] = "video"
    pose: str
    detector: str
    random_weights: bool
    picture_wh: tuple[int, int]
    frames: int
    detect_every: int
    score_threshold: float
    threads: int
    device: str = "cpu"
    repeats: int
    rows: tuple[Row, ...]
    own_processes: bool = False
    hdr_stages: tuple[Stage, ...] = ()

    def __post_init__(self) -> None:
        """Checks what the types do not say."""
        if not self.rows:
            raise ValueError("rows is empty")


def misses(row: Row) -> list[str]:
    """Returns what a row misses of the targets, in words; nothing where all is met."""
    target = TARGET_ONE_PERSON if row.persons == 1 else TARGET_SEVERAL
    found = []
    if row.speed[PLAIN_LOOP] < target:
        found.append(f"{row.speed[PLAIN_LOOP]:.2f} times a {PLAIN_LOOP}, not {target:g}")
    if RTMLIB in row.speed and row.speed[RTMLIB] <= TARGET_RTMLIB:
        found.append(f"{row.speed[RTMLIB]:.2f} times {RTMLIB}")
    return found


def readme_table(document: VideoDocument) -> str:
    """Returns the short table and where it comes from.

    Where the methods worked in processes of their own it has ratios alone: they travel from a busy
    machine to a quiet one, frames per second do not.
    """
    table = speeds_table if document.own_processes else summary_table
    return f"{table(document)}\n\n{origin(document)}"


def origin(document: VideoDocument) -> str:
    """Returns the line that says what was measured where."""
    weights = " with random weights" if document.random_weights else ""
    width, height = document.picture_wh
    own = "by turns, each method in a process of its own" if document.own_processes else ""
    before = document.environment.load_average_1min
    load = f", load before it {before:.2f}" if own and before is not None else ""
    return (
        f"Measured on: {document.environment.label}; {document.pose}{weights} and "
        f"{document.detector}, ONNX Runtime{on_device(document.device)} on {document.threads} "
        f"thread{'s'[document.threads == 1 :]}; {document.frames} frames of {width}x{height} "
        "read, predicted, drawn and encoded; searched for persons every "
        f"{document.detect_every} frames, by the plain loop in every frame; medians of "
        f"{document.repeats} {f'rounds {own}' if own else 'interleaved rounds'}{load}."
    )


def summary_table(document: VideoDocument) -> str:
    """Returns the short table: frames per second, and how many times as fast."""
    names = [STREAM, PLAIN_LOOP, RTMLIB]
    for name in (STREAM_OPENVINO, RTMLIB_OPENVINO, STREAM_BF16, RTMLIB_BF16):
        if any(name in row.fps for row in document.rows):
            names.append(name)
    in_bf16 = STREAM_BF16 in names and RTMLIB_BF16 in names
    baselines = [name for name in names[1:] if name in (PLAIN_LOOP, RTMLIB, RTMLIB_OPENVINO)]
    header = [
        "persons",
        *(f"{name}, fps" for name in names),
        *(f"times as fast as {'the ' if name == PLAIN_LOOP else ''}{name}" for name in baselines),
        *(["bf16: times as fast as rtmlib"] if in_bf16 else []),
    ]
    lines = []
    for row in document.rows:
        rates = [row.fps.get(name) for name in names]
        speeds = [row.speed.get(name) for name in baselines]
        if in_bf16:
            speeds.append(row.fps[STREAM_BF16] / row.fps[RTMLIB_BF16])
        lines.append(
            [
                str(row.persons),
                *(MISSING if rate is None else f"{rate:.1f}" for rate in rates),
                *(MISSING if speed is None else f"{speed:.2f}" for speed in speeds),
            ]
        )
    return markdown_table(header, lines, text_columns=0)


_COMPARED = (
    (STREAM, PLAIN_LOOP),
    (STREAM, RTMLIB),
    (STREAM_OPENVINO, RTMLIB_OPENVINO),
    (STREAM_BF16, RTMLIB_BF16),
    (STREAM_BF16, RTMLIB),
)
"""Whose frames per second are compared."""


def speeds_table(document: VideoDocument) -> str:
    """Returns how many times as fast, and how many times as much CPU time the other takes."""
    rows = document.rows
    lines = [
        [f"{ours}, beside {theirs}", *(_speed_and_cpu(row, ours, theirs) for row in rows)]
        for ours, theirs in _COMPARED
        if all(ours in row.fps and theirs in row.fps for row in rows)
    ]
    return markdown_table(["times as fast (as little CPU time)", *map(_persons, rows)], lines)


def _speed_and_cpu(row: Row, ours: VideoMethod, theirs: VideoMethod) -> str:
    speed, cpu = row.fps[ours] / row.fps[theirs], row.cpu_ms[theirs] / row.cpu_ms[ours]
    return f"{speed:.2f} ({cpu:.2f})"


def stages_table(document: VideoDocument) -> str:
    """Returns the table of the stream's stages, which overlap."""
    lines = [
        [
            stage.name,
            *(f"{row.stages[place].working_ms:.2f}" for row in document.rows),
            *(f"{100 * row.stages[place].share:.0f} %" for row in document.rows),
        ]
        for place, stage in enumerate(document.rows[0].stages)
    ]
    header = [
        "stage",
        *(f"{_persons(row)}, ms per frame" for row in document.rows),
        *(f"{_persons(row)}, share of the time" for row in document.rows),
    ]
    return markdown_table(header, lines)


def hdr_table(document: VideoDocument) -> str:
    """Returns the stages on the clip in HDR, and whether reading is the slowest of them."""
    lines = [
        [stage.name, f"{stage.working_ms:.2f}", f"{100 * stage.share:.0f} %"]
        for stage in document.hdr_stages
    ]
    slowest = max(document.hdr_stages, key=lambda stage: stage.working_ms).name
    header = ["stage, HDR 1920x1080", "1 person, ms per frame", "share of the time"]
    return f"{markdown_table(header, lines)}\n\nThe slowest stage on the clip in HDR: {slowest}."


def found_table(document: VideoDocument) -> str:
    """Returns the table of what the methods found, and of the CPU time that took."""
    names, timed = list(document.rows[0].persons_found), list(document.rows[0].cpu_ms)
    lines = [
        [
            str(row.persons),
            *(f"{row.persons_found[name]:.2f}" for name in names),
            f"{row.searched_frames}",
            *(f"{row.cpu_ms[name]:.1f}" for name in timed),
        ]
        for row in document.rows
    ]
    header = [
        "persons",
        *(f"{name} finds" for name in names),
        "frames the stream searched",
        *(f"{name}, CPU ms per frame" for name in timed),
    ]
    return markdown_table(header, lines, text_columns=0)


def _persons(row: Row) -> str:
    return f"{row.persons} person{'s'[row.persons == 1 :]}"


def verdict(document: VideoDocument) -> str:
    """Returns what is met and what is missed of the targets, one line for each clip."""
    lines = [
        f"Targets: {TARGET_ONE_PERSON:g} times the frames per second of the plain loop at one "
        f"person, {TARGET_SEVERAL:g} times at several; ahead of rtmlib."
    ]
    for row in document.rows:
        missed = misses(row)
        lines.append(f"- {_persons(row)}: {'MISSED: ' + ', '.join(missed) if missed else 'met'}")
    if any(RTMLIB not in row.fps for row in document.rows):
        lines.append(RTMLIB_REMEDY)
    return "\n".join(lines)


def report(document: VideoDocument) -> str:
    """Returns all that is printed after measuring."""
    parts = (
        origin(document),
        summary_table(document),
        found_table(document),
        stages_table(document),
        *([hdr_table(document)] if document.hdr_stages else []),
        verdict(document),
    )
    return "\n\n".join(parts)
