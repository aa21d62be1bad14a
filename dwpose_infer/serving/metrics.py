"""What a service counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
PICTURES = (1, 2, 3, 4, 6, 8, 16, 32)


class ServiceMetrics:
    """Counters of one service; two in one process do not mix.

    Attributes:
        requests: By path and status.
        seconds: Of requests, by path.
        stage_seconds: Of a picture's stages: read, networks, encode.
        pictures: By status.
        persons: Found so far.
        batch: Pictures that shared a batch.
    """

    def __init__(self, waiting: Callable[[], int]) -> None:
        """Begins at zero.

        Args:
            waiting: Tells how many pictures wait.
        """
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "dwpose_requests", "Requests answered", ["path", "status"], registry=registry
        )
        self.seconds = Histogram(
            "dwpose_request_seconds",
            "Time of a request",
            ["path"],
            buckets=SECONDS,
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "dwpose_stage_seconds",
            "Time of a stage",
            ["stage"],
            buckets=SECONDS,
            registry=registry,
        )
        self.pictures = Counter(
            "dwpose_pictures", "Pictures worked on", ["status"], registry=registry
        )
        self.persons = Counter("dwpose_persons", "Persons found", registry=registry)
        self.batch = Histogram(
            "dwpose_batch_pictures", "Pictures in a batch", buckets=PICTURES, registry=registry
        )
        queue = Gauge("dwpose_waiting_pictures", "Pictures that wait", registry=registry)
        queue.set_function(waiting)

    def text(self) -> bytes:
        """Returns everything in Prometheus' text format."""
        return generate_latest(self._registry)
