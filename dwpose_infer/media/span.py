"""Which part of a clip is wanted: from where, to where, and every how many frames."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from ..errors import InvalidArgumentError

Position: TypeAlias = "float | int | str"
"""A place in a clip: a number is seconds; text is as for `parse_position`."""

_FRAMES: Final = re.compile(r"(\d+)f")
_CLOCK: Final = re.compile(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:\.\d*)?|\.\d+)s?")


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a clip. Of the two ways to say where it begins or ends, one at most is used.

    Attributes:
        start_s: Time of the first frame wanted, in seconds; the first at or after it counts.
        start_frame: Index of the first frame wanted, from 0.
        end_s: Time at which the part ends, in seconds; a frame at it is not wanted any more.
        end_frame: Index at which it ends; that frame is not wanted any more.
        stride: 1 for every frame, 2 for every second one, counted from the first one wanted.
    """

    start_s: float | None = None
    start_frame: int | None = None
    end_s: float | None = None
    end_frame: int | None = None
    stride: int = 1

    @property
    def begins_at_zero(self) -> bool:
        """Whether it begins where the clip does."""
        return not self.start_s and not self.start_frame

    def is_before(self, index: int, time_s: float) -> bool:
        """Tells whether a frame comes before the part."""
        if self.start_frame is not None:
            return index < self.start_frame
        return self.start_s is not None and time_s < self.start_s

    def is_after(self, index: int, time_s: float) -> bool:
        """Tells whether a frame comes after the part."""
        if self.end_frame is not None:
            return index >= self.end_frame
        return self.end_s is not None and time_s >= self.end_s


def make_span(start: Position | None, end: Position | None, stride: int) -> Span:
    """Returns the part of a clip that `open_source`'s arguments mean.

    Raises:
        InvalidArgumentError: They are no places in a clip, or the part is empty.
    """
    if isinstance(stride, bool) or not isinstance(stride, int) or stride < 1:
        raise InvalidArgumentError(f"stride is {stride!r}; it must be a whole number from 1")
    start_s, start_frame = parse_position(start, "start")
    end_s, end_frame = parse_position(end, "end")
    for low, high in ((start_s, end_s), (start_frame, end_frame)):
        if low is not None and high is not None and low >= high:
            raise InvalidArgumentError(f"the end ({end}) is not after the start ({start})")
    return Span(start_s, start_frame, end_s, end_frame, stride)


def parse_position(value: Position | None, name: str) -> tuple[float | None, int | None]:
    """Returns a place in a clip as seconds or as a number of frames; the other one is None.

    Args:
        value: Seconds as a number, or text: "12.5" or "12.5s" for seconds, "1:30" or
            "1:02:03.5" for minutes and hours, "300f" for the frame of index 300. None is nowhere.
        name: What error messages call it.

    Raises:
        InvalidArgumentError: It is none of these.
    """
    if value is None:
        return None, None
    if isinstance(value, str):
        text = value.strip()
        if frames := _FRAMES.fullmatch(text):
            return None, int(frames[1])
        if clock := _CLOCK.fullmatch(text):
            hours, minutes, seconds = (float(part or 0) for part in clock.groups())
            return 3600 * hours + 60 * minutes + seconds, None
    elif not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return float(value), None
    raise InvalidArgumentError(
        f'{name} is {value!r}; give seconds (12.5), minutes or hours ("1:30", "1:02:03.5"), or '
        'a frame ("300f")'
    )
