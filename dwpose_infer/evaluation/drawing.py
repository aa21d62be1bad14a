"""Pictures of the persons that were missed most, to look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ..files.atomic import write_bytes
from ..keypoints import FACE
from ..results import PoseResult
from .groups import Comparison
from .per_person import worst_first

BOX_BGR = (200, 200, 200)
HIT_BGR = (80, 220, 80)
MISSED_BGR = (40, 40, 230)

_Image = npt.NDArray[np.uint8]


def draw_worst(
    comparison: Comparison, read_picture: Callable[[int], _Image], folder: Path, *, count: int
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


def draw_person(comparison: Comparison, person: int, image_bgr: _Image) -> _Image:
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
