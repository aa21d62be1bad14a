"""The processes of a training run: one alone, or several started by `torchrun`.

`torchrun --nproc_per_node 2 ...` starts every process with its place in the environment. Each
takes a device of its own; they talk over NCCL on GPUs and over gloo on CPUs. The official
configurations train with eight processes and synchronised batch normalisation.

Batch normalisation over the batches of several processes on CPUs is here; torch's own
`SyncBatchNorm` does this on GPUs only. The arithmetic is the same: mean and variance
of all values of all processes, the unbiased variance for the running statistics.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ....backends.device import parse_device
from ....errors import BackendUnavailableError, InvalidArgumentError


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


TIMEOUT = timedelta(hours=2)
"""How long a process waits for the others, which may be validating on slow disks."""

_TORCHRUN_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """This process and how many there are.

    Attributes:
        device: Device of this process.
        rank: Number of this process, from 0.
        size: Number of processes.
        local_size: Number of processes on this machine.
        control: Group over which small messages travel through the CPU; None for one process.
    """

    device: torch.device
    rank: int = 0
    size: int = 1
    local_size: int = 1
    control: Any = None

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files and talks to the user."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Returns the sum over all processes, on the CPU, in the type given."""
        total = values.detach().cpu().clone()
        if self.size > 1:
            dist.all_reduce(total, group=self.control)
        return total

    def any(self, flag: bool) -> bool:
        """Tells whether the flag is set in any process."""
        return bool(self.sum(torch.tensor(int(flag))) > 0)

    def gather(self, value: Any) -> list[Any]:
        """Returns the values of all processes, by rank, in the first one; else nothing."""
        if self.size == 1:
            return [value]
        values: list[Any] | None = [None] * self.size if self.is_first else None
        dist.gather_object(value, values, dst=0, group=self.control)
        return values or []

    def from_first(self, value: Any) -> Any:
        """Returns the value of the first process in all."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, group=self.control)
        return box[0]


@contextmanager
def join_world(device: str) -> Iterator[World]:
    """Takes this process's place among those that `torchrun` started, or its own.

    Args:
        device: "cpu", "cuda" or "cuda:N". With several processes "cuda" gives each the GPU of
            its own number on its machine.

    Yields:
        The processes; the connection is closed afterwards.

    Raises:
        BackendUnavailableError: The GPU asked for is not there, or torch cannot use it.
        InvalidArgumentError: The device is unknown, or "cuda:N" is given to several processes.
    """
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield World(_device(device, local_rank=0, alone=True))
        return
    missing = [name for name in _TORCHRUN_VARIABLES if name not in os.environ]
    if missing:
        raise InvalidArgumentError(
            f"RANK and WORLD_SIZE are set, but not {', '.join(missing)}: start several processes "
            "with torchrun, or unset them for one"
        )
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    local_size = int(os.environ.get("LOCAL_WORLD_SIZE", size))
    place = _device(device, local_rank=int(os.environ["LOCAL_RANK"]), alone=size == 1)
    on_gpu = place.type == "cuda"
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=TIMEOUT)
    try:
        control = dist.new_group(backend="gloo", timeout=TIMEOUT) if on_gpu else dist.group.WORLD
        yield World(place, rank, size, local_size, control)
    finally:
        dist.destroy_process_group()


def _device(name: str, *, local_rank: int, alone: bool) -> torch.device:
    wanted = parse_device(name)
    if wanted.kind == "cpu":
        return torch.device("cpu")
    if not alone and ":" in name:
        raise InvalidArgumentError(
            f"device {name!r} is one GPU, but there are several processes; 'cuda' gives each its "
            "own (choose which with the environment variable CUDA_VISIBLE_DEVICES)"
        )
    index = wanted.index if alone else local_rank
    if not torch.cuda.is_available():
        built = "" if torch.version.cuda else " (this build of torch is for CPUs only)"
        raise BackendUnavailableError(
            f"device {name!r} was asked for, but torch {torch.__version__} sees no NVIDIA GPU"
            f"{built}; install torch for CUDA as https://pytorch.org/get-started says, or train "
            "on device 'cpu'"
        )
    if index >= torch.cuda.device_count():
        raise BackendUnavailableError(
            f"GPU {index} was asked for, but torch sees {torch.cuda.device_count()}; start at "
            "most one process for each GPU"
        )
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def synchronise_batch_norm(module: nn.Module, world: World) -> nn.Module:
    """Lets batch normalisation see the batches of all processes, as the official runs do.

    Parameters, buffers and their names stay. On GPUs the layers become torch's own
    `SyncBatchNorm`, which refuses CPUs; there they become `SyncedBatchNorm2d`.

    Returns:
        The module given, its layers replaced; unchanged with one process.
    """
    if world.size == 1:
        return module
    if world.device.type == "cuda":
        convert: Any = nn.SyncBatchNorm.convert_sync_batchnorm
        converted: nn.Module = convert(module)
        return converted
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, SyncedBatchNorm2d.like(child))
    return module
