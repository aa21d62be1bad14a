"""What is timed: frames made up from a seed, each writer, and the plain way beside them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from ...formats import load, load_clip, save
from ...formats.clip_files import open_clip
from ...formats.plain_json import SCHEMA
from ...poses import SCHEMA_VERSION
from ...results import PoseResult

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
