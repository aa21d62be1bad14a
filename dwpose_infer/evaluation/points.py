"""PCK and mean error: how far predicted points are from labelled ones, person by person.

These figures need no ranking and no threshold on persons, so they say something on small sets,
where average precision jumps with every person. Distances are taken relative to the longer side
of the labelled box.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from ..annotations import Annotations
from ..arrays import Float64Array, FloatArray, IndexArray
from ..errors import InvalidArgumentError
from ..layouts import MIDLINE, WHOLEBODY_133, KeypointLayout, layout_of

PCK_THRESHOLD: Final = 0.05
"""A point is hit within this share of the longer side of the labelled box.

The measure of the bundled models' card: on a person who stands it is 5 % of the height.
"""

PointPart = Literal["body", "feet", "face", "left_hand", "right_hand", "hands", "midline", "all"]

_PARTS_OF: Final[Mapping[PointPart, tuple[str, ...]]] = {
    "body": ("body",),
    "feet": ("feet",),
    "face": ("face",),
    "left_hand": ("left_hand",),
    "right_hand": ("right_hand",),
    "hands": ("left_hand", "right_hand"),
    "midline": (MIDLINE,),
}


def point_parts(layout: KeypointLayout) -> dict[PointPart, IndexArray]:
    """Returns each part of the figures -> places of its points in a layout."""
    places = np.arange(len(layout))
    found: dict[PointPart, IndexArray] = {
        name: np.concatenate([places[layout.parts[part]] for part in parts])
        for name, parts in _PARTS_OF.items()
        if set(parts) <= layout.parts.keys()
    }
    return found | {"all": places}


POINT_PARTS: Final[Mapping[PointPart, IndexArray]] = point_parts(WHOLEBODY_133)
"""Those of the 133 keypoints."""


@dataclass(frozen=True, slots=True, eq=False)
class PointErrors:
    """Distances of predicted points from labelled ones.

    Attributes:
        pixels: (P, K) float64, pixels of the picture; NaN where not labelled, infinite where
            the person was not found.
        relative: (P, K) float64, the same in longer sides of the labelled box.
    """

    pixels: Float64Array
    relative: Float64Array

    def __len__(self) -> int:
        return len(self.pixels)

    def select(self, persons: npt.ArrayLike) -> PointErrors:
        """Returns the persons that a NumPy index picks."""
        index = np.asarray(persons)
        return PointErrors(self.pixels[index], self.relative[index])


@dataclass(frozen=True, slots=True)
class PartErrors:
    """Figures of one part over many persons.

    Attributes:
        points: Labelled points.
        pck: Share of them that is hit; a person not found misses all. None without points.
        mean_error_px: Mean distance in pixels of the picture, over persons found; None if none.
        mean_error_relative: The same in longer sides of the labelled box.
    """

    points: int
    pck: float | None
    mean_error_px: float | None
    mean_error_relative: float | None


def point_errors(keypoints: FloatArray, annotations: Annotations) -> PointErrors:
    """Compares one predicted person with each labelled one.

    Args:
        keypoints: (P, K, 2), x then y, pixels of the picture: row i is the prediction for
            person i of the annotations; NaN where there is none.
        annotations: P labelled persons.

    Raises:
        InvalidArgumentError: The numbers of persons differ.
    """
    expected = (len(annotations), len(annotations.layout), 2)
    if keypoints.shape != expected:
        raise InvalidArgumentError(
            f"keypoints have the shape {keypoints.shape}, expected {expected}: one prediction for "
            "each labelled person"
        )
    labels = annotations.keypoints.astype(np.float64)
    pixels = np.linalg.norm(keypoints.astype(np.float64) - labels[..., :2], axis=2)
    pixels[np.isnan(pixels)] = np.inf
    pixels[labels[..., 2] <= 0] = np.nan
    longer_side = annotations.boxes_xywh[:, 2:].max(axis=1, initial=0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = pixels / longer_side[:, None]
    return PointErrors(pixels, relative)


def part_errors(
    errors: PointErrors, *, threshold: float = PCK_THRESHOLD
) -> dict[PointPart, PartErrors]:
    """Returns the figures of every part of `point_parts`.

    Args:
        errors: Of any persons, see `point_errors`.
        threshold: See `PCK_THRESHOLD`.
    """
    return {
        part: _figures(errors.pixels[:, places], errors.relative[:, places], threshold)
        for part, places in point_parts(layout_of(errors.pixels.shape[1])).items()
    }


def pck(
    keypoints: FloatArray, annotations: Annotations, *, threshold: float = PCK_THRESHOLD
) -> dict[PointPart, float | None]:
    """Returns the share of labelled points of each part that are hit, None where there are none.

    Args:
        keypoints: (P, K, 2), see `point_errors`.
        annotations: P labelled persons.
        threshold: See `PCK_THRESHOLD`.
    """
    figures = part_errors(point_errors(keypoints, annotations), threshold=threshold)
    return {part: figure.pck for part, figure in figures.items()}


def _figures(pixels: Float64Array, relative: Float64Array, threshold: float) -> PartErrors:
    labelled = ~np.isnan(pixels)
    found = np.isfinite(pixels)
    return PartErrors(
        points=int(labelled.sum()),
        pck=_mean(relative[labelled] <= threshold),
        mean_error_px=_mean(pixels[found]),
        mean_error_relative=_mean(relative[found]),
    )


def _mean(values: npt.NDArray[np.generic]) -> float | None:
    return float(values.astype(np.float64).mean()) if values.size else None
