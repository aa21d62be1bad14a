"""Numbers of the Python code for the tests of the browser page's functions.

`web/tests/golden.json` holds them for Node; run this file to write it anew.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from pathlib import Path

import numpy as np

from dwpose_infer import PoseResult, geometry, keypoints, openpose_layout
from dwpose_infer.detector import Detector, DetectorOptions
from dwpose_infer.drawing import draw_openpose
from dwpose_infer.files.json_text import shortest_decimals
from dwpose_infer.letterbox import fitting_size, letterbox
from dwpose_infer.nms import nms
from fake_backend import FakeBackend, spec

GOLDEN = Path(__file__).resolve().parents[2] / "web/tests/golden.json"

CROP_WH = (192, 256)
LETTERBOX_SIZES = [(640, 480), (300, 500), (97, 61), (832, 832), (832, 600), (2000, 11), (416, 416)]
CROP_PICTURE_WH = (240, 180)
BOXES = [
    [60, 20, 140, 170],
    [61.37, 19.82, 142.11, 171.9],
    [-30.5, -12.25, 90.75, 60.125],
    [0, 0, 240, 180],
    [200.2, 150.3, 300.9, 260.4],
    [100, 90, 112, 96],
    [-900, -900, 1500, 1400],
]
DECIMALS = [412.3, 0.1, 1 / 3, 1e-7, 2.5, 16777216.0, -17.25, 0.30000001192092896, 123456.789, 0.0]


def picture_bgr(width: int, height: int) -> np.ndarray:
    """A picture that web/tests/pictures.js makes from the same formula."""
    y, x, channel = np.mgrid[:height, :width, :3]
    values = 37 * x + 91 * y + 53 * channel + ((x * y * (channel + 3)) >> 3) + ((x * x) >> 4)
    return (values & 255).astype(np.uint8)


def golden() -> dict[str, object]:
    """Everything that golden.json holds."""
    rng = np.random.default_rng(20230728)
    return {
        "letterbox": [_letterbox(*size) for size in LETTERBOX_SIZES],
        "crops": [_crop(box, rng) for box in BOXES],
        "nms": [_nms(count, rng) for count in (0, 1, 12, 60)],
        "detector": _detector(rng),
        "decimals": [
            [float(single), float(decimal)]
            for single, decimal in zip(
                np.float32(DECIMALS), shortest_decimals(np.float32(DECIMALS)), strict=True
            )
        ],
        "result": _result(rng),
        "openpose": [_openpose(rng, size_wh) for size_wh in ((320, 240), (97, 200), (1024, 1024))],
        "keypoints": {
            "parts": {name: [span.start, span.stop] for name, span in keypoints.PARTS.items()},
            "links": keypoints.SKELETON_LINKS,
            "openpose_18": openpose_layout.OPENPOSE_18_FROM_COCO,
        },
    }


def _short(array: np.ndarray) -> list[float]:
    """float32 values in a row, as decimals that round back to them."""
    return shortest_decimals(np.float32(array)).ravel().tolist()


def _sha256(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def _letterbox(width: int, height: int) -> dict[str, object]:
    canvas, ratio = letterbox(picture_bgr(width, height), size_wh=(416, 416))
    cut = fitting_size((width, height), size_wh=(416, 416), step=32)
    return {
        "size_wh": [width, height],
        "ratio": ratio,
        "sha256": _sha256(canvas),
        "cut_wh": cut,
        "cut_sha256": _sha256(letterbox(picture_bgr(width, height), size_wh=cut)[0]),
    }


def _crop(box: list[float], rng: np.random.Generator) -> dict[str, object]:
    center, scale = geometry.box_to_center_scale(box, input_size_wh=CROP_WH)
    (crop,) = geometry.crop_boxes(
        picture_bgr(*CROP_PICTURE_WH), center, scale, output_size_wh=CROP_WH
    )
    points = rng.integers(-1, 384, (1, 133, 2)).astype(np.float32) / np.float32(2)
    mapped = geometry.crop_to_picture(points, center, scale, input_size_wh=CROP_WH)
    return {
        "box": np.float32(box).tolist(),
        "center": center[0].tolist(),
        "scale": scale[0].tolist(),
        "matrix": geometry.warp_matrix(center[0], scale[0], output_size_wh=CROP_WH).tolist(),
        "sha256": _sha256(crop),
        "points": _short(points),
        "mapped": _short(mapped),
    }


def _boxes(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    corners = rng.uniform(0, 200, (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(20, 150, (count, 2))], axis=1)
    return boxes.astype(np.float32), rng.uniform(0, 1, count).astype(np.float32)


def _nms(count: int, rng: np.random.Generator) -> dict[str, object]:
    boxes, scores = _boxes(count, rng)
    kept = nms(boxes, scores, iou_threshold=0.45)
    return {"boxes": _short(boxes), "scores": _short(scores), "kept": kept.tolist()}


def _detector(rng: np.random.Generator) -> dict[str, object]:
    boxes, scores = _boxes(300, rng)
    order = np.argsort(-scores)
    boxes, scores = boxes[order], scores[order]
    backend = FakeBackend(
        spec("images", None, 416, 416, 3, dtype=np.uint8),
        spec("boxes_xyxy", None, 300, 4),
        spec("scores", None, 300),
        answer=lambda _: {"boxes_xyxy": boxes[None], "scores": scores[None]},
    )
    found = [
        Detector(backend, DetectorOptions(score_threshold=threshold))([picture_bgr(640, 480)])[0]
        for threshold in (0.25, 0.6, 1.0)
    ]
    return {
        "size_wh": [640, 480],
        "boxes": _short(boxes),
        "scores": _short(scores),
        "persons": [
            {
                "threshold": threshold,
                "boxes": _short(each.boxes_xyxy),
                "scores": _short(each.scores),
            }
            for threshold, each in zip((0.25, 0.6, 1.0), found, strict=True)
        ],
    }


def _persons(rng: np.random.Generator, count: int, size_wh: tuple[int, int]) -> PoseResult:
    boxes, box_scores = _boxes(count, rng)
    centers = rng.uniform(0.1, 0.9, (count, 133, 2))
    # Hands and faces are small: their strokes must shrink with them.
    centers[:, 23:] = centers[:, 23:24] + rng.normal(0, 0.05, (count, 110, 2))
    return PoseResult(
        keypoints=(centers * size_wh).astype(np.float32),
        scores=rng.uniform(0.1, 1.1, (count, 133)).astype(np.float32),
        boxes_xyxy=boxes,
        box_scores=box_scores,
        image_size=size_wh,
        source="a photo.jpg",
    )


def _arrays(result: PoseResult) -> dict[str, object]:
    return {
        "image_size": list(result.image_size or ()),
        "keypoints": [_short(points) for points in result.keypoints],
        "scores": [_short(scores) for scores in result.scores],
        "boxes": [_short(box) for box in result.boxes_xyxy],
        "box_scores": _short(result.box_scores),
    }


def _result(rng: np.random.Generator) -> dict[str, object]:
    result = _persons(rng, 1, (640, 480))
    return {**_arrays(result), "document": result.to_dict()}


def _openpose(rng: np.random.Generator, size_wh: tuple[int, int]) -> dict[str, object]:
    result = _persons(rng, 2, (400, 300))
    canvas_bgr = draw_openpose(result, size=size_wh, min_score=0.4, fit="stretch")
    packed = zlib.compress(canvas_bgr[:, :, ::-1].tobytes(), 9)
    return {
        **_arrays(result),
        "min_score": 0.4,
        "size_wh": list(size_wh),
        "rgb_zlib_base64": base64.b64encode(packed).decode("ascii"),
    }


def text() -> str:
    """The content of golden.json."""
    return json.dumps(golden()) + "\n"


if __name__ == "__main__":
    GOLDEN.write_text(text(), encoding="utf-8")
