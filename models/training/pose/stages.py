"""What is trained, and on which losses: plainly, or in one of the two stages of distillation.

A `TrainingStage` holds the networks of one run and is what the optimizer, the averaging and the
checkpoints see. Its state dict has the names of the official checkpoints:

    plain    `backbone.*`, `head.*`
    stage 1  `teacher.*`, `student.*`, `distill_losses.loss_fea.align.*`
    stage 2  `teacher.*`, `student.*`, of which `student.backbone.*` is never used
    int8     as stage 1, and `student.ranges` (see `int8_stage`)

A trainer does, with a stage made by `building.build_stage(settings)`:

    stage.train()                     # the teacher follows or not, see `teacher_mode`
    losses = stage(crops, targets_x, targets_y, keypoint_weights, epoch)
    losses["loss"].backward()
    model = stage.trained_model()     # a plain network, for validation and export

Data parallel training wraps the stage itself: of its parameters, all that require a gradient get
one in every step. To compile, call `compile()` on each of `stage.networks()`: that leaves the
names in the state dict as they are.

With `LossSettings.map_weight` the plain stage and stage 1 also have `map_supervision.*`, thrown
away like the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from ....errors import InvalidArgumentError
from ...checkpoints import Stage, load_weights
from ...cspnext import CSPNeXt
from ...dwpose import DWPose, DWPoseArchitecture
from ..settings.pose import DistillSettings, LossSettings
from .heatmaps import SUPERVISED_STAGES, MapSupervision, new_map_supervision
from .losses import FeatureLoss, LogitLoss, label_loss, loss_weights

Value = TypeVar("Value")

PLAIN_PREFIXES: Final[Mapping[Stage | None, Mapping[str, str]]] = {
    None: {"backbone.": "backbone.", "head.": "head."},
    1: {"student.": ""},
    2: {"teacher.backbone.": "backbone.", "student.head.": "head."},
}
"""Stage -> prefix in its state dict -> prefix in the plain network's (DWPose's pth_transfer)."""


def plain_state(state: Mapping[str, Value], stage: Stage | None) -> dict[str, Value]:
    """Picks the trained network out of a stage's state dict.

    Args:
        state: Name -> tensor or description of one, as a stage or a distiller's checkpoint has
            it.
        stage: Which stage; none for plain training.

    Returns:
        The same tensors under the plain network's names; other networks' are left out.
    """
    return {
        plain + name.removeprefix(prefix): value
        for prefix, plain in PLAIN_PREFIXES[stage].items()
        for name, value in state.items()
        if name.startswith(prefix)
    }


class Outputs(NamedTuple):
    """What a network gives for a batch.

    Attributes:
        features: Of the backbone, (N, channels, h, w): its output last, where maps are supervised
            those of the stages before it too.
        outputs_xy: Of the head, (N, 133, bins along x) and (N, 133, bins along y).
    """

    features: Sequence[Tensor]
    outputs_xy: tuple[Tensor, Tensor]


class TrainingStage(nn.Module, ABC):
    """What all kinds of training have in common.

    Args:
        architecture: The trained network's.
        loss: Settings of the label loss.

    Attributes:
        architecture: The same.
        distiller_stage: 1 or 2, or none where there is no teacher.
        learns_labels: Whether the labels play a part.
        map_supervision: Layers that supervise the maps of the backbone, or none.
    """

    distiller_stage: Stage | None = None
    learns_labels: bool = True

    def __init__(self, architecture: DWPoseArchitecture, loss: LossSettings) -> None:
        super().__init__()
        self.architecture = architecture
        self.label_settings = loss
        self.map_supervision: MapSupervision | None = None

    def forward(
        self,
        crops: Tensor,
        targets_x: Tensor,
        targets_y: Tensor,
        keypoint_weights: Tensor,
        epoch: int,
    ) -> dict[str, Tensor]:
        """Works out the losses of a batch.

        Args:
            crops: (N, 3, input_height, input_width) float, RGB, normalised as `DWPose` wants it.
            targets_x: (N, 133, 2 * input_width) float32, Gaussians along x.
            targets_y: (N, 133, 2 * input_height) float32, Gaussians along y.
            keypoint_weights: (N, 133) float32, 0 for points that do not count.
            epoch: Which one, from 0.

        Returns:
            Name -> float32 scalar on the networks' device: "loss", the sum to minimise, and the
            parts it is made of under their official names (`loss_kpt`, `loss_fea`,
            `loss_logit`; and `loss_map`), factors included.
        """
        student, teacher = self._run_networks(crops)
        losses: dict[str, Tensor] = {}
        if self.learns_labels:
            settings = self.label_settings
            weights = loss_weights(keypoint_weights, settings)
            losses["loss_kpt"] = label_loss(
                student.outputs_xy,
                (targets_x, targets_y),
                weights,
                beta=settings.beta,
                label_softmax=settings.label_softmax,
                reference_samples=settings.reference_samples,
            )
            if self.map_supervision is not None:
                maps = student.features[-SUPERVISED_STAGES:]
                loss: Tensor = self.map_supervision(maps, targets_x, targets_y, weights)
                reference = settings.reference_samples
                share = 1.0 if reference is None else reference / len(crops)
                losses["loss_map"] = loss * (share * settings.map_weight)
        if teacher is not None:
            losses |= self._teacher_losses(student, teacher, epoch)
        return {"loss": torch.stack(list(losses.values())).sum(), **losses}

    @abstractmethod
    def _run_networks(self, crops: Tensor) -> tuple[Outputs, Outputs | None]:
        """Runs the trained network, and the teacher where there is one."""

    def _teacher_losses(self, student: Outputs, teacher: Outputs, epoch: int) -> dict[str, Tensor]:
        """Compares the two; nothing without a teacher."""
        return {}

    def _run_trained(self, backbone: CSPNeXt, head: nn.Module, crops: Tensor) -> Outputs:
        """Runs the network that is trained."""
        one = self.map_supervision is None
        features = (backbone(crops),) if one else backbone.stage_features(crops)
        return Outputs(features, head(features[-1]))

    @abstractmethod
    def networks(self) -> Sequence[nn.Module]:
        """Returns the modules that do the work, for compiling them in place."""

    def trained_model(self, state: Mapping[str, Tensor] | None = None) -> DWPose:
        """Makes the plain network that this training is for.

        Args:
            state: A state dict of this stage, such as the averaged one; none takes the present
                weights.

        Returns:
            A network of its own in evaluation mode, float32, on the device of the weights.
        """
        source = self.state_dict() if state is None else state
        weights = {
            name: value.detach().clone()
            for name, value in plain_state(source, self.distiller_stage).items()
        }
        with torch.device("meta"):
            model = self._empty_model()
        load_weights(model, weights)
        return model.eval()

    def _empty_model(self) -> DWPose:
        return DWPose(self.architecture)


class PlainStage(TrainingStage):
    """Training on labels alone.

    Args:
        model: The network to train.
        loss: Settings of the label loss.
    """

    def __init__(self, model: DWPose, loss: LossSettings) -> None:
        super().__init__(model.architecture, loss)
        self.backbone = model.backbone
        self.head = model.head
        self.map_supervision = new_map_supervision(model, loss)

    def networks(self) -> Sequence[nn.Module]:
        """Returns the modules that do the work, for compiling them in place."""
        return self.backbone, self.head

    def _run_networks(self, crops: Tensor) -> tuple[Outputs, None]:
        return self._run_trained(self.backbone, self.head, crops), None


class DistillationStage(TrainingStage):
    """What both stages of the distillation have in common: a frozen teacher and a student.

    Args:
        student: The network to train, or whose head is trained.
        teacher: The network to learn from; its parameters are frozen here.
        settings: Settings of the distillation.
        loss: Settings of the label loss.
        epochs: How many epochs the training has, for the decay.

    Raises:
        InvalidArgumentError: The two networks do not go together.
    """

    def __init__(
        self,
        *,
        student: DWPose,
        teacher: DWPose,
        settings: DistillSettings,
        loss: LossSettings,
        epochs: int,
    ) -> None:
        super().__init__(student.architecture, loss)
        if _bins(student.architecture) != _bins(teacher.architecture):
            raise InvalidArgumentError(
                "teacher and student need inputs of one size: "
                f"{teacher.architecture.name} cannot teach {student.architecture.name}"
            )
        self.teacher = teacher.requires_grad_(False)
        self.student = student
        self.distill_losses = nn.ModuleDict()
        self.settings = settings
        self.epochs = epochs
        self._prepare()
        self.train()

    @abstractmethod
    def _prepare(self) -> None:
        """Adds the losses, checks and freezes what the stage wants checked and frozen."""

    def _add_logit_loss(self) -> None:
        self.distill_losses["loss_logit"] = LogitLoss(
            weight=self.settings.logit_weight, beta=self.label_settings.beta
        )

    def train(self, mode: bool = True) -> DistillationStage:
        """Switches between training and evaluation mode.

        The official runs let the teacher follow: it then normalises with the batch's statistics
        and its running statistics drift. With `teacher_mode` "eval" it stays as it is.

        Args:
            mode: True for training.

        Returns:
            The stage.
        """
        super().train(mode)
        if self.settings.teacher_mode == "eval":
            self.teacher.eval()
        return self

    def networks(self) -> Sequence[nn.Module]:
        """Returns the modules that do the work, for compiling them in place."""
        return self.teacher.backbone, self.teacher.head, self.student.backbone, self.student.head

    def decay_factor(self, epoch: int) -> float:
        """Returns the factor on both distillation losses in an epoch, counted from 0."""
        return 1 - epoch / self.epochs if self.settings.decay else 1.0

    @torch.no_grad()
    def _run_teacher(self, crops: Tensor) -> Outputs:
        features: Tensor = self.teacher.backbone(crops)
        return Outputs((features,), self.teacher.head(features))

    def _teacher_losses(self, student: Outputs, teacher: Outputs, epoch: int) -> dict[str, Tensor]:
        factor = self.decay_factor(epoch)
        losses = {}
        if "loss_fea" in self.distill_losses:
            loss_fea = self.distill_losses["loss_fea"](student.features[-1], teacher.features[-1])
            losses["loss_fea"] = factor * loss_fea
        if "loss_logit" in self.distill_losses:
            loss_logit = self.distill_losses["loss_logit"](student.outputs_xy, teacher.outputs_xy)
            losses["loss_logit"] = factor * loss_logit
        return losses


class FirstStage(DistillationStage):
    """Stage 1: a whole student learns from labels and from a larger teacher.

    The teacher shows it its features and its outputs; both count less from epoch to epoch. Takes
    what `DistillationStage` takes.
    """

    distiller_stage = 1

    def _prepare(self) -> None:
        settings = self.settings
        self.map_supervision = new_map_supervision(self.student, self.label_settings)
        if settings.feature_alpha > 0:
            self.distill_losses["loss_fea"] = FeatureLoss(
                self.student.backbone.out_channels,
                self.teacher.backbone.out_channels,
                alpha=settings.feature_alpha,
            )
        if settings.logit_weight > 0:
            self._add_logit_loss()

    def _run_networks(self, crops: Tensor) -> tuple[Outputs, Outputs]:
        teacher = self._run_teacher(crops)
        return self._run_trained(self.student.backbone, self.student.head, crops), teacher


class SecondStage(DistillationStage):
    """Stage 2: a new head learns the outputs of the whole, on the frozen backbone's features.

    Labels play no part. The student's own backbone is there because the official checkpoints have
    it; it is neither run nor changed. Takes what `DistillationStage` takes.
    """

    distiller_stage = 2
    learns_labels = False

    def _prepare(self) -> None:
        student, teacher = self.student.architecture, self.teacher.architecture
        if student != teacher:
            raise InvalidArgumentError(
                "in stage 2 teacher and student are the same network, not "
                f"{teacher.name} and {student.name}"
            )
        if self.settings.logit_weight == 0:
            raise InvalidArgumentError("stage 2 has no other loss: logit_weight cannot be 0")
        self.student.backbone.requires_grad_(False)
        self._add_logit_loss()

    def networks(self) -> Sequence[nn.Module]:
        """Returns the modules that do the work, for compiling them in place."""
        return self.teacher.backbone, self.teacher.head, self.student.head

    def _run_networks(self, crops: Tensor) -> tuple[Outputs, Outputs]:
        teacher = self._run_teacher(crops)
        return Outputs(teacher.features, self.student.head(teacher.features[-1])), teacher


def _bins(architecture: DWPoseArchitecture) -> tuple[int, int, int]:
    return architecture.keypoints, architecture.input_height, architecture.input_width
