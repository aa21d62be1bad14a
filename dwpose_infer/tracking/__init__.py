"""Persons across the frames of a video: identities, boxes for the next frame, steady keypoints.

`Tracker` gives persons ids, `boxes_from_keypoints` saves searching every frame for persons, and
`KeypointSmoother` takes out the jitter. All work on `PoseResult`, frame by frame, and read and
write nothing.
"""

from __future__ import annotations

from .propagation import PropagatedBoxes, boxes_from_keypoints
from .protocol import PersonTracker
from .settings import TrackerSettings
from .smoothing import KeypointSmoother, SmootherSettings
from .tracker import Tracker

__all__ = [
    "KeypointSmoother",
    "PersonTracker",
    "PropagatedBoxes",
    "SmootherSettings",
    "Tracker",
    "TrackerSettings",
    "boxes_from_keypoints",
]
