"""The weights a run begins with: the teacher's, and those its own network starts from.

From a network trained for another size of input, what depends on the size is interpolated.
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

from ....errors import InvalidArgumentError, ModelFormatError, ModelNotFoundError
from ...checkpoints import infer_architecture, load_model, load_weights, read_state_dict
from ...cspnext import STRIDE
from ...dwpose import DWPose, DWPoseArchitecture
from ...quantized_dwpose import RANGES
from ...simcc_head import SPLIT_RATIO
from ..settings.pose import DistillSettings, Settings

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


BACKBONE: Final = "backbone."


def teacher_architecture(settings: Settings) -> DWPoseArchitecture:
    """Returns what the teacher of a run has to be.

    Args:
        settings: The run, one with a teacher.

    Raises:
        InvalidArgumentError: It has none.
    """
    size = _distill(settings).teacher_size
    return DWPoseArchitecture(size, settings.input_height, settings.input_width)


def load_teacher(settings: Settings) -> DWPose:
    """Reads the teacher of a run.

    Its file can be any that `load_model` reads, also the checkpoint of a first stage.

    Args:
        settings: The run, one with a teacher.

    Returns:
        The network in evaluation mode, on the CPU.

    Raises:
        InvalidArgumentError: The run has no teacher.
        ModelNotFoundError: The file is missing; the message says where it can be had.
        ModelFormatError: The file holds another network.
    """
    distill = _distill(settings)
    expected = teacher_architecture(settings)
    try:
        teacher = load_model(distill.teacher_checkpoint)
    except ModelNotFoundError as error:
        hint = _where("the teacher", distill.teacher_url, "distill.teacher_checkpoint")
        raise ModelNotFoundError(f"{error}; {hint}") from error
    if not isinstance(teacher, DWPose) or teacher.architecture != expected:
        raise ModelFormatError(
            f"{distill.teacher_checkpoint} holds {teacher.architecture.name}; "
            f"the teacher of this run has to be {expected.name}"
        )
    return teacher


def load_initial_weights(model: DWPose, settings: Settings) -> None:
    """Reads the weights that the trained network starts from; without any it stays as it is.

    A whole network for another input size is fitted, see `resizing.resize_input`.

    Args:
        model: The network.
        settings: The run.

    Raises:
        ModelNotFoundError: The file is missing; the message says where it can be had.
        ModelFormatError: The file's weights do not fit.
    """
    path = settings.initial
    if path is None:
        return
    try:
        state = read_state_dict(path)
    except ModelNotFoundError as error:
        hint = _where("the weights to start from", settings.initial_url, "initial")
        raise ModelNotFoundError(f"{error}; {hint}") from error
    try:
        if RANGES in state:
            raise ModelFormatError(
                "this network was trained for 8-bit integers; start from the one in float"
            )
        if settings.initial_part == "all":
            load_weights(model, resize_input(state, model.architecture))
            return
        backbone = {
            name.removeprefix(BACKBONE): value
            for name, value in state.items()
            if name.startswith(BACKBONE)
        }
        load_weights(model.backbone, backbone)
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {error}") from error


def _distill(settings: Settings) -> DistillSettings:
    if settings.distill is None:
        raise InvalidArgumentError(f"the run {settings.name!r} has no teacher")
    return settings.distill


def _where(what: str, url: str, key: str) -> str:
    download = f"download {url} to there, or " if url else ""
    return f"it should hold {what}: {download}set {key} to where it is"
