"""A small synthetic set of pictures with persons, a teacher for it, and settings of small runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import torch

from dwpose_infer.export.from_checkpoint import detector_network, to_official
from dwpose_infer.keypoints import KEYPOINT_INDEX
from dwpose_infer.models.yolox import YOLOX, YOLOXArchitecture

SIDE = 64
CLASSES = 3
BOX_XYWH = (20.0, 6.0, 30.0, 50.0)
"""The person on every picture but the last, which has nobody."""

PLACES = {
    "left_shoulder": (44, 16),
    "right_shoulder": (26, 16),
    "left_hip": (42, 36),
    "right_hip": (28, 36),
}
FIELDS = {
    "keypoints": 17,
    "foot_kpts": 6,
    "face_kpts": 68,
    "lefthand_kpts": 21,
    "righthand_kpts": 21,
}


def write_pictures(folder: Path, *, pictures: int, seed: int = 3) -> Path:
    """Writes labels.json and pictures of 72x60 pixels; returns the folder."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    body = np.zeros((17, 3))
    for name, place in PLACES.items():
        body[KEYPOINT_INDEX[name]] = (*place, 2)
    points = {field: np.zeros((count, 3)) for field, count in FIELDS.items()} | {"keypoints": body}
    images, annotations = [], []
    for number in range(1, pictures + 1):
        patches = rng.integers(0, 256, (6, 6, 3), np.uint8)
        picture = cv2.resize(patches, (72, 60), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
        images.append({"id": number, "file_name": f"{number}.png", "width": 72, "height": 60})
        if number < pictures:
            annotations.append(
                {
                    "id": 100 + number,
                    "image_id": number,
                    "category_id": 1,
                    "iscrowd": 0,
                    "bbox": list(BOX_XYWH),
                    "num_keypoints": 4,
                    **{field: values.ravel().tolist() for field, values in points.items()},
                }
            )
    labels = {"images": images, "annotations": annotations}
    (folder / "labels.json").write_text(json.dumps(labels))
    return folder


def make_teacher(*, seed: int = 1) -> YOLOX:
    """Makes a network whose scores for a person lie between 0.1 and 0.9."""
    torch.manual_seed(seed)
    network = YOLOX(YOLOXArchitecture("nano", classes=CLASSES))
    with torch.no_grad():
        network.train()(torch.rand(8, 3, SIDE, SIDE) * 255)  # running statistics
        for predictor in (*network.head.cls_preds, *network.head.obj_preds):
            predictor.weight.mul_(8)
            predictor.bias.fill_(1)
    return network.eval()


def write_teacher(folder: Path, network: YOLOX, *, side: int = SIDE) -> Path:
    """Writes a network as ONNX in official form; returns the file."""
    path = folder / "teacher.onnx"
    onnx.save(to_official(detector_network(network, input_size_wh=(side, side))), path)
    return path


def small_run(folder: Path, teacher: Path, **changes: Any) -> dict[str, Any]:
    """Settings of a small run as plain data: nano at 64x64, batches of 4, no workers."""
    source = {"annotations": "labels.json", "images": "."}
    plain: dict[str, Any] = {
        "teacher": str(teacher),
        "input_height": SIDE,
        "input_width": SIDE,
        "epochs": 3,
        "batch_size": 4,
        "validate_every": 1,
        "log_every": 1,
        "data": {"root": str(folder), "train": [source], "validation": source, "workers": 0},
        "schedule": {"warmup_steps": 2, "decay_begin_epoch": 0, "final_learning_rate": 1e-5},
        "ema": {"gamma": 5},
    }
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(plain.get(key), dict)
        plain[key] = plain[key] | value if nested else value
    return plain
