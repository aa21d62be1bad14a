"""A long run: whether its memory and its latency stay as they began."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from tqdm import tqdm

from ...errors import InvalidArgumentError
from ..machine import resident_mb
from .document import SoakHundred

HUNDRED = 100

MAX_GROWTH_MB = 20.0
"""The memory may rise by less than so many 1e6 bytes after the first hundred pictures."""

MAX_SLOWDOWN = 1.25
"""The last hundred pictures may take so many times as long as the first, by their medians."""

Work = Callable[[bytes], int]
"""Takes the bytes of a picture file to a result and returns the number of persons."""


def soak(work: Work, files: Sequence[bytes], *, pictures: int) -> tuple[list[SoakHundred], int]:
    """Works on the same pictures again and again.

    Args:
        work: What is done with a picture.
        files: Picture files, taken in turn; their number divides 100, so that every hundred
            pictures are the same.
        pictures: How many pictures in all, a multiple of 100 and at least 200.

    Returns:
        What was measured of every hundred, and the persons found on all pictures together.

    Raises:
        InvalidArgumentError: A number is not as described.
    """
    if pictures < 2 * HUNDRED or pictures % HUNDRED:
        raise InvalidArgumentError(f"pictures is {pictures}, must be 200, 300, 400 and so on")
    if not files or HUNDRED % len(files):
        raise InvalidArgumentError(f"{len(files)} files do not divide {HUNDRED}")
    hundreds: list[SoakHundred] = []
    persons, times_ms = 0, []
    for number in tqdm(range(pictures), "soak", unit="picture", leave=False, disable=None):
        start = time.perf_counter()
        persons += work(files[number % len(files)])
        times_ms.append(1e3 * (time.perf_counter() - start))
        if len(times_ms) == HUNDRED:
            median_ms = statistics.median(times_ms)
            hundreds.append(
                SoakHundred(pictures=number + 1, resident_mb=resident_mb(), median_ms=median_ms)
            )
            times_ms = []
    return hundreds, persons
