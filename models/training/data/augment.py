"""From a person on a picture to one training crop with its points."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .... import geometry
from ..settings.data import AugmentSettings
from .photometric import blur, change_colours, cut_hole
from .portrait import random_portrait
from .regions import (
    Region,
    box_region,
    flip_points,
    flip_region,
    random_half_body,
    random_jitter,
)

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


def training_crop(
    image_bgr: UInt8Array,
    keypoints: Float32Array,
    labelled: BoolArray,
    box_xyxy: Float32Array,
    *,
    input_size_wh: tuple[int, int],
    settings: AugmentSettings,
    rng: np.random.Generator,
) -> tuple[UInt8Array, Float32Array, BoolArray]:
    """Cuts a person out of a picture with all random changes, in the official order.

    Args:
        image_bgr: (H, W, 3) uint8; it is not changed.
        keypoints: (133, 2) float32, x then y, pixels of the picture.
        labelled: (133,) bool, which of them are known.
        box_xyxy: (4,) float32, the person's box.
        input_size_wh: (width, height) of the crop.
        settings: What is changed, how much and how often.
        rng: Source of randomness.

    Returns:
        The crop (height, width, 3) uint8, BGR; keypoints (133, 2) float32, x then y, pixels of
        the crop, some outside of it; and which of them are known.
    """
    portrait = None
    if settings.portrait_probability and rng.random() < settings.portrait_probability:
        portrait = random_portrait(
            image_bgr, keypoints, labelled, box_xyxy, settings=settings, rng=rng
        )
    if portrait is not None:
        image_bgr, keypoints = portrait.image_bgr, portrait.keypoints
        box_xyxy = portrait.box_xyxy
    region = box_region(box_xyxy, padding=settings.box_padding)
    if rng.random() < settings.flip_probability:
        width = image_bgr.shape[1]
        image_bgr = np.asarray(cv2.flip(image_bgr, 1), np.uint8)
        keypoints, labelled = flip_points(keypoints, labelled, width=width)
        region = flip_region(region, width=width)
    if portrait is None:
        region = random_half_body(region, keypoints, labelled, settings=settings, rng=rng)
    region = random_jitter(region, settings=settings, rng=rng)
    crop, keypoints = cut(image_bgr, keypoints, region, input_size_wh=input_size_wh)
    if any(settings.hsv_deltas):
        crop = change_colours(crop, settings=settings, rng=rng)
    crop = blur(crop, settings=settings, rng=rng)
    cut_hole(crop, settings=settings, rng=rng)
    return crop, keypoints, labelled


def cut(
    image_bgr: UInt8Array,
    keypoints: npt.NDArray[np.floating[Any]],
    region: Region,
    *,
    input_size_wh: tuple[int, int],
) -> tuple[UInt8Array, Float32Array]:
    """Cuts a region out of a picture (mmpose's `TopdownAffine` without UDP).

    Args:
        image_bgr: (H, W, 3) uint8.
        keypoints: (133, 2), x then y, pixels of the picture.
        region: The region; its shorter side is widened to the aspect ratio of the crop.
        input_size_wh: (width, height) of the crop.

    Returns:
        The crop (height, width, 3) uint8, bilinear, black outside of the picture; and the points
        (133, 2) float32 in pixels of the crop.
    """
    size = geometry.widen_to_aspect_ratio(
        region.size[None].astype(np.float32), input_size_wh=input_size_wh
    )[0]
    matrix = geometry.warp_matrix(
        region.center.astype(np.float32),
        size,
        output_size_wh=input_size_wh,
        rotation_deg=region.rotation_deg,
    )
    crop = np.asarray(cv2.warpAffine(image_bgr, matrix, input_size_wh), np.uint8)
    points = cv2.transform(keypoints[None].astype(np.float32), matrix)[0]
    return crop, np.asarray(points, np.float32)
