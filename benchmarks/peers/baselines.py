"""The methods of the benchmarks: this package, rtmlib and the official recipe.

All of them call the very same two sessions of ONNX Runtime, so that nobody's network has other
threads or other options. Their times may be compared only while they find the same keypoints,
which `check_agreement` tells.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from unittest import mock

import cv2
import numpy as np

from ... import estimator, geometry
from ...arrays import Array, Float32Array, UInt8Array
from ...backends.openvino import has_bf16
from ...detector import PERSON_CLASS, DetectorOptions
from ...keypoints import NUM_KEYPOINTS
from ...nms import nms
from ...predictor import Predictor
from .constant_networks import (
    CROP_WH,
    DETECTOR_WH,
    detector_output,
    output_grid,
    pose_outputs,
    save_constant_network,
)
from .networks import NetworkFiles, Sessions, open_sessions, sessions_of

MethodName = Literal[
    "dwpose_infer",
    "rtmlib",
    "official recipe",
    "dwpose_infer, openvino",
    "rtmlib, openvino",
    "dwpose_infer, openvino bf16",
    "rtmlib, openvino bf16",
]

ALL_METHODS: tuple[MethodName, ...] = get_args(MethodName)
OURS, RTMLIB, OFFICIAL, OURS_OPENVINO, RTMLIB_OPENVINO, OURS_BF16, RTMLIB_BF16 = ALL_METHODS
METHODS = (OURS, RTMLIB, OFFICIAL)
IN_BF16 = (OURS_BF16, RTMLIB_BF16)
"""Methods that need not find just what the others do; rtmlib's is what OpenVINO does by itself on
CPUs with bf16 arithmetic."""

_NEEDED = {
    RTMLIB: ("rtmlib",),
    OURS_OPENVINO: ("openvino",),
    RTMLIB_OPENVINO: ("rtmlib", "openvino"),
    OURS_BF16: ("openvino",),
    RTMLIB_BF16: ("rtmlib", "openvino"),
}
"""Method -> the packages that may not be there."""

RTMLIB_REMEDY = (
    "rtmlib is left out, for it is not installed: pip install --no-deps rtmlib==0.0.16 "
    "(with its dependencies it would replace cv2)"
)

MISSING = "-"
"""Stands in the table for a method that was not measured."""

SHORT_NAMES = {OURS: "ours", OURS_OPENVINO: "ours, openvino", OURS_BF16: "ours, openvino bf16"}
"""Method -> its name in the heads of columns, where that is another one."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture in both orders of its channels, for networks that want one or the other.

    YOLOX was trained on BGR, DWPose on RGB. Programs that do not change the order themselves are
    given the right one, at no cost to them.

    Attributes:
        bgr: (H, W, 3) uint8, blue, green, red.
        rgb: The same, red, green, blue.
    """

    bgr: UInt8Array
    rgb: UInt8Array

    @classmethod
    def of(cls, image_bgr: UInt8Array) -> Picture:
        """Returns a picture with a second array in the other order."""
        return cls(image_bgr, np.ascontiguousarray(image_bgr[..., ::-1]))


Method = Callable[[Picture], Array]
"""A picture in; keypoints (P, 133, 2), pixels of the picture, out."""


class Rtmlib:
    """rtmlib's detector and pose network, one call per person.

    Its detector is asked for the classes too, and persons alone are taken: by itself it hands
    over boxes of every class. Where nobody is found nothing is done, as with the others.

    Raises:
        ImportError: rtmlib is not installed.
    """

    def __init__(
        self,
        files: NetworkFiles,
        sessions: Sessions | None,
        *,
        threads: int | None = None,
        score_threshold: float | None = None,
        bf16: bool = False,
    ) -> None:
        """Loads the networks.

        Args:
            files: The networks.
            sessions: Taken instead of its own; None loads them with its OpenVINO backend.
            threads: Threads of OpenVINO, which it has no option for; None leaves them to it.
            score_threshold: Persons score above this; None takes its own, 0.7.
            bf16: Let OpenVINO calculate in bf16, as it does by itself where the CPU has it.
        """
        from rtmlib import YOLOX, RTMPose

        options: dict[str, Any] = {
            "device": "cpu",
            "backend": "openvino" if sessions is None else "onnxruntime",
        }
        limits = {} if score_threshold is None else {"score_thr": score_threshold}
        with _loading(sessions and sessions.detector, threads, bf16):
            self.detector = YOLOX(
                str(files.detector),
                model_input_size=files.detector_wh[::-1],  # height first
                det_mode="multiclass",
                **limits,
                **options,
            )
        with _loading(sessions and sessions.pose, threads, bf16):
            self.pose = RTMPose(str(files.pose), model_input_size=files.crop_wh, **options)

    def __call__(self, picture: Picture) -> Array:
        """Returns the keypoints (P, 133, 2)."""
        boxes, classes = self.detector(picture.bgr)
        persons = boxes[classes == PERSON_CLASS] if len(boxes) else ()
        if not len(persons):
            return np.zeros((0, NUM_KEYPOINTS, 2))
        keypoints, _ = self.pose(picture.rgb, bboxes=persons)
        return np.asarray(keypoints)


@contextlib.contextmanager
def _loading(session: Any, threads: int | None, bf16: bool) -> Iterator[None]:
    """Rtmlib loads a network: it gets this session, or OpenVINO with so many threads."""
    with contextlib.redirect_stdout(io.StringIO()):  # it prints when it loads
        if session is not None:
            with mock.patch("onnxruntime.InferenceSession", lambda *_, **__: session):
                yield
            return
        core = importlib.import_module("openvino").Core()
        # By itself it takes bf16 wherever the CPU has it.
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32"}
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        core.set_property("CPU", settings)
        with mock.patch("openvino.Core", lambda: core):
            yield


class OfficialRecipe:
    """The steps of the official ONNX demo, written anew at their cheapest.

    Suppression class by class above a score of 0.1, then persons above the threshold; crops
    normalised in float64, one per call of the network; keypoints in float64. Where nobody is found
    nothing is done, as with the others.
    """

    def __init__(
        self, files: NetworkFiles, sessions: Sessions, *, score_threshold: float | None = None
    ) -> None:
        """Takes over loaded networks; None is the demo's own threshold, 0.3."""
        self._detector, self._pose = sessions.detector, sessions.pose
        self._detector_wh, self._crop_wh = files.detector_wh, files.crop_wh
        self._score_threshold = 0.3 if score_threshold is None else score_threshold
        self._detector_input = self._detector.get_inputs()[0].name
        self._pose_input = self._pose.get_inputs()[0].name

    def __call__(self, picture: Picture) -> Array:
        """Returns the keypoints (P, 133, 2) float64."""
        persons = [self._person(picture.rgb, box) for box in self._boxes(picture.bgr)]
        return np.concatenate([np.zeros((0, NUM_KEYPOINTS, 2)), *persons])

    def _boxes(self, image_bgr: UInt8Array) -> Array:
        width, height = self._detector_wh
        ratio = min(height / image_bgr.shape[0], width / image_bgr.shape[1])
        scaled_wh = (int(image_bgr.shape[1] * ratio), int(image_bgr.shape[0] * ratio))
        canvas = np.full((height, width, 3), 114, np.uint8)
        canvas[: scaled_wh[1], : scaled_wh[0]] = cv2.resize(image_bgr, scaled_wh)
        planes = np.ascontiguousarray(canvas.transpose(2, 0, 1), np.float32)
        (rows,) = self._detector.run(None, {self._detector_input: planes[None]})[0]
        cells, strides = output_grid(self._detector_wh)
        center = (rows[:, :2] + cells) * strides
        half = np.exp(rows[:, 2:4]) * strides / 2
        boxes = (np.concatenate([center - half, center + half], axis=1) / ratio).astype(np.float32)
        scores = rows[:, 4:5] * rows[:, 5:]
        return self._suppress(boxes, scores)

    def _suppress(self, boxes: Float32Array, scores: Float32Array) -> Array:
        persons = np.zeros((0, 4))
        for number in range(scores.shape[1]):
            above = scores[:, number] > min(0.1, self._score_threshold)
            if above.any():
                candidates, of_class = boxes[above], scores[above, number]
                kept = nms(candidates, of_class, iou_threshold=0.45)
                if number == PERSON_CLASS:
                    sure = of_class[kept] > self._score_threshold
                    persons = candidates[kept][sure].astype(np.float64)
        return persons

    def _person(self, image_rgb: UInt8Array, box: Array) -> Array:
        crop_wh = self._crop_wh
        center, size = (box[:2] + box[2:]) * 0.5, (box[2:] - box[:2]) * 1.25
        width = max(size[0], size[1] * crop_wh[0] / crop_wh[1])
        scale = np.array([width, width * crop_wh[1] / crop_wh[0]])
        matrix = geometry.warp_matrix(
            center.astype(np.float32), scale.astype(np.float32), output_size_wh=crop_wh
        )
        crop = cv2.warpAffine(image_rgb, matrix, crop_wh, flags=cv2.INTER_LINEAR)
        normalised = (crop - np.array(estimator.MEAN_RGB)) / np.array(estimator.STD_RGB)
        planes = np.ascontiguousarray(normalised.transpose(2, 0, 1), np.float32)
        simcc_x, simcc_y = self._pose.run(["simcc_x", "simcc_y"], {self._pose_input: planes[None]})
        places = np.stack([simcc_x.argmax(2), simcc_y.argmax(2)], axis=2).astype(np.float64)
        places[np.minimum(simcc_x.max(2), simcc_y.max(2)) <= 0] = -1
        keypoints: Array = places / 2 / crop_wh * scale + center - scale / 2
        return keypoints


def installed_methods(device: str = "cpu") -> list[MethodName]:
    """Returns the methods whose packages are installed, those in bf16 where the CPU has it.

    On a GPU those of ONNX Runtime alone.
    """
    if device != "cpu":
        return [
            name for name in METHODS if all(map(importlib.util.find_spec, _NEEDED.get(name, ())))
        ]
    there = [
        name for name in ALL_METHODS if all(map(importlib.util.find_spec, _NEEDED.get(name, ())))
    ]
    if OURS_BF16 in there and not has_bf16():
        return [name for name in there if name not in IN_BF16]
    return there


def open_method(
    name: MethodName,
    files: NetworkFiles,
    *,
    threads: int,
    score_threshold: float,
    device: str = "cpu",
) -> Predictor | Method:
    """Loads one method by itself; this package is a `Predictor`.

    Args:
        name: The method.
        files: The networks.
        threads: Threads inside one operator.
        score_threshold: Persons must score above this.
        device: Where ONNX Runtime's networks run.
    """
    if name in (OURS, OURS_OPENVINO, OURS_BF16):
        return Predictor(
            files.pose,
            files.detector,
            backend="ort" if name == OURS else "openvino",
            device=device if name == OURS else None,
            precision="bf16" if name == OURS_BF16 else None,
            threads=threads,
            score_threshold=score_threshold,
        )
    if name in (RTMLIB_OPENVINO, RTMLIB_BF16):
        return Rtmlib(
            files,
            None,
            threads=threads,
            score_threshold=score_threshold,
            bf16=name == RTMLIB_BF16,
        )
    kind = Rtmlib if name == RTMLIB else OfficialRecipe
    sessions = open_sessions(files, threads=threads, device=device)
    return kind(files, sessions, score_threshold=score_threshold)


@contextlib.contextmanager
def load_methods(
    files: NetworkFiles, *, threads: int, score_threshold: float | None = None
) -> Iterator[tuple[Predictor, dict[MethodName, Method]]]:
    """Loads every method that is installed, all on the same two sessions.

    Args:
        files: The networks.
        threads: Threads inside one operator of ONNX Runtime.
        score_threshold: Persons must score above this; None takes the threshold that each
            method has by itself.

    Yields:
        Our own predictor, and all methods by name.
    """
    threshold = DetectorOptions().score_threshold if score_threshold is None else score_threshold
    with Predictor(
        files.pose, files.detector, threads=threads, score_threshold=threshold
    ) as predictor:
        sessions = sessions_of(predictor)
        loaded: dict[MethodName, Method] = {OURS: lambda picture: predictor(picture.bgr).keypoints}
        with contextlib.suppress(ImportError):
            loaded[RTMLIB] = Rtmlib(files, sessions, score_threshold=score_threshold)
        loaded[OFFICIAL] = OfficialRecipe(files, sessions, score_threshold=score_threshold)
        yield predictor, loaded


@contextlib.contextmanager
def constant_methods(persons: int) -> Iterator[dict[MethodName, Method]]:
    """Loads every method with networks that find so many persons, on one thread.

    With one thread there is no pool of idle threads that spin beside what is timed.

    Raises:
        MissingDependencyError: The package `onnx` is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        boxes = {"output": detector_output(persons)}
        files = NetworkFiles(
            save_constant_network(Path(folder, "detector.onnx"), DETECTOR_WH, boxes),
            save_constant_network(Path(folder, "pose.onnx"), CROP_WH, pose_outputs()),
            DETECTOR_WH,
            CROP_WH,
        )
        with load_methods(files, threads=1) as (_, loaded):
            yield loaded
