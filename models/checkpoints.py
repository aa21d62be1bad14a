"""Loading published and self-trained checkpoints of DWPose and YOLOX.

`load_model` finds out by itself which network, size, input size and number of classes a file
holds. It never runs anything from the file (see `torch_archive`). These layouts are known:

* mmengine's runner and its published files: the weights under `state_dict`. With an averaging
  hook that is the average; the raw weights beside it, under `ema_state_dict`, are left alone.
* YOLOX: the weights under `model`.
* the weights alone, with or without the `module.` that data parallel training puts in front;
  also as a safetensors file.
* DWPose's distiller: student and teacher side by side, in two stages (see `Stage`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from ..errors import InvalidArgumentError, ModelFormatError, ModelNotFoundError, needs_extra
from .cspnext import STEM_CHANNELS as CSPNEXT_STEM_CHANNELS
from .dwpose import DWPose, DWPoseArchitecture
from .quantized_dwpose import RANGES, QuantizedDWPose
from .restricted_pickle import StoredTensor
from .simcc_head import SPLIT_RATIO
from .sizes import DWPOSE_SIZES, YOLOX_SIZES
from .torch_archive import TorchArchive
from .yolox import YOLOX, YOLOXArchitecture

logger = logging.getLogger(__name__)

Stage = Literal[1, 2]
"""Stage of DWPose's distillation.

Stage 1 trains a whole student from a larger teacher: the result is `student.*`. Stage 2 trains
only the student's head on the features of a frozen teacher of the same size: the result is
`teacher.backbone.*` with `student.head.*`; the student's own backbone was never used.
"""

Architecture = DWPoseArchitecture | YOLOXArchitecture
Shape = Sequence[int]
Value = TypeVar("Value", StoredTensor, Tensor)

SAFETENSORS_SUFFIX = ".safetensors"
WEIGHTS_KEYS = ("state_dict", "model")
TRAINING_ONLY = "map_supervision."
"""Prefix of layers that only the training has, see `training.pose.heatmaps`."""
LISTED_KEYS = 5  # of each kind in an error message
YOLOX_STEM_CHANNELS = 64  # at width 1


def read_state_dict(
    path: str | os.PathLike[str], *, distiller_stage: Stage | None = None
) -> dict[str, Tensor]:
    """Read the weights of a checkpoint, named as in the plain model.

    Args:
        path: The file.
        distiller_stage: Stage of a distiller's checkpoint. Without it, the stage is 1 if student
            and teacher differ in size, as they do in every published pairing, and 2 otherwise.
            Other checkpoints ignore it.

    Returns:
        Name -> tensor on the CPU, in the order and the types of the file.

    Raises:
        ModelNotFoundError: There is no such file.
        ModelFormatError: The file is not a checkpoint or holds no weights.
        MissingDependencyError: It is a safetensors file, and that package is not installed.
    """
    path = Path(path)
    if path.suffix.lower() == SAFETENSORS_SUFFIX:
        return _read_safetensors(path, distiller_stage)
    with TorchArchive(path) as archive:
        try:
            stored = _plain_names(_find_weights(archive.tree), distiller_stage, path)
        except ModelFormatError as error:
            raise ModelFormatError(f"{path}: {error}") from error
        return {name: archive.read(tensor) for name, tensor in stored.items()}


def _read_safetensors(path: Path, distiller_stage: Stage | None) -> dict[str, Tensor]:
    """Read a safetensors file: names and numbers, nothing that could run."""
    with needs_extra(f"reading {path} needs the package safetensors", "export"):
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    if not path.is_file():
        raise ModelNotFoundError(f"there is no file {path}")
    try:
        state: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelFormatError(f"{path} is not a readable checkpoint: {error}") from error
    try:
        if not state:
            raise ModelFormatError("the file holds no weights")
        return _plain_names(state, distiller_stage, path)
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {error}") from error


def load_model(
    path: str | os.PathLike[str], *, distiller_stage: Stage | None = None
) -> DWPose | YOLOX:
    """Build the network a checkpoint was made for and load its weights.

    Args:
        path: The file.
        distiller_stage: As for `read_state_dict`.

    Returns:
        The network in evaluation mode, float32, on the CPU; its `architecture` says what it is.

    Raises:
        ModelNotFoundError: There is no such file.
        ModelFormatError: The file is not a checkpoint, or not one of a network known here; the
            message lists missing, unexpected and mis-shaped tensors.
    """
    state = read_state_dict(path, distiller_stage=distiller_stage)
    try:
        architecture = infer_architecture({name: value.shape for name, value in state.items()})
        with torch.device("meta"):  # no memory and no random numbers: the weights replace all
            model = build_model(architecture)
            if RANGES in state and isinstance(model, DWPose):
                model = QuantizedDWPose(model.architecture)
        load_weights(model, state)
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {error}") from error
    return model.eval()


def build_model(architecture: Architecture) -> DWPose | YOLOX:
    """Build a network with fresh weights.

    Args:
        architecture: Which one.

    Returns:
        The network, in training mode as torch makes it.
    """
    if isinstance(architecture, DWPoseArchitecture):
        return DWPose(architecture)
    return YOLOX(architecture)


def load_weights(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put weights into a network whose names and shapes must be exactly these.

    Args:
        model: The network, may be on the "meta" device.
        state: Name -> tensor; numbers of any precision become float32. The network keeps the
            tensors themselves where they are float32 already.

    Raises:
        ModelFormatError: Something is missing, unexpected or mis-shaped; the message lists it.
    """
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    problems = {
        "missing": [name for name in expected if name not in state],
        "unexpected": [name for name in state if name not in expected],
        "mis-shaped": [
            f"{name} {tuple(state[name].shape)} instead of {shape}"
            for name, shape in expected.items()
            if name in state and tuple(state[name].shape) != shape
        ],
    }
    if any(problems.values()):
        listed = "; ".join(_listing(kind, names) for kind, names in problems.items() if names)
        raise ModelFormatError(f"the weights do not fit {type(model).__name__}: {listed}")
    model.load_state_dict(
        {
            name: value.float() if value.is_floating_point() else value
            for name, value in state.items()
        },
        assign=True,
    )


def infer_architecture(shapes: Mapping[str, Shape]) -> Architecture:
    """Tell network, size, input size and number of classes from the shapes of the weights.

    Args:
        shapes: Name -> shape.

    Returns:
        The architecture.

    Raises:
        ModelFormatError: The weights are of no network known here.
    """
    try:
        if "backbone.stem.2.conv.weight" in shapes:
            return _infer_dwpose(shapes)
        if "backbone.backbone.stem.conv.conv.weight" in shapes:
            return _infer_yolox(shapes)
    except InvalidArgumentError as error:
        raise ModelFormatError(str(error)) from error
    names = ", ".join(list(shapes)[:LISTED_KEYS])
    raise ModelFormatError(f"these are not the weights of DWPose or YOLOX: {names}, ...")


def _infer_dwpose(shapes: Mapping[str, Shape]) -> DWPoseArchitecture:
    widths = {int(CSPNEXT_STEM_CHANNELS * widen): size for size, (_, widen) in DWPOSE_SIZES.items()}
    return DWPoseArchitecture(
        _size_of("CSPNeXt", widths, _first_side(shapes, "backbone.stem.2.conv.weight")),
        input_height=_first_side(shapes, "head.cls_y.weight") // SPLIT_RATIO,
        input_width=_first_side(shapes, "head.cls_x.weight") // SPLIT_RATIO,
        keypoints=_first_side(shapes, "head.final_layer.weight"),
    )


def _infer_yolox(shapes: Mapping[str, Shape]) -> YOLOXArchitecture:
    widths = {int(YOLOX_STEM_CHANNELS * scale.width): size for size, scale in YOLOX_SIZES.items()}
    return YOLOXArchitecture(
        _size_of("YOLOX", widths, _first_side(shapes, "backbone.backbone.stem.conv.conv.weight")),
        classes=_first_side(shapes, "head.cls_preds.0.weight"),
    )


def _first_side(shapes: Mapping[str, Shape], name: str) -> int:
    if not shapes.get(name):
        raise ModelFormatError(f"the tensor {name} is missing")
    return shapes[name][0]


def _size_of(network: str, sizes: Mapping[int, str], channels: int) -> str:
    if channels not in sizes:
        raise ModelFormatError(f"no size of {network} has {channels} channels in its stem")
    return sizes[channels]


def _find_weights(tree: object) -> dict[str, StoredTensor]:
    """Find the weights in what the file holds; refuse entries that are no tensors."""
    if isinstance(tree, dict):
        for key in WEIGHTS_KEYS:
            if isinstance(tree.get(key), dict):
                tree = tree[key]
                break
    if not isinstance(tree, dict) or not tree:
        raise ModelFormatError("the file holds no weights")
    weights: dict[str, StoredTensor] = {}
    for name, value in tree.items():
        if not isinstance(name, str) or not isinstance(value, StoredTensor):
            raise ModelFormatError(f"the entry {name!r} among the weights is not a tensor")
        weights[name] = value
    return weights


def _plain_names(
    weights: dict[str, Value], distiller_stage: Stage | None, path: Path
) -> dict[str, Value]:
    """Take off prefixes and pick the distilled network out of a distiller, which is logged."""
    if all(name.startswith("module.") for name in weights):
        weights = _with_prefix(weights, "module.")
    student = _with_prefix(weights, "student.")
    if not student:
        return {
            name: value for name, value in weights.items() if not name.startswith(TRAINING_ONLY)
        }
    teacher = _with_prefix(weights, "teacher.")
    backbone = _with_prefix(teacher, "backbone.")
    if RANGES in student:
        return student  # trained for int8: the teacher is the same network in float
    how = "as was asked for"
    if distiller_stage is None:
        how = "told by the sizes of the two; --distiller-stage chooses"
        own = _with_prefix(student, "backbone.")
        distiller_stage = 1 if own and _shapes(own) != _shapes(backbone) else 2
    if distiller_stage == 1:
        logger.warning(
            "%s holds the teacher and the student of a distillation's stage 1 (%s): the student is "
            "taken",
            *(path, how),
        )
        return student
    if not backbone:
        raise ModelFormatError("the file of a second distillation stage holds no teacher.backbone")
    logger.warning(
        "%s holds the teacher and the student of a distillation's stage 2 (%s): the backbone is "
        "taken from the teacher, the head from the student",
        *(path, how),
    )
    return {f"backbone.{name}": tensor for name, tensor in backbone.items()} | {
        f"head.{name}": tensor for name, tensor in _with_prefix(student, "head.").items()
    }


def _shapes(weights: Mapping[str, StoredTensor | Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in weights.items()}


def _with_prefix(weights: Mapping[str, Value], prefix: str) -> dict[str, Value]:
    return {
        name.removeprefix(prefix): value
        for name, value in weights.items()
        if name.startswith(prefix)
    }


def _listing(kind: str, names: Sequence[str]) -> str:
    shown = ", ".join(names[:LISTED_KEYS])
    rest = f" and {len(names) - LISTED_KEYS} more" if len(names) > LISTED_KEYS else ""
    return f"{kind} ({len(names)}): {shown}{rest}"
