"""What is said of a result of `dwpose-bench outside`, from its document alone."""

from __future__ import annotations

from pathlib import Path

from ..document import read_document
from ..markdown import markdown_table
from ..peers.baselines import CONTENDERS, OURS, RTMLIB, ContenderName
from ..peers.clock import NETWORKS
from .document import TARGET_RATIO, OutsideDocument

RTMLIB_REMEDY = (
    "rtmlib is left out, for it is not installed: pip install --no-deps rtmlib==0.0.16 "
    "(with its dependencies it would replace cv2)"
)

MISSING = "-"
"""Stands in the table for a contender that was not measured."""

SHORT_NAMES = {OURS: "ours", RTMLIB: RTMLIB}
"""Contender -> its name in the heads of columns, where that is another one."""


def readme_table(path: Path) -> str:
    """Reads a result and returns the short table and where it comes from.

    Raises:
        InputError: The file cannot be read.
        FormatError: It is no such file, or one of another release.
    """
    document = read_document(path, OutsideDocument)
    origin = (
        f"Measured on: {document.environment.label}; medians of {document.repeats} interleaved "
        f"rounds, OpenCV on {document.environment.threads['opencv']} threads."
    )
    return f"{summary_table(document)}\n\n{origin}"


def summary_table(document: OutsideDocument) -> str:
    """Returns the short table: one row for each number of persons, ms per person and ratios."""
    others: list[ContenderName] = [name for name in CONTENDERS if name != OURS]
    header = [
        "persons",
        *(f"{SHORT_NAMES.get(name, name)} ms per person" for name in CONTENDERS),
        f"ours / {RTMLIB}",
        "ours / official",
    ]
    lines = []
    for row in document.rows:
        per_person = [
            f"{row.costs[name].outside_ms / row.persons:.2f}" if name in row.costs else MISSING
            for name in CONTENDERS
        ]
        shares = [f"{row.ratios[name]:.3f}" if name in row.ratios else MISSING for name in others]
        lines.append([str(row.persons), *per_person, *shares])
    return markdown_table(header, lines, text_columns=0)


def full_table(document: OutsideDocument) -> str:
    """Returns the long table: one column for each number of persons, all times and ratios."""
    rows = document.rows
    header = ["milliseconds", *(f"{row.persons} person{'s'[row.persons == 1 :]}" for row in rows)]
    lines = []
    for name in rows[0].costs:
        times = [row.costs[name].outside_ms for row in rows]
        each = [time / row.persons for time, row in zip(times, rows, strict=True)]
        lines.append([f"**{name}**, per picture", *(f"{time:.2f}" for time in times)])
        lines.append([f"{name}, per person", *(f"{time:.2f}" for time in each)])
    for name in rows[0].ratios:
        ratios = [f"{row.ratios[name]:.3f}" for row in rows]
        lines.append([f"**{OURS} / {name}**", *ratios])
    for stage in rows[0].stages_ms:
        stages = [f"{row.stages_ms[stage]:.3f}" for row in rows]
        lines.append([f"{OURS}: {stage}", *stages])
    for name in rows[0].costs:
        networks = [f"{row.costs[name].networks_ms:.2f}" for row in rows]
        lines.append([f"{NETWORKS} of {name}, not counted above", *networks])
    return markdown_table(header, lines)


def verdict(document: OutsideDocument) -> str:
    """Returns the sentence that holds ours against the target."""
    rows = document.rows
    if any(RTMLIB not in row.costs for row in rows):
        return RTMLIB_REMEDY
    words = [
        f"{'met' if row.ratios[RTMLIB] <= TARGET_RATIO else 'MISSED'} with {row.persons}"
        for row in rows
    ]
    return f"At most a third of {RTMLIB} per person: {', '.join(words)} person(s)."
