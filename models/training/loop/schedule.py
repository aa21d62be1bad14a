"""The learning rate as a function of the step.

Nothing is remembered from step to step, so a resumed run has exactly the rates of one that was
never interrupted.
"""

from __future__ import annotations

import math

from ..settings.run import ScheduleSettings


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
