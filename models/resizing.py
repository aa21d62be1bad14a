"""A trained network for another size of input: what depends on the size is interpolated.

Convolutions and attention fit any input. In the head of DWPose two things do not: the layer that
reads a point's map of features cell by cell, and the rows of the classifiers, one for each bin.
Training at a small size first and going on at a larger one costs a fraction of the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import ModelFormatError
from .checkpoints import infer_architecture
from .cspnext import STRIDE
from .dwpose import DWPoseArchitecture
from .simcc_head import SPLIT_RATIO

MAP_READER: Final = "head.mlp.1.weight"
CLASSIFIERS: Final = ("head.cls_x.weight", "head.cls_y.weight")


def resize_input(
    state: Mapping[str, Tensor], architecture: DWPoseArchitecture
) -> dict[str, Tensor]:
    """Fits the weights of a DWPose network to another input size.

    Each cell of the new feature maps is read with what the old maps' reader has at that place,
    shared out so that maps that only grew give the same tokens; new bins lie between old ones.
    The results of the new network are near those of the old on the same picture, not equal: its
    convolutions see everything larger or smaller. Train it on.

    Args:
        state: Name -> tensor of a whole network.
        architecture: What it should become.

    Returns:
        Name -> tensor; the tensors themselves where nothing depends on the input's size.

    Raises:
        ModelFormatError: The weights differ from the architecture in more than the input size.
    """
    found = infer_architecture({name: tuple(value.shape) for name, value in state.items()})
    if (
        not isinstance(found, DWPoseArchitecture)
        or _same_input(found, architecture) != architecture
    ):
        raise ModelFormatError(f"{found.name} cannot become {architecture.name} by resizing")
    resized = dict(state)
    if found == architecture:
        return resized
    resized[MAP_READER] = _resize_reader(state[MAP_READER].float(), found, architecture)
    bins = [SPLIT_RATIO * architecture.input_width, SPLIT_RATIO * architecture.input_height]
    for name, count in zip(CLASSIFIERS, bins, strict=True):
        rows = state[name].float().T[None]
        resized[name] = functional.interpolate(rows, count, mode="linear")[0].T.contiguous()
    return resized


def _same_input(found: DWPoseArchitecture, wanted: DWPoseArchitecture) -> DWPoseArchitecture:
    return replace(found, input_height=wanted.input_height, input_width=wanted.input_width)


def _resize_reader(weight: Tensor, found: DWPoseArchitecture, wanted: DWPoseArchitecture) -> Tensor:
    old_hw, new_hw = (
        (shape.input_height // STRIDE, shape.input_width // STRIDE) for shape in (found, wanted)
    )
    maps = weight.reshape(1, len(weight), *old_hw)
    larger = functional.interpolate(maps, new_hw, mode="bilinear", antialias=True)
    share = old_hw[0] * old_hw[1] / (new_hw[0] * new_hw[1])
    return torch.flatten(larger[0] * share, 1)
