"""What a source of frames gives: `Frame`, `DamagedFrame`, and the `Source` itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from ..arrays import UInt8Array
from ..closing import ClosesOnExit
from ..errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture of a clip or a stream.

    Attributes:
        index: Its place in the whole clip, from 0, whatever was left out by start, end, stride
            or a slow reader; damaged frames count too.
        time_s: When it is shown, in seconds from the clip's first frame; with live sources,
            when it was received, in seconds from the first one received.
        image_bgr: (H, W, 3) uint8, BGR, upright. Its size may differ from the frame's before.
        duration_s: How long it is shown in seconds, or None where unknown.
    """

    index: int
    time_s: float
    image_bgr: UInt8Array
    duration_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DamagedFrame:
    """A frame that could not be decoded, or only with parts missing.

    Attributes:
        index: Its place in the clip, from 0; for one whose place cannot be known, the place
            after the frame that came before it.
        time_s: When it would be shown, in seconds, as `Frame.time_s`; None where unknown.
        error: What is wrong, ready to be raised.
        is_last: Whether nothing comes after it, such as where a file is cut off.
    """

    index: int
    time_s: float | None
    error: InputError
    is_last: bool = False


SourceItem: TypeAlias = Frame | DamagedFrame
"""What iterating over a source gives."""


class Source(ClosesOnExit):
    """A clip or a stream, to be iterated over once; use it in a `with` statement.

    Frames are decoded ahead in a thread of their own, into a queue of bounded size: with clips
    the thread waits for the reader; with live sources only the latest frame is kept and the
    others are counted in `dropped_frames`.

    Attributes:
        name: Path, URL or device, as error messages call it.
        size_wh: Width and height of the frames in pixels, upright; those of the first one,
            where they change.
        frame_rate: Average number of frames it gives per second (the stride counted in), or
            None where unknown.
        frame_count: Number of frames it will give, or None where unknown. It is what the
            container's header promises, for progress bars: damaged clips hold fewer, and of
            containers that tell only their duration, such as Matroska, it is an estimate.
        is_live: Whether frames come at their own pace and are lost when nobody takes them.
        time_base: Unit of the clip's own time stamps in seconds, or None where it has none.
        pixel_aspect_ratio: Width of a pixel as it is shown, by its height; DV, AVCHD and the like
            are stored squeezed. Frames and points are in stored pixels.
        path: The file, where the source is one single file on this machine, else None.
        working_s: Seconds its thread has decoded so far.
        waiting_s: Seconds its thread has waited for the reader.
    """

    name: str
    size_wh: tuple[int, int]
    frame_rate: Fraction | None
    frame_count: int | None
    is_live: bool
    time_base: Fraction | None = None
    pixel_aspect_ratio: Fraction = Fraction(1)
    path: str | None = None
    working_s: float = 0.0
    waiting_s: float = 0.0

    @property
    @abstractmethod
    def dropped_frames(self) -> int:
        """Frames of a live source that came and went before the reader asked for one."""

    @abstractmethod
    def __iter__(self) -> Iterator[SourceItem]:
        """Starts decoding and gives the frames in the order they are shown.

        Raises:
            InputError: The stream broke off and did not come back, or the clip has no frame.
            InvalidArgumentError: The source is closed or was iterated over before.
        """
