"""Shapes of networks' inputs in words."""

from __future__ import annotations

from collections.abc import Sequence


def sides(input_shape: Sequence[int]) -> str:
    """Returns height x width of an input (N, 3, H, W) or (N, H, W, 3), else all its sizes."""
    sizes = list(input_shape[1:])
    if len(sizes) == 3 and 3 in (sizes[0], sizes[2]):
        sizes = sizes[1:] if sizes[0] == 3 else sizes[:2]
    return "x".join(map(str, sizes))
