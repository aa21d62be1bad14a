"""Everything the training of a detector can be told, as frozen dataclasses.

Where a value comes from somewhere, the place is named beside it: "YOLOX" is the official code's
yolox/exp/yolox_base.py and the experiments built on it. The rest are this package's own choices.
Nothing here loads torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

from ...sizes import YOLOX_SIZES
from ..settings.data import DataSource, require
from ..settings.run import (
    EmaSettings,
    OptimizerSettings,
    RunSettings,
    ScheduleSettings,
    require_one_of,
)

if TYPE_CHECKING:
    from ...yolox import YOLOXArchitecture

DetectorMetric = Literal["AP", "AP_50"]
LearningMode = Literal["whole", "blocks"]

FROZEN_STAGES_MAX = 5
"""The stem and dark2 to dark5, see `csp_darknet.CSPDarknet`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorDataSettings:
    """Where pictures come from and how they are read.

    Attributes:
        root: Folder that relative paths of the sources start from.
        train: Sources, one after the other; their pictures are shuffled together. Pictures without
            labelled persons take part too.
        validation: Source that the accuracy is measured on; none switches the measuring off.
        portraits: Measure on its pictures cut above the waist as well, see
            `evaluation.portraits`.
        workers: Most processes that prepare pictures, per training process; no more are started
            than there are processor cores. 0 does so in the training process itself.
        prefetch: Batches that every worker prepares ahead.
    """

    root: str = "."
    train: tuple[DataSource, ...] = ()
    validation: DataSource | None = None
    portraits: bool = True
    workers: int = 10
    prefetch: int = 2

    def __post_init__(self) -> None:
        require(self.workers >= 0, f"workers cannot be negative, not {self.workers}")
        require(self.prefetch >= 1, f"prefetch must be at least 1, not {self.prefetch}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSettings:
    """Random changes of the pictures.

    Every sample is one of five kinds. Its pieces are turned, mirrored, scaled and coloured, and
    put on a grey canvas of the network's input size.

    Attributes:
        kind_shares: How often a sample is a whole picture, a portrait (the upper part of a
            person, cut off below), any other part of a picture, a mosaic of several, or
            a background without persons; any numbers, only their ratios count.
        scale_range: Size of a picture on the canvas as a share of the largest that fits; the place
            is random where it is smaller.
        letterbox_probability: How often a picture lies on the canvas as in use, in the top left
            corner and as large as fits.
        aspect_range: Smallest and largest factor on the ratio of width and height.
        crop_range: Smallest and largest share of the sides that is left of a cut picture.
        portrait_height_range: Share of a person's height, from the top, that a portrait shows.
        mosaic_split_range: Place of the seams of a mosaic, as a share of the sides.
        flip_probability: Mirror image (YOLOX, `flip_prob`).
        turn_probability: A quarter turn to either side, as in pictures that were stored lying.
        hsv_deltas: Largest shifts of hue, saturation and value as OpenCV counts them in 8 bits
            (YOLOX, `augment_hsv`); all 0 switches it off.
        grey_probability: No colours at all.
        blur_probability: A mean over 3x3 pixels.
        noise_probability: Gaussian noise on every byte.
        noise_range: Smallest and largest standard deviation of the noise.
        final_epochs: Last epochs without mosaics (YOLOX, `no_aug_epochs`).
    """

    kind_shares: tuple[float, float, float, float, float] = (0.34, 0.30, 0.16, 0.14, 0.06)
    scale_range: tuple[float, float] = (0.4, 1.0)
    letterbox_probability: float = 0.5
    aspect_range: tuple[float, float] = (0.8, 1.25)
    crop_range: tuple[float, float] = (0.3, 1.0)
    portrait_height_range: tuple[float, float] = (0.18, 0.9)
    mosaic_split_range: tuple[float, float] = (0.3, 0.7)
    flip_probability: float = 0.5
    turn_probability: float = 0.02
    hsv_deltas: tuple[float, float, float] = (5.0, 30.0, 30.0)
    grey_probability: float = 0.1
    blur_probability: float = 0.1
    noise_probability: float = 0.1
    noise_range: tuple[float, float] = (3.0, 12.0)
    final_epochs: int = 0

    def __post_init__(self) -> None:
        shares = self.kind_shares
        require(
            min(shares) >= 0 and sum(shares) > 0,
            f"kind_shares must not be negative nor all 0, not {shares}",
        )
        for name in ("letterbox", "flip", "turn", "grey", "blur", "noise"):
            value = getattr(self, f"{name}_probability")
            require(0 <= value <= 1, f"{name}_probability is a probability, 0 to 1, not {value}")
        for name in ("scale", "crop", "portrait_height", "mosaic_split"):
            low, high = getattr(self, f"{name}_range")
            require(0 < low <= high <= 1, f"{name}_range must be in order in 0..1: {low}, {high}")
        for name in ("aspect", "noise"):
            low, high = getattr(self, f"{name}_range")
            require(0 < low <= high, f"{name}_range must be in order, above 0: {low}, {high}")
        require(self.final_epochs >= 0, f"final_epochs cannot be negative, not {self.final_epochs}")

    def at_epoch(self, epoch: int, *, epochs: int) -> SceneSettings:
        """Returns the settings that hold in an epoch, from 0."""
        if epoch < epochs - self.final_epochs:
            return self
        whole, portrait, part, mosaic, background = self.kind_shares
        return replace(self, kind_shares=(whole + mosaic, portrait, part, 0.0, background))


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorLossSettings:
    """The losses of the dense distillation and of the labels.

    All are sums over cells divided by the sum of the scores they should have.

    Attributes:
        score_weight: Factor on the cross-entropy between the teacher's and the student's scores
            for a person, objectness times class, at every cell.
        score_focus: A cell counts 1 + score_focus * |difference| times: the few cells where the
            two disagree are not drowned by the thousands where nothing is.
        iou_weight: Factor on 1 - GIoU of the boxes (YOLOX, `reg_weight`).
        l1_weight: Factor on the distance of the box numbers in strides and logarithms (YOLOX's
            `use_l1`).
        box_score: Boxes are learnt where the teacher's score for a person is above this, each
            as much as its score says.
        label_weight: Factor on the losses against labelled boxes; 0 leaves the labels out.
            Labelled persons are assigned to cells by SimOTA, as in YOLOX. Cells without a label
            still follow the teacher, for labels may miss people.
        feature_weight: Factor on the squared distance between what the blocks of the two give,
            see `blocks.feature_distances`, its mean over all blocks; 0 leaves it out, else both
            need the same size.
    """

    score_weight: float = 2.0
    score_focus: float = 2.0
    iou_weight: float = 5.0
    l1_weight: float = 1.0
    box_score: float = 0.1
    label_weight: float = 0.0
    feature_weight: float = 0.0

    def __post_init__(self) -> None:
        for name in (
            *("score_weight", "score_focus", "iou_weight"),
            *("l1_weight", "label_weight", "feature_weight"),
        ):
            value = getattr(self, name)
            require(value >= 0, f"{name} cannot be negative, not {value}")
        require(0 <= self.box_score < 1, f"box_score must be in 0..1, not {self.box_score}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorSettings(RunSettings):
    """A whole run that trains a detector of persons; with the attributes of `RunSettings`.

    Attributes:
        teacher: The teacher, a YOLOX of any size with any number of classes of which the first is
            "person": an ONNX file in official form, or a checkpoint.
        size: Size of the student, one of `YOLOX_SIZES`.
        learns: "whole": the student sees the picture, and learns by `loss`. "blocks": each of its
            blocks works on what the teacher's block before it gives and learns what the teacher's
            gives, as a start from random numbers; `loss` plays no part, both need the same size.
        statistics_epochs: First epochs in which batch normalisation normalises by the batch and
            gathers its statistics; afterwards it uses those. None: all of them. What blocks should
            give does not depend on the other pictures of a batch.
        initial: Checkpoint to start from; of one with more classes the person's weights are
            taken. None starts from random numbers.
        frozen_stages: First stages of the backbone that stay as they are, with their running
            statistics: 0 trains all, 2 the stem and dark2, which cost most of the time. Needs
            `initial`.
        best_by: What makes a validation the best: "AP_50" or "AP" of COCO's box task.
        data: Where pictures come from.
        scenes: How they are changed.
        loss: What is learnt.
    """

    name: str = "detector"
    teacher: str = ""
    size: str = "nano"
    learns: LearningMode = "whole"
    statistics_epochs: int | None = None
    input_height: int = 416
    input_width: int = 416
    frozen_stages: int = 0
    epochs: int = 30
    batch_size: int = 16
    channels_last: bool = True
    validate_every: int = 5
    best_by: DetectorMetric = "AP_50"
    checkpoint_every: int = 1
    data: DetectorDataSettings = field(default_factory=DetectorDataSettings)
    scenes: SceneSettings = field(default_factory=SceneSettings)
    loss: DetectorLossSettings = field(default_factory=DetectorLossSettings)
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(
            learning_rate=1e-3, weight_decay=0.01, clip_norm=20.0
        )
    )
    schedule: ScheduleSettings = field(
        default_factory=lambda: ScheduleSettings(
            warmup_steps=100, decay_begin_epoch=0, final_learning_rate=1e-5
        )
    )
    ema: EmaSettings = field(default_factory=lambda: EmaSettings(momentum=2e-3, gamma=200))

    def __post_init__(self) -> None:
        RunSettings.__post_init__(self)  # super() does not find its class where there are slots
        require_one_of("size", self.size, YOLOX_SIZES)
        require_one_of("best_by", self.best_by, get_args(DetectorMetric))
        require_one_of("learns", self.learns, get_args(LearningMode))
        epochs = self.statistics_epochs
        require(
            epochs is None or epochs >= 0, f"statistics_epochs cannot be negative, not {epochs}"
        )
        frozen = self.frozen_stages
        require(
            0 <= frozen <= FROZEN_STAGES_MAX,
            f"frozen_stages must be between 0 and {FROZEN_STAGES_MAX}, not {frozen}",
        )
        require(
            frozen == 0 or self.initial is not None,
            "frozen_stages needs initial: random numbers that stay are of no use",
        )

    @property
    def architecture(self) -> YOLOXArchitecture:
        """The trained network: one class, the person."""
        from ...yolox import YOLOXArchitecture

        return YOLOXArchitecture(self.size, classes=1)
