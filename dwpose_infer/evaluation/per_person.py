"""One row for each labelled person: how much of it was hit; as CSV or JSON."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidArgumentError
from ..files.atomic import write_bytes
from ..files.document import write_document
from .groups import FOUND_IOU, Comparison
from .points import part_errors

SCHEMA_VERSION = 1
"""Version of the layout of the JSON file."""

SUFFIXES = (".csv", ".json")


def check_suffix(path: Path) -> None:
    """Checks that the name of a file says in which layout it is to be written.

    Raises:
        InvalidArgumentError: It does not.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidArgumentError(f"{path}: the name must end with {' or '.join(SUFFIXES)}")


def write_per_person(path: Path, comparison: Comparison) -> Path:
    """Writes the errors of every labelled person, worst first.

    Args:
        path: File ending with .csv or .json.
        comparison: Labelled persons and what was found.

    Raises:
        InvalidArgumentError: The ending is another.
        OutputError: The file cannot be written.
    """
    check_suffix(path)
    rows = person_rows(comparison)
    if path.suffix.lower() == ".json":
        document = {
            "schema_version": SCHEMA_VERSION,
            "pck_threshold": comparison.pck_threshold,
            "persons": rows,
        }
        return write_document(path, document)
    table = io.StringIO(newline="")
    names = list(rows[0]) if rows else ["annotation_id"]
    writer = csv.DictWriter(table, names)
    writer.writeheader()
    writer.writerows(rows)
    return write_bytes(path, table.getvalue().encode())


def person_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Returns what the file holds: undefined figures are None."""
    annotations = comparison.annotations
    rows = []
    for person in worst_first(comparison):
        image = int(annotations.image_indices[person])
        row: dict[str, Any] = {
            "annotation_id": int(annotations.ids[person]),
            "image_id": int(annotations.image_ids[image]),
            "file_name": annotations.file_name(image),
            "label": str(annotations.labels[person]),
            "source": str(annotations.sources[image]),
            "box_iou": round(float(comparison.matches.ious[person]), 4),
            "found": bool(comparison.matches.ious[person] >= FOUND_IOU),
            "box_longer_side_px": float(annotations.boxes_xywh[person, 2:].max()),
        }
        figures = part_errors(
            comparison.errors.select([person]), threshold=comparison.pck_threshold
        )
        for part, figure in figures.items():
            row[f"{part}_points"] = figure.points
            row[f"{part}_pck"] = figure.pck
            row[f"{part}_mean_error_px"] = figure.mean_error_px
        rows.append(row)
    return rows


def worst_first(comparison: Comparison) -> list[int]:
    """Returns the persons with labelled points by the share that is hit, smallest first."""
    share = comparison.person_pck
    order = np.argsort(share, kind="stable")
    return [int(person) for person in order if not np.isnan(share[person])]
