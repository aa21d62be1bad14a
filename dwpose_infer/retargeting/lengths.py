"""Lengths of a person's limbs in pixels, and by how much those of two persons differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..arrays import BoolArray, Float32Array, Float64Array
from ..layouts import KeypointLayout

HIPS: Final = "middle of the hips"
NECK: Final = "middle of the shoulders"
ANKLES: Final = "middle of the ankles"

_MIDDLES: Final[Mapping[str, tuple[str, str]]] = {
    HIPS: ("left_hip", "right_hip"),
    NECK: ("left_shoulder", "right_shoulder"),
    ANKLES: ("left_ankle", "right_ankle"),
}
"""Nodes that no network gives -> the points between which they lie."""

Segments = tuple[tuple[str, str], ...]


def _on_both_sides(*segments: tuple[str, str]) -> tuple[Segments, ...]:
    return tuple(
        tuple((first.format(side=side), last.format(side=side)) for first, last in segments)
        for side in ("left", "right")
    )


_FINGER_BASES: Final = ("forefinger1", "middle_finger1", "ring_finger1", "pinky_finger1")

_LENGTHS: Final[Mapping[str, tuple[tuple[Segments, ...], ...]]] = {
    "spine": ((((HIPS, NECK),),),),
    "shoulders": ((_on_both_sides((NECK, "{side}_shoulder"))),),
    "hips": ((_on_both_sides((HIPS, "{side}_hip"))),),
    "upper arms": ((_on_both_sides(("{side}_shoulder", "{side}_elbow"))),),
    "forearms": ((_on_both_sides(("{side}_elbow", "{side}_wrist"))),),
    "thighs": ((_on_both_sides(("{side}_hip", "{side}_knee"))),),
    "shins": ((_on_both_sides(("{side}_knee", "{side}_ankle"))),),
    "neck": ((((NECK, "nose"),),),),
    # What neither mouth nor eyelids move: width at the ears, outer corners of the eyes, nose.
    "head": (
        ((("face-0", "face-16"), ("face-36", "face-45"), ("face-27", "face-33")),),
        ((("left_ear", "right_ear"), ("left_eye", "right_eye")),),
        ((("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "right_eye")),),
    ),
    # The palm: fingers bend.
    "hands": (
        _on_both_sides(*(("{side}_hand_root", f"{{side}}_{base}") for base in _FINGER_BASES)),
    ),
    "feet": (
        _on_both_sides(
            *(("{side}_ankle", f"{{side}}_{point}") for point in ("big_toe", "small_toe", "heel"))
        ),
    ),
}
"""Name of a length -> ways to measure it, best first; each is a group of segments a side."""

LENGTH_NAMES: Final = tuple(_LENGTHS)

_OF_WHOLE_PERSON: Final = (
    ("spine", "thighs", "shins", "upper arms", "forearms"),
    ("shoulders",),
    ("neck", "head"),
)
"""Lengths whose sums say how large a person is; the first of these that two persons share."""


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """A person's points over time, and the middles between some of them.

    Attributes:
        xy: (T, N, 2) float64, pixels; NaN where absent.
        sure: (T, N) bool, whether a node is there and sure enough to measure and to hang others
            on.
        place: Name of a node -> its index.
    """

    xy: Float64Array
    sure: BoolArray
    place: Mapping[str, int]

    def at(self, name: str) -> Float64Array:
        """Returns (T, 2), pixels; NaN where the node is absent or not sure."""
        if name not in self.place:
            return np.full((len(self.xy), 2), np.nan)
        node = self.place[name]
        return np.where(self.sure[:, [node]], self.xy[:, node], np.nan)


def nodes_of(points: Float32Array, layout: KeypointLayout, *, min_score: float) -> Nodes:
    """Returns the nodes of a person.

    Args:
        points: (T, K, 3): x, y in pixels, score; NaN where absent.
        layout: Order of the K points.
        min_score: Least score of a point that is sure.
    """
    xy = points[..., :2].astype(np.float64)
    with np.errstate(invalid="ignore"):
        sure = ~np.isnan(xy).any(axis=2) & (points[..., 2] >= min_score)
    place = {name: index for index, name in enumerate(layout.point_names)}
    for middle, ends in _MIDDLES.items():
        first, last = (place[end] for end in ends)
        place[middle] = xy.shape[1]
        xy = np.concatenate([xy, (xy[:, [first]] + xy[:, [last]]) / 2], axis=1)
        sure = np.concatenate([sure, sure[:, [first]] & sure[:, [last]]], axis=1)
    return Nodes(xy, sure, place)


def ratios(person: Nodes, reference: Nodes) -> dict[str, float]:
    """Returns how much longer the limbs of a reference are, as far as both persons show them.

    A length is the median over the frames that show all of it. Both sides share a ratio: of what
    both persons show of the two sides the sums are compared.

    Returns:
        Name of a length -> the reference's by the person's.
    """
    shared = {}
    for name in LENGTH_NAMES:
        sums = _sums(person, reference, name)
        if sums is not None:
            shared[name] = sums[1] / sums[0]
    return shared


def whole_ratio(person: Nodes, reference: Nodes) -> float | None:
    """Returns how much larger a reference is as a whole; None where nothing shows it."""
    for names in _OF_WHOLE_PERSON:
        sums = [found for name in names if (found := _sums(person, reference, name)) is not None]
        if sums:
            own, other = np.sum(sums, axis=0).tolist()
            return float(other / own)
    return None


def _sums(person: Nodes, reference: Nodes, name: str) -> tuple[float, float] | None:
    """Pixels of a length of both persons, summed over the sides that both show."""
    for way in _LENGTHS[name]:
        pairs = [(_median_px(person, side), _median_px(reference, side)) for side in way]
        known = [pair for pair in pairs if min(pair) > 0]
        if known:
            own, other = np.sum(known, axis=0).tolist()
            return own, other
    return None


def _median_px(nodes: Nodes, segments: Segments) -> float:
    """The summed length of segments, median over the frames that show all; 0 where none does."""
    total = np.sum(list(_segment_px(nodes, segments)), axis=0)
    known = total[~np.isnan(total)]
    return float(np.median(known)) if len(known) else 0.0


def _segment_px(nodes: Nodes, segments: Segments) -> Iterator[Float64Array]:
    for first, last in segments:
        yield np.linalg.norm(nodes.at(first) - nodes.at(last), axis=1)
