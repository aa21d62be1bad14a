"""The orders of keypoints that networks of the RTMPose family give, and how they map to each other.

Four are known, and told apart by their number of points: COCO-WholeBody's 133, which DWPose has;
COCO's 17 of the body; the first 23 of COCO-WholeBody, body and feet; and the 26 of Halpe, which
have the top of the head, the neck and the middle of the hips besides. The 17 points of the body
come first in all of them, in the same order; a point has the same name in all.

Source of Halpe's order, bones and sigmas: mmpose's description of it
(https://github.com/open-mmlab/mmpose/blob/main/configs/_base_/datasets/halpe26.py), whose sigmas
are those of https://github.com/Fang-Haoshu/Halpe-FullBody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from . import keypoints as kp
from .errors import InvalidArgumentError

PartIndex = slice | list[int]
"""What picks a part's points out of an array: a range, or their places."""

MIDLINE: Final = "midline"
"""The part of Halpe's points that no other order has: head, neck and hip."""


@dataclass(frozen=True, slots=True, eq=False)
class KeypointLayout:
    """An order of keypoints.

    Attributes:
        name: Its name in files, such as "coco-wholebody-133".
        point_names: Name of each keypoint, by index.
        parts: Name of each part it has -> where its points are; a part has its points in the same
            order in every layout.
        links: Bones as pairs of indices.
        sigmas: Spread of each keypoint in OKS.
    """

    name: str
    point_names: tuple[str, ...]
    parts: Mapping[str, PartIndex]
    links: tuple[tuple[int, int], ...]
    sigmas: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.point_names)

    def __repr__(self) -> str:
        return f"KeypointLayout({self.name})"

    def part(self, name: str) -> PartIndex:
        """Returns what picks a part's points out of an array.

        Raises:
            InvalidArgumentError: The layout has no such part.
        """
        if name in self.parts:
            return self.parts[name]
        listed = ", ".join(self.parts)
        if name in POINTS_OF_PART:
            raise InvalidArgumentError(
                f"there is no part {name!r} among these {len(self)} points ({self.name}), which "
                f"have {listed}"
            )
        raise InvalidArgumentError(f"unknown part {name!r}; the parts are {listed}")

    def places_of(self, other: KeypointLayout) -> list[int | None]:
        """Returns, for each point of another layout, its index in this one; None where absent."""
        index = {name: place for place, name in enumerate(self.point_names)}
        return [index.get(name) for name in other.point_names]

    def common(self, other: KeypointLayout) -> KeypointLayout:
        """Returns the layout of the points that both have."""
        shared = set(self.point_names) & set(other.point_names)
        return next(each for each in LAYOUTS.values() if set(each.point_names) == shared)

    @property
    def flip_indices(self) -> list[int]:
        """Index of the keypoint in this one's place in a picture mirrored left to right."""
        places = {name: place for place, name in enumerate(self.point_names)}
        return [places[_MIRRORED.get(name, name)] for name in self.point_names]


_MIRRORED: Final = {
    name: kp.KEYPOINT_NAMES[mirror]
    for name, mirror in zip(kp.KEYPOINT_NAMES, kp.FLIP_INDICES, strict=True)
}

_HALPE_FEET: Final = ("big_toe", "small_toe", "heel")
_HALPE_NAMES: Final = (
    *kp.BODY_NAMES,
    *("head", "neck", "hip"),
    *(f"{side}_{point}" for point in _HALPE_FEET for side in ("left", "right")),
)


def _places(names: tuple[str, ...]) -> list[int]:
    return [_HALPE_NAMES.index(name) for name in names]


def _halpe_links() -> tuple[tuple[int, int], ...]:
    """The bones of body and feet, with those over neck and hip in place of the trunk's four."""
    trunk = {"left_shoulder", "right_shoulder", "left_hip", "right_hip"}
    bones = [
        (kp.KEYPOINT_NAMES[first], kp.KEYPOINT_NAMES[last])
        for first, last in kp.BODY_LINKS + kp.FEET_LINKS
    ]
    kept = [bone for bone in bones if not set(bone) <= trunk]
    middle = [("head", "neck"), ("neck", "hip")]
    middle += [("neck", f"{side}_shoulder") for side in ("left", "right")]
    middle += [("hip", f"{side}_hip") for side in ("left", "right")]
    pairs = [_places(bone) for bone in (*kept, *middle)]
    return tuple((first, last) for first, last in pairs)


WHOLEBODY_133: Final = KeypointLayout(
    name="coco-wholebody-133",
    point_names=kp.KEYPOINT_NAMES,
    parts=kp.PARTS,
    links=kp.SKELETON_LINKS,
    sigmas=kp.SIGMAS,
)
BODY_FEET_23: Final = KeypointLayout(
    name="coco-wholebody-23",
    point_names=kp.KEYPOINT_NAMES[: kp.FEET.stop],
    parts={"body": kp.BODY, "feet": kp.FEET},
    links=kp.BODY_LINKS + kp.FEET_LINKS,
    sigmas=kp.SIGMAS[: kp.FEET.stop],
)
BODY_17: Final = KeypointLayout(
    name="coco-17",
    point_names=kp.BODY_NAMES,
    parts={"body": kp.BODY},
    links=kp.BODY_LINKS,
    sigmas=kp.SIGMAS[: kp.BODY.stop],
)
HALPE_26: Final = KeypointLayout(
    name="halpe-26",
    point_names=_HALPE_NAMES,
    parts={"body": kp.BODY, "feet": _places(kp.FEET_NAMES), MIDLINE: slice(17, 20)},
    links=_halpe_links(),
    sigmas=(*kp.SIGMAS[: kp.BODY.stop], 0.026, 0.026, 0.066, *(0.079,) * 6),
)

LAYOUTS: Final[Mapping[int, KeypointLayout]] = {
    len(layout): layout for layout in (WHOLEBODY_133, BODY_17, BODY_FEET_23, HALPE_26)
}
"""The layouts, by number of points."""

POINTS_OF_PART: Final[Mapping[str, tuple[str, ...]]] = {
    **{part: kp.KEYPOINT_NAMES[span] for part, span in kp.PARTS.items()},
    MIDLINE: ("head", "neck", "hip"),
}
"""The parts of all layouts -> names of their points, in order."""


def layout_of(points: int) -> KeypointLayout:
    """Returns the layout with so many points.

    Raises:
        InvalidArgumentError: None has.
    """
    if points not in LAYOUTS:
        raise InvalidArgumentError(f"no order of {points} keypoints is known; {known_layouts()}")
    return LAYOUTS[points]


def known_layouts() -> str:
    """Returns the layouts in words, for error messages."""
    return (
        "understood are 133 (COCO-WholeBody), 17 (COCO's body), 23 (COCO-WholeBody's body and "
        "feet) and 26 (Halpe)"
    )
