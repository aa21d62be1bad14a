"""The OpenPose canvas: skeletons on black, as the ControlNet models were trained on.

The conventions, as ControlNet's pose pictures show them: the 18 joints of the body have the 18
hues at steps of 20 degrees; the limb of the same number has the same hue at 60 % of its
brightness, as a filled ellipse under the joints; the bones of a hand run through the hues from
the thumb to the pinky with blue joints; the points of the face are white. Edges are hard.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import cv2
import numpy as np

from .. import keypoints as kp
from ..arrays import Float64Array
from ..canvas import CanvasFit, canvas_for
from ..errors import InvalidArgumentError
from ..openpose_layout import OPENPOSE_18_NAMES, body_points
from . import strokes

if TYPE_CHECKING:
    from ..poses import Poses

DEFAULT_PARTS: Final = ("body", "face", "left_hand", "right_hand")
"""The canvas of ControlNet has no feet."""

_LIMB_NAMES: Final = (
    ("Neck", "RShoulder"),
    ("Neck", "LShoulder"),
    ("RShoulder", "RElbow"),
    ("RElbow", "RWrist"),
    ("LShoulder", "LElbow"),
    ("LElbow", "LWrist"),
    ("Neck", "RHip"),
    ("RHip", "RKnee"),
    ("RKnee", "RAnkle"),
    ("Neck", "LHip"),
    ("LHip", "LKnee"),
    ("LKnee", "LAnkle"),
    ("Neck", "Nose"),
    ("Nose", "REye"),
    ("REye", "REar"),
    ("Nose", "LEye"),
    ("LEye", "LEar"),
)
_LIMBS: Final = np.array(
    [[OPENPOSE_18_NAMES.index(end) for end in limb] for limb in _LIMB_NAMES], np.intp
)
_LIMB_BRIGHTNESS: Final = 0.6
_JOINT_COLORS: Final = strokes.rainbow(len(OPENPOSE_18_NAMES))
_LIMB_COLORS: Final = tuple(
    strokes.scaled_color(color, _LIMB_BRIGHTNESS) for color in _JOINT_COLORS[: len(_LIMBS)]
)

# Feet are no part of the convention: each foot takes the colour of its ankle.
_FOOT_LINKS: Final = np.array(
    [
        [kp.KEYPOINT_INDEX[f"{side}_{end}"] for end in link]
        for side in ("left", "right")
        for link in (("ankle", "big_toe"), ("big_toe", "small_toe"), ("ankle", "heel"))
    ],
    np.intp,
)
_ANKLE_COLORS: Final = tuple(
    _JOINT_COLORS[OPENPOSE_18_NAMES.index(ankle)] for ankle in ("LAnkle", "RAnkle")
)
_FOOT_COLORS: Final = tuple(color for color in _ANKLE_COLORS for _ in range(3))
_FOOT_LINK_COLORS: Final = tuple(
    strokes.scaled_color(color, _LIMB_BRIGHTNESS) for color in _FOOT_COLORS
)

_HAND_LINKS: Final = np.array(kp.LEFT_HAND_LINKS, np.intp) - kp.LEFT_HAND.start
_HAND_COLORS: Final = strokes.rainbow(len(_HAND_LINKS))
_HAND_JOINT_COLORS: Final = ((255, 0, 0),) * 21
_FACE_COLORS: Final = ((255, 255, 255),) * 68

# Lines and dots may take these shares of the extent of the hand or face they belong to.
_MAX_HAND_LINE: Final = 1 / 25
_MAX_HAND_DOT: Final = 1 / 25
_MAX_FACE_DOT: Final = 1 / 80
_MIN_DOT_PX: Final = 0.25

MAX_CANVAS_PIXELS: Final = 2**28
"""Pixels of the largest canvas, 805 MB: more than pictures may have unless allowed to."""


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Sizes of the strokes in pixels; the defaults belong to a shorter side of 512."""

    limb_half_width: float = 4.0
    joint_radius: float = 4.0
    hand_line_width: float = 2.0
    hand_joint_radius: float = 4.0
    face_radius: float = 3.0

    def times(self, factor: float) -> _Sizes:
        """Returns the sizes multiplied, none of them below 1."""
        return _Sizes(
            limb_half_width=max(1.0, factor * self.limb_half_width),
            joint_radius=max(1.0, factor * self.joint_radius),
            hand_line_width=max(1.0, factor * self.hand_line_width),
            hand_joint_radius=max(1.0, factor * self.hand_joint_radius),
            face_radius=max(1.0, factor * self.face_radius),
        )


_SIZES_AT_512: Final = _Sizes()


def draw_openpose(
    result: Poses,
    *,
    parts: Iterable[str] | None = None,
    min_score: strokes.MinScore = strokes.DEFAULT_MIN_SCORE,
    size: int | tuple[int, int] | None = None,
    size_multiple: int = 1,
    fit: CanvasFit = "margins",
    image_size: tuple[int, int] | None = None,
    background: int = 0,
    line_scale: float = 1.0,
    line_widths: Literal["scaled", "fixed"] = "scaled",
    fit_parts: bool = True,
    outside: bool = True,
) -> strokes.Picture:
    """Draws an OpenPose canvas for ControlNet: 18-point bodies, hands and faces on black.

    The neck is the middle of the shoulders and shows when both show. A limb shows when both
    of its ends show. Strokes grow with the shorter side of the canvas: at 512 pixels limbs are
    8 wide, joints have radius 4, bones of a hand width 2 with joints of radius 4, points of a
    face radius 3; nothing falls below 1.

    Args:
        result: The persons of one picture.
        parts: Parts to draw, keys of `result.layout.parts`; None draws all but the feet, which
            ControlNet's canvas does not have. Halpe's head, neck and hip have no place on it.
        min_score: Points of a lower score are not drawn. One for all, or part -> least score, as
            `{"body": 0.3, "face": 0.5, "other": 0.4}`; without "other" the parts not named have
            0.3.
        size: Size of the canvas in pixels: (width, height), or the shorter side alone at the
            picture's aspect ratio; None takes the picture's. The points are scaled to it before
            anything is drawn.
        size_multiple: What both sides are rounded to multiples of, 8 or 64 for diffusion models.
        fit: Where the picture has another aspect ratio than the canvas: "margins" keeps the shape
            of persons and puts the picture in the middle, "stretch" fills the canvas.
        image_size: (width, height) of the picture in whose pixels the points are; None takes
            `result.image_size`, and where that is unknown too `size`.
        background: Grey level of the canvas, 0 to 255.
        line_scale: Factor on all widths and radii.
        line_widths: "scaled" lets strokes grow with the canvas as said above; "fixed" gives every
            canvas those of 512 pixels, as controlnet_aux draws.
        fit_parts: Whether strokes of a hand or face are thinner than said above where they
            would fill it: bones and joints of a hand are at most 1/25 of its longer side,
            points of a face 1/80. False draws small ones as blobs, as the original canvas does.
        outside: Whether points outside the canvas count, so that limbs run to its edge. False
            leaves them out with their limbs, as animation models are trained.

    Returns:
        (H, W, 3) uint8, blue, green, red.

    Raises:
        InvalidArgumentError: A value cannot be used, or no size is known.
    """
    image_wh = _known_size(result, size, image_size)
    if size is not None and not isinstance(size, int):
        size = strokes.checked_size(size, "size")
    placed = canvas_for(image_wh, size, multiple=size_multiple, fit=fit)
    canvas_wh = placed.size_wh
    if not 0 <= background <= 255:
        raise InvalidArgumentError(f"background is {background!r}, expected 0 to 255")
    if line_widths not in ("scaled", "fixed"):
        raise InvalidArgumentError(f'line_widths is {line_widths!r}, expected "scaled" or "fixed"')
    factor = strokes.checked_line_scale(line_scale)
    if line_widths == "scaled":
        factor *= min(canvas_wh) / 512
    sizes = _SIZES_AT_512.times(factor)
    points = strokes.visible_points(
        placed.place(result), min_score=min_score, image_wh=canvas_wh, canvas_wh=canvas_wh
    )
    if not outside:
        points = strokes.without_outside(points, canvas_wh)
    if parts is None:
        parts = [part for part in DEFAULT_PARTS if part in result.layout.parts]
    points = strokes.only_parts(points, parts, result.layout)[:, : kp.NUM_KEYPOINTS]
    if canvas_wh[0] * canvas_wh[1] > MAX_CANVAS_PIXELS:
        raise InvalidArgumentError(
            f"a canvas of {canvas_wh[0]}x{canvas_wh[1]} pixels is larger than the limit of "
            f"{MAX_CANVAS_PIXELS:,}"
        )
    canvas = np.full((canvas_wh[1], canvas_wh[0], 3), background, np.uint8)
    _draw_bodies(canvas, points, sizes)
    for person in points:
        for hand in (kp.LEFT_HAND, kp.RIGHT_HAND):
            _draw_hand(canvas, person[hand], sizes, fit=fit_parts)
    for person in points:
        _draw_face(canvas, person[kp.FACE], sizes, fit=fit_parts)
    return canvas


def _known_size(
    result: Poses, size: int | tuple[int, int] | None, image_size: tuple[int, int] | None
) -> tuple[int, int]:
    """Returns (width, height) of the picture."""
    whole = None if isinstance(size, int) else size
    for known in (image_size, result.image_size, whole):
        if known is not None:
            return strokes.checked_size(known, "image_size")
    raise InvalidArgumentError(
        "the size of the picture is not known: pass image_size=(width, height)"
    )


def _draw_bodies(canvas: strokes.Picture, points: Float64Array, sizes: _Sizes) -> None:
    """Draws all limbs first, then all joints: no limb hides the joint of another person."""
    whole = points.astype(np.float32)
    bodies = body_points(whole, np.ones(whole.shape[:2], np.float32), layout=18)[0].astype(float)
    half_width = sizes.limb_half_width
    for body, person in zip(bodies, points, strict=True):
        strokes.draw_limbs(canvas, body, _LIMBS, _LIMB_COLORS, half_width_px=half_width)
        strokes.draw_limbs(canvas, person, _FOOT_LINKS, _FOOT_LINK_COLORS, half_width_px=half_width)
    radius, line_type = sizes.joint_radius, cv2.LINE_8
    for body, person in zip(bodies, points, strict=True):
        feet = person[kp.FEET]
        strokes.draw_dots(canvas, feet, _FOOT_COLORS, radius_px=radius, line_type=line_type)
        strokes.draw_dots(canvas, body, _JOINT_COLORS, radius_px=radius, line_type=line_type)


def _draw_hand(canvas: strokes.Picture, hand: Float64Array, sizes: _Sizes, *, fit: bool) -> None:
    width, radius = sizes.hand_line_width, sizes.hand_joint_radius
    if fit:
        longer_side = strokes.extent(hand)
        width = min(width, _MAX_HAND_LINE * longer_side)
        radius = min(radius, max(_MIN_DOT_PX, _MAX_HAND_DOT * longer_side))
    line_type = cv2.LINE_8
    strokes.draw_lines(canvas, hand, _HAND_LINKS, _HAND_COLORS, width_px=width, line_type=line_type)
    strokes.draw_dots(canvas, hand, _HAND_JOINT_COLORS, radius_px=radius, line_type=line_type)


def _draw_face(canvas: strokes.Picture, face: Float64Array, sizes: _Sizes, *, fit: bool) -> None:
    radius = sizes.face_radius
    if fit:
        radius = min(radius, max(_MIN_DOT_PX, _MAX_FACE_DOT * strokes.extent(face)))
    strokes.draw_dots(canvas, face, _FACE_COLORS, radius_px=radius, line_type=cv2.LINE_8)
