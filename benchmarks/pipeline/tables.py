"""What is said of a result of `dwpose-bench pipeline`, from its document alone."""

from __future__ import annotations

from ..markdown import markdown_table
from ..peers.baselines import METHODS, MISSING, OURS, RTMLIB, RTMLIB_REMEDY, SHORT_NAMES, MethodName
from .document import PipelineDocument, Row, misses


def readme_table(document: PipelineDocument) -> str:
    """Returns the short table and where it comes from."""
    return f"{summary_table(document)}\n\n{origin(document)}"


def origin(document: PipelineDocument) -> str:
    """Returns the line that says what was measured where."""
    weights = " with random weights" if document.random_weights else ""
    return (
        f"Measured on: {document.environment.label}; {document.pose}{weights} and "
        f"{document.detector}, ONNX Runtime on {document.threads} "
        f"thread{'s'[document.threads == 1 :]}, medians of {document.repeats} interleaved rounds."
    )


def _workload(row: Row) -> str:
    if row.workload == "folder":
        return f"folder: {row.pictures} pictures, {row.persons} persons"
    missed = "" if row.persons == row.persons_shown else f" (of {row.persons_shown})"
    return f"{row.persons}{missed} person{'s'[row.persons == 1 :]}"


def _present(document: PipelineDocument) -> list[MethodName]:
    return [name for name in METHODS if name in document.rows[0].times]


def summary_table(document: PipelineDocument) -> str:
    """Returns the short table: whole milliseconds per picture, and how many times as fast."""
    others = [name for name in METHODS if name != OURS]
    header = [
        "picture",
        *(f"{SHORT_NAMES.get(name, name)}, ms" for name in METHODS),
        *(f"times as fast as {name}" for name in others),
        f"outside the networks, ours / {RTMLIB}",
    ]
    lines = []
    for row in document.rows:
        totals = [
            f"{row.times[name].total_ms:.1f}" if name in row.times else MISSING for name in METHODS
        ]
        speeds = [
            f"{1 / row.ratios[name]:.2f}" if name in row.ratios else MISSING for name in others
        ]
        outside = f"{row.outside_ratios[RTMLIB]:.3f}" if RTMLIB in row.outside_ratios else MISSING
        lines.append([_workload(row), *totals, *speeds, outside])
    return markdown_table(header, lines)


def methods_table(document: PipelineDocument) -> str:
    """Returns the long table of the methods: times inside and outside, ratios, memory."""
    rows, names = document.rows, _present(document)
    lines = []
    for name in names:
        times = [row.times[name] for row in rows]
        lines.append([f"**{name}**", *(f"{each.total_ms:.2f}" for each in times)])
        lines.append([f"{name}, networks", *(f"{each.networks_ms:.2f}" for each in times)])
        lines.append([f"{name}, outside", *(f"{each.outside_ms:.2f}" for each in times)])
    for name in names[1:]:
        lines.append([f"**{OURS} / {name}**", *(f"{row.ratios[name]:.3f}" for row in rows)])
        lines.append(
            [f"{OURS} / {name}, outside", *(f"{row.outside_ratios[name]:.3f}" for row in rows)]
        )
    for name in names:
        peaks = [f"{row.peak_mb[name]:.0f}" if name in row.peak_mb else MISSING for row in rows]
        lines.append([f"{name}, peak memory in MB", *peaks])
    agreement = [f"{100 * row.agreement:.1f} %" for row in rows]
    lines.append(["points that agree, at least", *agreement])
    return markdown_table(["milliseconds per picture", *map(_workload, rows)], lines)


def stages_table(document: PipelineDocument) -> str:
    """Returns the table of our stages, from picture file to drawn picture."""
    rows = document.rows
    lines = [
        [stage, *(f"{row.stages_ms.get(stage, 0.0):.3f}" for row in rows)]
        for stage in rows[0].stages_ms
    ]
    header = [f"{OURS}: stage, milliseconds per picture", *map(_workload, rows)]
    return markdown_table(header, lines)


def verdict(document: PipelineDocument) -> str:
    """Returns what is met and what is missed of the targets, one line for each workload."""
    if any(RTMLIB not in row.times for row in document.rows):
        return RTMLIB_REMEDY
    lines = [
        f"Targets beside {RTMLIB}: outside the networks at most a third of its time; in all at "
        "least 0.98 times as fast at one person, faster from two on."
    ]
    for row in document.rows:
        missed = misses(row)
        lines.append(f"- {_workload(row)}: {'MISSED: ' + ', '.join(missed) if missed else 'met'}")
    return "\n".join(lines)


def report(document: PipelineDocument) -> str:
    """Returns all that is printed after measuring."""
    parts = (
        origin(document),
        summary_table(document),
        methods_table(document),
        stages_table(document),
        verdict(document),
    )
    return "\n\n".join(parts)
