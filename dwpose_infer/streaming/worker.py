"""The stage between reading and the caller: networks and tracking, in a thread of their own."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from threading import Event, Thread, current_thread

from ..arrays import UInt8Array
from ..errors import InputError
from ..media.channel import Channel, ChannelClosedError
from ..media.frames import DamagedFrame, Frame, Source, SourceItem
from ..results import PoseResult
from ..tracking import KeypointSmoother
from ..tracking.protocol import identified
from .clock import StageClock
from .following import Boxes, Follower, PredictFrames
from .results import MAX_KEPT_ERRORS, FrameResult
from .settings import StreamSettings

logger = logging.getLogger(__name__)

_Window = tuple[list[Frame], list[PoseResult]]
"""Frames that are worked on together, and the persons in each."""


class Worker:
    """Takes frames from a source and gives their results, in order.

    Attributes:
        results: Where the results go.
        clock: Time at work and of waiting, for frames or for a place in `results`.
        damaged: Errors of the first damaged frames that were left out.
        damaged_frames: How many were left out.
        broke_off: Whether the clip ended with a damaged frame.
    """

    def __init__(
        self,
        source: Source,
        predict: PredictFrames,
        settings: StreamSettings,
        *,
        known: Mapping[int, PoseResult] | None = None,
        overlap: bool = False,
    ) -> None:
        """Prepares the thread; `start` starts it.

        Args:
            source: An open source that nobody has iterated over; `close` closes it.
            predict: Predicts a batch of frames.
            settings: How to work on them.
            known: Index of a frame -> its persons, see `Follower`.
            overlap: Predict two windows at a time, where no frame follows one of another window:
                on a GPU the next frames are searched and cut out while it works on these.
        """
        self._source = source
        self._predict = predict
        self._settings = settings
        self._follower = Follower(self._predict_unless_stopped, settings, known=known)
        self._tracker = settings.new_tracker()
        smoother = settings.smoother
        self._smoother = None if smoother is None else KeypointSmoother(smoother)
        self._window = settings.window_frames(source.size_wh, is_live=source.is_live)
        independent = self._window % settings.detect_every == 0  # begins with a search
        self._overlap = overlap and independent and not source.is_live
        self._last_time_s = 0.0
        self._stopping = Event()
        self._thread: Thread | None = None
        # Live results may be replaced by newer ones: who is slow gets the latest, not a backlog.
        self.results: Channel[FrameResult] = Channel(self._window, latest_only=source.is_live)
        self.clock = StageClock("networks")
        self.damaged: list[InputError] = []
        self.damaged_frames = 0
        self.broke_off = False

    @property
    def searched_frames(self) -> int:
        """Frames in which the detector searched so far."""
        return self._follower.searched_frames

    def start(self) -> None:
        """Starts the thread; again, does nothing."""
        if self._thread is None and not self._stopping.is_set():
            self._thread = Thread(target=self._run, name="dwpose networks", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stops the thread after the call of a network it is in, and closes the source."""
        self._stopping.set()
        self.results.cancel()
        self._source.close()
        if self._thread not in (None, current_thread()):
            self._thread.join()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            with closing(self._overlapped() if self._overlap else self._in_turn()) as windows:
                for frames, persons in windows:
                    with self.clock.working():
                        finished = self._finish(frames, persons)
                    for result in finished:
                        with self.clock.waiting():
                            self.results.put(result)
        except ChannelClosedError:
            logger.debug("%s: the caller left", self._source.name)
        except BaseException as caught:  # handed to the caller's thread, which raises it
            error = caught
        self.results.finish(error)

    def _in_turn(self) -> Generator[_Window, None, None]:
        for frames in self._windows():
            with self.clock.working():
                persons = self._follower(frames)
            yield frames, persons

    def _overlapped(self) -> Generator[_Window, None, None]:
        """The same in the same order, the next window in the works when one is given."""
        before: tuple[list[Frame], Future[list[PoseResult]]] | None = None
        windows, error = self._windows(), None
        with ThreadPoolExecutor(2, thread_name_prefix="dwpose windows") as pool:
            while True:
                try:
                    frames = next(windows, None)
                except Exception as caught:  # comes after all that was read before it
                    frames, error = None, caught
                ahead = None if frames is None else (frames, pool.submit(self._follower, frames))
                if before is not None:
                    with self.clock.working():
                        persons = before[1].result()
                    yield before[0], persons
                if ahead is None:
                    break
                before = ahead
        if error is not None:
            raise error

    def _windows(self) -> Iterator[list[Frame]]:
        """Yields the frames that are worked on together; an error comes after all before it."""
        window: list[Frame] = []
        try:
            for item in self._items():
                if isinstance(item, DamagedFrame):
                    self._leave_out(item)
                    continue
                window.append(item)
                if len(window) >= self._window:
                    yield window
                    window = []
        except Exception:
            yield window
            raise
        yield window

    def _items(self) -> Iterator[SourceItem]:
        items = iter(self._source)
        while True:
            with self.clock.waiting():
                item = next(items, None)
            if item is None:
                return
            yield item

    def _leave_out(self, damaged: DamagedFrame) -> None:
        if self._settings.on_error == "raise":
            raise damaged.error
        self.damaged_frames += 1
        self.broke_off = self.broke_off or damaged.is_last
        if len(self.damaged) < MAX_KEPT_ERRORS:
            self.damaged.append(damaged.error)

    def _predict_unless_stopped(
        self, images_bgr: Sequence[UInt8Array], boxes: Sequence[Boxes]
    ) -> list[PoseResult]:
        if self._stopping.is_set():
            raise ChannelClosedError
        return self._predict(images_bgr, boxes)

    def _finish(self, frames: Sequence[Frame], persons: Sequence[PoseResult]) -> list[FrameResult]:
        notes = _notes_on_pixels(self._source.pixel_aspect_ratio)
        return [
            FrameResult(
                index=frame.index,
                time_s=frame.time_s,
                result=_with_notes(self._identified(found, frame.time_s), notes),
                found=found,
                image_bgr=frame.image_bgr,
                duration_s=frame.duration_s,
            )
            for frame, found in zip(frames, persons, strict=True)
        ]

    def _identified(self, result: PoseResult, time_s: float) -> PoseResult:
        """Identities and smooth keypoints; a clip's time stamps may run backwards, ours do not."""
        self._last_time_s = max(self._last_time_s, time_s)
        if self._tracker is not None:
            result = identified(self._tracker, result, time_s=self._last_time_s)
        if self._smoother is not None:
            result = self._smoother.update(result, time_s=self._last_time_s)
        return result


def _notes_on_pixels(ratio: Fraction) -> tuple[str, ...]:
    """What a result says of pixels that are not square."""
    if ratio == 1:
        return ()
    return (
        f"points are in stored pixels, which are shown {float(ratio):.4g} times as wide as high",
    )


def _with_notes(result: PoseResult, notes: tuple[str, ...]) -> PoseResult:
    """Returns a result with further notes."""
    return replace(result, notes=(*result.notes, *notes)) if notes else result
