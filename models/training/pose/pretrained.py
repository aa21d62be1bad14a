"""The weights a run begins with: the teacher's, and those its own network starts from."""

from __future__ import annotations

from typing import Final

from ....errors import InvalidArgumentError, ModelFormatError, ModelNotFoundError
from ...checkpoints import load_model, load_weights, read_state_dict
from ...dwpose import DWPose, DWPoseArchitecture
from ...resizing import resize_input
from ..settings.pose import DistillSettings, Settings

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
