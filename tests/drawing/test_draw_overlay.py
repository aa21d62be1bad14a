from __future__ import annotations

import numpy as np
import pytest

from dwpose_infer import keypoints as kp
from dwpose_infer.drawing import draw_overlay
from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.results import PoseResult


@pytest.fixture
def picture():
    """A picture on which nothing is black or evenly coloured."""
    return np.random.default_rng(1).integers(0, 256, (512, 512, 3), np.uint8)


def changed(before, after):
    return (before != after).any(axis=-1)


def hue_side(color_bgr):
    blue, green, red = (int(value) for value in color_bgr)
    return "left" if green > red and green > blue else "right" if red > green > blue else "middle"


def test_the_picture_given_is_not_touched(picture, standing, make_result):
    before = picture.copy()
    after = draw_overlay(picture, make_result(standing), boxes=True, alpha=0.5)
    assert np.array_equal(picture, before)
    assert not np.shares_memory(picture, after)


def test_nobody_leaves_the_picture_as_it_is(picture):
    result = PoseResult.empty(image_size=(512, 512))
    assert np.array_equal(draw_overlay(picture, result, boxes=True, alpha=0.7), picture)


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_sides_have_their_colours(side, standing, make_result):
    canvas = draw_overlay(np.zeros((512, 512, 3), np.uint8), make_result(standing))
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
        x, y = standing[kp.KEYPOINT_INDEX[f"{side}_{joint}"]].astype(int)
        assert hue_side(canvas[y, x]) == side, joint
    assert hue_side(canvas[150, 240]) == "middle"  # the line between the shoulders


def test_every_point_and_bone_shows(standing, make_result):
    canvas = draw_overlay(np.zeros((512, 512, 3), np.uint8), make_result(standing))
    for x, y in np.rint(standing).astype(int):
        assert canvas[y, x].any()
    for start, end in kp.SKELETON_LINKS:
        x, y = np.rint((standing[start] + standing[end]) / 2).astype(int)
        assert canvas[y, x].any()


@pytest.mark.parametrize("part", kp.PARTS)
def test_each_part_can_be_drawn_alone(part, picture, standing, make_result):
    mask = changed(picture, draw_overlay(picture, make_result(standing), parts=[part]))
    points = np.rint(standing[kp.PARTS[part]]).astype(int)
    assert mask.any()
    low, high = points.min(axis=0) - 7, points.max(axis=0) + 8
    mask[low[1] : high[1], low[0] : high[0]] = False
    assert not mask.any()


def test_parts_do_not_change_the_width_of_what_is_left(picture, standing, make_result):
    result = make_result(standing)
    hand = draw_overlay(picture, result, parts=["left_hand"])
    low, high = (400, 320), (420, 345)  # fingertips, away from all other parts
    everything = draw_overlay(picture, result)
    window = np.s_[low[1] : high[1], 330:420]
    assert np.array_equal(hand[window], everything[window])


def test_a_line_needs_both_ends(picture, make_points, make_result):
    result = make_result(make_points(left_hip=(100, 100), left_knee=(200, 100)))
    assert changed(picture, draw_overlay(picture, result))[100, 150]
    result.scores[0, kp.KEYPOINT_INDEX["left_hip"]] = 0.2
    mask = changed(picture, draw_overlay(picture, result))
    assert not mask[:, :190].any()
    assert mask[100, 200]


def test_alpha_blends_what_is_drawn_and_only_that(picture, standing, make_result):
    result = make_result(standing, ids=np.array([4]))
    full = draw_overlay(picture, result, alpha=1.0)
    half = draw_overlay(picture, result, alpha=0.25)
    expected = np.rint(0.25 * full.astype(float) + 0.75 * picture)
    assert np.abs(half - expected).max() <= 1
    untouched = ~changed(picture, full)
    assert np.array_equal(half[untouched], picture[untouched])
    assert np.array_equal(draw_overlay(picture, result, alpha=0.0), picture)


def test_widths_follow_the_size_of_the_person(standing, make_result):
    def limb_width(scale):
        side = 512 * scale
        result = make_result(standing * scale, image_size=(side, side))
        canvas = draw_overlay(np.zeros((side, side, 3), np.uint8), result, parts=["body"])
        shins = canvas[430 * scale].max(axis=-1)
        return shins.sum() / shins.max() / 2

    # 1/140 of the 420 pixels the figure is high; OpenCV's soft edges add up to two.
    for scale in (1, 4):
        assert 3 * scale - 0.5 <= limb_width(scale) <= 3 * scale + 2


def test_a_small_person_is_not_buried(standing, make_result):
    small = (standing - 256) * 0.2 + 256
    canvas = draw_overlay(np.zeros((512, 512, 3), np.uint8), make_result(small), ids=False)
    low, high = np.rint(small.min(axis=0)).astype(int), np.rint(small.max(axis=0)).astype(int)
    box = canvas[low[1] : high[1], low[0] : high[0]]
    assert (box > 60).any(axis=-1).mean() < 0.4


def test_a_stray_point_does_not_make_the_lines_fat(standing, make_result):
    standing[kp.KEYPOINT_INDEX["left_small_toe"]] = 30_000, 30_000
    canvas = draw_overlay(np.zeros((512, 512, 3), np.uint8), make_result(standing), parts=["body"])
    assert canvas.any(axis=-1).mean() < 0.05


def test_a_resized_copy_gets_scaled_points(standing, make_result):
    canvas = draw_overlay(np.zeros((256, 256, 3), np.uint8), make_result(standing))
    for x, y in np.rint(standing[kp.BODY] / 2).astype(int):
        assert canvas[y, x].any()


def test_another_picture_is_noticed(standing, make_result):
    result = make_result(standing, image_size=(512, 384))
    with pytest.raises(InvalidArgumentError, match=r"384x512.*512x384"):
        draw_overlay(np.zeros((512, 384, 3), np.uint8), result)


def test_boxes_are_drawn_on_their_edges(picture, standing, make_result):
    standing[:] = np.nan
    result = make_result(standing, boxes_xyxy=np.array([[100, 120, 300, 400]], np.float32))
    assert np.array_equal(draw_overlay(picture, result), picture)
    mask = changed(picture, draw_overlay(picture, result, boxes=True))
    assert mask[120, 100:301].all() and mask[400, 100:301].all()
    assert mask[120:401, 100].all() and mask[120:401, 300].all()
    assert not mask[125:395, 105:295].any()


def test_labels_tell_scores_and_identities(picture, standing, make_result):
    box = {"boxes_xyxy": np.array([[100, 120, 300, 400]], np.float32)}
    label = np.s_[110:119, 100:115]

    def labelled(options, **fields):
        result = make_result(standing, **box, **fields)
        drawn = draw_overlay(np.zeros_like(picture), result, parts=["feet"], **options)
        return drawn[label].any(axis=-1)

    scores, ids = {"box_scores": np.array([0.5], np.float32)}, {"ids": np.array([7])}
    assert not labelled({"boxes": True}).any()
    assert labelled({"boxes": True}, **scores).all()
    assert labelled({"boxes": True}, **ids).all()
    assert not labelled({"boxes": True, "ids": False}, **ids).any()


def test_identities_are_shown_by_default_above_the_person(picture, standing, make_result):
    without = draw_overlay(picture, make_result(standing))
    labelled = changed(without, draw_overlay(picture, make_result(standing, ids=np.array([12]))))
    rows, columns = np.nonzero(labelled)
    assert rows.max() <= 70 and abs(columns.mean() - 256) < 2


def test_identities_have_colours_of_their_own(standing, make_result):
    black = np.zeros((512, 512, 3), np.uint8)
    grounds = set()
    for identity in (0, 1, 2, 3, -1, 2**40):
        result = make_result(standing, ids=np.array([identity]))
        canvas = draw_overlay(black, result)
        top = np.nonzero(canvas.any(axis=-1))[0].min()
        grounds.add(tuple(canvas[top, 256].tolist()))
    assert len(grounds) == 6


@pytest.mark.parametrize(
    "box",
    [
        [np.nan, 0, 10, 10],
        [-np.inf, -np.inf, np.inf, np.inf],
        [-1e30, 5, 1e30, 9],
        [5000, 5000, 6000, 6000],
        [9, 9, 3, 3],
        [0, 0, 0, 0],
    ],
)
@pytest.mark.parametrize("side", [1, 40])
def test_unusual_boxes(box, side, standing, make_result):
    result = make_result(
        standing,
        image_size=None,
        boxes_xyxy=np.array([box], np.float32),
        box_scores=np.array([np.nan], np.float32),
        ids=np.array([123456789]),
    )
    picture = np.zeros((side, side, 3), np.uint8)
    assert draw_overlay(picture, result, boxes=True, line_scale=100.0).shape == picture.shape


@pytest.mark.parametrize("far", [1e5, -1e9, 3e38, np.inf, np.nan])
def test_points_beyond_reach_are_not_drawn(far, picture, make_points, make_result):
    points = make_points(left_hip=(100, 100), left_knee=(far, 100), nose=(100, far))
    alone = draw_overlay(picture, make_result(make_points(left_hip=(100, 100))))
    assert np.array_equal(draw_overlay(picture, make_result(points)), alone)


def test_a_line_that_leaves_the_picture_keeps_its_direction(make_points, make_result):
    points = make_points(left_hip=(10, 256), left_knee=(-30_000, 256), right_hip=(30_000, 256))
    canvas = draw_overlay(np.zeros((512, 512, 3), np.uint8), make_result(points))
    assert canvas[256].any(axis=-1).all()
    canvas[248:265] = 0
    assert not canvas.any()


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((5, 5), np.uint8),
        np.zeros((5, 5, 4), np.uint8),
        np.zeros((5, 5, 3), np.float32),
        np.zeros((0, 5, 3), np.uint8),
    ],
)
def test_arrays_that_are_no_picture(picture):
    with pytest.raises(InvalidArgumentError, match="expected uint8 of shape"):
        draw_overlay(picture, PoseResult.empty())


@pytest.mark.parametrize(
    "options", [{"alpha": 1.1}, {"alpha": np.nan}, {"line_scale": -1}, {"parts": ["tail"]}]
)
def test_unusable_values_are_named(options, picture):
    with pytest.raises(InvalidArgumentError, match=f"{next(iter(options))}|tail"):
        draw_overlay(picture, PoseResult.empty(), **options)
