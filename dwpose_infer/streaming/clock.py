"""Stop-watches of the stages: at work, or waiting."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from .results import StageTimes


class StageClock:
    """Adds up how long a stage works and waits; one thread writes, others may read.

    Attributes:
        name: The stage.
    """

    def __init__(self, name: str) -> None:
        """Starts at zero."""
        self.name = name
        self._working_s = 0.0
        self._waiting_s = 0.0

    @property
    def times(self) -> StageTimes:
        """What was added up so far."""
        return StageTimes(self.name, self._working_s, self._waiting_s)

    def add_working(self, seconds: float) -> None:
        """Adds time at work."""
        self._working_s += seconds

    @contextmanager
    def working(self) -> Iterator[None]:
        """Times what is done in a `with` statement as work."""
        began_s = time.perf_counter()
        try:
            yield
        finally:
            self._working_s += time.perf_counter() - began_s

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Times what is done in a `with` statement as waiting."""
        began_s = time.perf_counter()
        try:
            yield
        finally:
            self._waiting_s += time.perf_counter() - began_s
