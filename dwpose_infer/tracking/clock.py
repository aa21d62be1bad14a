"""The time of each frame, given or counted."""

from __future__ import annotations

import math

from ..errors import InvalidArgumentError


class FrameClock:
    """Gives every frame a time that never runs backwards.

    Attributes:
        now_s: Time of the last frame in seconds; None before the first.
    """

    def __init__(self, frame_rate: float) -> None:
        """Starts before the first frame.

        Args:
            frame_rate: Frames per second where no times are given.
        """
        self._frame_rate = frame_rate
        self.now_s: float | None = None

    def advance(self, time_s: float | None) -> float:
        """Takes the time of the next frame and returns it in seconds.

        Args:
            time_s: Time stamp; None counts on at the frame rate.

        Raises:
            InvalidArgumentError: It is not a number, or before the last frame's.
        """
        if time_s is None:
            self.now_s = 0.0 if self.now_s is None else self.now_s + 1 / self._frame_rate
            return self.now_s
        if not math.isfinite(time_s):
            raise InvalidArgumentError(f"time_s is {time_s}, must be a number of seconds")
        if self.now_s is not None and time_s < self.now_s:
            raise InvalidArgumentError(
                f"time_s is {time_s}, before the last frame's {self.now_s}; give frames in their "
                "order in time, and call reset() before another video"
            )
        self.now_s = float(time_s)
        return self.now_s
