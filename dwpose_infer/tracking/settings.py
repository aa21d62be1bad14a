"""Settings of the tracker, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from ..errors import InvalidArgumentError
from ..preference import Preference, check_preference

Order = Literal["id", "input"]

DEFAULT_FRAME_RATE: Final = 30.0
"""Frames per second taken for granted where a frame comes without a time stamp."""


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """How persons are recognised again from frame to frame, and which of them are returned.

    Lengths are in person sizes (the longer side of the box) and times in seconds, so the
    settings hold for any picture size and frame rate. The defaults were chosen on synthetic
    walkers who cross, overtake, hide and leave, with noise, missed and double detections.

    Attributes:
        min_similarity: A person is taken for one seen before when the mean of the IoU of their
            boxes and the OKS of their body points is at least this.
        max_speed_sizes_per_s: Persons not recognised so are still the same one when the
            distance from where it was expected could be walked at this speed in the time it
            was not seen. Covers turning round or stopping while hidden, and low frame rates.
        duplicate_oks: Of two persons in one frame whose body points are this alike, the one
            whose box fits its points worse is a second detection of the same person and left out;
            1 leaves nobody out.
        birth_frames: A new person gets its id when seen in so many of the last `birth_window`
            frames. Until then it is left out.
        birth_window: See `birth_frames`.
        birth_score: New persons with at least this box score, or without any, get their id at
            once, and so do all persons of the first frame. Three of four persons the bundled
            detector finds in photographs score this much.
        max_hidden_s: A person not seen for longer is gone; one who comes back later gets a new
            id.
        max_persons: Return at most so many persons; None returns all.
        prefer: Which ones then: "score" the highest box scores, "largest" the largest boxes,
            "center" those nearest to the middle of the picture.
        hold: A person once returned under `max_persons` keeps its place until it is gone, also
            while it is hidden. False chooses anew in every frame.
        keep_ids: Return these ids only; None returns all.
        order: Order of the persons in a result: "id", or "input" for that of the input.
        frame_rate: Frames per second, where frames come without time stamps.
    """

    min_similarity: float = 0.25
    max_speed_sizes_per_s: float = 1.5
    duplicate_oks: float = 0.7
    birth_frames: int = 3
    birth_window: int = 5
    birth_score: float = 0.5
    max_hidden_s: float = 1.0
    max_persons: int | None = None
    prefer: Preference = "score"
    hold: bool = True
    keep_ids: tuple[int, ...] | None = None
    order: Order = "id"
    frame_rate: float = DEFAULT_FRAME_RATE

    def __post_init__(self) -> None:
        for name in ("min_similarity", "duplicate_oks"):
            value = getattr(self, name)
            if not 0 < value <= 1:
                raise InvalidArgumentError(f"{name} is {value}, must be above 0 and at most 1")
        for name in ("max_speed_sizes_per_s", "max_hidden_s"):
            value = getattr(self, name)
            if not value >= 0:
                raise InvalidArgumentError(f"{name} is {value}, must be at least 0")
        require_frame_rate(self.frame_rate)
        if not 1 <= self.birth_frames <= self.birth_window:
            raise InvalidArgumentError(
                f"birth_frames is {self.birth_frames}, must be from 1 to birth_window "
                f"({self.birth_window})"
            )
        if self.max_persons is not None and self.max_persons < 1:
            raise InvalidArgumentError(f"max_persons is {self.max_persons}, must be at least 1")
        check_preference(self.prefer)
        if self.order not in get_args(Order):
            raise InvalidArgumentError(
                f"order is {self.order!r}, must be one of {', '.join(get_args(Order))}"
            )


def require_frame_rate(frame_rate: float) -> None:
    """Checks a frame rate.

    Raises:
        InvalidArgumentError: It is not a number above 0.
    """
    if not 0 < frame_rate < float("inf"):
        raise InvalidArgumentError(f"frame_rate is {frame_rate}, must be above 0")
