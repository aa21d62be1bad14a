"""Makes the networks of a run, of any stage."""

from __future__ import annotations

from ...dwpose import DWPose
from ..settings.pose import Settings
from .int8_stage import Int8Stage
from .pretrained import load_initial_weights, load_teacher, teacher_architecture
from .stages import FirstStage, PlainStage, SecondStage, TrainingStage


def build_stage(settings: Settings, *, load_initial: bool = True) -> TrainingStage:
    """Makes the networks of a run.

    What is not loaded is drawn at random: call `torch.manual_seed` first.

    Args:
        settings: The run.
        load_initial: Whether to read the teacher and the weights to start from. A resumed run
            has both in its own checkpoint.

    Returns:
        The stage in training mode, float32, on the CPU.

    Raises:
        ModelNotFoundError: One of the files is missing; the message says where it can be had.
        ModelFormatError: One of the files holds another network.
        InvalidArgumentError: The two networks do not go together.
    """
    student = DWPose(settings.architecture)
    if settings.quantize is not None:
        if load_initial:
            load_initial_weights(student, settings)
        return Int8Stage(teacher=student, settings=settings.quantize, loss=settings.loss)
    distill = settings.distill
    if load_initial and (distill is None or distill.stage == 1):
        load_initial_weights(student, settings)
    if distill is None:
        return PlainStage(student, settings.loss)
    stage = FirstStage if distill.stage == 1 else SecondStage
    return stage(
        student=student,
        teacher=load_teacher(settings) if load_initial else DWPose(teacher_architecture(settings)),
        settings=distill,
        loss=settings.loss,
        epochs=settings.epochs,
    )
