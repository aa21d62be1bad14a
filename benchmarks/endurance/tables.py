"""What is said of the results of `sweep`, `cold-start` and `soak`, from their documents alone."""

from __future__ import annotations

import statistics
from pathlib import Path

import msgspec

from ..document import read_document
from ..markdown import markdown_table
from .document import ColdStartDocument, SoakDocument, StartTimes, SweepDocument, SweepRow

_START_WORDS = {
    "python_ms": "start of Python",
    "import_ms": "import",
    "sessions_ms": "both networks loaded",
    "first_ms": "first result",
    "total_ms": "**from the call to the first result**",
    "second_ms": "second result, for comparison",
}


def sweep_table(document: SweepDocument) -> str:
    """Returns milliseconds per picture and pictures per second, one table for all networks."""
    threads = sorted({row.threads for row in document.rows})
    cells = {(row.model, row.batch, row.threads): row for row in document.rows}
    lines = []
    for model, batch in dict.fromkeys((row.model, row.batch) for row in document.rows):
        found = [cells[model, batch, count] for count in threads]
        lines.append([model, str(batch), *(_sweep_cell(row) for row in found)])
    words = (f"{count} thread{'s'[count == 1 :]}: ms each (per second)" for count in threads)
    return markdown_table(["network", "batch", *words], lines)


def _sweep_cell(row: SweepRow) -> str:
    return f"{row.picture_ms:.2f} ({row.pictures_per_s:.1f})"


def sweep_report(document: SweepDocument) -> str:
    """Returns all that is said of a sweep."""
    random = document.random_weights
    weights = f" Random weights: {', '.join(random)}." if random else ""
    return (
        f"{sweep_table(document)}\n\nMeasured on: {document.environment.label}; "
        f"{document.backend}, medians of {document.repeats} rounds.{weights}"
    )


def cold_start_report(document: ColdStartDocument) -> str:
    """Returns all that is said of cold starts."""
    lines = []
    for field in msgspec.structs.fields(StartTimes):
        times = [getattr(run, field.name) for run in document.runs]
        figures = (statistics.median(times), min(times), max(times))
        lines.append([_START_WORDS[field.name], *(f"{figure:.0f}" for figure in figures)])
    table = markdown_table(["milliseconds", "median", "least", "most"], lines)
    return (
        f"{table}\n\nMeasured on: {document.environment.label}; {document.pose} and "
        f"{document.detector}, {document.threads} thread{'s'[document.threads == 1 :]}, "
        f"{len(document.runs)} fresh processes, files in the system's cache."
    )


def soak_verdict(document: SoakDocument) -> str:
    """Returns the sentence that holds a long run against its limits."""
    begin, end = document.hundreds[0].pictures, document.hundreds[-1].pictures
    growth_met = document.growth_mb < document.max_growth_mb
    slowdown_met = document.slowdown <= document.max_slowdown
    return (
        f"Memory from picture {begin} to {end}: {document.growth_mb:+.1f} MB at most, limit "
        f"{document.max_growth_mb:g} MB, {'met' if growth_met else 'EXCEEDED'}; latency of the "
        f"last hundred: {document.slowdown:.3f} of the first, limit {document.max_slowdown:g}, "
        f"{'met' if slowdown_met else 'EXCEEDED'}."
    )


def soak_report(document: SoakDocument) -> str:
    """Returns all that is said of a long run."""
    table = markdown_table(
        ["after pictures", "resident MB", "median ms of the last hundred"],
        [
            [str(each.pictures), f"{each.resident_mb:.1f}", f"{each.median_ms:.2f}"]
            for each in document.hundreds
        ],
        text_columns=0,
    )
    return (
        f"{table}\n\n{soak_verdict(document)}\n\nMeasured on: {document.environment.label}; "
        f"{document.pose} and {document.detector}, {document.threads} "
        f"thread{'s'[document.threads == 1 :]}, {document.persons} persons found."
    )


def sweep_readme_table(path: Path) -> str:
    """Reads the result of a sweep and returns its table; raises as `read_document` does."""
    return sweep_report(read_document(path, SweepDocument))


def cold_start_readme_table(path: Path) -> str:
    """Reads the result of cold starts and returns its table; raises as `read_document` does."""
    return cold_start_report(read_document(path, ColdStartDocument))


def soak_readme_table(path: Path) -> str:
    """Reads the result of a long run and returns its table; raises as `read_document` does."""
    return soak_report(read_document(path, SoakDocument))
