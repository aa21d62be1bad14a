"""TensorRT's progress while it builds an engine: one bar, and a way to end the build early."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from ..closing import ClosesOnExit


@dataclass(slots=True)
class _Phase:
    """A part of the build that is under way."""

    parent: str | None
    steps: int
    done: int = 0


class BuildProgress(ClosesOnExit):
    """Adds up the nested phases that TensorRT reports; shows a bar; may be asked to stop.

    TensorRT calls its progress monitor from several threads of its own, so everything here is
    behind a lock.

    Attributes:
        cancelled: Whether the build has been asked to end.
    """

    def __init__(self, label: str, *, visible: bool) -> None:
        """Prepares the bar.

        Args:
            label: Words before the bar.
            visible: Draw it on standard error.
        """
        self.cancelled = False
        self._phases: dict[str, _Phase] = {}
        self._lock = threading.Lock()
        self._share = 0.0
        self._bar: Any = None
        if visible:
            from tqdm import tqdm

            layout = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}{postfix}"
            self._bar = tqdm(desc=label, total=1.0, miniters=0, bar_format=layout)

    @property
    def share(self) -> float:
        """Share of the build that is done, 0..1; never falls."""
        return self._share

    def cancel(self) -> None:
        """Asks for an end: TensorRT learns it after its current step."""
        self.cancelled = True

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins."""
        with self._lock:
            self._phases[name] = _Phase(parent if parent != name else None, max(int(steps), 1))
            self._show(name)

    def step(self, name: str, step: int) -> bool:
        """A step of a phase is done; returns whether the build is to go on."""
        with self._lock:
            phase = self._phases.get(name)
            if phase is not None:
                phase.done = max(phase.done, int(step) + 1)
                self._show(name)
        return not self.cancelled

    def finish(self, name: str) -> None:
        """A phase ends; this may be before all of its steps are done."""
        with self._lock:
            phase = self._phases.get(name)
            if phase is not None:
                phase.done = phase.steps
                self._show(name)
                self._phases.pop(name)

    def complete(self) -> None:
        """The build is done, however many steps were left out."""
        with self._lock:
            self._share = 1.0
            if self._bar is not None:
                self._bar.update(1.0 - self._bar.n)

    def close(self) -> None:
        """Ends the bar; may be called again."""
        if self._bar is not None:
            self._bar.close()

    def _show(self, name: str) -> None:
        roots = [key for key, phase in self._phases.items() if phase.parent not in self._phases]
        share = self._share_of(roots[0]) if roots else 0.0
        self._share = max(self._share, min(share, 1.0))
        if self._bar is not None:
            self._bar.set_postfix_str(name, refresh=False)
            self._bar.update(self._share - self._bar.n)

    def _share_of(self, name: str) -> float:
        """Share of a phase that is done; those inside it count for its current step."""
        phase = self._phases[name]
        inner = [self._share_of(key) for key, value in self._phases.items() if value.parent == name]
        return min((phase.done + min(sum(inner), 1.0)) / phase.steps, 1.0)


def create_monitor(trt: Any, progress: BuildProgress) -> Any:
    """Returns an object that TensorRT accepts as its progress monitor and that fills `progress`.

    It has to live as long as the builder's configuration that it is given to.

    Args:
        trt: TensorRT's module.
        progress: What to fill.
    """

    class Bridge(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            progress.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return progress.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            progress.finish(phase_name)

    return Bridge()
