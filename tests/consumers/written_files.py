"""The files that consumers are given: three frames with two people, and what stands in them.

Every point has a place of its own, so that a consumer that takes one for another is found out. Some
score too little to be drawn, and one is absent.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dwpose_infer.cli.presets import PRESETS
from dwpose_infer.formats import load_clip, save
from dwpose_infer.formats.clip_files import open_clip
from dwpose_infer.formats.openpose import CONTROLNET_MIN_SCORE
from dwpose_infer.keypoints import KEYPOINT_INDEX, KEYPOINT_NAMES
from dwpose_infer.openpose_layout import body_names, body_points
from dwpose_infer.results import PoseResult

SIZE_WH = (640, 480)
FRAMES = 3
IDS = (7, 8)
FRAME_RATE = 25.0
ABSENT = "right_small_toe"
OPENPOSE_PRESETS = ("controlnet", "pose-format", "pose2sim", "pose2sim-133")
OPENPOSE_OPTIONS = {
    "body": "openpose_body",
    "confidence": "openpose_confidence",
    "pupils": "pupils",
}
UNSURE = ("left_ankle", "left_big_toe")


def result_of(frame: int, *, persons: int = len(IDS), source: str | None = None) -> PoseResult:
    """One frame: point i of person p lies 300 p + 7 frame right of a grid 19 columns wide."""
    point = np.arange(len(KEYPOINT_NAMES))
    person = np.arange(persons)[:, None]
    x = 20.25 + 14 * (point % 19) + 300 * person + 7 * frame
    y = 30.5 + 60 * (point // 19) + 3 * person + 2 * frame
    keypoints = np.stack(np.broadcast_arrays(x, y), axis=-1).astype(np.float32)
    scores = np.broadcast_to((0.4 + point / 266).astype(np.float32), (persons, 133)).copy()
    scores[:, [KEYPOINT_INDEX[name] for name in UNSURE]] = 0.125
    scores[:, KEYPOINT_INDEX[ABSENT]] = 0
    keypoints[:, KEYPOINT_INDEX[ABSENT]] = np.nan
    low, high = np.nanmin(keypoints, axis=1), np.nanmax(keypoints, axis=1)
    boxes = np.concatenate([low - 5, high + 5], axis=1).reshape(persons, 4)
    return PoseResult(
        keypoints=keypoints,
        scores=scores,
        boxes_xyxy=boxes.astype(np.float32),
        box_scores=np.full(persons, 0.75, np.float32),
        ids=np.array(IDS[:persons], np.int64),
        image_size=SIZE_WH,
        source=source,
    )


def preset_files(name: str) -> tuple[str, dict[str, Any]]:
    """Where a clip's OpenPose files go, and their options, as `--for` has them."""
    settings = PRESETS[name].settings
    options = {
        option: settings[flag] for option, flag in OPENPOSE_OPTIONS.items() if flag in settings
    }
    return f"{name}/clip_{settings.get('openpose_folder', 'keypoints')}", options


def write_all(folder: Path) -> None:
    """Writes every file that a consumer is given, with their pictures and `expected.json`."""
    frames = [result_of(frame) for frame in range(FRAMES)]
    times_s = [frame / FRAME_RATE for frame in range(FRAMES)]
    openpose = [("openpose", *preset_files(name)) for name in OPENPOSE_PRESETS]
    for name, path, options in (
        ("json", "clip.jsonl", {}),
        ("npz", "clip.npz", {}),
        ("csv", "clip.csv", {}),
        ("parquet", "clip.parquet", {}),
        ("trc", "clip_trc", {}),
        *openpose,
    ):
        with open_clip(folder / path, format=name, stem="clip", **options) as clip:
            for index, (time_s, result) in enumerate(zip(times_s, frames, strict=True)):
                clip.write(index, time_s, result)
    clip = load_clip(folder / "clip.jsonl")
    np.savez(folder / "dense.npz", points=clip.as_array(), ids=clip.ids, times_s=clip.times_s)
    sure = frames[0].masked(min_score=CONTROLNET_MIN_SCORE)
    cv2.imwrite(str(folder / "controlnet.png"), sure.draw(style="openpose"))
    with open_clip(folder / "quiet.jsonl", format="json", stem="quiet") as clip:
        for index in range(200):
            clip.write(index, index / FRAME_RATE, result_of(0, persons=0))
        clip.write(200, 200 / FRAME_RATE, frames[0])
    pictures = [
        result_of(frame, source=str(folder / f"pictures/{frame + 1:012d}.png"))
        for frame in range(FRAMES)
    ]
    (folder / "pictures").mkdir()
    for picture in pictures:
        cv2.imwrite(str(picture.source), np.full((*SIZE_WH[::-1], 3), 90, np.uint8))
    save(pictures, folder / "results_coco.json", format="coco")
    for layout in ("wholebody", PRESETS["sleap-io"].settings["coco_layout"]):
        path = folder / f"dataset_{layout}.json"
        save(pictures, path, format="coco-dataset", layout=layout, min_score=0.3)
    expected = [_points(result) for result in frames]
    document = {"size_wh": SIZE_WH, "ids": IDS, "times_s": times_s, "frames": expected}
    document |= {"unsure": UNSURE, "absent": ABSENT}
    document["names"] = KEYPOINT_NAMES
    (folder / "expected.json").write_text(json.dumps(document))


def _points(result: PoseResult) -> list[dict[str, dict[str, list[float] | None]]]:
    """Of each person: its 133 points, and its OpenPose bodies, by name."""
    persons = []
    layouts: dict[str, tuple[tuple[str, ...], np.ndarray, np.ndarray]] = {
        "wholebody": (KEYPOINT_NAMES, result.keypoints, result.scores)
    }
    for body in (18, 25):
        layouts[f"body{body}"] = (
            body_names(body),
            *body_points(result.keypoints, result.scores, layout=body),
        )
    for index in range(len(result)):
        persons.append(
            {
                layout: {
                    name: None
                    if np.isnan(points[index, place]).any()
                    else [*points[index, place].tolist(), float(scores[index, place])]
                    for place, name in enumerate(names)
                }
                for layout, (names, points, scores) in layouts.items()
            }
        )
    return persons
