"""Ending a run in good order when it is told to stop: Ctrl-C, or a batch system's SIGTERM."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class GracefulStop:
    """Remembers the first signal instead of dying of it; the second one interrupts at once.

    Use it as a context manager, in the main thread: elsewhere Python delivers no signals, and
    nothing is caught.

    Attributes:
        signal_name: The signal that came, such as "SIGINT"; None before.
    """

    def __init__(self) -> None:
        self.signal_name: str | None = None
        self._process = os.getpid()
        self._before: dict[signal.Signals, Any] = {}

    def __bool__(self) -> bool:
        return self.signal_name is not None

    def __enter__(self) -> GracefulStop:
        if threading.current_thread() is threading.main_thread():
            self._before = {kind: signal.signal(kind, self._note) for kind in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return  # a forked worker: its parent ends it
        if self.signal_name is not None:
            raise KeyboardInterrupt
        self.signal_name = signal.Signals(number).name
