"""AdamW with the official groups of parameters, and the clipping of gradients.

The learning rate is a function of the step. Nothing is remembered from step to step, so a resumed
run has exactly the rates of one that was never interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import torch
from torch import Tensor, nn

from ....errors import InvalidArgumentError
from ..settings.run import OptimizerSettings, ScheduleSettings

NORM_LAYERS: Final = (
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
    nn.LayerNorm,
)
"""Layers whose parameters do not decay (mmengine's `norm_decay_mult` 0).

The head's ScaleNorm is none of them: its factor decays, as do the scales and shifts of its
attention unit, because their names do not end in "bias".
"""


def build_optimizer(module: nn.Module, settings: OptimizerSettings) -> torch.optim.AdamW:
    """Makes the optimizer of a run.

    Args:
        module: What is trained; parameters that require no gradient are left out.
        settings: Rate, decay and the rest. The rate is to be set before every step, see
            `schedule`.

    Returns:
        AdamW with two groups: parameters that decay, then biases and normalisation layers, which
        do not; each in the order of the state dict.

    Raises:
        InvalidArgumentError: Nothing in the module is to be trained.
    """
    decayed, plain = split_by_decay(module)
    if not decayed and not plain:
        raise InvalidArgumentError("nothing is to be trained: no parameter requires a gradient")
    return torch.optim.AdamW(
        [
            {"params": list(decayed.values()), "weight_decay": settings.weight_decay},
            {"params": list(plain.values()), "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
        betas=settings.betas,
        eps=settings.eps,
    )


def split_by_decay(
    module: nn.Module,
) -> tuple[dict[str, nn.Parameter], dict[str, nn.Parameter]]:
    """Tells the parameters that decay from those that do not.

    Args:
        module: What is trained.

    Returns:
        Name -> parameter of those that decay, and of those that do not. A parameter that several
        layers share is listed once, under its first name.
    """
    norm_layers = {name for name, layer in module.named_modules() if isinstance(layer, NORM_LAYERS)}
    decayed: dict[str, nn.Parameter] = {}
    plain: dict[str, nn.Parameter] = {}
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        layer, _, own_name = name.rpartition(".")
        group = plain if own_name == "bias" or layer in norm_layers else decayed
        group[name] = parameter
    return decayed, plain


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the rate of the next step in all groups."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def clip_gradients(parameters: Iterable[nn.Parameter], clip_norm: float | None) -> Tensor:
    """Shortens the gradient where it is longer than allowed.

    With loss scaling, unscale the gradients first.

    Args:
        parameters: What is trained.
        clip_norm: Largest length over all of them, L2; none leaves them as they are.

    Returns:
        The length before clipping, a scalar on the parameters' device.
    """
    if clip_norm is not None:
        return torch.nn.utils.clip_grad_norm_(parameters, clip_norm)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    length: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    return length


def learning_rate(
    step: int, *, steps_per_epoch: int, epochs: int, highest: float, settings: ScheduleSettings
) -> float:
    """Works out the rate of a step.

    It rises linearly over the first `warmup_steps` steps, stays at its highest, and falls as a
    cosine, step by step, between the two epochs of the decay (mmengine's LinearLR, then its
    CosineAnnealingLR with `convert_to_iter_based`).

    Args:
        step: Which one, from 0, over all epochs.
        steps_per_epoch: Steps of one epoch.
        epochs: Epochs of the run; they place the decay where the settings do not.
        highest: The rate of the plateau.
        settings: The shape.

    Returns:
        The rate with which this step changes the weights.
    """
    begin_epoch = settings.decay_begin_epoch
    if begin_epoch is None:
        begin_epoch = epochs // 2
    end_epoch = epochs if settings.decay_end_epoch is None else settings.decay_end_epoch
    begin, end = begin_epoch * steps_per_epoch, end_epoch * steps_per_epoch

    rate = highest
    if step >= begin:
        passed = min((step - begin) / max(end - begin, 1), 1.0)
        final = settings.final_learning_rate
        rate = final + (highest - final) * (1 + math.cos(math.pi * passed)) / 2
    if step < settings.warmup_steps:
        # the last step of the warm-up has the full rate already
        risen = step / max(settings.warmup_steps - 1, 1)
        rate *= settings.warmup_factor + (1 - settings.warmup_factor) * risen
    return rate
