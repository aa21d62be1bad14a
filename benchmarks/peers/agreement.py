"""Whether the methods find the same persons and the same points with real networks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ... import geometry
from ...arrays import Array, IndexArray
from ...errors import DwposeError
from ...keypoints import NUM_KEYPOINTS
from ...simcc import SPLIT_RATIO
from ..peers.baselines import OURS, MethodName

AGREEMENT_PX = 1e-3
"""Keypoints of two methods may differ by this much, in pixels of the picture."""

AGREEMENT_BINS = 1.5
"""Points may differ by less than two bins of SimCC: where two bins next to each other are almost
equally sure, the last bit of a crop or of a sum decides between them."""

AGREEMENT_SHARE = 0.98
"""At least this share of all points must agree. The methods' crops and sums differ in their
last bits (float64 or float32, one crop or several in a call), and where a network is undecided
between two places far apart, that can decide too."""


class DisagreementError(DwposeError):
    """The methods do not find the same keypoints: their times cannot be compared."""


def check_equal(found: Mapping[MethodName, Array], *, persons: int) -> None:
    """Checks that every method found the same keypoints.

    Args:
        found: Method -> keypoints (P, 133, 2), pixels of the picture.
        persons: Number of persons there are.

    Raises:
        DisagreementError: One of them found something else.
    """
    expected = (persons, NUM_KEYPOINTS, 2)
    for name, keypoints in found.items():
        if keypoints.shape != expected:
            raise DisagreementError(
                f"{name} found keypoints of the shape {keypoints.shape}, there are {expected}"
            )
        difference_px = float(np.abs(keypoints - found[OURS]).max())
        if not difference_px <= AGREEMENT_PX:
            raise DisagreementError(
                f"{name} and {OURS} differ by {difference_px:g} px; {AGREEMENT_PX:g} are allowed"
            )


def check_found(
    method: MethodName,
    keypoints: Array,
    ours: Array,
    boxes_xyxy: Array,
    *,
    crop_wh: tuple[int, int],
    name: str,
    least_share: float | None = None,
) -> float:
    """Checks that a method found the persons that ours found, in whatever order, and their points.

    Args:
        method: The method.
        keypoints: What it found, (P, 133, 2), pixels of the picture.
        ours: What this package found.
        boxes_xyxy: The boxes of this package's persons, (P, 4) in pixels.
        crop_wh: (width, height) of the pose network's input in pixels.
        name: The picture, for messages.
        least_share: Share of the points that must agree; None takes `AGREEMENT_SHARE`.

    Returns:
        The share of points that agree; 1 where nobody is found.

    Raises:
        DisagreementError: It found something else; times cannot be compared.
    """
    if len(keypoints) != len(ours):
        raise DisagreementError(
            f"{name}: {method} finds {len(keypoints)} persons, dwpose_infer {len(ours)}; "
            "choose a --score-threshold to which no person's score is close"
        )
    if not len(ours):
        return 1.0
    _, scale = geometry.box_to_center_scale(boxes_xyxy, input_size_wh=crop_wh)
    bins_px = scale.astype(np.float64) / (np.asarray(crop_wh) * SPLIT_RATIO)
    distances = np.abs(keypoints[_match(ours, keypoints)] - ours) / bins_px[:, None]
    share = float((distances <= AGREEMENT_BINS).all(axis=2).mean())
    least_share = AGREEMENT_SHARE if least_share is None else least_share
    if not share >= least_share:
        raise DisagreementError(
            f"{name}: only {100 * share:.1f} % of the points of {method} are where "
            f"dwpose_infer finds them, at least {100 * least_share:g} % must be"
        )
    return share


def _match(ours: Array, theirs: Array) -> IndexArray:
    """Index of the person of theirs for each of ours; most points of a person lie close."""
    distances = np.median(np.abs(ours[:, None] - theirs[None]).sum(axis=3), axis=2)
    matched: IndexArray = distances.argmin(axis=1)
    if len(set(matched.tolist())) < len(matched):
        raise DisagreementError("a method finds one person twice and misses another")
    return matched
