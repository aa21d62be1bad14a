"""The 133 whole-body keypoints as data: names, parts, links, flip pairs, sigmas.

Order and names are those of COCO-WholeBody (Jin et al., ECCV 2020, https://arxiv.org/abs/2007.11858),
which mmpose, RTMPose and DWPose share: body 0-16, feet 17-22, face 23-90, left hand 91-111,
right hand 112-132. "Left" and "right" are the person's own, not the viewer's.
"""

from __future__ import annotations

from typing import Final

NUM_KEYPOINTS: Final = 133

BODY: Final = slice(0, 17)
FEET: Final = slice(17, 23)
FACE: Final = slice(23, 91)
LEFT_HAND: Final = slice(91, 112)
RIGHT_HAND: Final = slice(112, 133)

PARTS: Final[dict[str, slice]] = {
    "body": BODY,
    "feet": FEET,
    "face": FACE,
    "left_hand": LEFT_HAND,
    "right_hand": RIGHT_HAND,
}
"""Name of each part -> its range in the 133 keypoints."""

BODY_NAMES: Final = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
FEET_NAMES: Final = (
    "left_big_toe",
    "left_small_toe",
    "left_heel",
    "right_big_toe",
    "right_small_toe",
    "right_heel",
)
FACE_NAMES: Final = tuple(f"face-{index}" for index in range(68))
FINGERS: Final = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")


def _hand_names(side: str) -> tuple[str, ...]:
    joints = tuple(f"{side}_{finger}{joint}" for finger in FINGERS for joint in range(1, 5))
    return (f"{side}_hand_root", *joints)


KEYPOINT_NAMES: Final[tuple[str, ...]] = (
    *BODY_NAMES,
    *FEET_NAMES,
    *FACE_NAMES,
    *_hand_names("left"),
    *_hand_names("right"),
)
"""Name of each keypoint, by index."""

KEYPOINT_INDEX: Final[dict[str, int]] = {name: index for index, name in enumerate(KEYPOINT_NAMES)}
"""Index of each keypoint, by name."""

LEFT_WRIST: Final = KEYPOINT_INDEX["left_wrist"]
RIGHT_WRIST: Final = KEYPOINT_INDEX["right_wrist"]


def _hand_links(root: int) -> tuple[tuple[int, int], ...]:
    """Five chains of four bones, all starting at the hand's root."""
    links: list[tuple[int, int]] = []
    for finger in range(len(FINGERS)):
        first = root + 1 + 4 * finger
        links += [(root, first), (first, first + 1), (first + 1, first + 2), (first + 2, first + 3)]
    return tuple(links)


BODY_LINKS: Final[tuple[tuple[int, int], ...]] = (
    (15, 13),
    (13, 11),
    (16, 14),
    (14, 12),
    (11, 12),
    (5, 11),
    (6, 12),
    (5, 6),
    (5, 7),
    (6, 8),
    (7, 9),
    (8, 10),
    (1, 2),
    (0, 1),
    (0, 2),
    (1, 3),
    (2, 4),
    (3, 5),
    (4, 6),
)
FEET_LINKS: Final[tuple[tuple[int, int], ...]] = (
    (15, 17),
    (15, 18),
    (15, 19),
    (16, 20),
    (16, 21),
    (16, 22),
)
LEFT_HAND_LINKS: Final = _hand_links(LEFT_HAND.start)
RIGHT_HAND_LINKS: Final = _hand_links(RIGHT_HAND.start)
SKELETON_LINKS: Final = BODY_LINKS + FEET_LINKS + LEFT_HAND_LINKS + RIGHT_HAND_LINKS
"""Bones as pairs of keypoint indices, in the order of the COCO-WholeBody definition."""

# The face's 68 points follow the iBUG 300-W scheme: each run below is mirrored about the nose.
_FACE_MIRROR_RUNS: Final = (
    (0, 16),  # jaw
    (17, 26),  # eyebrows
    (31, 35),  # nostrils
    (48, 54),  # upper lip, outer edge
    (55, 59),  # lower lip, outer edge
    (60, 64),  # upper lip, inner edge
    (65, 67),  # lower lip, inner edge
)
_FACE_MIRROR_EYES: Final = ((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46))


def _flip_indices() -> tuple[int, ...]:
    flipped = list(range(NUM_KEYPOINTS))
    for name, index in KEYPOINT_INDEX.items():
        if name.startswith("left_"):
            mirror = KEYPOINT_INDEX["right_" + name.removeprefix("left_")]
            flipped[index], flipped[mirror] = mirror, index
    for first, last in _FACE_MIRROR_RUNS:
        for point in range(first, last + 1):
            flipped[FACE.start + point] = FACE.start + first + last - point
    for left, right in _FACE_MIRROR_EYES:
        flipped[FACE.start + left] = FACE.start + right
        flipped[FACE.start + right] = FACE.start + left
    return tuple(flipped)


FLIP_INDICES: Final[tuple[int, ...]] = _flip_indices()
"""Index of the keypoint that stands in this one's place in a picture mirrored left to right."""

_BODY_SIGMAS: Final = (
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072,
    0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089,
)  # fmt: skip
_FEET_SIGMAS: Final = (0.068, 0.066, 0.066, 0.092, 0.094, 0.094)
_FACE_SIGMAS: Final = (
    0.042, 0.043, 0.044, 0.043, 0.040, 0.035, 0.031, 0.025, 0.020,
    0.023, 0.029, 0.032, 0.037, 0.038, 0.043, 0.041, 0.045,  # jaw
    0.013, 0.012, 0.011, 0.011, 0.012, 0.012, 0.011, 0.011, 0.013, 0.015,  # eyebrows
    0.009, 0.007, 0.007, 0.007, 0.012, 0.009, 0.008, 0.016, 0.010,  # nose
    0.017, 0.011, 0.009, 0.011, 0.009, 0.007, 0.013, 0.008, 0.011, 0.012, 0.010, 0.034,  # eyes
    0.008, 0.008, 0.009, 0.008, 0.008, 0.007, 0.010, 0.008, 0.009, 0.009, 0.009, 0.007,  # lips
    0.007, 0.008, 0.011, 0.008, 0.008, 0.008, 0.010, 0.008,  # inner edge of the lips
)  # fmt: skip
_HAND_SIGMAS: Final = (
    0.029,  # root
    0.022, 0.035, 0.037, 0.047,  # thumb
    0.026, 0.025, 0.024, 0.035,  # forefinger
    0.018, 0.024, 0.022, 0.026,  # middle finger
    0.017, 0.021, 0.021, 0.032,  # ring finger
    0.020, 0.019, 0.022, 0.031,  # pinky finger
)  # fmt: skip
SIGMAS: Final[tuple[float, ...]] = (
    *_BODY_SIGMAS,
    *_FEET_SIGMAS,
    *_FACE_SIGMAS,
    *_HAND_SIGMAS,
    *_HAND_SIGMAS,
)
"""Spread of each keypoint in OKS, from the COCO-WholeBody evaluation."""
