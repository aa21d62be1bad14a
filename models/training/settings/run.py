"""What the settings of all kinds of training runs have in common, as frozen dataclasses.

Values named "base" are those of mmpose 1.3's configurations of RTMPose on COCO-WholeBody and UBody
(configs/wholebody_2d_keypoint/rtmpose/ubody), "distill" those of DWPose's distillation
(configs/wholebody_2d_keypoint/dwpose/ubody). Epochs and steps are counted from 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from .data import require

Precision = Literal["fp32", "bf16", "fp16"]

INPUT_STEP: Final = 32  # pixels; five convolutions of stride 2


def require_one_of(name: str, value: object, known: Iterable[object]) -> None:
    """Checks that a setting has one of the values that there are."""
    known = tuple(known)
    require(value in known, f"{name} must be one of {', '.join(map(str, known))}, not {value!r}")


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
class RunSettings:
    """What `loop` reads of the settings of a run, of any kind.

    Attributes:
        name: Name of the run, of the recipe at first.
        size: Name of the trained network's size.
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
        validate_every: Epochs between two validations; the last epoch ends with one (base, 10).
        best_by: Metric that makes a validation the best.
        checkpoint_every: Epochs between two checkpoints (base, 10).
        log_every: Steps between two lines of the log (base, 50).
        tensorboard: Write TensorBoard's files too.
        optimizer: AdamW.
        schedule: The learning rate over time.
        ema: The moving average of the weights.
    """

    name: str
    size: str
    input_height: int
    input_width: int
    seed: int = 21
    epochs: int
    batch_size: int
    precision: Precision = "fp32"
    channels_last: bool = False
    compile: bool = False
    sync_batch_norm: bool = True
    initial: str | None = None
    validate_every: int = 10
    best_by: str
    checkpoint_every: int = 10
    log_every: int = 50
    tensorboard: bool = False
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    ema: EmaSettings = field(default_factory=EmaSettings)

    def __post_init__(self) -> None:
        require_one_of("precision", self.precision, get_args(Precision))
        for name in ("input_height", "input_width"):
            pixels = getattr(self, name)
            require(
                pixels > 0 and pixels % INPUT_STEP == 0,
                f"{name} must be a positive multiple of {INPUT_STEP} pixels, not {pixels}",
            )
        for name in ("epochs", "batch_size", "validate_every", "checkpoint_every", "log_every"):
            value = getattr(self, name)
            require(value >= 1, f"{name} must be at least 1, not {value}")
        require(self.seed >= 0, f"seed cannot be negative, not {self.seed}")

    @property
    def input_wh(self) -> tuple[int, int]:
        """Width and height of the input, pixels."""
        return self.input_width, self.input_height
