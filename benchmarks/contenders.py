"""The contenders of the benchmark: this package, rtmlib and the official recipe.

All of them run the same two ONNX files, each with one thread of ONNX Runtime. Their times may be
compared only while they find the same keypoints, which `check_agreement` tells.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .. import estimator, geometry
from ..errors import DwposeError
from ..keypoints import NUM_KEYPOINTS
from ..nms import nms
from ..predictor import Predictor
from .constant_networks import (
    CROP_WH,
    DETECTOR_WH,
    detector_output,
    output_grid,
    pose_outputs,
    save_constant_network,
)

Array = npt.NDArray[Any]
Contender = Callable[[npt.NDArray[np.uint8]], Array]
"""A picture (H, W, 3) uint8, BGR, in; keypoints (P, 133, 2), pixels of the picture, out."""

OURS = "dwpose_infer"
RTMLIB = "rtmlib"
OFFICIAL = "official recipe"

AGREEMENT_PX = 1e-3
"""Keypoints of two contenders may differ by this much, in pixels of the picture."""


class DisagreementError(DwposeError):
    """The contenders do not find the same keypoints: their times cannot be compared."""


def _session(path: Path) -> Any:
    """A session with one thread: no pool of idle threads that spin beside what is timed."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        str(path), sess_options=settings, providers=["CPUExecutionProvider"]
    )


class _Rtmlib:
    """rtmlib's detector and pose network with its own defaults, one call per person."""

    def __init__(self, detector_path: Path, pose_path: Path) -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints when it loads a network
            from rtmlib import YOLOX, RTMPose

            self._detector = YOLOX(str(detector_path), model_input_size=DETECTOR_WH)
            self._pose = RTMPose(str(pose_path), model_input_size=CROP_WH)
        self._detector.session, self._pose.session = _session(detector_path), _session(pose_path)

    def __call__(self, image_bgr: npt.NDArray[np.uint8]) -> Array:
        keypoints, _ = self._pose(image_bgr, bboxes=self._detector(image_bgr))
        return np.asarray(keypoints)


class OfficialRecipe:
    """The steps of the official ONNX demo, written anew at their cheapest.

    Suppression class by class above a score of 0.1, then persons above 0.3; crops normalised in
    float64, one per call of the network; keypoints in float64.
    """

    def __init__(self, detector_path: Path, pose_path: Path) -> None:
        self._detector, self._pose = _session(detector_path), _session(pose_path)

    def __call__(self, image_bgr: npt.NDArray[np.uint8]) -> Array:
        """Returns the keypoints (P, 133, 2) float64."""
        return np.concatenate([self._person(image_bgr, box) for box in self._boxes(image_bgr)])

    def _boxes(self, image_bgr: npt.NDArray[np.uint8]) -> Array:
        width, height = DETECTOR_WH
        ratio = min(height / image_bgr.shape[0], width / image_bgr.shape[1])
        scaled_wh = (int(image_bgr.shape[1] * ratio), int(image_bgr.shape[0] * ratio))
        canvas = np.full((height, width, 3), 114, np.uint8)
        canvas[: scaled_wh[1], : scaled_wh[0]] = cv2.resize(image_bgr, scaled_wh)
        planes = np.ascontiguousarray(canvas.transpose(2, 0, 1), np.float32)
        (rows,) = self._detector.run(None, {"images": planes[None]})[0]
        cells, strides = output_grid()
        center = (rows[:, :2] + cells) * strides
        half = np.exp(rows[:, 2:4]) * strides / 2
        boxes = (np.concatenate([center - half, center + half], axis=1) / ratio).astype(np.float32)
        scores = rows[:, 4:5] * rows[:, 5:]
        return self._suppress(boxes, scores)

    @staticmethod
    def _suppress(boxes: npt.NDArray[np.float32], scores: npt.NDArray[np.float32]) -> Array:
        found = []
        for number in range(scores.shape[1]):
            above = scores[:, number] > 0.1
            if above.any():
                candidates, of_class = boxes[above], scores[above, number]
                kept = nms(candidates, of_class, iou_threshold=0.45)
                found.append((number, candidates[kept], of_class[kept]))
        persons = [kept[score > 0.3] for number, kept, score in found if number == 0]
        return np.concatenate(persons).astype(np.float64)

    def _person(self, image_bgr: npt.NDArray[np.uint8], box: Array) -> Array:
        center, size = (box[:2] + box[2:]) * 0.5, (box[2:] - box[:2]) * 1.25
        width = max(size[0], size[1] * CROP_WH[0] / CROP_WH[1])
        scale = np.array([width, width * CROP_WH[1] / CROP_WH[0]])
        matrix = geometry.warp_matrix(
            center.astype(np.float32), scale.astype(np.float32), output_size_wh=CROP_WH
        )
        crop = cv2.warpAffine(image_bgr, matrix, CROP_WH, flags=cv2.INTER_LINEAR)
        normalised = (crop - np.array(estimator.MEAN_RGB)) / np.array(estimator.STD_RGB)
        planes = np.ascontiguousarray(normalised.transpose(2, 0, 1), np.float32)
        simcc_x, simcc_y = self._pose.run(["simcc_x", "simcc_y"], {"images": planes[None]})
        places = np.stack([simcc_x.argmax(2), simcc_y.argmax(2)], axis=2).astype(np.float64)
        places[np.minimum(simcc_x.max(2), simcc_y.max(2)) <= 0] = -1
        keypoints: Array = places / 2 / CROP_WH * scale + center - scale / 2
        return keypoints


@contextlib.contextmanager
def contenders(persons: int) -> Iterator[dict[str, Contender]]:
    """Loads every contender that is installed, with networks that find so many persons.

    Raises:
        MissingDependencyError: The package `onnx` is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        boxes = {"output": detector_output(persons)}
        detector_path = save_constant_network(Path(folder, "detector.onnx"), DETECTOR_WH, boxes)
        pose_path = save_constant_network(Path(folder, "pose.onnx"), CROP_WH, pose_outputs())
        with Predictor(pose_path, detector_path, threads=1) as predictor:
            loaded: dict[str, Contender] = {OURS: lambda image: predictor(image).keypoints}
            with contextlib.suppress(ImportError):
                loaded[RTMLIB] = _Rtmlib(detector_path, pose_path)
            loaded[OFFICIAL] = OfficialRecipe(detector_path, pose_path)
            yield loaded


def check_agreement(found: Mapping[str, Array], *, persons: int) -> None:
    """Checks that every contender found the same keypoints.

    Args:
        found: Contender -> keypoints (P, 133, 2), pixels of the picture.
        persons: Number of persons there are.

    Raises:
        DisagreementError: One of them found something else.
    """
    expected = (persons, NUM_KEYPOINTS, 2)
    for name, keypoints in found.items():
        if keypoints.shape != expected:
            raise DisagreementError(
                f"{name} found keypoints of the shape {keypoints.shape}, there are {expected}"
            )
        difference_px = float(np.abs(keypoints - found[OURS]).max())
        if not difference_px <= AGREEMENT_PX:
            raise DisagreementError(
                f"{name} and {OURS} differ by {difference_px:g} px; {AGREEMENT_PX:g} are allowed"
            )
