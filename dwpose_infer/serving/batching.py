"""Pictures of many requests through networks that they share.

On a GPU one thread owns the networks and gathers what comes within a few milliseconds, so that the
persons of several requests share a call of each network; where no other picture is being read, it
waits for none. On a CPU a batch costs what its pictures cost one by one, and threads that share
an operator wait for one another: there each core has a worker that reads a picture and takes it
through the networks on one thread, and only a picture that is alone has all cores.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ..cores import usable_cores
from ..errors import DwposeError, InferenceError
from ..images import ReadPicture
from ..pipeline import Pipeline
from ..results import PoseResult

Answered: TypeAlias = "tuple[ReadPicture, PoseResult]"
Observe: TypeAlias = "Callable[[Literal['read', 'networks'], int, float], None]"

CORES_OF_FEW = 4
"""Pictures have all cores together as long as each could have so many; measured on two cores, where
this is one picture."""


class BusyError(DwposeError):
    """So many pictures wait that no more are taken; the caller may come again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerCore:
    """Networks for pictures that have a core each.

    Attributes:
        pipeline: Networks that run a call on the thread that makes it.
        workers: Threads that make calls.
    """

    pipeline: Pipeline
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a request asks of the networks; pictures share a batch where it is the same.

    Attributes:
        whole_image: Where nobody is found, take the whole picture for one person.
        tile_side: Search in tiles of this side too, in pixels; None as the service does.
    """

    whole_image: bool = False
    tile_side: int | None = None


@dataclass(slots=True, eq=False)
class _Job:
    read: Callable[[], ReadPicture]
    search: Search
    picture: ReadPicture | None = None
    future: Future[Answered] = field(default_factory=Future)
    since_s: float = field(default_factory=time.monotonic)


class SharedPipeline:
    """Networks that many threads give pictures to.

    Attributes:
        waiting: Number of pictures that wait now.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        per_core: PerCore | None = None,
        *,
        max_waiting: int = 64,
        max_pictures: int = 8,
        delay_ms: float = 3.0,
        observe: Observe | None = None,
    ) -> None:
        """Starts the threads.

        Args:
            pipeline: The networks on the whole device; closed by `close`, as are the others.
            per_core: Those for pictures that do not share batches; None for batches.
            max_waiting: Pictures that may wait; more are refused.
            max_pictures: Pictures that share batches at most.
            delay_ms: Longest time the first picture of a batch waits for others.
            observe: Called with the stage, its pictures and its seconds.
        """
        self._pipeline, self._per_core = pipeline, per_core
        self._max_waiting, self._delay_s = max_waiting, delay_ms / 1000
        self._max_pictures = 1 if per_core else max_pictures
        self._observe = observe or (lambda _stage, _pictures, _seconds: None)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = self._busy = 0
        self._closed = False
        self._readers = None if per_core else ThreadPoolExecutor(usable_cores(), "read pictures")
        self._threads = [
            threading.Thread(target=self._work, name=f"networks {number}", daemon=True)
            for number in range(per_core.workers if per_core else 1)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Number of pictures that wait now."""
        return self._waiting

    def submit(
        self, read: Callable[[], ReadPicture], search: Search | None = None
    ) -> Future[Answered]:
        """Gives a picture to the networks.

        Args:
            read: Returns the picture; is called in another thread, and not at all where the future
                is cancelled before.
            search: What is asked of the networks.

        Returns:
            What will hold picture and result, or the error.

        Raises:
            BusyError: Too many wait already.
            InferenceError: It is closed.
        """
        job = _Job(read, search or Search())
        with self._lock:
            if self._closed:
                raise InferenceError("the service is stopping")
            if self._waiting >= self._max_waiting:
                raise BusyError(f"{self._max_waiting} pictures wait already")
            self._waiting += 1
            if self._readers is None:
                self._jobs.put(job)
            else:
                self._readers.submit(self._read_ahead, job)
        return job.future

    def close(self) -> None:
        """Finishes what was taken, ends the threads and frees the networks."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._readers is not None:
            self._readers.shutdown()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._pipeline.close()
        if self._per_core is not None:
            self._per_core.pipeline.close()

    def _work(self) -> None:
        while (first := self._jobs.get()) is not None:
            last = self._answer(first)
            del first  # or its picture would stay in memory until the next one comes
            if last:
                return

    def _answer(self, first: _Job) -> bool:
        """Answers a job and those that share its batch; tells whether the end was met."""
        with self._taken() as pipeline:
            jobs, last = self._gather(first)
            groups: dict[Search, list[_Job]] = {}
            for job in jobs:
                if job.picture is not None or self._read(job):
                    groups.setdefault(job.search, []).append(job)
            for search, group in groups.items():
                self._predict(pipeline, group, search)
        return last

    @contextmanager
    def _taken(self) -> Iterator[Pipeline]:
        """While a worker is busy; gives the networks that suit what the others do."""
        with self._lock:
            self._waiting -= 1
            self._busy += 1
            pictures = self._waiting + self._busy
        per_core = self._per_core
        few = per_core is None or pictures <= max(1, per_core.workers // CORES_OF_FEW)
        try:
            yield self._pipeline if per_core is None or few else per_core.pipeline
        finally:
            with self._lock:
                self._busy -= 1

    def _gather(self, first: _Job) -> tuple[list[_Job], bool]:
        """The jobs that share a batch, and whether the end was met among them."""
        jobs, until_s = [first], first.since_s + self._delay_s
        while len(jobs) < self._max_pictures:
            being_read = self._waiting > self._jobs.qsize()
            left_s = until_s - time.monotonic() if being_read else 0.0
            try:
                job = self._jobs.get(timeout=left_s) if left_s > 0 else self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return jobs, True
            with self._lock:
                self._waiting -= 1
            jobs.append(job)
        return jobs, False

    def _read_ahead(self, job: _Job) -> None:
        if self._read(job):
            self._jobs.put(job)
        else:
            with self._lock:
                self._waiting -= 1

    def _read(self, job: _Job) -> bool:
        """Reads a picture, and tells whether that went well and somebody waits for it still."""
        if not job.future.set_running_or_notify_cancel():
            return False
        begun_s = time.perf_counter()
        try:
            job.picture = job.read()
        except Exception as error:
            job.future.set_exception(error)
            return False
        self._observe("read", 1, time.perf_counter() - begun_s)
        return True

    def _predict(self, pipeline: Pipeline, group: list[_Job], search: Search) -> None:
        begun_s = time.perf_counter()
        pictures = [job.picture for job in group if job.picture is not None]
        images = [picture.image_bgr for picture in pictures]
        try:
            found = pipeline.detecting(tile_side=search.tile_side)
            results = found.predict(images, [None] * len(images), whole_image=search.whole_image)
        except Exception as error:  # one picture must not cost the others theirs
            if len(group) == 1:
                group[0].future.set_exception(error)
                return
            for job in group:
                self._predict(pipeline, [job], search)
            return
        self._observe("networks", len(group), time.perf_counter() - begun_s)
        for job, picture, result in zip(group, pictures, results, strict=True):
            job.future.set_result((picture, result))
