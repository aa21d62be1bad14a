"""Clocks around functions, and methods that take turns."""

from __future__ import annotations

import contextlib
import functools
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from unittest import mock

from ... import detector, estimator, geometry

NETWORKS = "InferenceSession.run"

STAGES: tuple[tuple[str, Any, str], ...] = (
    ("letterbox", detector, "letterbox"),
    ("detector input", detector.Detector, "network_input"),
    ("decode boxes", detector, "decode_yolox"),
    ("suppression (NMS)", detector, "nms"),
    ("crop", geometry, "crop_boxes"),
    ("normalise", estimator.PoseEstimator, "network_input"),
    ("decode SimCC", estimator, "decode_simcc"),
    ("map back", geometry, "crop_to_picture"),
)
"""Stage -> the function of this package that does it: its owner and its name there."""

REST = "everything else"

Name = TypeVar("Name")
Turn = TypeVar("Turn")


class Clock:
    """Adds up the time spent inside functions, in milliseconds, by name.

    Attributes:
        spent_ms: Name -> milliseconds so far.
    """

    def __init__(self) -> None:
        self.spent_ms: dict[str, float] = {}

    def watch(
        self, owner: Any, attribute: str, name: str
    ) -> contextlib.AbstractContextManager[Any]:
        """Returns a context in which a function of a module, class or object is timed."""
        function = getattr(owner, attribute)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.running(name):
                return function(*args, **kwargs)

        return mock.patch.object(owner, attribute, timed)

    @contextlib.contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Times what is done in a `with` statement."""
        start = time.perf_counter()
        try:
            yield
        finally:
            elapsed_ms = 1e3 * (time.perf_counter() - start)
            self.spent_ms[name] = self.spent_ms.get(name, 0.0) + elapsed_ms

    def call(self, function: Callable[[], object]) -> tuple[float, float]:
        """Returns the milliseconds of one call outside the networks and inside them."""
        self.spent_ms.clear()
        start = time.perf_counter()
        function()
        total_ms = 1e3 * (time.perf_counter() - start)
        networks_ms = self.spent_ms.pop(NETWORKS, 0.0)
        return total_ms - networks_ms, networks_ms


@contextlib.contextmanager
def watch_networks(clock: Clock) -> Iterator[None]:
    """Times every run of a network in ONNX Runtime and OpenVINO as `NETWORKS`."""
    runs = (("onnxruntime", "InferenceSession", "run"), ("openvino", "InferRequest", "infer"))
    with contextlib.ExitStack() as watched:
        for package, kind, run in runs:
            if package in sys.modules:
                owner = getattr(sys.modules[package], kind)
                watched.enter_context(clock.watch(owner, run, NETWORKS))
        yield


def take_turns(turns: Mapping[Name, Turn], round_number: int) -> Sequence[tuple[Name, Turn]]:
    """Returns who comes after whom in a round: every round begins with another one.

    What the one before left in the caches of the processor, and in the clock rate, hits all alike.
    """
    order = list(turns.items())
    first = round_number % len(order)
    return order[first:] + order[:first]
