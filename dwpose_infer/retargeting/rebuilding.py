"""A person put together anew, from the root to the tips, with other lengths.

Every point keeps the direction from the point it hangs on; so angles in the picture stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..arrays import BoolArray, Float64Array
from ..layouts import POINTS_OF_PART
from .lengths import ANKLES, HIPS, NECK, Nodes


@dataclass(frozen=True, slots=True)
class _Joint:
    """A node, the node it hangs on, and the name of the length between them."""

    name: str
    parent: str
    length: str


def _tree() -> tuple[_Joint, ...]:
    joints = [_Joint(NECK, HIPS, "spine"), _Joint("nose", NECK, "neck")]
    for side in ("left", "right"):
        names = [f"{side}_{point}" for point in ("shoulder", "elbow", "wrist")]
        arm = zip(names, (NECK, *names), ("shoulders", "upper arms", "forearms"), strict=False)
        names = [f"{side}_{point}" for point in ("hip", "knee", "ankle")]
        leg = zip(names, (HIPS, *names), ("hips", "thighs", "shins"), strict=False)
        joints += [_Joint(*joint) for joint in (*arm, *leg)]
        hand = POINTS_OF_PART[f"{side}_hand"]
        joints += [_Joint(point, f"{side}_wrist", "hands") for point in hand]
        feet = [point for point in POINTS_OF_PART["feet"] if point.startswith(side)]
        joints += [_Joint(point, f"{side}_ankle", "feet") for point in feet]
    head = [f"{side}_{point}" for point in ("eye", "ear") for side in ("left", "right")]
    joints += [_Joint(point, "nose", "head") for point in (*head, *POINTS_OF_PART["face"], "head")]
    return (*joints, _Joint("hip", HIPS, "spine"), _Joint("neck", NECK, "neck"))


_JOINTS: Final = _tree()
"""All points of all layouts, parents first."""

ANCHORS: Final[Mapping[str, str]] = {
    "ankles": ANKLES,
    "hips": HIPS,
    "neck": NECK,
    "nose": "nose",
}
"""What can be put where the reference has it -> its node; in this order one is chosen."""


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Where places of the clip come to lie in the reference's picture.

    Attributes:
        scale: Pixels there a pixel of the clip.
        from_xy: (2,) a place of the clip, pixels.
        to_xy: (2,) where it comes to lie, pixels.
    """

    scale: float
    from_xy: Float64Array
    to_xy: Float64Array

    def __call__(self, xy: Float64Array) -> Float64Array:
        """Returns (..., 2) places in pixels of the reference's picture."""
        return self.to_xy + self.scale * (xy - self.from_xy)


def rebuilt(
    nodes: Nodes, ratios: Mapping[str, float], placement: Placement, *, anchor: str
) -> Float64Array:
    """Returns the points of a person with other lengths.

    Args:
        nodes: The person over T frames.
        ratios: Every name of a length -> factor on it.
        placement: Where the anchor goes.
        anchor: Node that keeps to the placement: with the middle of the ankles, who stands still
            does.

    Returns:
        (T, N, 2) float64, pixels of the reference's picture, in the order of the nodes; NaN where
        a point is absent.
    """
    held_on = {HIPS: _root(nodes, placement)}
    new = np.full_like(nodes.xy, np.nan)
    new[:, nodes.place[HIPS]] = placement(nodes.at(HIPS))
    for joint in _JOINTS:
        parent_old, parent_new = held_on[joint.parent]
        if joint.name not in nodes.place:
            continue
        node = nodes.place[joint.name]
        own_old = nodes.xy[:, node]
        new[:, node] = parent_new + ratios[joint.length] * (own_old - parent_old)
        sure = nodes.sure[:, [node]]  # what is not is placed, but nothing hangs on it
        held_on[joint.name] = (
            np.where(sure, own_old, parent_old),
            np.where(sure, new[:, node], parent_new),
        )
    ankles = [nodes.place[f"{side}_ankle"] for side in ("left", "right")]
    new[:, nodes.place[ANKLES]] = new[:, ankles].mean(axis=1)
    moved = placement(nodes.at(anchor)) - new[:, nodes.place[anchor]]
    known = nodes.sure[:, nodes.place[anchor]]
    if known.any():
        new += over_time(moved, known)[:, None]
    return new


def _root(nodes: Nodes, placement: Placement) -> tuple[Float64Array, Float64Array]:
    """Where the hips are in each frame, old and new; what is nearest to them where they are not.

    Where the shoulders are sure the hips are put below them as in the frames around.
    """
    old, neck = nodes.at(HIPS).copy(), nodes.at(NECK)
    both = ~np.isnan(old + neck).any(axis=1)
    if both.any():
        guess = neck + over_time(old - neck, both)
        old = np.where(np.isnan(old), guess, old)
    for name in (NECK, "nose", *nodes.place):
        unknown = np.isnan(old).any(axis=1)
        if not unknown.any():
            break
        old[unknown] = nodes.at(name)[unknown]
    old = np.where(np.isnan(old), placement.from_xy, old)
    return old, placement(old)


def over_time(values: Float64Array, known: BoolArray) -> Float64Array:
    """Returns (T, 2) values, those not known put between the known ones before and after."""
    frames = np.arange(len(values))
    columns: Sequence[Float64Array] = [
        np.interp(frames, frames[known], column[known]) for column in values.T
    ]
    return np.column_stack(columns)
