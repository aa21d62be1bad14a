"""What the parity gate measured and how it judged."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from ..errors import ParityError
from .comparison import BoxDifference, Distances, PointDifference, RawDifference
from .labelled import LabelledComparison
from .limits import Limits
from .metadata import Form, Precision

P99_PX: Final = "p99 distance in px"
BODY_P99_PX: Final = "p99 distance of body points in px"
WORST_PX: Final = "worst distance in px"
SCORE_P99: Final = "p99 score difference"
OUTVOTED: Final = (P99_PX, BODY_P99_PX, WORST_PX, SCORE_P99)
"""Measurements that labels outvote, see `judged_on_labels`."""


@dataclass(frozen=True, slots=True)
class ParityReport:
    """What the gate measured and how it judged.

    Attributes:
        form: Form of the exported network.
        precision: Its precision, which chooses the limits.
        samples: Number of pictures run.
        raw: Differences of raw outputs by name.
        points: Of a pose network: differences of keypoints.
        boxes: Of a detector: differences of boxes.
        decode_px: Of a deploy graph: largest difference between its decoding and NumPy's on
            the same raw outputs, in pixels; None where the raw outputs cannot be seen.
        undecided: Why points or boxes decide nothing, or None.
        violations: What is over the limits; empty when the gate is passed.
        limits: The limits applied.
        device: Where the result ran, in words; the source ran on the CPU.
        labelled: What became of the accuracy on labels, where there are some.
    """

    form: Form
    precision: Precision
    samples: int
    raw: dict[str, RawDifference]
    points: PointDifference | None
    boxes: BoxDifference | None
    decode_px: float | None
    undecided: str | None
    violations: tuple[str, ...]
    limits: Limits
    device: str = "cpu"
    labelled: LabelledComparison | None = None

    def to_json(self) -> dict[str, Any]:
        """The report as plain data; an infinite difference becomes the text "inf"."""
        plain: dict[str, Any] = json.loads(
            json.dumps(asdict(self)).replace("-Infinity", '"-inf"').replace("Infinity", '"inf"')
        )
        return plain

    def summary(self) -> list[str]:
        """Lines for a person to read."""
        lines = []
        if self.device != "cpu":
            lines.append(f"on {self.device}, each picture alone and together with others:")
        if self.points is not None:
            lines.append(
                f"points: {self.points.share:.0%} of {self.samples} x {self.points.count} are "
                "sure enough to be compared (crop pixels)"
            )
            lines += [_part_line(part, row) for part, row in self.points.parts.items()]
            if self.points.score_p99 is not None:
                lines.append(f"scores: p99 difference {self.points.score_p99:.2g}")
        if self.boxes is not None:
            lines.append(
                f"boxes: {self.boxes.matched} of {self.boxes.source_boxes} found again on "
                f"{self.samples} pictures, {self.boxes.unmatched} unmatched, worst side "
                f"{_number(self.boxes.worst_px)} px, worst score {_number(self.boxes.worst_score)}"
            )
        lines += [
            f"raw {name}: largest {difference.largest:.2g} relative, rms {difference.rms:.2g} of "
            "the source's spread"
            for name, difference in self.raw.items()
        ]
        if self.labelled is not None:
            lines += self.labelled.summary()
        if self.undecided:
            lines.append(f"not decidable: {self.undecided}")
        return lines


def judged_on_labels(report: ParityReport, labelled: LabelledComparison) -> ParityReport:
    """Returns a report with the verdict of labels.

    In a lower precision they judge in place of the distances of all but the median point, and of
    the scores: a point that jumps where the network is undecided is neither better nor worse.
    In fp32 nothing may jump, labels or not.
    """
    kept = report.violations
    if report.precision != "fp32":
        kept = tuple(line for line in kept if not line.startswith(OUTVOTED))
    return replace(report, labelled=labelled, violations=(*kept, *labelled.violations()))


def require_parity(report: ParityReport) -> None:
    """Raises unless the gate was passed.

    Raises:
        ParityError: Something is over its limit; the message lists it.
    """
    if not report.violations:
        return
    hint = ""
    if report.undecided:
        hint = (
            "; give pictures on which the network is sure (--verify), or accept the raw outputs "
            "as evidence (--allow-undecided)"
        )
    elif (
        report.precision != "fp32"
        and report.labelled is None
        and report.points is not None
        and all(line.startswith(OUTVOTED) for line in report.violations)
    ):
        hint = (
            "; labelled persons tell whether that makes anything worse: --labels ANNOTATIONS IMAGES"
        )
    place, other = "", ""
    if report.device != "cpu":
        place, other = f" on {report.device}", " on the CPU"
    raise ParityError(
        f"the exported network does not do{place} what its source does{other}: "
        f"{'; '.join(report.violations)}{hint}"
    )


def _part_line(part: str, row: Distances) -> str:
    if not row.compared:
        return f"  {part:<10}  none compared"
    return (
        f"  {part:<10} {row.compared:4d} compared: median {_number(row.median_px)}, "
        f"p99 {_number(row.p99_px)}, worst {_number(row.worst_px)}"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
