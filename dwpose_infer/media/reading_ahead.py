"""A source whose frames come from a generator that runs in a thread of its own."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import Iterator
from threading import Event, Thread
from typing import Final

from ..errors import InvalidArgumentError
from .channel import Channel, ChannelClosedError
from .frames import Source, SourceItem

logger = logging.getLogger(__name__)

QUEUE_BYTES: Final = 64 * 2**20
"""Pixels decoded ahead take this much memory at most, but two frames always may."""

MAX_QUEUE_FRAMES: Final = 16
"""Frames decoded ahead at most, however small: more would not make anything faster."""

CLOSE_TIMEOUT_S: Final = 15.0
"""How long `close` waits for the thread; reads of streams end by themselves before that."""


class ReadingAhead(Source):
    """A source that reads in a thread of its own.

    Subclasses open their input in `__init__`, give its frames in `_read`, which runs in the
    thread, and let go of it in `_release`, which is called once, when nothing runs any more.
    """

    def __init__(self) -> None:
        """Prepares the thread; it starts when iteration does."""
        self._stopping = Event()
        self._channel: Channel[SourceItem] | None = None
        self._thread: Thread | None = None
        self._closed = False

    @abstractmethod
    def _read(self) -> Iterator[SourceItem]:
        """Yields the frames; ends soon after `_stopping` is set."""

    @abstractmethod
    def _release(self) -> None:
        """Closes the input."""

    @property
    def dropped_frames(self) -> int:
        """Frames of a live source that came and went before the reader asked for one."""
        return 0 if self._channel is None else self._channel.dropped

    @property
    def queue_frames(self) -> int:
        """Frames that are decoded ahead at most."""
        if self.is_live:
            return 1
        width, height = self.size_wh
        return max(2, min(MAX_QUEUE_FRAMES, QUEUE_BYTES // max(1, 3 * width * height)))

    def __iter__(self) -> Iterator[SourceItem]:
        """Starts the thread and gives the frames in order."""
        if self._closed:
            raise InvalidArgumentError(f"{self.name} is closed; open it again")
        if self._channel is not None:
            raise InvalidArgumentError(f"{self.name} was read already; open it again")
        self._channel = Channel(self.queue_frames, latest_only=self.is_live)
        self._thread = Thread(target=self._run, name=f"read {self.name}", daemon=True)
        self._thread.start()
        return self._taken(self._channel)

    def _taken(self, channel: Channel[SourceItem]) -> Iterator[SourceItem]:
        while True:
            try:
                item = channel.get()
            except ChannelClosedError:
                return
            yield item

    def _run(self) -> None:
        channel = self._channel
        if channel is None:  # set before the thread starts
            return
        error: BaseException | None = None
        try:
            began_s = time.perf_counter()
            for item in self._read():
                read_s = time.perf_counter()
                self.working_s += read_s - began_s
                channel.put(item)
                began_s = time.perf_counter()
                self.waiting_s += began_s - read_s
                if self._stopping.is_set():
                    break
        except ChannelClosedError:
            logger.debug("%s: the reader left", self.name)
        except BaseException as caught:  # handed to the reader's thread, which raises it
            error = caught
        channel.finish(error)

    def close(self) -> None:
        """Stops the thread and closes the input; may be called again."""
        if self._closed:
            return
        self._closed = True
        self._stopping.set()
        if self._channel is not None:
            self._channel.cancel()
        if self._thread is not None:
            self._thread.join(CLOSE_TIMEOUT_S)
            if self._thread.is_alive():
                logger.warning("%s: still blocked in a read; it is left behind", self.name)
                return
        self._release()
