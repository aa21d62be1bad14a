"""The gate by labels: what a lower precision costs on persons whose points are known.

Distances between two networks tell how far points move, not whether they get worse: where a peak is
flat a point jumps between two places that are equally wrong. Labels tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import onnx

PCK_LOSS: Final = 0.003
"""Largest loss of a part's share of points within 5 % of the box."""

AP_LOSS: Final = 0.005
"""Largest loss of average precision."""


class Figures(Protocol):
    """What is measured of a network on labels, see `dwpose_infer.evaluation.accuracy.Accuracy`."""

    @property
    def persons(self) -> int:
        """Number of labelled persons."""

    @property
    def ap(self) -> float:
        """Average precision."""

    @property
    def pck(self) -> Mapping[str, float]:
        """Part -> share of its points that are hit."""


Measure = Callable[[Path], Figures]
"""Measures a network in an ONNX file."""


@dataclass(frozen=True, slots=True)
class Change:
    """A figure before and after.

    Attributes:
        before: Of the network compared with.
        after: Of the result.
        limit: Largest loss accepted.
    """

    before: float
    after: float
    limit: float

    @property
    def too_much(self) -> bool:
        """Whether more is lost than the limit; a figure that is no number is."""
        return not self.before - self.after <= self.limit


@dataclass(frozen=True, slots=True)
class LabelledComparison:
    """What became of the accuracy.

    Attributes:
        persons: Labelled persons.
        compared_with: Name of the network compared with.
        figures: "AP", "PCK body" and so on -> before and after.
    """

    persons: int
    compared_with: str
    figures: dict[str, Change]

    def violations(self) -> list[str]:
        """What is over the limits, in words."""
        return [
            f"{name} falls from {change.before:.4f} to {change.after:.4f} on the labels, at most "
            f"{change.limit} may be lost"
            for name, change in self.figures.items()
            if change.too_much
        ]

    def summary(self) -> list[str]:
        """Lines for a person to read."""
        lines = [f"on {self.persons} labelled persons, beside {self.compared_with}:"]
        return lines + [
            f"  {name:<10} {change.before:.4f} -> {change.after:.4f} "
            f"({change.after - change.before:+.4f}, limit -{change.limit})"
            for name, change in self.figures.items()
        ]


def compare_on_labels(
    before: onnx.ModelProto, after: onnx.ModelProto, measure: Measure, *, name: str, folder: Path
) -> LabelledComparison:
    """Measures two networks on the same labels.

    Args:
        before: The network compared with.
        after: The result.
        measure: Measures a file.
        name: Name of the first.
        folder: Where both files may lie for the time being.
    """
    first, second = (_measured(model, measure, folder) for model in (before, after))
    figures = {"AP": Change(first.ap, second.ap, AP_LOSS)} | {
        f"PCK {part}": Change(share, second.pck[part], PCK_LOSS)
        for part, share in first.pck.items()
    }
    return LabelledComparison(first.persons, name, figures)


def _measured(model: onnx.ModelProto, measure: Measure, folder: Path) -> Figures:
    path = folder / "measured.onnx"
    path.write_bytes(model.SerializeToString())
    return measure(path)
