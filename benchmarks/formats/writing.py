"""Times writers of pose files, each in a process of its own."""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np
from tqdm import tqdm

from ...errors import InferenceError, InvalidArgumentError
from ...formats import load, load_clip, save
from ...formats.clip_files import open_clip
from ...formats.plain_json import SCHEMA
from ...poses import SCHEMA_VERSION
from ...results import PoseResult
from ..benchmark import Work
from ..document import Document
from ..machine import capture_environment, peak_resident_mb, resident_mb
from ..markdown import markdown_table
from .command import FormatSettings

PERSONS_A_FRAME: Final = 4
FRAME_RATE: Final = 25.0
SIZE_WH: Final = (1920, 1080)


def frames_of(persons: int) -> list[PoseResult]:
    """Returns frames of four persons each; places and scores are random, all their digits count."""
    generator = np.random.default_rng(0)
    frames = []
    for index in range(persons // PERSONS_A_FRAME):
        keypoints = generator.uniform(0, SIZE_WH, (PERSONS_A_FRAME, 133, 2)).astype(np.float32)
        scores = generator.uniform(0, 1, (PERSONS_A_FRAME, 133)).astype(np.float32)
        boxes = np.concatenate([keypoints.min(axis=1), keypoints.max(axis=1)], axis=1)
        frames.append(
            PoseResult(
                keypoints=keypoints,
                scores=scores,
                boxes_xyxy=boxes,
                box_scores=scores[:, 0].copy(),
                ids=np.arange(PERSONS_A_FRAME),
                image_size=SIZE_WH,
                source=f"{index:012d}.jpg",
            )
        )
    return frames


def json_lines(frames: list[PoseResult], path: Path) -> None:
    """A clip's `.jsonl`, frame by frame."""
    with open_clip(path, format="json", stem="clip") as clip:
        for index, frame in enumerate(frames):
            clip.write(index, index / FRAME_RATE, frame)


def coco(frames: list[PoseResult], path: Path) -> None:
    """COCO-WholeBody results."""
    save(frames, path, format="coco")


def parquet(frames: list[PoseResult], path: Path) -> None:
    """A table with one row a person."""
    save(frames, path, format="parquet")


def plain_json(frames: list[PoseResult], path: Path) -> None:
    """The `.jsonl` of before: NumPy's text of each number, lists of Python, Python's json."""
    with path.open("wb") as file:
        for index, frame in enumerate(frames):
            line = {"frame": index, "time_s": index / FRAME_RATE, "damage": None}
            text = json.dumps(line | _plain_values(frame), allow_nan=False)
            file.write(f"{text}\n".encode("ascii"))
        file.flush()
        os.fsync(file.fileno())


def _plain_values(result: PoseResult) -> dict[str, Any]:
    assert result.boxes_xyxy is not None
    assert result.box_scores is not None and result.ids is not None
    assert result.image_size is not None
    points, scores = _as_lists(result.keypoints), _as_lists(result.scores)
    boxes, box_scores = _as_lists(result.boxes_xyxy), _as_lists(result.box_scores)
    width, height = result.image_size
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "keypoint_order": result.layout.name,
        "source": result.source,
        "image_size": {"width": width, "height": height},
        "person_fields": ["id", "box_xyxy", "box_score"],
        "persons": [
            {
                "id": int(result.ids[index]),
                "box_xyxy": boxes[index],
                "box_score": box_scores[index],
                "keypoints": [None if point == [None, None] else point for point in points[index]],
                "scores": scores[index],
            }
            for index in range(len(result))
        ],
    }


def _as_lists(array: Any) -> Any:
    words = array.astype("U32").astype(np.float64)
    decimals = np.where(words.astype(np.float32) == array, words, array.astype(np.float64))
    values = decimals.astype(object)
    values[np.isnan(decimals)] = None
    return values.tolist()


WRITERS: Final[dict[str, tuple[str, Callable[[list[PoseResult], Path], None]]]] = {
    "plain JSON lines": ("plain.jsonl", plain_json),
    "JSON lines": ("clip.jsonl", json_lines),
    "COCO results": ("results_coco.json", coco),
    "Parquet": ("poses.parquet", parquet),
}
"""Name -> name of the file, and what writes it. The first is what the others are held to."""


def is_whole(frames: list[PoseResult], path: Path) -> bool:
    """Tells whether a file holds every point and score of the frames exactly."""
    if path.suffix != ".jsonl":
        found = load(path)
    else:
        found = [frame.result for frame in load_clip(path) if frame.result is not None]
    return len(found) == len(frames) and all(
        np.array_equal(one.keypoints, other.keypoints) and np.array_equal(one.scores, other.scores)
        for one, other in zip(found, frames, strict=True)
    )


CHECKED_FRAMES = 100
"""Frames of a file of their own that are read back and compared, with every writer."""


class Writing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A writer's figures.

    Attributes:
        name: What it writes.
        times_s: Seconds of each round, from frames in memory to the file's own name on the disk.
        growth_mb: How far the process grew at most while it wrote, in 1e6 bytes, the most of all
            rounds.
        file_mb: Size of the file in 1e6 bytes.
    """

    name: str
    times_s: tuple[float, ...]
    growth_mb: float
    file_mb: float

    @property
    def median_s(self) -> float:
        """Median of the rounds in seconds."""
        return statistics.median(self.times_s)


class FormatsDocument(Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast poses are written.

    Attributes:
        persons: Persons written, four a frame.
        writings: The plain way, then the others.
    """

    schema_version: Literal[1] = 1
    benchmark: Literal["formats"] = "formats"
    persons: int
    writings: tuple[Writing, ...]


def measure(settings: FormatSettings) -> FormatsDocument:
    """Returns what is measured.

    Raises:
        InvalidArgumentError: A number is not above 0, or persons do not come in fours.
        InferenceError: A file does not hold what was written, or a process ended.
    """
    if settings.persons < PERSONS_A_FRAME or settings.persons % PERSONS_A_FRAME:
        raise InvalidArgumentError(f"--persons is {settings.persons}, expected a multiple of 4")
    if settings.rounds < 1:
        raise InvalidArgumentError(f"--rounds is {settings.rounds}, expected at least 1")
    environment = capture_environment()
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in WRITERS}
    context = multiprocessing.get_context("spawn")
    runs = [name for _ in range(settings.rounds) for name in WRITERS]
    for name in tqdm(runs, "formats", unit="file", leave=False, disable=None):
        with context.Pool(1) as pool:
            found[name].append(pool.apply(write_once, (name, settings.persons)))
    return FormatsDocument(
        environment=environment,
        persons=settings.persons,
        writings=tuple(
            Writing(
                name=name,
                times_s=tuple(time_s for time_s, _, _ in rounds),
                growth_mb=max(growth_mb for _, growth_mb, _ in rounds),
                file_mb=rounds[0][2],
            )
            for name, rounds in found.items()
        ),
    )


def write_once(name: str, persons: int) -> tuple[float, float, float]:
    """Writes a file in this process: seconds, growth of the memory and size in 1e6 bytes.

    Raises:
        InferenceError: A file of the first frames does not hold what was written.
    """
    file_name, write = WRITERS[name]
    frames = frames_of(persons)
    with tempfile.TemporaryDirectory(prefix="dwpose-bench-") as folder:
        first = Path(folder) / f"first_{file_name}"
        write(frames[:CHECKED_FRAMES], first)  # loads what is loaded on demand, too
        if not is_whole(frames[:CHECKED_FRAMES], first):
            raise InferenceError(f"{name}: the file does not hold what was written")
        path = Path(folder) / file_name
        before_mb = resident_mb()
        start_s = time.perf_counter()
        write(frames, path)
        time_s = time.perf_counter() - start_s
        growth_mb = max(0.0, peak_resident_mb() - before_mb)
        return time_s, growth_mb, path.stat().st_size / 1e6


def report(document: FormatsDocument) -> str:
    """Returns all that is said of it."""
    plain = document.writings[0]
    rows = [
        [
            each.name,
            f"{each.median_s:.1f}",
            f"{1e6 * each.median_s / document.persons:.0f}",
            f"{plain.median_s / each.median_s:.1f}",
            f"{each.growth_mb:.0f}",
            f"{each.file_mb:.0f}",
        ]
        for each in document.writings
    ]
    head = ["what", "s", "us a person", "times as fast", "memory, MB", "file, MB"]
    return (
        f"{markdown_table(head, rows)}\n\nMeasured on: {document.environment.label}; "
        f"{document.persons} persons, {PERSONS_A_FRAME} a frame, medians of "
        f"{len(plain.times_s)} rounds in turns; memory is what a process grows by while it writes."
    )


WORK = Work(document=FormatsDocument, measure=measure, report=report, table="formats")
