"""One row for each labelled person: how much of it was hit; as CSV, JSON or pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..arrays import UInt8Array
from ..errors import InvalidArgumentError
from ..files.atomic import write_bytes
from ..files.document import write_document
from ..keypoints import FACE
from ..results import PoseResult
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


BOX_BGR = (200, 200, 200)
HIT_BGR = (80, 220, 80)
MISSED_BGR = (40, 40, 230)


def draw_worst(
    comparison: Comparison, read_picture: Callable[[int], UInt8Array], folder: Path, *, count: int
) -> list[Path]:
    """Writes the persons with the smallest share of hits over their pictures, as PNG.

    The names begin with that share, so that the worst come first in a listing, and end with
    the annotation's id.

    Args:
        comparison: Labelled persons and what was found.
        read_picture: Index of a picture in the annotations -> (H, W, 3) uint8 BGR.
        folder: Where the pictures go; made where it is missing.
        count: How many persons.

    Raises:
        InputError: A picture cannot be read.
        OutputError: A file cannot be written.
    """
    paths = []
    annotations = comparison.annotations
    for person in worst_first(comparison)[:count]:
        image = int(annotations.image_indices[person])
        canvas = draw_person(comparison, person, read_picture(image))
        stem = Path(annotations.file_name(image)).stem
        name = f"{comparison.person_pck[person]:.3f}_{stem}_{annotations.ids[person]}.png"
        encoded = cv2.imencode(".png", canvas)[1]
        paths.append(write_bytes(folder / name, encoded.tobytes()))
    return paths


def draw_person(comparison: Comparison, person: int, image_bgr: UInt8Array) -> UInt8Array:
    """Returns a picture with the predicted skeleton, the labelled box and the labelled points.

    Labelled points are rings, green where hit and red where missed; those of face and hands
    are small.
    """
    found = comparison.matches.keypoints[person]
    height, width = image_bgr.shape[:2]
    result = PoseResult.empty(image_size=(width, height))
    if not np.isnan(found).any():
        result = PoseResult(
            keypoints=found[None].astype(np.float32),
            scores=comparison.matches.scores[person][None].astype(np.float32),
            image_size=(width, height),
        )
    canvas = result.draw(image_bgr, style="overlay")
    left, top, box_width, box_height = comparison.annotations.boxes_xywh[person]
    corners = np.rint([left, top, left + box_width, top + box_height]).astype(int).tolist()
    cv2.rectangle(canvas, corners[:2], corners[2:], BOX_BGR, 1)
    errors = comparison.errors.relative[person]
    for index in np.flatnonzero(~np.isnan(errors)):
        place = np.rint(comparison.annotations.keypoints[person, index, :2]).astype(int).tolist()
        color = HIT_BGR if errors[index] <= comparison.pck_threshold else MISSED_BGR
        large = index < FACE.start or len(errors) < FACE.stop
        cv2.circle(canvas, place, 4 if large else 1, color, 1, cv2.LINE_AA)
    return canvas
