"""Flip test: the mean of what a network sees in a crop and in its mirror image.

mmpose's evaluation of RTMPose does it by default; the official demo does not. The SimCC outputs
of the mirrored crop are turned back, left and right keypoints exchanged, and the plain mean is
decoded, without a shift.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .. import geometry
from ..errors import InferenceError, ModelFormatError
from ..estimator import Crops, PoseEstimator
from ..keypoints import FLIP_INDICES, NUM_KEYPOINTS
from ..simcc import decode_simcc
from .predictions import FloatArray


def flip_test(estimator: PoseEstimator, crops: Crops) -> tuple[FloatArray, FloatArray]:
    """Finds the keypoints of cropped persons from the crops and their mirror images.

    Returns:
        Keypoints (N, 133, 2) float32, x then y, pixels of the pictures the crops come from;
        and scores (N, 133) float32.

    Raises:
        InferenceError: The network gave something that is not a number.
        ModelFormatError: The graph has no SimCC outputs.
    """
    require_simcc(estimator)
    keypoints = np.empty((len(crops), NUM_KEYPOINTS, 2), np.float32)
    scores = np.empty((len(crops), NUM_KEYPOINTS), np.float32)
    for start in range(0, len(crops), estimator.max_batch):
        part = slice(start, start + estimator.max_batch)
        images = crops.images_bgr[part]
        x, y = estimator.simcc(images)
        mirrored_x, mirrored_y = estimator.simcc(np.ascontiguousarray(images[:, :, ::-1]))
        order = list(FLIP_INDICES)
        mean_x = (x + mirrored_x[:, order, ::-1]) * np.float32(0.5)
        mean_y = (y + mirrored_y[:, order]) * np.float32(0.5)
        keypoints[part], scores[part] = decode_simcc(mean_x, mean_y)
    if not np.isfinite(scores).all():
        raise InferenceError(
            f"the pose network on {estimator.backend.description} gave values that are not numbers"
        )
    mapped = geometry.crop_to_picture(
        keypoints, crops.center, crops.scale, input_size_wh=estimator.input_size_wh
    )
    return mapped, scores


def require_simcc(estimator: PoseEstimator) -> None:
    """Checks that a pose model can take part in a flip test.

    Raises:
        ModelFormatError: Its graph has no SimCC outputs.
    """
    if estimator.form != "simcc":
        raise ModelFormatError(
            "the flip test averages SimCC outputs, which this pose model, in deploy form, does not "
            'give; with pip install "dwpose-infer[export]" it is converted on the fly, or take the '
            "model in official form"
        )


@contextlib.contextmanager
def official_form(path: Path) -> Iterator[Path]:
    """Gives the path of a pose model in official form for as long as it is needed.

    Args:
        path: An ONNX file in official form, which is given itself, or in this package's deploy
            form, from which a temporary file is made.

    Raises:
        ModelFormatError: It is in deploy form and cannot be converted, or the extra `export`,
            which converts it, is not installed.
    """
    try:
        import onnx

        from ..export.from_deploy import deploy_kind
        from ..export.sources import load_source
    except ImportError:
        is_deploy = False  # without the extra, `flip_test` refuses a file in deploy form
    else:
        is_deploy = deploy_kind(onnx.load(path, load_external_data=False)) is not None
    if not is_deploy:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        official = Path(folder) / f"{path.stem}.onnx"
        onnx.save(load_source(path).model, official)
        yield official
