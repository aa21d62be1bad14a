"""Poses of videos and cameras, frame by frame: what `Predictor.stream` does.

Reading, networks and the caller's own work overlap, each in a thread of its own, so that the
slowest of them sets the rate.
"""

from __future__ import annotations

from .results import FrameResult, StageTimes, StreamReport
from .settings import StreamSettings
from .stream import Stream

__all__ = ["FrameResult", "StageTimes", "Stream", "StreamReport", "StreamSettings"]
