"""SimCC targets: each point as one Gaussian along x and one along y (mmpose's `SimCCLabel`).

A Gaussian around a bin is a piece of one table, so targets are slices of it: the NumPy and the
torch function give the same numbers, on every device.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ....arrays import Float32Array, FloatArray
from ..settings.data import CodecSettings

_REACH_SIGMAS = 3
"""A point further outside of the crop than this many sigmas has no target (mmpose)."""

_LABELLED = 0.5
"""Weights below this mean that a point is not known (mmpose)."""


class Targets(NamedTuple):
    """What the network should answer, for the loss.

    Attributes:
        x: (N, 133, 2 * width) float32, 1 at the point's bin; zeros where there is no target.
        y: (N, 133, 2 * height) float32.
        weights: (N, 133) float32, 0 for points without a target.
    """

    x: Tensor
    y: Tensor
    weights: Tensor


def encode(
    keypoints: FloatArray,
    weights: Float32Array,
    *,
    input_size_wh: tuple[int, int],
    codec: CodecSettings,
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Makes targets with NumPy.

    Args:
        keypoints: (N, 133, 2), x then y, pixels of the crop.
        weights: (N, 133) float32; below 0.5 a point counts as not known, has zeros for a target
            and keeps its weight.
        input_size_wh: (width, height) of the crop.
        codec: Width of the Gaussians.

    Returns:
        Targets along x (N, 133, 2 * width), along y (N, 133, 2 * height), and weights (N, 133),
        all float32; see `Targets`.
    """
    bins = np.around(keypoints * codec.split_ratio).astype(np.int64)
    known = weights >= _LABELLED
    outside = np.zeros(known.shape, np.bool_)
    starts = []
    for axis, length, sigma in _axes(input_size_wh, codec):
        reach = _REACH_SIGMAS * sigma
        outside |= (bins[..., axis] - reach >= length) | (bins[..., axis] + reach + 1 < 0)
    for axis, length, sigma in _axes(input_size_wh, codec):
        start = _window_start(bins[..., axis], length, sigma)
        starts.append(np.where(known & ~outside, start, 0))
    x, y = (
        np.lib.stride_tricks.sliding_window_view(_table(length, sigma), length)[start]
        for start, (_, length, sigma) in zip(starts, _axes(input_size_wh, codec), strict=True)
    )
    new_weights = np.where(known & outside, np.float32(codec.outside_weight), weights)
    return x, y, new_weights.astype(np.float32)


def encode_batch(
    keypoints: Tensor, weights: Tensor, *, input_size_wh: tuple[int, int], codec: CodecSettings
) -> Targets:
    """Makes targets with torch, on the device of the points; equal to `encode`.

    Args:
        keypoints: (N, 133, 2) float32, x then y, pixels of the crop.
        weights: (N, 133) float32.
        input_size_wh: (width, height) of the crop.
        codec: Width of the Gaussians.
    """
    bins = torch.round(keypoints * codec.split_ratio).long()
    known = weights >= _LABELLED
    outside = torch.zeros_like(known)
    for axis, length, sigma in _axes(input_size_wh, codec):
        reach = _REACH_SIGMAS * sigma
        at = bins[..., axis].double()
        outside |= (at - reach >= length) | (at + reach + 1 < 0)
    has_target = known & ~outside
    rows = []
    for axis, length, sigma in _axes(input_size_wh, codec):
        table = _device_table(length, sigma, keypoints.device)
        start = _window_start(bins[..., axis], length, sigma).where(has_target, 0)
        rows.append(table.unfold(0, length, 1)[start])
    new_weights = weights.masked_fill(known & outside, codec.outside_weight)
    return Targets(rows[0], rows[1], new_weights)


def _axes(
    input_size_wh: tuple[int, int], codec: CodecSettings
) -> tuple[tuple[int, int, float], ...]:
    """Returns number, bins and sigma of both axes."""
    lengths = [round(side * codec.split_ratio) for side in input_size_wh]
    return tuple((axis, lengths[axis], codec.sigma_xy[axis]) for axis in (0, 1))


def _window_start(bins: Any, length: int, sigma: float) -> Any:
    """Returns where in the table the target of a bin begins; arrays and tensors alike.

    Bins without a target may get any number: they are sent to the zeros at the table's start.
    """
    return 2 * length + _reach_bins(sigma) - 1 - bins


def _reach_bins(sigma: float) -> int:
    return int(np.ceil(_REACH_SIGMAS * sigma)) + 1


@lru_cache(maxsize=16)
def _table(length: int, sigma: float) -> Float32Array:
    """Returns `length` zeros, then the Gaussian as far to both sides as targets reach.

    Computed in float64 and rounded once, as NumPy does it in `SimCCLabel`.
    """
    reach = length + _reach_bins(sigma) - 1
    distances = np.arange(-reach, reach + 1, dtype=np.float64)
    gaussian = np.exp(-(distances**2) / (2 * sigma**2)).astype(np.float32)
    return np.concatenate([np.zeros(length, np.float32), gaussian])


@lru_cache(maxsize=16)
def _device_table(length: int, sigma: float, device: torch.device) -> Tensor:
    """Returns the table on a device; copying it there for every batch would stall a GPU."""
    return torch.from_numpy(_table(length, sigma)).to(device)
