"""What a stream gives: one `FrameResult` for each frame, and a `StreamReport` of it all."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..arrays import UInt8Array
from ..errors import InputError
from ..results import PoseResult


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """The persons of one frame.

    Attributes:
        index: The frame's place in the whole clip, from 0; damaged frames and those left out by
            start and stride count too.
        time_s: When it is shown, in seconds from the clip's first frame; with live sources, when
            it was received.
        result: Its persons, with `ids` where they are tracked.
        found: The same persons as the networks gave them, before tracking and smoothing.
        image_bgr: (H, W, 3) uint8, BGR, upright.
        duration_s: How long it is shown in seconds, or None where unknown.
    """

    index: int
    time_s: float
    result: PoseResult
    found: PoseResult = field(repr=False)
    image_bgr: UInt8Array = field(repr=False)
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class StageTimes:
    """How long a stage of the pipeline worked, and how long it waited for the others.

    The stage that hardly waits is the one that sets the rate.

    Attributes:
        name: "read" (decoding, in the source's thread), "networks" (detector, pose network and
            tracking), or "caller" (what the caller does with the results).
        working_s: Seconds at work.
        waiting_s: Seconds of waiting for the stage before it, or after it.
    """

    name: str
    working_s: float
    waiting_s: float

    @property
    def share_at_work(self) -> float:
        """Share of its time that the stage worked, 0 to 1."""
        total_s = self.working_s + self.waiting_s
        return self.working_s / total_s if total_s else 0.0


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What a stream has done so far.

    Attributes:
        frames: Frames given to the caller.
        searched_frames: Frames in which the detector searched for persons, those ahead of the
            caller included.
        damaged: Errors of the damaged frames left out, in order, at most `MAX_KEPT_ERRORS`.
        damaged_frames: How many were left out.
        dropped_frames: Frames of a live source that came too fast.
        broke_off: Whether the clip ended with a damaged frame, as one that is cut off does.
        stages: The stages in the order the frames pass them.
    """

    frames: int
    searched_frames: int
    damaged: tuple[InputError, ...]
    damaged_frames: int
    dropped_frames: int
    broke_off: bool
    stages: tuple[StageTimes, ...]

    def __str__(self) -> str:
        frames = f"{self.frames} frame{'s'[self.frames == 1 :]}"
        words = [frames, f"{self.searched_frames} searched"]
        if self.damaged_frames:
            words.append(f"{self.damaged_frames} damaged{', broke off' if self.broke_off else ''}")
        if self.dropped_frames:
            words.append(f"{self.dropped_frames} came too fast")
        stages = [f"{stage.name} {stage.share_at_work:.0%}" for stage in self.stages]
        return f"{', '.join(words)}; at work: {', '.join(stages)}"


MAX_KEPT_ERRORS = 20
"""Errors of damaged frames that are kept; the others are counted only."""
