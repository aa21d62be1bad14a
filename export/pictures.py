"""Pictures for the parity gate and for calibration, as the networks get them in the pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import cv2
import numpy as np

from .. import geometry, zoo
from ..arrays import Array, Float32Array, UInt8Array
from ..backends import load_backend
from ..detector import Detector
from ..errors import InputError
from ..estimator import MEAN_RGB, STD_RGB
from ..images import read_image
from ..inputs import find_pictures
from ..letterbox import letterbox
from ..zoo import ModelKind

MAX_SAMPLES = 256
"""Samples taken from a folder at most: more add minutes, not knowledge."""


def shipped_samples(kind: ModelKind, input_size_wh: tuple[int, int]) -> UInt8Array:
    """The crops that come with the package.

    Args:
        kind: "pose" gives one sample for each crop; "detector" each crop letterboxed, and one
            picture with all of them side by side.
        input_size_wh: (width, height) of the network's input in pixels.

    Returns:
        (N, height, width, 3) uint8, BGR.
    """
    folder = resources.files(__package__).joinpath("crops")
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".jpg")), key=str)
    crops = [read_image(file.read_bytes()) for file in files]
    if kind == "pose":
        return np.stack(
            [cv2.resize(crop, input_size_wh, interpolation=cv2.INTER_AREA) for crop in crops]
        ).astype(np.uint8, copy=False)
    pictures = [*crops, np.concatenate(crops, axis=1)]
    return np.stack([letterbox(picture, size_wh=input_size_wh)[0] for picture in pictures])


def folder_samples(
    folder: Path, kind: ModelKind, input_size_wh: tuple[int, int], *, limit: int = MAX_SAMPLES
) -> UInt8Array:
    """Samples from the user's own pictures, by the pipeline's own steps.

    Args:
        folder: Folder, searched with its subfolders.
        kind: "pose" finds the persons with the bundled detector and cuts them out, "detector"
            letterboxes whole pictures.
        input_size_wh: (width, height) of the network's input in pixels.
        limit: Stop after so many samples.

    Returns:
        (N, height, width, 3) uint8, BGR; N is at least 1.

    Raises:
        InputError: There is no picture in the folder, one cannot be read, or nobody is on them.
    """
    pictures = find_pictures([str(folder)], out_folder=None)
    find = _letterboxed if kind == "detector" else _persons
    samples: list[UInt8Array] = []
    for sample in find([picture.source for picture in pictures], input_size_wh):
        samples.append(sample)
        if len(samples) >= limit:
            break
    if not samples:
        raise InputError(
            f"nobody was found on the {len(pictures)} pictures in {folder}; pictures of people "
            "are needed"
        )
    return np.stack(samples)


def official_input(kind: ModelKind, images_bgr: UInt8Array) -> Float32Array:
    """What a network in official form is fed with.

    Args:
        kind: "pose": normalised RGB; "detector": BGR 0..255.
        images_bgr: (N, H, W, 3) uint8.

    Returns:
        (N, 3, H, W) float32.
    """
    images: Array = images_bgr
    if kind == "pose":
        images = (images_bgr[..., ::-1] - np.array(MEAN_RGB)) / np.array(STD_RGB)
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32)


def _letterboxed(sources: list[str], size_wh: tuple[int, int]) -> Iterator[UInt8Array]:
    for source in sources:
        yield letterbox(read_image(source), size_wh=size_wh)[0]


def _persons(sources: list[str], size_wh: tuple[int, int]) -> Iterator[UInt8Array]:
    path = zoo.resolve_model(zoo.DEFAULT_DETECTOR, kind="detector")
    with load_backend("ort", path) as backend:
        detector = Detector(backend)
        for source in sources:
            image_bgr = read_image(source)
            (found,) = detector([image_bgr])
            center, scale = geometry.box_to_center_scale(found.boxes_xyxy, input_size_wh=size_wh)
            yield from geometry.crop_boxes(image_bgr, center, scale, output_size_wh=size_wh)
