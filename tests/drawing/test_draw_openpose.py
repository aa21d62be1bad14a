from __future__ import annotations

import cv2
import numpy as np
import pytest

from dwpose_infer import keypoints as kp
from dwpose_infer.drawing import draw_openpose
from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.openpose_layout import OPENPOSE_18_NAMES
from dwpose_infer.results import PoseResult

# The 18 colours of ControlNet's pose pictures, written out: red, green, blue.
JOINT_COLORS_RGB = [
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0),
    (0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255),
    (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85),
]  # fmt: skip

# Limb number -> its ends as (x, y) in the standing figure.
NECK = (256, 150)
LIMB_ENDS = {
    0: (NECK, (206, 150)),
    1: (NECK, (306, 150)),
    2: ((206, 150), (181, 220)),
    3: ((181, 220), (156, 280)),
    4: ((306, 150), (331, 220)),
    5: ((331, 220), (356, 280)),
    6: (NECK, (226, 300)),
    7: ((226, 300), (221, 390)),
    8: ((221, 390), (216, 470)),
    9: (NECK, (286, 300)),
    10: ((286, 300), (291, 390)),
    11: ((291, 390), (296, 470)),
    12: (NECK, (256, 95)),
}
JOINTS = {
    "Nose": (256, 95),
    "Neck": NECK,
    "RShoulder": (206, 150),
    "RElbow": (181, 220),
    "RWrist": (156, 280),
    "LShoulder": (306, 150),
    "LElbow": (331, 220),
    "LWrist": (356, 280),
    "RHip": (226, 300),
    "RKnee": (221, 390),
    "RAnkle": (216, 470),
    "LHip": (286, 300),
    "LKnee": (291, 390),
    "LAnkle": (296, 470),
    "REye": (246, 80),
    "LEye": (266, 80),
    "REar": (236, 85),
    "LEar": (276, 85),
}


def rgb_at(canvas, point):
    return tuple(int(value) for value in canvas[round(point[1]), round(point[0]), ::-1])


def middle(ends):
    return tuple(np.mean(ends, axis=0))


def drawn(canvas):
    return (canvas > 0).any(axis=-1)


@pytest.mark.parametrize("name", OPENPOSE_18_NAMES)
def test_joints_have_their_colour_at_full_brightness(name, standing, make_result):
    canvas = draw_openpose(make_result(standing), parts=["body"])
    assert rgb_at(canvas, JOINTS[name]) == JOINT_COLORS_RGB[OPENPOSE_18_NAMES.index(name)]


@pytest.mark.parametrize("limb", LIMB_ENDS)
def test_limbs_have_their_colour_at_60_percent(limb, standing, make_result):
    canvas = draw_openpose(make_result(standing), parts=["body"])
    expected = tuple(round(0.6 * value) for value in JOINT_COLORS_RGB[limb])
    assert rgb_at(canvas, middle(LIMB_ENDS[limb])) == expected


def test_nobody_gives_a_black_canvas_of_the_pictures_size():
    canvas = draw_openpose(PoseResult.empty(image_size=(640, 360)))
    assert canvas.shape == (360, 640, 3)
    assert canvas.dtype == np.uint8
    assert not canvas.any()


def test_background_is_a_grey_level():
    canvas = draw_openpose(PoseResult.empty(image_size=(5, 4)), background=200)
    assert (canvas == 200).all()


def test_black_where_nobody_is(standing, make_result):
    canvas = draw_openpose(make_result(standing))
    margin = 6
    low = np.floor(standing.min(axis=0)).astype(int) - margin
    high = np.ceil(standing.max(axis=0)).astype(int) + margin
    canvas[low[1] : high[1], low[0] : high[0]] = 0
    assert not canvas.any()


def test_an_absent_point_is_not_drawn_in_the_corner(standing, make_result):
    standing[kp.KEYPOINT_INDEX["left_wrist"]] = np.nan
    assert not draw_openpose(make_result(standing))[:40, :40].any()


def test_a_limb_needs_both_ends_and_the_neck_both_shoulders(standing, make_result):
    result = make_result(standing)
    result.scores[0, kp.KEYPOINT_INDEX["left_shoulder"]] = 0.29
    canvas = draw_openpose(result, parts=["body"], min_score=0.3)
    for limb in (0, 1, 4, 6, 9, 12):
        assert rgb_at(canvas, middle(LIMB_ENDS[limb])) == (0, 0, 0), limb
    assert rgb_at(canvas, NECK) == (0, 0, 0)
    assert rgb_at(canvas, JOINTS["LElbow"]) == JOINT_COLORS_RGB[6]
    assert rgb_at(canvas, middle(LIMB_ENDS[5])) != (0, 0, 0)


@pytest.mark.parametrize(
    ("score", "shows"), [(0.5, True), (0.49, False), (np.nan, False), (0.0, False), (1.3, True)]
)
def test_min_score_is_the_least_score_that_shows(score, shows, make_points, make_result):
    result = make_result(make_points(nose=(100, 100)), scores=score)
    assert draw_openpose(result, min_score=0.5).any() == shows


@pytest.mark.parametrize("part", kp.PARTS)
def test_each_part_can_be_drawn_alone(part, standing, make_result):
    mask = drawn(draw_openpose(make_result(standing), parts=[part]))
    points = np.rint(standing[kp.PARTS[part]]).astype(int)
    assert mask[points[:, 1], points[:, 0]].all()
    low, high = points.min(axis=0) - 5, points.max(axis=0) + 6
    mask[low[1] : high[1], low[0] : high[0]] = False
    assert not mask.any()


def test_feet_are_off_unless_asked_for(standing, make_result):
    result = make_result(standing)
    toe = standing[kp.KEYPOINT_INDEX["left_big_toe"]]
    assert rgb_at(draw_openpose(result), toe) == (0, 0, 0)
    with_feet = draw_openpose(result, parts=["body", "feet"])
    assert rgb_at(with_feet, toe) == JOINT_COLORS_RGB[OPENPOSE_18_NAMES.index("LAnkle")]


def test_a_single_part_may_be_a_string(standing, make_result):
    result = make_result(standing)
    assert np.array_equal(
        draw_openpose(result, parts="face"), draw_openpose(result, parts=["face"])
    )


def test_the_face_is_white_and_nothing_else(standing, make_result):
    colors = np.unique(draw_openpose(make_result(standing), parts=["face"]).reshape(-1, 3), axis=0)
    assert colors.tolist() == [[0, 0, 0], [255, 255, 255]]


def test_hands_run_through_the_hues_with_blue_joints(standing, make_result):
    canvas = draw_openpose(make_result(standing), parts=["left_hand"])
    hand = standing[kp.LEFT_HAND]
    for point in hand:
        assert rgb_at(canvas, point) == (0, 0, 255)
    for bone, (start, end) in enumerate(kp.LEFT_HAND_LINKS):
        hue = cv2.cvtColor(
            np.array([[[360.0 * bone / 20, 1.0, 1.0]]], np.float32), cv2.COLOR_HSV2RGB
        )
        center = (hand[start - kp.LEFT_HAND.start] + hand[end - kp.LEFT_HAND.start]) / 2
        assert np.abs(rgb_at(canvas, center) - 255 * hue[0, 0]).max() <= 1, bone


@pytest.mark.parametrize("factor", [0.5, 2, 3])
def test_points_and_strokes_grow_with_the_canvas(factor, standing, make_result):
    side = round(512 * factor)
    canvas = draw_openpose(make_result(standing), parts=["body"], size=(side, side))
    assert canvas.shape == (side, side, 3)
    for name, (x, y) in JOINTS.items():
        expected = JOINT_COLORS_RGB[OPENPOSE_18_NAMES.index(name)]
        assert rgb_at(canvas, (x * factor, y * factor)) == expected
    # The right knee's joint: 8 pixels wide at 512, plus the pixel its centre lies in.
    row = (canvas[round(390 * factor), :, ::-1] == JOINT_COLORS_RGB[9]).all(axis=-1)
    assert abs(row.sum() - (8 * factor + 1)) <= 1


def test_the_canvas_may_have_another_aspect_ratio(standing, make_result):
    canvas = draw_openpose(make_result(standing), parts=["body"], size=(1024, 256), fit="stretch")
    for name, (x, y) in JOINTS.items():
        if not name.endswith(("Eye", "Ear")):  # too near each other at half the height
            expected = JOINT_COLORS_RGB[OPENPOSE_18_NAMES.index(name)]
            assert rgb_at(canvas, (2 * x, y / 2)) == expected


def test_a_picture_of_another_aspect_ratio_gets_margins(standing, make_result):
    canvas = draw_openpose(make_result(standing), parts=["body"], size=(2048, 1024))
    for name, (x, y) in JOINTS.items():
        expected = JOINT_COLORS_RGB[OPENPOSE_18_NAMES.index(name)]
        assert rgb_at(canvas, (512 + 2 * x, 2 * y)) == expected
    assert not canvas[:, :512].any()
    assert draw_openpose(make_result(standing), size=500, size_multiple=64).shape == (512, 512, 3)


@pytest.mark.parametrize(
    ("image_size", "shorter", "shape"),
    [((1280, 720), 512, (512, 910, 3)), ((300, 450), 512, (768, 512, 3)), ((9, 9), 1, (1, 1, 3))],
)
def test_one_number_is_the_shorter_side(image_size, shorter, shape):
    result = PoseResult.empty(image_size=image_size)
    assert draw_openpose(result, size=shorter).shape == shape


@pytest.mark.parametrize(("line_scale", "width"), [(0.25, 3), (1.0, 9), (2.0, 17), (1e-6, 3)])
def test_line_scale_multiplies_and_nothing_falls_below_1(
    line_scale, width, make_points, make_result
):
    canvas = draw_openpose(make_result(make_points(nose=(100, 100))), line_scale=line_scale)
    assert drawn(canvas)[100].sum() == width


def test_strokes_of_a_small_hand_are_thinner_unless_asked(standing, make_result):
    small = (standing - standing[91]) * 0.3 + standing[91]
    result = make_result(small)
    fitted = drawn(draw_openpose(result, parts=["left_hand"])).sum()
    blob = drawn(draw_openpose(result, parts=["left_hand"], fit_parts=False)).sum()
    assert fitted < 0.5 * blob


def test_a_large_face_and_hand_keep_the_conventional_size(standing, make_result):
    large = (standing - 256) * 8 + 256
    result = make_result(large)
    fitted = draw_openpose(result, parts=["face", "left_hand"])
    assert np.array_equal(
        fitted, draw_openpose(result, parts=["face", "left_hand"], fit_parts=False)
    )


def test_a_symmetrical_figure_gives_a_symmetrical_drawing(standing, make_result):
    mask = drawn(draw_openpose(make_result(standing))).astype(np.uint8)
    mirrored = np.zeros_like(mask)
    mirrored[:, 1:] = mask[:, :0:-1]  # about x = 256
    assert np.logical_and(mask, mirrored).sum() / mask.sum() > 0.5
    grown = cv2.dilate(mask, np.ones((3, 3), np.uint8))
    assert not (mirrored & ~grown & 1).any()


def test_mirroring_the_person_swaps_the_colours_of_the_sides(standing, make_result):
    canvas = draw_openpose(make_result(standing[list(kp.FLIP_INDICES)]), parts=["body"])
    for name, point in JOINTS.items():
        other = {"L": "R", "R": "L"}.get(name[0], "") + name[1:] if name[0] in "LR" else name
        assert rgb_at(canvas, point) == JOINT_COLORS_RGB[OPENPOSE_18_NAMES.index(other)]


def test_no_limb_hides_the_joint_of_another_person(make_points, make_result):
    one = make_points(right_wrist=(100, 100))
    other = make_points(left_hip=(50, 100), left_knee=(150, 100))
    canvas = draw_openpose(make_result(one, other))
    assert rgb_at(canvas, (100, 100)) == JOINT_COLORS_RGB[4]


def test_a_limb_that_leaves_the_canvas_keeps_its_direction(make_points, make_result):
    points = make_points(left_hip=(10, 256), left_knee=(30_000, 256))
    mask = drawn(draw_openpose(make_result(points)))
    assert mask[256, 10:].all()
    mask[251:262] = False
    assert not mask.any()


FAR = [1e5, -1e5, 1e9, -1e9, 1e30, -3e38, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("far", FAR)
def test_points_beyond_reach_are_not_drawn(far, make_points, make_result):
    points = make_points(left_hip=(100, 100), left_knee=(far, 100), nose=(100, far))
    alone = draw_openpose(make_result(make_points(left_hip=(100, 100))))
    assert np.array_equal(draw_openpose(make_result(points)), alone)


def test_opposite_infinities_of_the_shoulders_are_no_neck(make_points, make_result):
    points = make_points(left_shoulder=(np.inf, 100), right_shoulder=(-np.inf, 100))
    assert not draw_openpose(make_result(points)).any()


@pytest.mark.parametrize("size_wh", [(1, 1), (1, 700), (3, 2)])
def test_tiny_canvases(size_wh, standing, make_result):
    canvas = draw_openpose(make_result(standing), size=size_wh, line_scale=50)
    assert canvas.shape == (size_wh[1], size_wh[0], 3)
    assert canvas.any()


def test_random_rubbish_never_fails(make_result):
    rng = np.random.default_rng(0)
    for _ in range(20):
        points = rng.normal(scale=10.0 ** rng.integers(0, 38), size=(3, 133, 2))
        points[rng.random(points.shape) < 0.2] = rng.choice(FAR)
        with np.errstate(over="ignore"):
            result = make_result(*points)
        assert draw_openpose(result, size=(64, 48)).shape == (48, 64, 3)


def test_the_result_is_not_changed(standing, make_result):
    result = make_result(standing)
    draw_openpose(result, parts=["face"], min_score=2.0, size=(30, 30))
    assert np.array_equal(result.keypoints[0], standing)
    assert (result.scores == np.float32(0.9)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (0, 5)}, "size"),
        ({"size": (512, 512.5)}, "size"),
        ({"size": 0}, "size"),
        ({"image_size": (1, 2, 3)}, "image_size"),
        ({"background": 256}, "background"),
        ({"line_scale": 0}, "line_scale"),
        ({"line_scale": np.nan}, "line_scale"),
        ({"line_scale": 1e9}, "line_scale"),
        ({"parts": ["legs"]}, "legs"),
    ],
)
def test_unusable_values_are_named(options, message, standing, make_result):
    with pytest.raises(InvalidArgumentError, match=message):
        draw_openpose(make_result(standing), **options)


def test_an_unknown_size_is_an_error_unless_given(standing, make_result):
    result = make_result(standing, image_size=None)
    with pytest.raises(InvalidArgumentError, match="image_size"):
        draw_openpose(result)
    expected = draw_openpose(make_result(standing))
    assert np.array_equal(draw_openpose(result, image_size=(512, 512)), expected)
    assert np.array_equal(draw_openpose(result, size=(512, 512)), expected)
