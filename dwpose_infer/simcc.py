"""Decoding of SimCC, the output of RTMPose and DWPose: one score for each column and row.

SimCC (Li et al., ECCV 2022, https://arxiv.org/abs/2107.03332) turns a keypoint into two
classifications, along x and along y, over bins finer than pixels.
"""

from __future__ import annotations

import numpy as np

from .arrays import Float32Array

SPLIT_RATIO = 2.0
"""Bins per pixel of the crop in all RTMPose and DWPose models."""


def decode_simcc(
    simcc_x: Float32Array, simcc_y: Float32Array, *, split_ratio: float = SPLIT_RATIO
) -> tuple[Float32Array, Float32Array]:
    """Finds each keypoint's best column and row.

    As in mmpose's `get_simcc_maximum`: no softmax, no refinement between bins; where a maximum is
    not positive the location is -1 before the division.

    Args:
        simcc_x: (N, K, split_ratio * width) float32, the network's output along x.
        simcc_y: (N, K, split_ratio * height) float32, the network's output along y.
        split_ratio: Bins per pixel.

    Returns:
        Keypoints (N, K, 2) float32, x then y, pixels of the crop; and scores (N, K) float32,
        the smaller of the two maxima.
    """
    columns = simcc_x.argmax(axis=-1)
    rows = simcc_y.argmax(axis=-1)
    scores = np.minimum(
        np.take_along_axis(simcc_x, columns[..., None], axis=-1)[..., 0],
        np.take_along_axis(simcc_y, rows[..., None], axis=-1)[..., 0],
    )
    locations = np.stack([columns, rows], axis=-1).astype(np.float32)
    locations[scores <= 0] = -1.0
    return locations / np.float32(split_ratio), scores
