"""What `dwpose-train distill` trains: the settings of both stages from a teacher and a size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ....errors import InvalidArgumentError, ModelFormatError
from ..overrides import apply_overrides, to_plain
from ..recipes import FIRST_STAGE_RUNS, first_stage_recipe, second_stage_recipe
from ..settings import CodecSettings, DistillSettings, Settings
from ..settings.choosing import DataChoice

if TYPE_CHECKING:
    from ...dwpose import DWPoseArchitecture

NO_FILE: Final = "none"

MODEL_NAME: Final = "model.pth"
STAGE_FOLDERS: Final = {1: "stage1", 2: "stage2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillPlan:
    """Everything that decides what comes out.

    Attributes:
        folder: Folder of all results.
        teacher: The teacher's checkpoint.
        teacher_name: What network it holds.
        teacher_sha256: Of the file, lower-case hex.
        first: Settings of stage 1.
        second: Settings of stage 2; its teacher is stage 1's result in the folder.
        picture: Picture to try the result on; none takes a labelled one of the data.
        verify: Folder of pictures for the exporter's gate besides those of the package.
        allow_undecided: Whether the gate may judge by raw outputs, see `export.exporter`.
    """

    folder: Path
    teacher: Path
    teacher_name: str
    teacher_sha256: str
    first: Settings
    second: Settings
    picture: Path | None = None
    verify: Path | None = None
    allow_undecided: bool = False

    def identity(self) -> dict[str, Any]:
        """Returns what may not change while a distillation goes on, as plain data."""
        return {
            "teacher": {"name": self.teacher_name, "sha256": self.teacher_sha256},
            "stage1": to_plain(self.first),
            "stage2": to_plain(self.second),
        }


def make_plan(
    teacher: Path,
    size: str,
    folder: Path,
    *,
    data: DataChoice | None = None,
    initial: str | None = None,
    assignments: Sequence[str] = (),
    first_assignments: Sequence[str] = (),
    second_assignments: Sequence[str] = (),
    **rest: Any,
) -> DistillPlan:
    """Makes the plan of a distillation; the teacher's file says its size and its input.

    Args:
        teacher: Checkpoint of the teacher.
        size: Letter of the student's size.
        folder: Folder of all results.
        data: Where samples come from; none and what it leaves open: the official sets.
        initial: Checkpoint whose backbone the student starts from; "none" for random numbers, none
            for the recipe's.
        assignments: `key=value` for both stages, see `overrides.apply_overrides`.
        first_assignments: The same for stage 1, after those.
        second_assignments: The same for stage 2.
        **rest: `picture`, `verify` and `allow_undecided` of `DistillPlan`.

    Raises:
        ModelNotFoundError: There is no such teacher.
        ModelFormatError: It is no pose network.
        InvalidArgumentError: A setting is wrong, or teacher and student do not go together.
    """
    from ....files.atomic import sha256_of

    architecture = _architecture(teacher)
    first, second = stage_settings(architecture, size, teacher=teacher, folder=folder)
    if data is not None:
        chosen = data.apply(first.data)
        first, second = replace(first, data=chosen), replace(second, data=chosen)
    if initial is not None:
        first = replace(first, initial=None if initial == NO_FILE else initial, initial_url="")
    first = apply_overrides(first, [*assignments, *first_assignments])
    second = apply_overrides(second, [*assignments, *second_assignments])
    _require_one_network(architecture, first, second)
    return DistillPlan(
        folder=folder,
        teacher=teacher,
        teacher_name=architecture.name,
        teacher_sha256=sha256_of(teacher),
        first=first,
        second=second,
        **rest,
    )


def stage_settings(
    architecture: DWPoseArchitecture, size: str, *, teacher: Path, folder: Path
) -> tuple[Settings, Settings]:
    """Returns the settings of both stages for a teacher and a student.

    They are those of the student's recipes, with this teacher; another input than the published
    ones takes its sigmas from the rule behind the published ones.

    Args:
        architecture: What the teacher is.
        size: Letter of the student's size.
        teacher: The teacher's checkpoint.
        folder: Folder of all results.
    """
    height = architecture.input_height
    usual = next(run[0] for run in FIRST_STAGE_RUNS if run[1] == size)
    run = (usual, size, height if (usual, size, height) in FIRST_STAGE_RUNS else 256)
    changes: dict[str, Any] = {
        "input_height": height,
        "input_width": architecture.input_width,
        "codec": CodecSettings(sigma_xy=(_sigma(architecture.input_width), _sigma(height))),
    }
    first, second = first_stage_recipe(*run), second_stage_recipe(*run)
    model = folder / STAGE_FOLDERS[1] / MODEL_NAME
    return (
        replace(
            first,
            name=f"s1-{architecture.size}-{size}-{height}",
            distill=_taught_by(first, teacher, architecture.size),
            **changes,
        ),
        replace(
            second,
            name=f"s2-{size}-{height}",
            distill=_taught_by(second, model, size),
            **changes,
        ),
    )


def _taught_by(settings: Settings, checkpoint: Path, size: str) -> DistillSettings:
    if settings.distill is None:
        raise InvalidArgumentError(f"the run {settings.name!r} has no teacher")
    return replace(
        settings.distill, teacher_size=size, teacher_checkpoint=str(checkpoint), teacher_url=""
    )


def _sigma(side: int) -> float:
    """Standard deviation of the targets along a side in bins.

    The square root of an eighth of the side gives all four published values: 4.9, 5.66 at
    192x256 and 6.0, 6.93 at 288x384 (mmpose's configurations of RTMPose).
    """
    return round(math.sqrt(side / 8), 2)


def _architecture(teacher: Path) -> DWPoseArchitecture:
    from ...checkpoints import load_model
    from ...dwpose import DWPose

    model = load_model(teacher)
    if not isinstance(model, DWPose):
        raise ModelFormatError(f"{teacher} holds {model.architecture.name}, not a pose network")
    return model.architecture


def _require_one_network(teacher: DWPoseArchitecture, *stages: Settings) -> None:
    expected = (stages[0].size, teacher.input_height, teacher.input_width)
    for settings in stages:
        given = (settings.size, settings.input_height, settings.input_width)
        if given != expected:
            raise InvalidArgumentError(
                f"the stage {settings.name} would train {settings.architecture.name}; both stages "
                f"train one size, on the teacher's input of {teacher.input_width}x"
                f"{teacher.input_height} pixels: leave size, input_height and input_width alone"
            )
