"""Everything a training run can be told, as frozen dataclasses.

The defaults are those of the official runs, see `recipes` for the complete sets of values. They
come from two places, named beside each value: mmpose 1.3's configurations of RTMPose on
COCO-WholeBody and UBody ("base", configs/wholebody_2d_keypoint/rtmpose/ubody) and of DWPose's
distillation ("distill", configs/wholebody_2d_keypoint/dwpose/ubody).

Epochs and steps are counted from 0. Paths are text, so that settings become JSON unchanged.
`overrides` reads and writes them. Nothing here loads torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, get_args

from .data import AugmentSettings, CodecSettings, DataSettings, DataSource, require

if TYPE_CHECKING:
    from ...dwpose import DWPoseArchitecture

__all__ = [
    "AugmentSettings",
    "CodecSettings",
    "DataSettings",
    "DataSource",
    "DistillSettings",
    "EmaSettings",
    "LossSettings",
    "OptimizerSettings",
    "ScheduleSettings",
    "Settings",
]

Size = Literal["t", "s", "m", "l", "x"]
Precision = Literal["fp32", "bf16", "fp16"]
TeacherMode = Literal["train", "eval"]
DistillStage = Literal[1, 2]
InitialPart = Literal["backbone", "all"]
BestBy = Literal["AP", "PCK"]

INPUT_STEP: Final = 32  # pixels; five convolutions of stride 2


def _require_one_of(name: str, value: object, kind: object) -> None:
    known = get_args(kind)
    require(value in known, f"{name} must be one of {', '.join(map(str, known))}, not {value!r}")


def check_numbers(settings: object, *, seed: int) -> None:
    """Checks input size, counts and seed of a run's settings, of any kind.

    Raises:
        InvalidArgumentError: One is out of range; the message names it.
    """
    for name in ("input_height", "input_width"):
        pixels = getattr(settings, name)
        require(
            pixels > 0 and pixels % INPUT_STEP == 0,
            f"{name} must be a positive multiple of {INPUT_STEP} pixels, not {pixels}",
        )
    for name in ("epochs", "batch_size", "validate_every", "checkpoint_every", "log_every"):
        value = getattr(settings, name)
        require(value >= 1, f"{name} must be at least 1, not {value}")
    require(seed >= 0, f"seed cannot be negative, not {seed}")


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
    teacher_size: Size
    teacher_checkpoint: str
    teacher_url: str = ""
    teacher_mode: TeacherMode = "train"
    feature_alpha: float = 7e-5
    logit_weight: float = 0.1
    decay: bool = True

    def __post_init__(self) -> None:
        _require_one_of("stage", self.stage, DistillStage)
        _require_one_of("teacher_size", self.teacher_size, Size)
        _require_one_of("teacher_mode", self.teacher_mode, TeacherMode)
        for name in ("feature_alpha", "logit_weight"):
            value = getattr(self, name)
            require(value >= 0, f"{name} cannot be negative, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSettings:
    """AdamW (values of base).

    Attributes:
        learning_rate: Highest rate, for the global batch; see `ScheduleSettings`.
        weight_decay: Decoupled decay per step, times the rate. Biases and batch normalisation
            have none; every other parameter has it, the head's scales and shifts included.
        betas: Decay of the two averages of gradients (torch's default).
        eps: Added to the denominator (torch's default).
        clip_norm: Longest gradient over all trained parameters, L2; none leaves it as it is. None
            for t to l and 35 for x (base), 1 with a teacher (distill).
    """

    learning_rate: float = 4e-3
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        require(self.learning_rate > 0, f"learning_rate must be positive, not {self.learning_rate}")
        require(self.weight_decay >= 0, f"weight_decay cannot be negative, not {self.weight_decay}")
        require(all(0 <= beta < 1 for beta in self.betas), f"betas must be in 0..1: {self.betas}")
        require(self.eps > 0, f"eps must be positive, not {self.eps}")
        clip = self.clip_norm
        require(clip is None or clip > 0, f"clip_norm must be positive or null, not {clip}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSettings:
    """The learning rate over time: a linear warm-up, a plateau, a cosine (values of base).

    Attributes:
        warmup_steps: Length of the warm-up.
        warmup_factor: The rate of the first step as a share of the highest.
        decay_begin_epoch: First epoch of the cosine; none: half of all epochs, as in base.
        decay_end_epoch: Epoch at whose start the cosine would have come down; none: the last
            epoch's end, as in base.
        final_learning_rate: The rate there.

    The official second stage runs 60 epochs but took over 135 and 270 from the first, so that its
    rate never falls. Setting both epochs to null lets it fall over the second half.
    """

    warmup_steps: int = 1000
    warmup_factor: float = 1e-5
    decay_begin_epoch: int | None = None
    decay_end_epoch: int | None = None
    final_learning_rate: float = 2e-4

    def __post_init__(self) -> None:
        require(self.warmup_steps >= 0, f"warmup_steps cannot be negative, not {self.warmup_steps}")
        factor = self.warmup_factor
        require(0 < factor <= 1, f"warmup_factor must be above 0 and at most 1, not {factor}")
        begin, end = self.decay_begin_epoch, self.decay_end_epoch
        require(begin is None or begin >= 0, f"decay_begin_epoch cannot be negative, not {begin}")
        require(
            end is None or end > (begin or 0),
            f"decay_end_epoch must come after decay_begin_epoch, not {begin}, {end}",
        )
        rate = self.final_learning_rate
        require(rate >= 0, f"final_learning_rate cannot be negative, not {rate}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EmaSettings:
    """The moving average of the weights, which is what a run hands out (values of base).

    Attributes:
        enabled: Whether there is one.
        momentum: Smallest share of the newest weights in the average (ExpMomentumEMA).
        gamma: Steps over which that share falls from 1 (mmengine's default).
        average_buffers: Whether the running statistics are averaged too; else they are copied.
    """

    enabled: bool = True
    momentum: float = 2e-4
    gamma: int = 2000
    average_buffers: bool = True

    def __post_init__(self) -> None:
        require(0 < self.momentum < 1, f"momentum must be between 0 and 1, not {self.momentum}")
        require(self.gamma >= 1, f"gamma must be at least 1, not {self.gamma}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A whole training run.

    Attributes:
        name: Name of the run, of the recipe at first.
        size: Letter of the trained network's size: t, s, m, l or x.
        input_height: Height of the input, pixels.
        input_width: Width of the input, pixels.
        seed: Seed of everything random (base, 21).
        epochs: How often all samples are seen.
        batch_size: Samples per step over all processes together (base, 8 x 64).
        precision: Numbers of the forward pass: fp32 as in the official runs, or mixed precision
            with bf16 or fp16 (with loss scaling). Losses and weights are fp32 always.
        channels_last: Keep pictures and features with the channels innermost: faster, the same
            network.
        compile: Hand the step to torch.compile: faster after a slow start.
        sync_batch_norm: Normalise over the samples of all processes (base, SyncBN).
        initial: Checkpoint to start from; none starts from random numbers.
        initial_url: Where that file can be had; only named when it is missing.
        initial_part: "backbone" loads that alone, as official runs start; "all" the head too.
        validate_every: Epochs between two validations; the last epoch ends with one (base, 10).
        best_by: What makes a validation the best: "AP" of the whole body (base, `save_best`), or
            "PCK" of all points, which says more on small sets.
        checkpoint_every: Epochs between two checkpoints (base, 10).
        log_every: Steps between two lines of the log (base, 50).
        tensorboard: Write TensorBoard's files too.
        data: Where samples come from.
        augment: How they are changed.
        codec: How points become targets.
        loss: The loss against the labels.
        distill: The teacher; none trains on labels alone.
        optimizer: AdamW.
        schedule: The learning rate over time.
        ema: The moving average of the weights.
    """

    name: str
    size: Size
    input_height: int = 256
    input_width: int = 192
    seed: int = 21
    epochs: int = 270
    batch_size: int = 512
    precision: Precision = "fp32"
    channels_last: bool = False
    compile: bool = False
    sync_batch_norm: bool = True
    initial: str | None = None
    initial_url: str = ""
    initial_part: InitialPart = "backbone"
    validate_every: int = 10
    best_by: BestBy = "AP"
    checkpoint_every: int = 10
    log_every: int = 50
    tensorboard: bool = False
    data: DataSettings = field(default_factory=DataSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    codec: CodecSettings = field(default_factory=CodecSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    distill: DistillSettings | None = None
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    ema: EmaSettings = field(default_factory=EmaSettings)

    def __post_init__(self) -> None:
        _require_one_of("size", self.size, Size)
        _require_one_of("precision", self.precision, Precision)
        _require_one_of("initial_part", self.initial_part, InitialPart)
        _require_one_of("best_by", self.best_by, BestBy)
        check_numbers(self, seed=self.seed)
        if self.distill is not None and self.distill.stage == 2:
            teacher = self.distill.teacher_size
            require(
                teacher == self.size,
                f"in stage 2 teacher and student are of one size, not {teacher} and {self.size}",
            )

    @property
    def architecture(self) -> DWPoseArchitecture:
        """The trained network."""
        from ...dwpose import DWPoseArchitecture

        return DWPoseArchitecture(self.size, self.input_height, self.input_width)

    @property
    def input_wh(self) -> tuple[int, int]:
        """Width and height of the input, pixels."""
        return self.input_width, self.input_height
