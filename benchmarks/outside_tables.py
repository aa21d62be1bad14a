"""What is said of a result of `outside_networks`, from its JSON document alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..formats.json_text import parse, require, require_version
from ..formats.reading import read_bytes
from .contenders import OFFICIAL, OURS, RTMLIB
from .outside_timing import NETWORKS

BENCHMARK = "outside_networks"
"""Name of the program in its JSON file."""

SCHEMA_VERSION = 1
"""Version of the layout of the JSON file."""

TARGET_RATIO = 1 / 3
"""Ours must cost at most so much of what rtmlib costs."""

RTMLIB_REMEDY = (
    "rtmlib is left out, for it is not installed: pip install --no-deps rtmlib==0.0.16 "
    "(with its dependencies it would replace cv2)"
)

MISSING = "-"
"""Stands in the table for a contender that was not measured."""


def read_document(path: Path) -> dict[str, Any]:
    """Reads what `outside_networks --json` wrote.

    Raises:
        InputError: The file cannot be read.
        FormatError: It is no such file, or one of a newer release.
    """
    origin = str(path)
    document = parse(read_bytes(path), origin)
    require(
        isinstance(document, dict) and document.get("benchmark") == BENCHMARK,
        origin,
        f"this is no result of the benchmark {BENCHMARK}",
    )
    require_version(document.get("schema_version"), SCHEMA_VERSION, origin)
    rows = document.get("rows")
    require(isinstance(rows, list) and bool(rows), origin, "rows is no list, or an empty one")
    for number, row in enumerate(rows):
        require(
            isinstance(row, dict) and _is_row(row),
            origin,
            f"rows[{number}] lacks persons, costs or ratios, or holds something else there",
        )
    return dict(document)


def _is_row(row: Mapping[str, Any]) -> bool:
    persons, costs, ratios = row.get("persons"), row.get("costs"), row.get("ratios")
    if not (isinstance(costs, dict) and isinstance(ratios, dict) and OURS in costs):
        return False
    times = [cost.get("outside_ms") if isinstance(cost, dict) else None for cost in costs.values()]
    return (
        isinstance(persons, int)
        and persons >= 1
        and set(ratios) == set(costs) - {OURS}
        and all(isinstance(number, int | float) for number in (*times, *ratios.values()))
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def summary_table(document: Mapping[str, Any]) -> str:
    """Returns the short table: one row for each number of persons, ms per person and ratios."""
    names = (OURS, RTMLIB, OFFICIAL)
    header = [
        "persons",
        *(f"{'ours' if name == OURS else name} ms per person" for name in names),
        f"ours / {RTMLIB}",
        "ours / official",
    ]
    lines = [_line(header), _line(["---:"] * len(header))]
    for row in document["rows"]:
        costs, ratios = row["costs"], row["ratios"]
        per_person = [
            f"{costs[name]['outside_ms'] / row['persons']:.2f}" if name in costs else MISSING
            for name in names
        ]
        shares = [f"{ratios[name]:.3f}" if name in ratios else MISSING for name in names[1:]]
        lines.append(_line([str(row["persons"]), *per_person, *shares]))
    return "\n".join(lines)


def full_table(document: Mapping[str, Any]) -> str:
    """Returns the long table: one column for each number of persons, all times and ratios."""
    rows = document["rows"]
    persons = [row["persons"] for row in rows]
    lines = [
        _line(["milliseconds", *(f"{count} person{'s'[count == 1 :]}" for count in persons)]),
        _line(["---", *["---:"] * len(rows)]),
    ]
    for name in rows[0]["costs"]:
        times = [row["costs"][name]["outside_ms"] for row in rows]
        each = [time / count for time, count in zip(times, persons, strict=True)]
        lines.append(_line([f"**{name}**, per picture", *(f"{time:.2f}" for time in times)]))
        lines.append(_line([f"{name}, per person", *(f"{time:.2f}" for time in each)]))
    for name in rows[0]["ratios"]:
        ratios = [f"{row['ratios'][name]:.3f}" for row in rows]
        lines.append(_line([f"**{OURS} / {name}**", *ratios]))
    for stage in rows[0]["stages_ms"]:
        stages = [f"{row['stages_ms'][stage]:.3f}" for row in rows]
        lines.append(_line([f"{OURS}: {stage}", *stages]))
    for name in rows[0]["costs"]:
        networks = [f"{row['costs'][name]['networks_ms']:.2f}" for row in rows]
        lines.append(_line([f"{NETWORKS} of {name}, not counted above", *networks]))
    return "\n".join(lines)


def verdict(document: Mapping[str, Any]) -> str:
    """Returns the sentence that holds ours against the target."""
    rows = document["rows"]
    if any(RTMLIB not in row["costs"] for row in rows):
        return RTMLIB_REMEDY
    words = [
        f"{'met' if row['ratios'][RTMLIB] <= TARGET_RATIO else 'MISSED'} with {row['persons']}"
        for row in rows
    ]
    return f"At most a third of {RTMLIB} per person: {', '.join(words)} person(s)."
