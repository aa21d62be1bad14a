"""Batch normalisation over the batches of several processes on CPUs.

Torch's own `SyncBatchNorm` does this on GPUs only. The arithmetic is the same: mean and variance
of all values of all processes, the unbiased variance for the running statistics.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class _SumOverProcesses(torch.autograd.Function):
    """Sum over all processes; every process's result depends on every process's input."""

    @staticmethod
    def forward(_context: Any, values: Tensor) -> Tensor:
        """Returns the sum, the same in all processes."""
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, *gradients: Tensor) -> Tensor:
        """Returns the gradient by one process's values: the sum of those by its copies."""
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


def _sum_over_processes(values: Tensor) -> Tensor:
    apply: Any = _SumOverProcesses.apply
    total: Tensor = apply(values)
    return total


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """A `BatchNorm2d` whose batch is that of all processes while it trains."""

    @classmethod
    def like(cls, layer: nn.BatchNorm2d) -> SyncedBatchNorm2d:
        """Returns such a layer with the very parameters and buffers of a plain one."""
        synced = cls(
            layer.num_features,
            eps=layer.eps,
            momentum=layer.momentum,
            affine=layer.affine,
            track_running_stats=layer.track_running_stats,
        )
        synced._parameters.update(layer._parameters)
        synced._buffers.update(layer._buffers)
        synced.train(layer.training)
        return synced

    def forward(self, features: Tensor) -> Tensor:
        """Maps (N, C, H, W) to the same shape."""
        if not self.training:
            return super().forward(features)
        channels = features.shape[1]
        values = features.float()
        own_count = values.new_tensor([features.numel() / channels])
        sums = _sum_over_processes(torch.cat([values.sum((0, 2, 3)), own_count]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = values - mean.reshape(1, -1, 1, 1)
        variance = _sum_over_processes(centred.square().sum((0, 2, 3))) / count
        self._update_statistics(mean.detach(), variance.detach(), count)
        factor = torch.rsqrt(variance + self.eps)
        normalised = centred * factor.reshape(1, -1, 1, 1)
        if self.weight is not None and self.bias is not None:
            scale, shift = self.weight.reshape(1, -1, 1, 1), self.bias.reshape(1, -1, 1, 1)
            normalised = normalised * scale + shift
        return normalised.to(features.dtype)

    @torch.no_grad()
    def _update_statistics(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        momentum = 0.1 if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), momentum)
