"""What every step of a training does: gradients, new weights, new averages.

The exponential moving average of the weights is formed as mmengine's ExpMomentumEMA does.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

from ....errors import ModelFormatError
from ..settings.run import EmaSettings, Precision, RunSettings
from .checkpoint import TrainingState
from .distributed import World, synchronise_batch_norm
from .optimizer import build_optimizer, clip_gradients, set_learning_rate


class MovingAverage:
    """Averages of a module's weights and running statistics.

    The first update copies everything. From then on every update moves each average towards the
    present value by a share that falls from 1 to `momentum` over about `gamma` steps. Whole
    numbers (how many batches the statistics have seen) keep their first value, as in the official
    checkpoints; without `average_buffers` they and the running statistics are copied. Frozen
    parameters never change, so they cost nothing.

    Args:
        module: What is averaged; its present weights are the first averages.
        settings: Shares.

    Attributes:
        averages: Name -> average, by the names and in the order of the module's state dict, on
            its device. The tensors are the averages' own, and are updated in place.
        steps: Updates so far.
    """

    def __init__(self, module: nn.Module, settings: EmaSettings) -> None:
        self.settings = settings
        self.averages = {
            name: value.detach().clone() for name, value in module.state_dict().items()
        }
        self.steps = 0
        parameters = dict(module.named_parameters())
        self._frozen = {name for name, value in parameters.items() if not value.requires_grad}
        self._buffers = set(self.averages) - set(parameters)

    def momentum(self) -> float:
        """Returns the share that the present values will get in the next update, 0 to 1."""
        least = self.settings.momentum
        return (1 - least) * math.exp(-(1 + self.steps) / self.settings.gamma) + least

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Takes a step's result into the averages.

        Args:
            module: The module whose averages these are.
        """
        copied: list[tuple[Tensor, Tensor]] = []
        moved: list[tuple[Tensor, Tensor]] = []
        for name, value in module.state_dict().items():
            if self.steps > 0 and name in self._frozen:
                continue
            pair = self.averages[name], value
            if self.steps == 0 or (name in self._buffers and not self.settings.average_buffers):
                copied.append(pair)
            elif value.is_floating_point():
                moved.append(pair)
        for average, value in copied:
            average.copy_(value)
        if moved:
            averages, values = map(list, zip(*moved, strict=True))
            torch._foreach_lerp_(averages, values, self.momentum())
        self.steps += 1

    def load(self, averages: Mapping[str, Tensor], *, steps: int) -> None:
        """Goes on from averages of an earlier run.

        Args:
            averages: Name -> average; copied.
            steps: Updates they had.

        Raises:
            ModelFormatError: Names or shapes are not those of the module.
        """
        shapes = {name: value.shape for name, value in self.averages.items()}
        if {name: value.shape for name, value in averages.items()} != shapes:
            raise ModelFormatError("the averaged weights are those of another network")
        for name, value in averages.items():
            self.averages[name].copy_(value)
        self.steps = steps


AUTOCAST: Final[dict[Precision, torch.dtype]] = {
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


class Learner(ABC):
    """The networks of a run on their device, and all that changes them.

    Attributes:
        network: The networks, with the names of the checkpoints.
        optimizer: AdamW.
        scaler: Scales the loss for fp16, so that small gradients are not lost; else does nothing.
        average: The moving average of the weights; None without one.
    """

    def __init__(self, network: nn.Module, settings: RunSettings, world: World) -> None:
        """Takes over the networks.

        Args:
            network: In training mode; the weights may still be replaced by `restore`.
            settings: The run.
            world: All of them; every process has the same weights.
        """
        self._settings = settings
        self.device = world.device
        if settings.sync_batch_norm:
            synchronise_batch_norm(network, world)
        self.network = network.to(self.device)
        if settings.channels_last:
            convert: Any = network.to  # torch's overloads leave this argument out
            convert(memory_format=torch.channels_last)
        self.optimizer = build_optimizer(self.network, settings.optimizer)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=settings.precision == "fp16")
        self.average = MovingAverage(self.network, settings.ema) if settings.ema.enabled else None
        self._parameters = [value for value in network.parameters() if value.requires_grad]
        self._parallel = self._in_parallel(world)

    def _in_parallel(self, world: World) -> nn.Module:
        if world.size == 1:
            return self._trained_module()
        # Synchronised statistics are the same everywhere; others are taken from the first process,
        # whose they are in a checkpoint.
        return parallel_network(
            self._trained_module(), self.device, sync_buffers=not self._settings.sync_batch_norm
        )

    def _trained_module(self) -> nn.Module:
        """Returns what a step calls: the network, or a module that calls its parts."""
        return self.network

    @abstractmethod
    def losses(self, batch: Any, *, epoch: int) -> dict[str, Tensor]:
        """Returns name -> loss of a batch, scalars; `loss` is what is minimised."""

    @abstractmethod
    def trained_model(self) -> nn.Module:
        """Returns a copy of the network that the run hands out, in evaluation mode."""

    def autocast(self) -> torch.autocast:
        """Returns the context of the forward pass."""
        dtype = AUTOCAST.get(self._settings.precision)
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None)

    def training_step(self, batch: Any, *, epoch: int, rate: float) -> dict[str, Tensor]:
        """Learns from a batch.

        Args:
            batch: Samples of this process.
            epoch: Which one, from 0.
            rate: The learning rate of this step.

        Returns:
            Name -> loss, scalars on the device; see `losses`.
        """
        set_learning_rate(self.optimizer, rate)
        losses = self.losses(batch.to(self.device), epoch=epoch)
        torch.autograd.backward(self.scaler.scale(losses["loss"]))
        if self._settings.optimizer.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            clip_gradients(self._parameters, self._settings.optimizer.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update(self.network)
        return losses

    def result(self) -> dict[str, Tensor]:
        """Returns the weights that the run hands out: the average where there is one."""
        return self.network.state_dict() if self.average is None else self.average.averages

    def is_finite(self) -> bool:
        """Tells whether all weights are numbers; an infinite gradient spoils them silently."""
        values = [
            value for value in self.network.state_dict().values() if value.is_floating_point()
        ]
        return bool(torch.stack([value.isfinite().all() for value in values]).all())

    def restore(self, state: TrainingState) -> None:
        """Goes on from a checkpoint.

        Raises:
            ModelFormatError: It is of other networks.
        """
        try:
            self.network.load_state_dict(state.weights)
            self.optimizer.load_state_dict(dict(state.optimizer))
        except (RuntimeError, ValueError, KeyError) as error:
            raise ModelFormatError(f"the checkpoint is of another network: {error}") from error
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(dict(state.scaler))
        if self.average is not None and state.averaged is not None:
            self.average.load(state.averaged, steps=state.averaged_steps)

    def state(self) -> dict[str, Any]:
        """Returns the fields of a `TrainingState` that are kept here."""
        average = self.average
        return {
            "weights": self.network.state_dict(),
            "averaged": None if average is None else average.averages,
            "averaged_steps": 0 if average is None else average.steps,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }


def parallel_network(
    network: nn.Module, device: torch.device, *, sync_buffers: bool
) -> nn.parallel.DistributedDataParallel:
    """Returns a network whose gradients are averaged over the processes.

    Args:
        network: The network, on the device.
        device: Where it is.
        sync_buffers: Whether every step begins with the first process's buffers.
    """
    wrapper = nn.parallel.DistributedDataParallel
    options: dict[str, Any] = {
        "device_ids": None if device.type == "cpu" else [device],
        # The name is another since torch 2.13, which warns of the first one.
        _buffers_option(wrapper): sync_buffers,
    }
    return wrapper(network, **options)


def _buffers_option(wrapper: type) -> str:
    new = "forward_sync_buffers"
    return new if new in inspect.signature(wrapper).parameters else "broadcast_buffers"
