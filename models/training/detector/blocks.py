"""The blocks of a YOLOX: what goes into each and what comes out, of the teacher and the student.

A block is what the architecture names: the stem, each step down, each stage's cross-stage layers,
the steps of the pyramid, and the branches of the head before its last convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ....errors import ModelFormatError
from ...yolox import STRIDES, YOLOX

_BACKBONE: Final = (
    "stem",
    *(f"{stage}.{part}" for stage in ("dark2", "dark3", "dark4") for part in (0, 1)),
    *(f"dark5.{part}" for part in (0, 1, 2)),
)
_PYRAMID: Final = (
    *("lateral_conv0", "C3_p4", "reduce_conv1", "C3_p3"),
    *("bu_conv2", "C3_n3", "bu_conv1", "C3_n4"),
)
_LEVELS: Final = range(len(STRIDES))

BLOCKS: Final = (
    *(f"backbone.backbone.{name}" for name in _BACKBONE),
    *(f"backbone.{name}" for name in _PYRAMID),
    *(f"head.{kind}.{level}" for kind in ("stems", "cls_convs", "reg_convs") for level in _LEVELS),
)
"""Names of the blocks that end in an activation, in YOLOX's own names."""

CLASS_PREDICTORS: Final = "head.cls_preds."

PREDICTORS: Final = tuple(
    f"{kind}{level}"
    for kind in (CLASS_PREDICTORS, "head.reg_preds.", "head.obj_preds.")
    for level in _LEVELS
)
"""Names of the last convolutions: a class score's logit, box numbers, objectness's logit."""

PERSON_ROWS: Final = slice(0, 1)
"""The class "person" among YOLOX's classes."""

SAMPLED_SIDE: Final = 32
"""Longest side of the maps that are compared while the whole network learns. Every place of a map
teaches the same weights: with all of them the comparison took half of a step's time on a CPU."""

VARIANCE_FLOOR: Final = 0.1
"""Channels that hardly vary count as if they varied by this share of the mean variance: else the
few that are nearly still would weigh more than all others."""

_LEAST_VARIANCE: Final = 1e-12  # a map may be one colour throughout


class BlockRecord(NamedTuple):
    """What went through the blocks of a network, by name.

    Attributes:
        inputs: (N, C, H, W) each.
        outputs: (N, C', H', W') each.
    """

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


@contextmanager
def recorded(network: YOLOX, record: BlockRecord) -> Iterator[None]:
    """Fills a record with what goes through a network meanwhile."""

    def keep(name: str, given: Tensor, result: Tensor) -> None:
        record.inputs[name], record.outputs[name] = given, result

    hooks = [
        network.get_submodule(name).register_forward_hook(
            lambda _, given, result, name=name: keep(name, given[0], result)
        )
        for name in (*BLOCKS, *PREDICTORS)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class BlockByBlock(nn.Module):
    """A student each of whose blocks works on what the teacher's block before it gave.

    Args:
        student: The network; its blocks are called one by one.
    """

    def __init__(self, student: YOLOX) -> None:
        super().__init__()
        self.student = student

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Map the teacher's inputs of the blocks to the student's outputs, by name."""
        return {
            name: self.student.get_submodule(name)(inputs[name]) for name in (*BLOCKS, *PREDICTORS)
        }


def require_same_blocks(student: YOLOX, teacher: YOLOX) -> None:
    """Checks that the blocks of two networks have the same shapes.

    Raises:
        ModelFormatError: The teacher is of another size.
    """
    if student.architecture.size != teacher.architecture.size:
        raise ModelFormatError(
            f"the teacher is {teacher.architecture.name}, the student "
            f"{student.architecture.name}: learning from blocks (learns=blocks, "
            "loss.feature_weight) needs two networks of one size"
        )


def feature_distances(
    outputs: Mapping[str, Tensor], wanted: Mapping[str, Tensor], *, most_side: int | None = None
) -> Tensor:
    """Works out how far the student's blocks are from the teacher's.

    Args:
        outputs: Block -> (N, C, H, W), what the student's gave.
        wanted: The same of the teacher.
        most_side: Of wider or higher maps every second, third, ... row and column is compared, as
            few of them as are not more than this. None compares all.

    Returns:
        Block by block in the order of `BLOCKS`: mean squared distance of a channel in units of the
        teacher's variance over the batch, (B,); 0 is equal, 1 no better than the mean.
    """
    distances = []
    for name in BLOCKS:
        # Channels last, as the maps lie in memory: with gradients of the other layout the backward
        # pass of the layer before takes 1.5 times as long.
        target, output = (maps[name].permute(0, 2, 3, 1) for maps in (wanted, outputs))
        step = 1 if most_side is None else math.ceil(max(target.shape[1:3]) / most_side)
        target = target[:, ::step, ::step].float().flatten(0, 2)
        squares = (output[:, ::step, ::step].float().flatten(0, 2) - target).square().mean(dim=0)
        variance = target.var(dim=0)
        scale = (variance + VARIANCE_FLOOR * variance.mean()).clamp(min=_LEAST_VARIANCE)
        distances.append((squares / scale).mean())
    return torch.stack(distances)


def predictor_distances(outputs: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Tensor:
    """Works out how far the student's last convolutions are from the teacher's.

    Args:
        outputs: Predictor -> (N, C, H, W) of a student with one class.
        wanted: The same of a teacher with any classes, of which the first is "person".

    Returns:
        Smooth L1 distance of logits and box numbers, one for each of `PREDICTORS`, (P,).
    """
    distances = []
    for name in PREDICTORS:
        target = wanted[name].float()
        if name.startswith(CLASS_PREDICTORS):
            target = target[:, PERSON_ROWS]
        distances.append(functional.smooth_l1_loss(outputs[name].float(), target))
    return torch.stack(distances)
