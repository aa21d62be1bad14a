"""`Stream`: an iterator over the results of a video's frames."""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..closing import ClosesOnExit
from ..media.channel import ChannelClosedError
from ..media.frames import Source
from ..results import PoseResult
from .clock import StageClock
from .following import PredictFrames
from .results import FrameResult, StageTimes, StreamReport
from .settings import StreamSettings
from .worker import Worker

if TYPE_CHECKING:
    from typing_extensions import Self


class Stream(ClosesOnExit):
    """The results of a source's frames, one after the other; made by `Predictor.stream`.

    An iterator, usable in a `with` statement. It closes itself after the last frame; who leaves
    earlier closes it, or lets it go out of sight. For one thread.

    Example:
        >>> with predictor.stream("clip.mp4", detect_every=5, track=True) as stream:
        ...     for frame in stream:
        ...         print(frame.index, frame.time_s, frame.result.ids)

    Attributes:
        source: What is read: its name, size, frame rate and number of frames.
        settings: How the frames are worked on.
    """

    def __init__(
        self,
        source: Source,
        predict: PredictFrames,
        settings: StreamSettings | None = None,
        *,
        known: Mapping[int, PoseResult] | None = None,
        overlap: bool = False,
    ) -> None:
        """Takes over an open source; reading begins with the first frame asked for.

        Args:
            source: Nobody has iterated over it yet; `close` closes it.
            predict: Predicts a batch of frames.
            settings: None takes the defaults.
            known: Index of a frame -> its persons, of those that need not be predicted again, as
                `FrameResult.found` had them.
            overlap: Predict two windows of frames at a time where that changes nothing: for GPUs.
        """
        self.source = source
        self.settings = settings or StreamSettings()
        self._worker = Worker(source, predict, self.settings, known=known, overlap=overlap)
        self._caller = StageClock("caller")
        self._frames = 0
        self._left_s: float | None = None
        # The threads know the worker but not this object, so that it can go out of sight.
        self._shut = weakref.finalize(self, self._worker.close)

    def __iter__(self) -> Self:
        """Returns itself."""
        return self

    def __next__(self) -> FrameResult:
        """Returns the next frame's result.

        Raises:
            InputError: The source is damaged, broke off or has no frame.
            InferenceError: A network failed.
            StopIteration: That was the last frame, or the stream is closed.
        """
        if self._left_s is not None:
            self._caller.add_working(time.perf_counter() - self._left_s)
        self._worker.start()
        try:
            with self._caller.waiting():
                frame = self._worker.results.get()
        except ChannelClosedError:
            self.close()
            raise StopIteration from None
        except BaseException:
            self.close()
            raise
        self._frames += 1
        self._left_s = time.perf_counter()
        return frame

    @property
    def report(self) -> StreamReport:
        """What was done so far, and how long each stage worked and waited."""
        worker = self._worker
        return StreamReport(
            frames=self._frames,
            searched_frames=worker.searched_frames,
            damaged=tuple(worker.damaged),
            damaged_frames=worker.damaged_frames,
            dropped_frames=self.source.dropped_frames + worker.results.dropped,
            broke_off=worker.broke_off,
            stages=(
                StageTimes("read", self.source.working_s, self.source.waiting_s),
                worker.clock.times,
                self._caller.times,
            ),
        )

    def close(self) -> None:
        """Stops reading and predicting; may be called again."""
        self._left_s = None
        self._shut()
