"""Complete settings of the official runs, by name.

    base-<size>-<height>             supervised training: mmpose's RTMPose on COCO-WholeBody, UBody
    s1-<teacher>-<student>-<height>  DWPose's first stage
    s2-<size>-<height>               its second stage, on the result of the first

256 stands for 256x192, 384 for 384x288. The values are those of mmpose 1.3's configurations:
`rtmpose/ubody/rtmpose-<size>_8xb<samples>-270e_coco-ubody-wholebody-<input>.py` and
`dwpose/ubody/s1_dis/*`, `dwpose/ubody/s2_dis/*`. A row of the public table is the second stage of
its size. Batches are global: 8 GPUs with 64 samples each, 32 at 384x288.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from ...errors import InvalidArgumentError
from .settings import (
    AugmentSettings,
    CodecSettings,
    DataSettings,
    DataSource,
    DistillSettings,
    LossSettings,
    OptimizerSettings,
    ScheduleSettings,
    Settings,
)

GPUS: Final = 8  # of the official runs
SECOND_STAGE_EPOCHS: Final = 60
DISTILL_CLIP_NORM: Final = 1.0
X_CLIP_NORM: Final = 35.0
MIRROR: Final = "https://download.openmmlab.com/mmpose/v1/projects"

UBODY_SCENES: Final = (
    "Magic_show",
    "Entertainment",
    "ConductMusic",
    "Online_class",
    "TalkShow",
    "Speech",
    "Fitness",
    "Interview",
    "Olympic",
    "TVShow",
    "Singing",
    "SignLanguage",
    "Movie",
    "LiveVlog",
    "VideoConference",
)
"""The scenes of UBody in the order of the official configurations."""

UBODY_FRAME_STEP: Final = 10

INITIAL_URLS: Final[Mapping[str, str]] = {
    "t": f"{MIRROR}/rtmpose/cspnext-tiny_udp-aic-coco_210e-256x192-cbed682d_20230130.pth",
    "s": f"{MIRROR}/rtmpose/cspnext-s_udp-aic-coco_210e-256x192-92f5a029_20230130.pth",
    "m": f"{MIRROR}/rtmpose/cspnext-m_udp-aic-coco_210e-256x192-f2f7d6f6_20230130.pth",
    "l": f"{MIRROR}/rtmpose/cspnext-l_udp-aic-coco_210e-256x192-273b7631_20230130.pth",
    "x": f"{MIRROR}/rtmposev1/cspnext-x_udp-body7_210e-384x288-d28b58e6_20230529.pth",
}
"""str -> backbone that official runs start from, whatever their input size."""

TEACHER_URLS: Final[Mapping[tuple[str, int], str]] = {
    ("l", 256): f"{MIRROR}/rtmposev1/rtmpose-l_ucoco_256x192-95bb32f5_20230822.pth",
    ("x", 256): f"{MIRROR}/rtmposev1/rtmpose-x_ucoco_256x192-05f5bcb7_20230822.pth",
    ("x", 384): f"{MIRROR}/rtmposev1/rtmpose-x_ucoco_384x288-f5b50679_20230822.pth",
}
"""str and input height -> teacher of the first stage."""

BASE_RUNS: Final[tuple[tuple[str, int], ...]] = (
    ("t", 256),
    ("s", 256),
    ("m", 256),
    ("l", 256),
    ("l", 384),
    ("x", 256),
    ("x", 384),
)

FIRST_STAGE_RUNS: Final[tuple[tuple[str, str, int], ...]] = (
    ("l", "t", 256),
    ("l", "s", 256),
    ("l", "m", 256),
    ("x", "l", 256),
    ("x", "l", 384),
)
"""Teacher, student and input height of the published pairings; each has a second stage."""


@dataclass(frozen=True, slots=True)
class _Resolution:
    """What depends on the size of the input.

    Attributes:
        width: Of the input, pixels.
        samples_per_gpu: Batch of one GPU.
        sigma_xy: Of the targets, bins.
    """

    width: int
    samples_per_gpu: int
    sigma_xy: tuple[float, float]


RESOLUTIONS: Final[Mapping[int, _Resolution]] = {
    256: _Resolution(192, 64, (4.9, 5.66)),
    384: _Resolution(288, 32, (6.0, 6.93)),
}
"""Height of the input -> the rest."""


def recipe_names() -> list[str]:
    """Returns the names of all recipes: base, first stage, second stage."""
    return list(_names())


def recipe(name: str) -> Settings:
    """Makes the settings of a recipe.

    Args:
        name: Its name, see the module.

    Returns:
        The settings, named like the recipe.

    Raises:
        InvalidArgumentError: There is none of this name; the message lists those that are near.
    """
    names = _names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
        raise InvalidArgumentError(f"there is no recipe {name!r}; {hint}")
    return names[name]


def official_data() -> DataSettings:
    """Returns COCO-WholeBody and UBody, laid out as mmpose's guide on data sets lays them out."""
    ubody = tuple(
        DataSource(
            annotations=f"UBody/annotations/{scene}/train_annotations.json",
            images="UBody/images",
            frame_step=UBODY_FRAME_STEP,
        )
        for scene in UBODY_SCENES
    )
    coco = DataSource(
        annotations="coco/annotations/coco_wholebody_train_v1.0.json", images="coco/train2017"
    )
    return DataSettings(
        train=(coco, *ubody),
        validation=DataSource(
            annotations="coco/annotations/coco_wholebody_val_v1.0.json", images="coco/val2017"
        ),
        validation_boxes=(
            "coco/person_detection_results/COCO_val2017_detections_AP_H_56_person.json"
        ),
    )


def base_recipe(size: str, height: int) -> Settings:
    """Makes the settings of supervised training.

    Args:
        size: Letter of the network's size.
        height: Height of the input, 256 or 384.
    """
    resolution = RESOLUTIONS[height]
    return Settings(
        name=f"base-{size}-{height}",
        size=size,
        input_height=height,
        input_width=resolution.width,
        batch_size=GPUS * resolution.samples_per_gpu,
        initial=_local(INITIAL_URLS[size]),
        initial_url=INITIAL_URLS[size],
        data=official_data(),
        codec=CodecSettings(sigma_xy=resolution.sigma_xy),
        loss=LossSettings(reference_samples=resolution.samples_per_gpu),
        optimizer=OptimizerSettings(clip_norm=X_CLIP_NORM if size == "x" else None),
    )


def first_stage_recipe(teacher: str, student: str, height: int) -> Settings:
    """Makes the settings of the first stage: labels, features and outputs of a larger teacher.

    Args:
        teacher: Letter of the teacher's size.
        student: Letter of the student's size.
        height: Height of the input, 256 or 384.
    """
    url = TEACHER_URLS[teacher, height]
    return replace(
        base_recipe(student, height),
        name=f"s1-{teacher}-{student}-{height}",
        distill=DistillSettings(
            stage=1, teacher_size=teacher, teacher_checkpoint=_local(url), teacher_url=url
        ),
        optimizer=OptimizerSettings(clip_norm=DISTILL_CLIP_NORM),
    )


def second_stage_recipe(teacher: str, student: str, height: int) -> Settings:
    """Makes the settings of the second stage: a new head on the frozen backbone of the first.

    The official configurations took over the epochs of the first stage's schedule and of its last
    phase; with 60 epochs in all neither is reached, so the rate stays at its highest and the
    augmentation as it is.

    Args:
        teacher: Letter of the first stage's teacher, which names the run to go on from.
        student: Letter of the student's size.
        height: Height of the input, 256 or 384.
    """
    first = first_stage_recipe(teacher, student, height)
    return replace(
        first,
        name=f"s2-{student}-{height}",
        epochs=SECOND_STAGE_EPOCHS,
        initial=None,
        initial_url="",
        distill=DistillSettings(
            stage=2,
            teacher_size=student,
            teacher_checkpoint=f"runs/{first.name}/model.pth",
            feature_alpha=0.0,
            logit_weight=1.0,
            decay=False,
        ),
        schedule=ScheduleSettings(
            decay_begin_epoch=first.epochs // 2, decay_end_epoch=first.epochs
        ),
        augment=AugmentSettings(final_epochs=0),
    )


def _names() -> dict[str, Settings]:
    recipes = [
        *(base_recipe(size, height) for size, height in BASE_RUNS),
        *(first_stage_recipe(*run) for run in FIRST_STAGE_RUNS),
        *(second_stage_recipe(*run) for run in FIRST_STAGE_RUNS),
    ]
    return {settings.name: settings for settings in recipes}


def _local(url: str) -> str:
    return f"weights/{url.rpartition('/')[2]}"
