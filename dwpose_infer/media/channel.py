"""A queue of bounded length between two threads, which either side can end.

`queue.Queue` can be ended from neither side before Python 3.13.
"""

from __future__ import annotations

from collections import deque
from threading import Condition
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")

_WAKE_S: Final = 0.2
"""Longest wait in one piece; on Windows a thread that waits without end cannot be interrupted."""


class ChannelClosedError(Exception):
    """The other side ended the channel; never leaves this package."""


class Channel(Generic[Item]):
    """Items on their way from one thread to another.

    Attributes:
        dropped: Items that newer ones replaced; only with `latest_only`.
        peak: Largest number of items that were in it at once.
    """

    def __init__(self, capacity: int, *, latest_only: bool = False) -> None:
        """Makes an empty channel.

        Args:
            capacity: Items it holds at most.
            latest_only: Throw away the oldest item instead of waiting where it is full.
        """
        self._items: deque[Item] = deque()
        self._capacity = capacity
        self._latest_only = latest_only
        self._changed = Condition()
        self._finished = False
        self._cancelled = False
        self._error: BaseException | None = None
        self.dropped = 0
        self.peak = 0

    def put(self, item: Item) -> None:
        """Adds an item, once there is room for it.

        Raises:
            ChannelClosedError: Nobody takes items any more.
        """
        with self._changed:
            while len(self._items) >= self._capacity and not self._cancelled:
                if self._latest_only:
                    self._items.popleft()
                    self.dropped += 1
                else:
                    self._changed.wait(_WAKE_S)
            if self._cancelled:
                raise ChannelClosedError
            self._items.append(item)
            self.peak = max(self.peak, len(self._items))
            self._changed.notify_all()

    def get(self) -> Item:
        """Takes the oldest item, once there is one.

        Raises:
            ChannelClosedError: There is none and none will come.
            BaseException: The error with which the other side ended, after its last item.
        """
        with self._changed:
            while not self._items and not self._finished and not self._cancelled:
                self._changed.wait(_WAKE_S)
            if self._items and not self._cancelled:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            if self._error is not None and not self._cancelled:
                error, self._error = self._error, None
                raise error
            raise ChannelClosedError

    def finish(self, error: BaseException | None = None) -> None:
        """Says that no item will be added; `get` raises the error after the last one."""
        with self._changed:
            self._finished = True
            self._error = error
            self._changed.notify_all()

    def cancel(self) -> None:
        """Says that no item will be taken; those inside are thrown away."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()
