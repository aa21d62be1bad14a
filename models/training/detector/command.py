"""The work of `dwpose-train detector`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ....errors import InvalidArgumentError
from ..overrides import apply_overrides
from ..run_command import (
    RunCommand,
    require_packages,
    run_training,
    show_settings,
)
from ..settings.choosing import FileAndFolder, read_settings_of_kind, source_of
from .settings import DetectorSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorChoice:
    """What the options of the command say about a run; None leaves what the settings have.

    Attributes:
        teacher: Detector to learn from.
        size: Size of the student.
        initial: Checkpoint to start from.
        train: Annotation file and folder of pictures of each source; empty leaves them.
        validation: The same for the validation.
    """

    teacher: Path | None = None
    size: str | None = None
    initial: Path | None = None
    train: Sequence[FileAndFolder] = ()
    validation: FileAndFolder | None = None

    def apply(self, settings: DetectorSettings) -> DetectorSettings:
        """Returns settings with these choices, their paths absolute."""
        data = settings.data
        if self.train:
            data = replace(data, train=tuple(map(source_of, self.train)), validation=None)
        if self.validation is not None:
            data = replace(data, validation=source_of(self.validation))
        return replace(
            settings,
            size=self.size or settings.size,
            teacher=settings.teacher if self.teacher is None else str(self.teacher.absolute()),
            initial=settings.initial if self.initial is None else str(self.initial.absolute()),
            data=data,
        )


def train_from(choice: DetectorChoice, command: RunCommand) -> int:
    """Trains a detector, or prints the settings; returns the exit status.

    The settings are first those of a file or of the run that goes on, then the choices, then each
    --set.

    Raises:
        DwposeError: It could not be done.
    """
    stored = command.settings_file(named=choice.teacher is not None)
    settings = (
        DetectorSettings() if stored is None else read_settings_of_kind(DetectorSettings, stored)
    )
    settings = apply_overrides(choice.apply(settings), command.assignments)
    if command.print_as is not None:
        return show_settings(settings, command.print_as)
    if not settings.teacher:
        raise InvalidArgumentError("name the detector to learn from: --teacher FILE.onnx")
    require_packages()
    from .trainer import train_detector

    return run_training(train_detector, settings, command)
