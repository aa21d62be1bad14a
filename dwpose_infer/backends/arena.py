"""When the memory of large calls is given back.

ONNX Runtime keeps what a call needed: after one batch of 64 persons a process that then sees
single ones stays at 464 MB, which giving back makes 149 (`dwpose-s-bundled`). A small call that
gives back takes no longer; the next large one takes 1.14 times its time, so that large calls
between small ones must not each pay for it.
"""

from __future__ import annotations

from typing import Final

SMALL_CALLS: Final = 8
"""Memory is given back after so many calls in a row of at most half the largest call's input."""


class CallSizes:
    """Watches the sizes of a session's calls."""

    def __init__(self) -> None:
        """No call was seen yet."""
        self._largest_bytes = 0
        self._small_calls = 0

    def should_give_back(self, input_bytes: int) -> bool:
        """Takes note of a call, and tells whether it should give memory back when it ends.

        Calls of several threads may come at once: at worst memory goes back a call too early.

        Args:
            input_bytes: Size of the call's inputs.
        """
        if 2 * input_bytes > self._largest_bytes:
            self._largest_bytes = max(self._largest_bytes, input_bytes)
            self._small_calls = 0
            return False
        self._small_calls += 1
        if self._small_calls < SMALL_CALLS:
            return False
        self._largest_bytes, self._small_calls = input_bytes, 0
        return True
