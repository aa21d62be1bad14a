"""Settings of a stream, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from ..errors import InvalidArgumentError
from ..tracking import PersonTracker, SmootherSettings, Tracker, TrackerSettings
from ..tracking.protocol import check_tracker

OnError = Literal["raise", "skip"]

DEFAULT_BATCH_FRAMES = 4
"""Frames of a clip that share calls of the networks. A person of the bundled pose network takes
10.8 ms alone, 7.7 in a batch of 2, 7.2 of 4 and 7.1 of 6 (2 cores): more only costs memory."""

MAX_WINDOW_PIXELS = 32_000_000
"""Pixels of the frames that are worked on together; 96 MB. Where `DEFAULT_BATCH_FRAMES` would
exceed it, fewer frames share a batch; the results are the same."""


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How the frames of a stream are worked on.

    Attributes:
        detect_every: Search every so many frames for persons; in between they are followed by
            boxes around their keypoints. A frame after one in which a person was lost is
            searched, too.
        batch_frames: Frames of a clip that share calls of the networks at most. It changes no
            result beyond the rounding of batches. Live sources are worked on frame by frame.
        tracker: Settings of the tracker, or a tracker of the caller's own, which has seen no frame
            yet; None gives persons no ids.
        smoother: Settings of the smoother; None leaves keypoints as they are.
        max_persons: Keep at most so many persons of a frame: as the settings of the tracker say,
            else those of a searched frame that the detector prefers. None keeps all.
        whole_image: Where a search finds nobody, take the whole frame for one person.
        on_error: What to do at a damaged frame: "raise" its error, or "skip" and count it.
    """

    detect_every: int = 1
    batch_frames: int = DEFAULT_BATCH_FRAMES
    tracker: TrackerSettings | PersonTracker | None = None
    smoother: SmootherSettings | None = None
    max_persons: int | None = None
    whole_image: bool = False
    on_error: OnError = "raise"

    def __post_init__(self) -> None:
        for name in ("detect_every", "batch_frames", "max_persons"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise InvalidArgumentError(f"{name} is {value!r}, must be a whole number from 1")
        if self.on_error not in get_args(OnError):
            raise InvalidArgumentError(f"on_error is {self.on_error!r}, must be 'raise' or 'skip'")
        if self.tracker is not None and not isinstance(self.tracker, TrackerSettings):
            check_tracker(self.tracker)
        if self.smoother is not None and self.tracker is None:
            raise InvalidArgumentError("smoothing needs to know who is who: give a tracker too")

    def new_tracker(self) -> PersonTracker | None:
        """Returns the tracker of a stream, None where persons get no ids."""
        if not isinstance(self.tracker, TrackerSettings):
            return self.tracker
        limit = self.tracker.max_persons if self.max_persons is None else self.max_persons
        return Tracker(replace(self.tracker, max_persons=limit))

    def window_frames(self, size_wh: tuple[int, int], *, is_live: bool) -> int:
        """Returns how many frames are worked on together.

        Args:
            size_wh: Width and height of the frames in pixels.
            is_live: Whether the frames come at their own pace.
        """
        if is_live:
            return 1
        frames = MAX_WINDOW_PIXELS // max(1, size_wh[0] * size_wh[1])
        batch = min(self.batch_frames, frames // self.detect_every)
        return batch * self.detect_every if batch > 1 else 1
