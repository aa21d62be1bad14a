"""Everything the training of a pose network can be told, as frozen dataclasses.

The defaults are those of the official runs, named as in `run`; see `recipes` for the complete sets
of values. Paths are text, so that settings become JSON unchanged. `overrides` reads and writes
them. Nothing here loads torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from ...sizes import DWPOSE_SIZES
from .data import AugmentSettings, CodecSettings, DataSettings, require
from .run import RunSettings, require_one_of

if TYPE_CHECKING:
    from ...dwpose import DWPoseArchitecture

TeacherMode = Literal["train", "eval"]
DistillStage = Literal[1, 2]
InitialPart = Literal["backbone", "all"]
BestBy = Literal["AP", "PCK"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSettings:
    """The loss against the labels (KLDiscretLoss; values of base).

    Attributes:
        beta: Factor on outputs and targets before their softmax.
        label_softmax: Whether the targets pass through a softmax too.
        use_keypoint_weights: Whether unlabelled points count nothing.
        reference_samples: Number of samples the loss is the sum over. The official code sums over
            one GPU's batch, 64 at 256x192 and 32 at 384x288, and averages over the GPUs. The mean
            over the samples times this number is the same there, and does not change with the
            batch or the number of processes. none sums over a process's batch, whatever its size.
        part_weights: Factors on the points of body, feet, face and hands; officially all 1, so
            that the 68 points of the face are half of the loss.
        map_weight: Factor on a second loss: 1x1 convolutions on the backbone's last two stages
            say in which cell of a map each point lies, see `pose.heatmaps`. They are thrown
            away after the training. Officially 0, without them; with 1 a trial from scratch
            needed less than half of the steps. Stage 2 leaves it out: the backbone is frozen.
    """

    beta: float = 10.0
    label_softmax: bool = True
    use_keypoint_weights: bool = True
    reference_samples: int | None = 64
    part_weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    map_weight: float = 0.0

    def __post_init__(self) -> None:
        require(self.beta > 0, f"beta must be positive, not {self.beta}")
        samples = self.reference_samples
        require(
            samples is None or samples >= 1,
            f"reference_samples must be at least 1 or null, not {samples}",
        )
        weights = self.part_weights
        require(
            min(weights) >= 0 and sum(weights) > 0,
            f"part_weights must not be negative nor all 0, not {weights}",
        )
        require(self.map_weight >= 0, f"map_weight cannot be negative, not {self.map_weight}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillSettings:
    """Learning from a teacher (values of distill for stage 1).

    Attributes:
        stage: 1 trains a whole student on labels, features and outputs of a larger teacher. 2
            trains a new head, from scratch, on the frozen backbone of a teacher of the student's
            own size, on the teacher's outputs alone.
        teacher_size: Letter of the teacher's size; in stage 2 that of the student.
        teacher_checkpoint: The teacher's weights, a file.
        teacher_url: Where that file can be had; only named when it is missing.
        teacher_mode: "train": the teacher normalises with the statistics of the batch and its
            running statistics drift, as in the official runs. "eval": it is left exactly as it
            was trained, which is what freezing a teacher usually means and makes its outputs
            independent of the batch.
        feature_alpha: Factor on the feature loss of stage 1; 0 leaves it out.
        logit_weight: Factor on the loss between the outputs: 0.1 in stage 1, 1 in stage 2.
        decay: Whether both losses are multiplied by 1 - epoch / epochs: true in stage 1, false
            in stage 2.
    """

    stage: DistillStage
    teacher_size: str
    teacher_checkpoint: str
    teacher_url: str = ""
    teacher_mode: TeacherMode = "train"
    feature_alpha: float = 7e-5
    logit_weight: float = 0.1
    decay: bool = True

    def __post_init__(self) -> None:
        require_one_of("stage", self.stage, get_args(DistillStage))
        require_one_of("teacher_size", self.teacher_size, DWPOSE_SIZES)
        require_one_of("teacher_mode", self.teacher_mode, get_args(TeacherMode))
        for name in ("feature_alpha", "logit_weight"):
            value = getattr(self, name)
            require(value >= 0, f"{name} cannot be negative, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizeSettings:
    """Training a network for its int8 file: it learns from itself in float, see `pose.int8_stage`.

    The network is the one in `initial`, whole. Labels play no part.

    Attributes:
        measured_steps: Steps at the beginning that measure the ranges of the integers, with the
            network in float; they are fixed from then on.
        feature_alpha: Factor on the loss between the backbones' features, see `DistillSettings`;
            0 leaves it out.
        logit_weight: Factor on the loss between the outputs.
    """

    measured_steps: int = 16
    feature_alpha: float = 7e-5
    logit_weight: float = 1.0

    def __post_init__(self) -> None:
        steps = self.measured_steps
        require(steps >= 1, f"measured_steps must be at least 1, not {steps}")
        alpha, weight = self.feature_alpha, self.logit_weight
        require(alpha >= 0, f"feature_alpha cannot be negative, not {alpha}")
        require(weight > 0, f"logit_weight must be positive, not {weight}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(RunSettings):
    """A whole training run of a pose network; with the attributes of `RunSettings`.

    Attributes:
        size: Letter of the trained network's size, one of `DWPOSE_SIZES`.
        initial_url: Where the checkpoint to start from can be had; only named when it is missing.
        initial_part: "backbone" loads that alone, as official runs start; "all" the head too.
        best_by: What makes a validation the best: "AP" of the whole body (base, `save_best`), or
            "PCK" of all points, which says more on small sets.
        data: Where samples come from.
        augment: How they are changed.
        codec: How points become targets.
        loss: The loss against the labels.
        distill: The teacher; none trains on labels alone.
        quantize: Training for 8-bit integers, from the network in `initial`; none trains in float.
    """

    input_height: int = 256
    input_width: int = 192
    epochs: int = 270
    batch_size: int = 512
    initial_url: str = ""
    initial_part: InitialPart = "backbone"
    best_by: BestBy = "AP"
    data: DataSettings = field(default_factory=DataSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    codec: CodecSettings = field(default_factory=CodecSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    distill: DistillSettings | None = None
    quantize: QuantizeSettings | None = None

    def __post_init__(self) -> None:
        RunSettings.__post_init__(self)  # super() does not find its class where there are slots
        require_one_of("size", self.size, DWPOSE_SIZES)
        require_one_of("initial_part", self.initial_part, get_args(InitialPart))
        require_one_of("best_by", self.best_by, get_args(BestBy))
        if self.distill is not None and self.distill.stage == 2:
            teacher = self.distill.teacher_size
            require(
                teacher == self.size,
                f"in stage 2 teacher and student are of one size, not {teacher} and {self.size}",
            )
        if self.quantize is not None:
            self._require_quantizable()

    def _require_quantizable(self) -> None:
        require(
            self.distill is None,
            "quantize trains a network that is finished: distill it first, and set distill=null",
        )
        require(
            self.initial is not None and self.initial_part == "all",
            "quantize needs the finished network: set initial to its file and initial_part=all",
        )
        require(
            self.precision == "fp32",
            f"quantize needs precision=fp32, not {self.precision}: coarser numbers would be "
            "rounded to other integers than in the exported file",
        )
        require(
            self.loss.map_weight == 0,
            "quantize learns no labels: set loss.map_weight=0",
        )

    @property
    def architecture(self) -> DWPoseArchitecture:
        """The trained network."""
        from ...dwpose import DWPoseArchitecture

        return DWPoseArchitecture(self.size, self.input_height, self.input_width)
