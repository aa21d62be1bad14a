"""Live streams over the network (RTSP, RTMP, SRT, HTTP) read with PyAV; they are reconnected."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ..errors import InputError
from ..picture_url import DEFAULT_ACCESS, UrlAccess
from .decoding import Decoded, Decoder
from .frames import DamagedFrame, Frame, SourceItem
from .reading_ahead import ReadingAhead

logger = logging.getLogger(__name__)

FIRST_FRAME_STEPS: Final = 250
"""Steps of decoding within which a stream must give a whole frame: 10 s at 25 fps, which is the
longest distance of key frames that encoders use by default (x264's keyint of 250)."""


@dataclass(frozen=True, slots=True)
class Reconnection:
    """What to do when a live stream breaks off.

    Attributes:
        timeout_s: Longest wait for the connection and for each packet.
        attempts: Times in a row that a connection is tried again; 0 for never.
        first_delay_s: Pause before the first of them; it doubles each time.
        longest_delay_s: Longest pause.
    """

    timeout_s: float = 10.0
    attempts: int = 5
    first_delay_s: float = 0.5
    longest_delay_s: float = 8.0

    def delay_s(self, attempt: int) -> float:
        """Returns the pause before an attempt, counted from 0."""
        return float(min(self.longest_delay_s, self.first_delay_s * 2.0**attempt))


class NetworkStream(ReadingAhead):
    """A live stream; of its frames the latest one is given.

    Attributes:
        reconnected: Number of times the stream broke off and came back.
    """

    def __init__(
        self, url: str, *, name: str, policy: Reconnection, urls: UrlAccess = DEFAULT_ACCESS
    ) -> None:
        """Connects and decodes the first frame.

        Args:
            url: Where it is.
            name: What error messages call it; without a password.
            policy: When to give up.
            urls: Where it may lead.

        Raises:
            InputError: Nothing comes, or no video.
        """
        super().__init__()
        self.name = name
        self.is_live = True
        self.frame_count = None
        self.reconnected = 0
        self._url = url
        self._policy = policy
        self._urls = urls
        self._decoder = self._connect()
        try:
            self._steps = self._decoder.decode()
            frame = self._first_frame()
        except BaseException:
            self._decoder.close()
            raise
        self.frame_rate = self._decoder.frame_rate
        self.size_wh = self._decoder.size_wh(frame)
        self._first = frame

    def _connect(self) -> Decoder:
        options = {"rtsp_transport": "tcp"} if self._url.lower().startswith("rtsp") else {}
        return Decoder(
            self.name,
            self._url,
            options=options,  # over UDP, the default, frames are lost and come damaged
            timeout_s=self._policy.timeout_s,
            low_delay=True,
            urls=self._urls,
        )

    def _first_frame(self) -> object:
        for count, step in enumerate(self._steps, 1):
            if step.frame is not None and step.problem is None:
                return step.frame
            if step.is_last or count >= FIRST_FRAME_STEPS:
                raise InputError(f"{self.name}: {step.problem}")
        raise InputError(f"{self.name}: the stream ended before its first frame")

    def _read(self) -> Iterator[SourceItem]:
        began = time.monotonic()
        step = Decoded(self._first)
        self._first = None
        index, failures, problem = 0, 0, "the stream ended"
        while not self._stopping.is_set():
            if step.problem is not None and step.is_last:
                problem = step.problem
            else:
                yield self._item(step, index, time.monotonic() - began)
                index += 1
                failures = 0 if step.problem is None else failures
            following = None if step.is_last else next(self._steps, None)
            while following is None and not self._stopping.is_set():
                following = self._come_back(failures, problem)
                failures += 1
            if following is None:
                return
            step = following

    def _item(self, step: Decoded, index: int, time_s: float) -> SourceItem:
        if step.frame is None or step.problem is not None:
            error = InputError(f"{self.name}, frame {index} at {time_s:.3f} s: {step.problem}")
            return DamagedFrame(index, time_s, error)
        return Frame(index, time_s, self._decoder.to_bgr(step.frame))

    def _come_back(self, failures: int, problem: str) -> Decoded | None:
        """Connects again after a pause; returns its first frame, or None where that failed."""
        attempts = self._policy.attempts
        if failures >= attempts:
            tried = f" and did not come back in {attempts} attempts" if attempts else ""
            raise InputError(f"{self.name}: the stream broke off{tried}: {problem}")
        logger.warning(
            "%s: %s; connecting again (%d of %d)", self.name, problem, failures + 1, attempts
        )
        if self._stopping.wait(self._policy.delay_s(failures)):
            return None
        self._decoder.close()
        try:
            self._decoder = self._connect()
            self._steps = self._decoder.decode()
            frame = self._first_frame()
        except InputError as error:
            logger.info("%s", error)
            return None
        self.reconnected += 1
        return Decoded(frame)

    def _release(self) -> None:
        self._decoder.close()
