"""Flip test: the mean of what a network sees in a crop and in its mirror image.

mmpose's evaluation of RTMPose does it by default; the official demo does not. The SimCC outputs
of the mirrored crop are turned back, left and right keypoints exchanged, and the plain mean is
decoded, without a shift.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
UInt8Array = npt.NDArray[np.uint8]


def with_mirrored(images_bgr: UInt8Array) -> UInt8Array:
    """Returns crops followed by their mirror images: (N, H, W, 3) to (2 N, H, W, 3) uint8."""
    return np.concatenate([images_bgr, images_bgr[:, :, ::-1]])


def mean_simcc(
    simcc_x: Float32Array, simcc_y: Float32Array, flip_indices: Sequence[int]
) -> tuple[Float32Array, Float32Array]:
    """Averages what a network says of crops and of their mirror images.

    Args:
        simcc_x: (2 N, K, bins) float32, of the pictures that `with_mirrored` made.
        simcc_y: The same for y.
        flip_indices: For each of the K points the one that is in its place in a mirror image.

    Returns:
        The means, (N, K, bins) each.
    """
    count = len(simcc_x) // 2
    order = list(flip_indices)
    half = np.float32(0.5)
    mean_x = (simcc_x[:count] + simcc_x[count:, order, ::-1]) * half
    mean_y = (simcc_y[:count] + simcc_y[count:, order]) * half
    return mean_x, mean_y
