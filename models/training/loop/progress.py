"""How far a run is, for people: a bar in a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from torch import Tensor
from tqdm import tqdm

from .distributed import World
from .meters import Meters

REFRESH_S = 2.0
"""Time between two looks at the loss, each of which makes a GPU wait."""


class Progress:
    """Shows steps, loss, speed, waiting and the time left; only in the first process.

    Args:
        world: All of them.
        total: Steps of the run.
        done: Steps done before.
        say: Told what happens, a line at a time.
    """

    def __init__(self, world: World, *, total: int, done: int, say: Callable[[str], None]) -> None:
        self._shown = world.is_first
        self._say = say
        self._total = total
        self._next_look = 0.0
        self._bar = tqdm(
            total=total,
            initial=done,
            desc="training",
            unit="step",
            disable=None if self._shown else True,
        )

    def step(self, loss: Tensor, meters: Meters) -> None:
        """Moves on by one step."""
        if self._bar.disable:
            return
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + REFRESH_S
            waiting = f"{meters.data_wait_share:.0%}"
            self._bar.set_postfix_str(f"loss {float(loss):.4g}, data {waiting}", refresh=False)
        self._bar.update()

    def row(self, row: Mapping[str, float], *, batch_size: int) -> None:
        """Says what a row of the log holds, where there is no bar to see it at."""
        if not self._bar.disable:
            return
        steps_left = self._total - row["step"]
        left_s = steps_left * batch_size / max(row["samples_per_s"], 1e-9)
        self.say(
            f"epoch {row['epoch']:.0f}, step {row['step']:.0f} of {self._total}: "
            f"loss {row['loss']:.4g}, rate {row['lr']:.3g}, {row['samples_per_s']:.1f} samples/s, "
            f"{row['data_wait_share']:.0%} waiting for data, "
            f"{timedelta(seconds=round(left_s))} left"
        )

    def say(self, line: str) -> None:
        """Says a line without breaking the bar."""
        if self._shown:
            with tqdm.external_write_mode():
                self._say(line)

    def close(self) -> None:
        """Ends the bar."""
        self._bar.close()
