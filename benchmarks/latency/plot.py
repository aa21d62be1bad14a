"""Accuracy against latency, as a picture."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from ...errors import InvalidArgumentError, needs_extra
from ...files.atomic import write_bytes
from ..published import ORT_MACHINE, PUBLISHED, TRT_MACHINE, PublishedRow, find_published
from .result import COLUMN_TITLES, LatencyDocument, at_one

SIZE_INCHES = (8.0, 5.0)
DPI = 120

Curve = list[tuple[float, PublishedRow]]


def save_plot(document: LatencyDocument, path: Path) -> Path:
    """Writes the published AP of the networks against their latency, as PNG.

    One line for each backend measured, and the two published ones, dashed.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        InvalidArgumentError: None of the networks is in the published table.
        OutputError: The file cannot be written.
    """
    with needs_extra("the plot needs matplotlib", "bench"):
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogLocator, StrMethodFormatter
    curves = _measured(document)
    if not curves:
        raise InvalidArgumentError(
            "there is nothing to plot: none of the networks has a published accuracy and a time "
            "at batch 1"
        )
    figure = Figure(figsize=SIZE_INCHES, dpi=DPI, layout="constrained")
    axes = figure.subplots()
    for title, curve in curves.items():
        _draw(axes, curve, label=f"measured: {title}", linestyle="-", alpha=1.0)
    for title, curve in _published().items():
        _draw(axes, curve, label=f"published: {title}", linestyle="--", alpha=0.5)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter("")
    axes.set_xlabel("latency of one crop, network alone, ms")
    axes.set_ylabel("whole-body AP, published")
    axes.set_title(document.environment.label, fontsize="medium")
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend(fontsize="small")
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return write_bytes(path, picture.getvalue())


def _measured(document: LatencyDocument) -> dict[str, Curve]:
    curves: dict[str, Curve] = {}
    for row in at_one(document):
        published = find_published(row.network)
        if published is not None and published.accuracy is not None:
            title = COLUMN_TITLES.get(row.backend, row.backend)
            curves.setdefault(title, []).append((row.mean_ms, published))
    return curves


def _published() -> dict[str, Curve]:
    return {
        ORT_MACHINE: [(row.ort_ms, row) for row in PUBLISHED if row.ort_ms is not None],
        TRT_MACHINE: [(row.trt_ms, row) for row in PUBLISHED if row.trt_ms is not None],
    }


def _draw(axes: Any, curve: Curve, **style: Any) -> None:
    points = [(ms, row.accuracy.ap, row.name) for ms, row in curve if row.accuracy is not None]
    (line,) = axes.plot(
        [ms for ms, _, _ in points], [ap for _, ap, _ in points], marker="o", **style
    )
    for ms, ap, name in points:
        axes.annotate(
            name.removeprefix("dwpose-"),
            (ms, ap),
            xytext=(5, -11),
            textcoords="offset points",
            fontsize="small",
            color=line.get_color(),
        )
