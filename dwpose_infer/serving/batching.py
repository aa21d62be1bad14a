"""Pictures of many requests through the networks together.

One thread owns the networks. It gathers what comes within a few milliseconds, so that the persons
of several requests share a call of each network; where no other picture is being read, it waits for
none.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..errors import DwposeError, InferenceError
from ..pipeline import Pipeline
from ..results import PoseResult

UInt8Array = npt.NDArray[np.uint8]


class BusyError(DwposeError):
    """So many pictures wait that no more are taken; the caller may come again."""


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    image_bgr: UInt8Array
    whole_image: bool
    future: Future[PoseResult] = field(default_factory=Future)
    since_s: float = field(default_factory=time.monotonic)


class SharedPipeline:
    """A pipeline that many threads give pictures to.

    Attributes:
        waiting: Number of pictures that wait now.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        max_waiting: int = 64,
        max_pictures: int = 8,
        delay_ms: float = 3.0,
        observe: Callable[[int, float], None] | None = None,
    ) -> None:
        """Starts the thread.

        Args:
            pipeline: The networks, closed by `close`.
            max_waiting: Pictures that may wait; more are refused.
            max_pictures: Pictures that share batches at most.
            delay_ms: Longest time the first picture waits for others.
            observe: Called after each batch with its pictures and its seconds.
        """
        self._pipeline = pipeline
        self._jobs: queue.Queue[_Job | None] = queue.Queue(max_waiting)
        self._max_pictures = max_pictures
        self._delay_s = delay_ms / 1000
        self._observe = observe or (lambda _pictures, _seconds: None)
        self._expected = 0
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="networks", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Number of pictures that wait now."""
        return self._jobs.qsize()

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """While a picture is read, the networks wait a little for it."""
        with self._lock:
            self._expected += 1
        try:
            yield
        finally:
            with self._lock:
                self._expected -= 1

    def submit(self, image_bgr: UInt8Array, *, whole_image: bool = False) -> Future[PoseResult]:
        """Gives a picture to the networks.

        Args:
            image_bgr: (H, W, 3) uint8.
            whole_image: Where nobody is found, take the whole picture for one person.

        Returns:
            What will hold the result, or the error.

        Raises:
            BusyError: Too many wait already.
            InferenceError: It is closed.
        """
        if self._closed:
            raise InferenceError("the service is stopping")
        job = _Job(image_bgr, whole_image)
        try:
            self._jobs.put_nowait(job)
        except queue.Full as error:
            raise BusyError(f"{self._jobs.maxsize} pictures wait already") from error
        return job.future

    def close(self) -> None:
        """Finishes what was taken, ends the thread and frees the networks."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            self._thread.join()
            self._pipeline.close()

    def _work(self) -> None:
        while True:
            first = self._jobs.get()
            if first is None:
                return
            jobs, last = self._gather(first)
            for whole_image in (False, True):
                group = [job for job in jobs if job.whole_image is whole_image]
                group = [job for job in group if job.future.set_running_or_notify_cancel()]
                if group:
                    self._predict(group, whole_image)
            if last:
                return

    def _gather(self, first: _Job) -> tuple[list[_Job], bool]:
        """The jobs that share a batch, and whether the end was met among them."""
        jobs, until_s = [first], first.since_s + self._delay_s
        while len(jobs) < self._max_pictures:
            left_s = until_s - time.monotonic() if self._expected else 0.0
            try:
                job = self._jobs.get(timeout=left_s) if left_s > 0 else self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return jobs, True
            jobs.append(job)
        return jobs, False

    def _predict(self, group: list[_Job], whole_image: bool) -> None:
        begun_s = time.perf_counter()
        images = [job.image_bgr for job in group]
        try:
            results = self._pipeline.predict(images, [None] * len(images), whole_image=whole_image)
        except Exception as error:  # one picture must not cost the others theirs
            if len(group) == 1:
                group[0].future.set_exception(error)
                return
            for job in group:
                self._predict([job], whole_image)
            return
        self._observe(len(group), time.perf_counter() - begun_s)
        for job, result in zip(group, results, strict=True):
            job.future.set_result(result)
