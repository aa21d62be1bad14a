"""What drawings for animation models need: thresholds by part, edges, and widths of strokes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dwpose_infer import keypoints as kp
from dwpose_infer.drawing import draw_openpose, draw_overlay
from dwpose_infer.errors import InvalidArgumentError


@pytest.fixture
def person(standing, make_result):
    return make_result(standing)


def test_each_part_has_its_own_threshold(person):
    scores = np.full_like(person.scores, 0.5)
    unsure = replace(person, scores=scores)
    everything = draw_openpose(unsure)
    np.testing.assert_array_equal(draw_openpose(unsure, min_score={"face": 0.5}), everything)
    faceless = draw_openpose(unsure, min_score={"face": 0.6, "body": 0.4})
    expected = draw_openpose(unsure, parts=["body", "left_hand", "right_hand"])
    np.testing.assert_array_equal(faceless, expected)
    low = replace(person, scores=np.full_like(scores, 0.1))
    np.testing.assert_array_equal(
        draw_openpose(low, min_score={"left_hand": 0.05}),
        draw_openpose(low, min_score=0.05, parts=["left_hand"]),
    )
    image = np.zeros((512, 512, 3), np.uint8)
    np.testing.assert_array_equal(
        draw_overlay(image, unsure, min_score={"left_hand": 0.6, "right_hand": 0.6}),
        draw_overlay(image, unsure, parts=["body", "feet", "face"]),
    )
    np.testing.assert_array_equal(
        draw_openpose(unsure, min_score={"other": 0.6, "face": 0.4}),
        draw_openpose(unsure, parts=["face"]),
    )
    with pytest.raises(InvalidArgumentError, match="unknown part 'hands'"):
        draw_openpose(unsure, min_score={"hands": 0.5})


def test_points_outside_are_left_out_by_option(person):
    """The left knee lies at (291, 390), the ankle below the edge: the shin runs to it, or not."""
    moved = person.keypoints.copy()
    moved[:, [kp.KEYPOINT_INDEX["left_ankle"]]] += (0, 60)  # from y = 470 to 530
    low = replace(person, keypoints=moved)
    with_shin, without = draw_openpose(low), draw_openpose(low, outside=False)
    assert with_shin[505:, 285:310].any()
    assert not without[480:, 285:310].any()
    np.testing.assert_array_equal(with_shin[:380], without[:380])
    np.testing.assert_array_equal(draw_openpose(person, outside=False), draw_openpose(person))
    image = np.zeros((512, 512, 3), np.uint8)
    assert draw_overlay(image, low)[505:, 285:310].any()
    assert not draw_overlay(image, low, outside=False)[505:, 285:310].any()


def test_fixed_strokes_do_not_grow_with_the_canvas(person):
    def limb_width(**options):
        """Of the right upper leg of ankle 10, halfway, on a canvas of twice the size."""
        canvas = draw_openpose(person, size=1024, parts=["body"], **options)
        return int(canvas[690, 400:500].any(axis=1).sum())

    scaled, fixed = limb_width(), limb_width(line_widths="fixed")
    assert scaled == pytest.approx(2 * fixed, abs=2)
    np.testing.assert_array_equal(draw_openpose(person, line_widths="fixed"), draw_openpose(person))
    with pytest.raises(InvalidArgumentError, match="line_widths is 'thin'"):
        draw_openpose(person, line_widths="thin")
