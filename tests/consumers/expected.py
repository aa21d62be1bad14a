"""What was written, for the scripts that run inside a consumer's own environment."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
"""Folder of the files."""


class Comparison:
    """Counts the points that agree, and ends the script where one does not."""

    def __init__(self, layout: str) -> None:
        """Reads what was written; layout is wholebody, body18 or body25."""
        document = json.loads((FOLDER / "expected.json").read_text())
        self.layout, self.document, self.compared = layout, document, 0
        self.frames, self.names = document["frames"], document["names"]
        self.ids, self.times_s = document["ids"], document["times_s"]

    def point(self, frame: int, person: int, name: str) -> list[float] | None:
        """What was written for a point: x, y, score; None where it is absent."""
        found: list[float] | None = self.frames[frame][person][self.layout][name]
        return found

    def require(
        self, frame: int, person: int, name: str, actual: Iterable[Any], *, tolerance: float = 1e-4
    ) -> None:
        """Compares a point by its name; of an absent one both places are NaN, None or 0."""
        values = [math.nan if value is None else float(value) for value in actual]
        written = self.point(frame, person, name)
        if written is None:
            same = all(math.isnan(value) or value == 0 for value in values)
        else:
            same = all(
                abs(value - number) <= tolerance
                for value, number in zip(values, written, strict=False)
            )
        if not same:
            sys.exit(f"frame {frame}, person {person}, {name}: {values}, not {written}")
        self.compared += 1

    def done(self, what: str) -> None:
        """Says what was compared."""
        if not self.compared:
            sys.exit(f"{what}: nothing was compared")
        print(f"{what}: {self.compared} points")


def require(condition: bool, message: str) -> None:
    """Ends the script unless a condition holds."""
    if not condition:
        sys.exit(message)
