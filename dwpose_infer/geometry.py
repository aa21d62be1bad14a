"""From a person's box to the network's crop and back.

The arithmetic is mmpose's, in its order and its precision (float32 boxes, `TopdownAffine` without
UDP), so crops come out equal to the last bit.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from .arrays import Float32Array, Float64Array, UInt8Array

BOX_PADDING = 1.25
"""Context around a box, as a factor of its sides (mmpose `GetBBoxCenterScale`)."""


WARP_SIDE_MAX = 32766
"""Largest side of a picture in pixels that `cv2.warpAffine` takes: below SHRT_MAX."""


def box_to_center_scale(
    boxes_xyxy: npt.ArrayLike, *, input_size_wh: tuple[int, int], padding: float = BOX_PADDING
) -> tuple[Float32Array, Float32Array]:
    """Returns the centre and the padded size of the region each box is cropped from.

    Args:
        boxes_xyxy: (N, 4), left, top, right, bottom in pixels of the picture.
        input_size_wh: (width, height) of the network's input; the region gets its aspect ratio
            by widening the side that is too short.
        padding: Factor on both sides of the box.

    Returns:
        Centres (N, 2), x then y, and scales (N, 2), width then height, both float32 pixels.
    """
    boxes = np.asarray(boxes_xyxy, np.float32).reshape(-1, 4)
    center = (boxes[:, :2] + boxes[:, 2:]) * np.float32(0.5)
    size = (boxes[:, 2:] - boxes[:, :2]) * np.float32(padding)
    return center, widen_to_aspect_ratio(size, input_size_wh=input_size_wh)


def widen_to_aspect_ratio(size: Float32Array, *, input_size_wh: tuple[int, int]) -> Float32Array:
    """Returns regions with the aspect ratio of the input, by widening the side too short.

    Args:
        size: (N, 2) width and height of regions.
        input_size_wh: (width, height) of the network's input.

    Returns:
        (N, 2) float32.
    """
    width, height = size[:, 0], size[:, 1]
    aspect_ratio = input_size_wh[0] / input_size_wh[1]
    scale = np.where(
        (width > height * aspect_ratio)[:, None],
        np.stack([width, width / aspect_ratio], axis=1),
        np.stack([height * aspect_ratio, height], axis=1),
    )
    return scale.astype(np.float32)


def warp_matrix(
    center: Float32Array,
    scale: Float32Array,
    *,
    output_size_wh: tuple[int, int],
    rotation_deg: float = 0.0,
) -> Float64Array:
    """Returns the affine matrix from the picture to one crop.

    Args:
        center: (2,) centre of the region, x then y, in pixels of the picture.
        scale: (2,) width and height of the region in pixels of the picture.
        output_size_wh: (width, height) of the crop in pixels.
        rotation_deg: Rotation of the region about its centre, in degrees.

    Returns:
        (2, 3) float64, for `cv2.warpAffine` without `WARP_INVERSE_MAP`.
    """
    width, height = output_size_wh
    angle = np.deg2rad(rotation_deg)
    half = scale[0] * -0.5
    source_step = np.array([np.cos(angle) * half, np.sin(angle) * half])
    source = _right_angle(center, source_step)
    target = _right_angle(np.array([width * 0.5, height * 0.5]), np.array([width * -0.5, 0.0]))
    matrix: Float64Array = np.asarray(cv2.getAffineTransform(source, target), np.float64)
    return matrix


def _right_angle(corner: npt.NDArray[np.floating], step: Float64Array) -> Float32Array:
    """Returns three points: `corner`, `corner + step`, and one at a right angle to the two.

    Kept in float32 like the reference: rounding here moves the matrix by up to 3e-5, which is
    enough to change a crop by a grey level.
    """
    points = np.zeros((3, 2), np.float32)
    points[0] = corner
    points[1] = corner + step
    back = points[0] - points[1]
    points[2] = points[1] + np.array([-back[1], back[0]], np.float32)
    return points


def crop_boxes(
    image_bgr: UInt8Array,
    center: Float32Array,
    scale: Float32Array,
    *,
    output_size_wh: tuple[int, int],
) -> UInt8Array:
    """Cuts the regions out of a picture, bilinear, black outside of it.

    Args:
        image_bgr: (H, W, 3) uint8.
        center: (N, 2) centres from `box_to_center_scale`.
        scale: (N, 2) sizes from `box_to_center_scale`.
        output_size_wh: (width, height) of every crop in pixels.

    Returns:
        (N, height, width, 3) uint8, in the channel order of the picture.
    """
    width, height = output_size_wh
    crops = np.empty((len(center), height, width, 3), np.uint8)
    for index in range(len(center)):
        matrix = warp_matrix(center[index], scale[index], output_size_wh=output_size_wh)
        source = image_bgr
        if max(image_bgr.shape[:2]) > WARP_SIDE_MAX:
            source, matrix = _around_region(image_bgr, center[index], scale[index], matrix)
        cv2.warpAffine(source, matrix, (width, height), dst=crops[index])
    return crops


def _around_region(
    image_bgr: UInt8Array, center: Float32Array, scale: Float32Array, matrix: Float64Array
) -> tuple[UInt8Array, Float64Array]:
    """Cuts a window that OpenCV can warp out of a picture that is too large for it.

    Returns:
        The window, a region too large itself by whole steps, and the matrix from it to the crop.
    """
    sides = np.array(image_bgr.shape[1::-1])
    low = np.clip(np.floor(center - scale / 2) - 2, 0, sides - 1).astype(int)
    high = np.clip(np.ceil(center + scale / 2) + 3, low + 1, sides).astype(int)
    step = int(-(-(high - low).max() // WARP_SIDE_MAX))
    window = image_bgr[low[1] : high[1] : step, low[0] : high[0] : step]
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ low
    moved[:, :2] *= step
    return np.ascontiguousarray(window), moved


def crop_to_picture(
    keypoints: Float32Array,
    center: Float32Array,
    scale: Float32Array,
    *,
    input_size_wh: tuple[int, int],
) -> Float32Array:
    """Maps keypoints of crops back to the pictures they were cut from.

    Args:
        keypoints: (N, K, 2) float32, x then y, pixels of the crop.
        center: (N, 2) centres from `box_to_center_scale`.
        scale: (N, 2) sizes from `box_to_center_scale`.
        input_size_wh: (width, height) of the crop in pixels.

    Returns:
        (N, K, 2) float32, x then y, pixels of the picture.
    """
    size = np.asarray(input_size_wh, np.float32)
    corner = np.float32(0.5) * scale[:, None]
    mapped: Float32Array = keypoints / size * scale[:, None] + center[:, None] - corner
    return mapped
