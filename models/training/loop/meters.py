"""What a run measures between two rows of its log.

People see how far a run is: a bar in a terminal, lines elsewhere.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from .distributed import World


class Meters:
    """Mean losses since the last row, samples per second, and the share of time without data.

    The losses stay on their device until a row is due, so that a GPU need not wait for Python.
    Their sums belong to a checkpoint: a run that goes on writes the row that it would have.

    Attributes:
        steps: Steps since the last row.
    """

    def __init__(self, world: World) -> None:
        self.steps = 0
        self._world = world
        self._sums: dict[str, Tensor] = {}
        self._first_bad_step = torch.full((), -1, dtype=torch.int64, device=world.device)
        self._samples = 0
        self._waited_s = 0.0
        self._paused = False
        self._begin = time.perf_counter()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Counts the time inside as spent waiting for data."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._waited_s += time.perf_counter() - begin

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves the time inside, such as that of a validation, out of the speed; may nest."""
        if self._paused:
            yield
            return
        self._paused = True
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._paused = False
            self._begin += time.perf_counter() - begin

    @property
    def data_wait_share(self) -> float:
        """Share of this process's time since the last row that it spent waiting for data, 0..1."""
        elapsed_s = time.perf_counter() - self._begin
        return self._waited_s / elapsed_s if elapsed_s > 0 else 0.0

    def add(self, losses: Mapping[str, Tensor], *, step: int, samples: int) -> None:
        """Takes in one step.

        Args:
            losses: Name -> value, a scalar.
            step: Number of the step.
            samples: Samples of this process in it.
        """
        self.steps += 1
        self._samples += samples
        finite = torch.ones((), dtype=torch.bool, device=self._first_bad_step.device)
        for name, loss in losses.items():
            value = loss.detach().to(torch.float64)
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            finite = finite & value.isfinite()
        bad = (self._first_bad_step < 0) & ~finite
        self._first_bad_step = torch.where(bad, step, self._first_bad_step)

    def first_bad_step(self) -> int | None:
        """Returns the first step with a loss that was not a number, in any process; or None."""
        steps = self._world.gather(int(self._first_bad_step))
        bad: int | None = self._world.from_first(
            min((step for step in steps if step >= 0), default=None)
        )
        return bad

    def take(self) -> dict[str, float]:
        """Returns the figures since the last row and begins anew.

        Returns:
            Mean losses over steps and processes, `samples_per_s` of all processes,
            `data_wait_share` (0 to 1, mean over processes) and `memory_mb` (see `memory_mb`).
        """
        names = sorted(self._sums)
        elapsed_s = time.perf_counter() - self._begin
        own = [float(self._sums[name]) / self.steps for name in names]
        total = self._world.sum(
            torch.tensor([*own, self.data_wait_share, float(self._samples)], dtype=torch.float64)
        )
        means = total / self._world.size
        row = {name: float(mean) for name, mean in zip(names, means, strict=False)}
        row["samples_per_s"] = float(total[-1]) / elapsed_s if elapsed_s > 0 else math.nan
        row["data_wait_share"] = float(means[-2])
        row["memory_mb"] = memory_mb(self._world.device)
        self._sums, self.steps = {}, 0
        self._samples, self._waited_s, self._begin = 0, 0.0, time.perf_counter()
        return row

    def state_dict(self) -> dict[str, Any]:
        """Returns the sums over all processes; every process has to call it."""
        names = sorted(self._sums)
        own = torch.tensor([float(self._sums[name]) for name in names], dtype=torch.float64)
        sums = self._world.sum(own)
        return {"steps": self.steps, "sums": dict(zip(names, sums.tolist(), strict=True))}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from sums that `state_dict` gave."""
        self.steps = int(state["steps"])
        share = 1.0 if self._world.is_first else 0.0  # they are of all processes already
        self._sums = {
            name: torch.tensor(value * share, dtype=torch.float64, device=self._world.device)
            for name, value in state["sums"].items()
        }


def memory_mb(device: torch.device) -> float:
    """Returns the most memory used so far, 10^6 bytes: of the GPU, or of this process.

    NaN where the system does not tell.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    try:
        import resource
    except ImportError:  # Windows
        return math.nan
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


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
