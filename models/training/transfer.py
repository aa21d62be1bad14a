"""Taking the trained network out of a distiller's checkpoint: DWPose's pth_transfer.

Stage 1 hands on the student; stage 2 the teacher's backbone with the student's head. What comes
out is an ordinary checkpoint of the plain network, with the weights under their official names.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..._version import __version__
from ...errors import InvalidArgumentError, ModelFormatError
from ...files.atomic import write_bytes
from ..checkpoints import Stage, build_model, infer_architecture, load_weights
from ..dwpose import DWPose, DWPoseArchitecture
from ..restricted_pickle import StoredTensor
from ..torch_archive import TorchArchive
from .pose.stages import plain_state

PARALLEL_PREFIX = "module."  # of data parallel training


def transfer(
    checkpoint: str | os.PathLike[str], stage: Stage, out: str | os.PathLike[str]
) -> DWPoseArchitecture:
    """Writes the network that a distillation trained as a checkpoint of its own.

    Nothing from the checkpoint is run. The optimizer's state and the raw weights beside an
    average are left behind; the facts under `meta` are kept as far as they are plain numbers,
    text, lists and dictionaries.

    Args:
        checkpoint: File of the distillation, of this package or of the official code.
        stage: Which stage wrote it.
        out: File to write: a zip archive of `torch.save` that `torch.load` reads with
            `weights_only=True`, holding `meta` and `state_dict`. Replaced in one step.

    Returns:
        What the network is.

    Raises:
        ModelNotFoundError: There is no such checkpoint.
        ModelFormatError: The file is no distiller's checkpoint, is one of the other stage, or
            its weights are not exactly those of a plain network.
        InvalidArgumentError: `out` is the checkpoint itself, or there is no such stage.
        OutputError: `out` cannot be written.
    """
    source, target = Path(checkpoint), Path(out)
    if stage not in (1, 2):
        raise InvalidArgumentError(f"the stage is 1 or 2, not {stage!r}")
    if target.exists() and source.exists() and target.samefile(source):
        raise InvalidArgumentError(f"{target} is the checkpoint itself; write to another file")
    with TorchArchive(source) as archive:
        try:
            meta, stored = _contents(archive.tree)
            _check_stage(meta, stored, stage)
            picked = plain_state(stored, stage)
        except ModelFormatError as error:
            raise ModelFormatError(f"{source}: {error}") from error
        state = {name: archive.read(tensor) for name, tensor in picked.items()}
    try:
        architecture = _check_weights(state)
    except ModelFormatError as error:
        raise ModelFormatError(
            f"{source}: what stage {stage} would hand on is no network: {error}"
        ) from error
    meta |= {"dwpose_infer": __version__, "transferred_from": source.name, "stage": stage}
    buffer = io.BytesIO()
    torch.save({"meta": meta, "state_dict": state}, buffer)
    write_bytes(target, buffer.getvalue())
    return architecture


def _contents(tree: object) -> tuple[dict[str, Any], dict[str, StoredTensor]]:
    """Returns the facts and the weights of a checkpoint."""
    if not isinstance(tree, dict) or not isinstance(tree.get("state_dict"), dict):
        raise ModelFormatError("there are no weights under state_dict")
    weights: dict[str, StoredTensor] = {}
    for name, value in tree["state_dict"].items():
        if not isinstance(name, str) or not isinstance(value, StoredTensor):
            raise ModelFormatError(f"the entry {name!r} among the weights is not a tensor")
        weights[name.removeprefix(PARALLEL_PREFIX)] = value
    kept, meta = _plain(tree.get("meta"))
    return (meta if kept and isinstance(meta, dict) else {}), weights


def _check_stage(meta: Mapping[str, Any], weights: Mapping[str, object], stage: Stage) -> None:
    """Refuses files that are no distiller's, or say that they are of the other stage."""
    if not any(name.startswith("student.") for name in weights):
        if any(name.startswith("backbone.") for name in weights):
            raise ModelFormatError("this is a plain network already: there is nothing to transfer")
        raise ModelFormatError("this is no distiller's checkpoint: it has no student.*")
    written = _written_stage(meta)
    if written is not None and written != stage:
        raise ModelFormatError(f"this was written by stage {written}, not {stage}")


def _written_stage(meta: Mapping[str, Any]) -> int | None:
    """Returns the stage that a checkpoint of this package names; the official ones do not."""
    try:
        stage = json.loads(meta["settings"])["distill"]["stage"]
    except (KeyError, TypeError, ValueError):
        return None
    return stage if isinstance(stage, int) else None


def _check_weights(state: Mapping[str, Tensor]) -> DWPoseArchitecture:
    """Makes sure that the weights load strictly into the plain network."""
    architecture = infer_architecture({name: value.shape for name, value in state.items()})
    with torch.device("meta"):
        model = build_model(architecture)
    load_weights(model, state)
    if not isinstance(model, DWPose):
        raise ModelFormatError(f"it is {architecture.name}, not a pose network")
    return model.architecture


def _plain(value: object) -> tuple[bool, object]:
    """Returns whether a value is plain, and the value without anything in it that is not."""
    if value is None or isinstance(value, bool | int | float | str):
        return True, value
    if isinstance(value, dict):
        items = ((key, _plain(item)) for key, item in value.items() if isinstance(key, str))
        return True, {key: item for key, (kept, item) in items if kept}
    if isinstance(value, list | tuple):
        return True, [item for kept, item in map(_plain, value) if kept]
    return False, None
