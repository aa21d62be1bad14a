"""What a tracker of any origin does, and the check that it did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from ..errors import InvalidArgumentError
from ..results import PoseResult


@runtime_checkable
class PersonTracker(Protocol):
    """Gives the persons of a video identities: `Tracker`, or one of the caller's own.

    It sees the frames of one video in order, and may keep what it likes of them.
    """

    def update(self, result: PoseResult, *, time_s: float) -> PoseResult:
        """Recognises the persons of the next frame.

        Args:
            result: Persons of the frame, without `ids`. Frames with nobody are shown, too.
            time_s: Time stamp of the frame in seconds, never before the last one's.

        Returns:
            The persons with `ids`, whole numbers that no two of them share; all or some of them.
        """


def check_tracker(tracker: object) -> None:
    """Checks that something is a tracker.

    Raises:
        InvalidArgumentError: It has no method `update`, or is a class or a mapping, whose
            `update` is another one.
    """
    has_method = callable(getattr(tracker, "update", None))
    if not has_method or isinstance(tracker, (type, Mapping)):
        raise InvalidArgumentError(
            "a tracker is True, TrackerSettings or an object with the method "
            f"update(result, time_s=...), which {tracker!r} is not"
        )


def identified(tracker: PersonTracker, result: PoseResult, *, time_s: float) -> PoseResult:
    """Returns what a tracker makes of the next frame.

    Raises:
        InvalidArgumentError: It is no result, or persons in it have no ids.
    """
    tracked = tracker.update(result, time_s=time_s)
    if not isinstance(tracked, PoseResult) or (len(tracked) and tracked.ids is None):
        given = "persons without ids" if isinstance(tracked, PoseResult) else repr(tracked)
        raise InvalidArgumentError(
            f"the tracker's update gave {given}; it must return the result with ids, as in "
            "dataclasses.replace(result, ids=...)"
        )
    return tracked
