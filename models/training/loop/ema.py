"""The exponential moving average of the weights, as mmengine's ExpMomentumEMA forms it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ....errors import ModelFormatError
from ..settings.run import EmaSettings


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
