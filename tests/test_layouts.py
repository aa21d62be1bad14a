"""The orders of 17, 23, 26 and 133 keypoints; Halpe's is that of mmpose's halpe26.py."""

import numpy as np
import pytest

from dwpose_infer import keypoints as kp
from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.layouts import (
    BODY_17,
    BODY_FEET_23,
    HALPE_26,
    LAYOUTS,
    POINTS_OF_PART,
    WHOLEBODY_133,
    layout_of,
)
from dwpose_infer.poses import common_layout, stack
from dwpose_infer.results import PoseResult


def numbered(points: int, *, persons: int = 1) -> PoseResult:
    """A person whose point i is at (i, 1000 + i) with score 0.5 + i / 1000."""
    index = np.arange(points, dtype=np.float32)
    keypoints = np.repeat(np.stack([index, index + 1000], axis=1)[None], persons, axis=0)
    return PoseResult(keypoints, np.repeat(0.5 + index[None] / 1000, persons, axis=0))


def test_halpe_order():
    assert HALPE_26.point_names[17:] == (
        *("head", "neck", "hip", "left_big_toe", "right_big_toe"),
        *("left_small_toe", "right_small_toe", "left_heel", "right_heel"),
    )
    assert HALPE_26.sigmas[16:21] == (0.089, 0.026, 0.026, 0.066, 0.079)
    names = {
        frozenset((HALPE_26.point_names[first], HALPE_26.point_names[last]))
        for first, last in HALPE_26.links
    }
    assert len(names) == len(HALPE_26.links) == 27  # as many as in mmpose's description
    assert {frozenset(("head", "neck")), frozenset(("neck", "hip"))} <= names
    assert frozenset(("left_hip", "right_hip")) not in names


@pytest.mark.parametrize("points", LAYOUTS)
def test_layouts_are_whole(points):
    layout = layout_of(points)
    assert len(layout) == points == len(layout.sigmas) == len(set(layout.point_names))
    assert layout.point_names[:17] == kp.BODY_NAMES
    places = np.concatenate([np.arange(points)[index] for index in layout.parts.values()])
    assert sorted(places.tolist()) == list(range(points))
    for part, index in layout.parts.items():
        assert tuple(np.array(layout.point_names)[index]) == POINTS_OF_PART[part]
    flipped = layout.flip_indices
    assert [flipped[each] for each in flipped] == list(range(points))
    assert layout.point_names[flipped[5]] == "right_shoulder" and flipped[0] == 0
    assert max(max(link) for link in layout.links) < points


def test_mirrored_points_of_the_133():
    assert tuple(WHOLEBODY_133.flip_indices) == kp.FLIP_INDICES


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        (HALPE_26, WHOLEBODY_133, BODY_FEET_23),
        (HALPE_26, BODY_17, BODY_17),
        (WHOLEBODY_133, BODY_FEET_23, BODY_FEET_23),
        (HALPE_26, HALPE_26, HALPE_26),
    ],
)
def test_points_in_common(first, second, shared):
    assert first.common(second) is second.common(first) is shared


def test_unknown_counts_and_parts():
    with pytest.raises(InvalidArgumentError, match=r"no order of 14 keypoints.*133 .*17 .*23 .*26"):
        layout_of(14)
    with pytest.raises(InvalidArgumentError, match=r"no part 'face' among these 26 .*midline"):
        HALPE_26.part("face")
    with pytest.raises(InvalidArgumentError, match="unknown part 'tail'; the parts are body"):
        BODY_17.part("tail")


def test_results_of_halpe_points():
    result = numbered(26)
    assert result.layout is HALPE_26
    person = result[0]
    assert person.body.keypoints[:, 0].tolist() == list(range(17))
    assert person.feet.keypoints[:, 0].tolist() == [20, 22, 24, 21, 23, 25]  # as in COCO-WholeBody
    assert person.feet.names == kp.FEET_NAMES
    assert person.part("midline").names == ("head", "neck", "hip")
    with pytest.raises(InvalidArgumentError, match="no part 'left_hand'"):
        _ = person.left_hand
    kept = result.masked(parts=["midline"])
    assert np.flatnonzero(kept.scores[0]).tolist() == [17, 18, 19]
    assert result.without_weak_hands(min_wrist_score=9).scores.tolist() == result.scores.tolist()


def test_other_layouts_by_name():
    found = numbered(26).in_layout(WHOLEBODY_133)
    assert found.keypoints[0, kp.FEET, 0].tolist() == [20, 22, 24, 21, 23, 25]
    assert np.isnan(found.keypoints[0, 23:]).all() and not found.scores[0, 23:].any()
    assert found.in_layout(HALPE_26).scores[0, 17:20].tolist() == [0, 0, 0]
    result = numbered(17)
    assert result.in_layout(BODY_17) is result


def test_points_of_one_kind_stand_together():
    nobody = PoseResult.empty()
    assert stack([nobody, numbered(26), nobody]).keypoints.shape == (1, 26, 2)
    assert common_layout([]) is WHOLEBODY_133
    with pytest.raises(InvalidArgumentError, match="different keypoints: halpe-26, coco-17"):
        stack([numbered(26), numbered(17)])


def test_shapes_that_no_network_gives():
    with pytest.raises(InvalidArgumentError, match=r"shape \(1, 14, 2\), expected \(1, 133, 2\)"):
        PoseResult(np.zeros((1, 14, 2), np.float32), np.zeros((1, 14), np.float32))


@pytest.mark.parametrize("points", [17, 23, 26])
def test_drawings(points):
    rng = np.random.default_rng(0)
    result = PoseResult(
        rng.uniform(20, 180, (2, points, 2)).astype(np.float32),
        np.ones((2, points), np.float32),
        image_size=(200, 200),
    )
    picture = np.zeros((200, 200, 3), np.uint8)
    for style in ("openpose", "overlay"):
        drawn = result.draw(picture, style=style)
        body = result.draw(picture, style=style, parts=["body"])
        assert drawn.any() and body.any()
        # The canvas has no feet and none of Halpe's own points, unless the feet are asked for.
        assert (drawn == body).all() == (points == 17 or style == "openpose")
        with pytest.raises(InvalidArgumentError, match="no part 'face'"):
            result.draw(picture, style=style, parts=["face"])
    feet = result.draw(style="openpose", parts=["feet"]) if points != 17 else picture
    assert feet.any() == (points != 17)
