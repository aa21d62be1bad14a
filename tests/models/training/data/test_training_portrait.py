from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dwpose_infer.models.training.data.augment import ABSENT, PARTS, random_portrait, training_crop
from dwpose_infer.models.training.settings import AugmentSettings

SETTINGS = AugmentSettings(portrait_probability=1.0)
KINDS = ["face", "head and shoulders", "upper body", "hand"]


@pytest.fixture
def person(rng):
    """A person of 200 x 400 pixels: head on top, hips in the middle, hands at the sides."""
    image = rng.integers(1, 256, (500, 300, 3), np.uint8)
    keypoints = np.zeros((133, 2), np.float32)
    keypoints[np.r_[0:5, 23:91]] = rng.uniform((120, 70), (180, 120), (73, 2))
    keypoints[[5, 6]] = (200, 150), (100, 150)
    keypoints[[7, 8]] = (210, 200), (90, 200)
    keypoints[[9, 10]] = (215, 250), (85, 250)
    keypoints[[11, 12]] = (180, 260), (120, 260)
    keypoints[13:23] = rng.uniform((110, 340), (190, 440), (10, 2))
    keypoints[91:112] = rng.uniform((210, 250), (240, 300), (21, 2))
    keypoints[112:] = rng.uniform((60, 250), (90, 300), (21, 2))
    return image, keypoints, np.ones(133, np.bool_), np.array([50, 50, 250, 450], np.float32)


def only(kind):
    shares = [0.0] * 4
    shares[kind] = 1.0
    return replace(SETTINGS, portrait_shares=tuple(shares), portrait_margins=(0.05, 0.3))


@pytest.mark.parametrize("kind", range(4), ids=KINDS)
def test_the_part_is_left_whole_and_the_rest_is_cut_off(person, rng, kind):
    image, keypoints, labelled, box = person
    for _ in range(30):
        found = random_portrait(image, keypoints, labelled, box, settings=only(kind), rng=rng)
        height, width = found.image_bgr.shape[:2]
        left = found.keypoints[:, 0] > ABSENT
        assert any(left[part].all() for part in PARTS[kind])
        assert not left[15:23].any()  # nobody's feet are on a portrait
        assert (found.keypoints[left] >= 0).all()
        assert (found.keypoints[left] < [width, height]).all()
        # The same place, counted from another corner, for all points that are left.
        corner = keypoints[left] - found.keypoints[left]
        np.testing.assert_allclose(corner, np.broadcast_to(corner[0], corner.shape), atol=1e-4)
        x, y = corner[0].round().astype(int)
        np.testing.assert_array_equal(image[y : y + height, x : x + width], found.image_bgr)
        assert (found.box_xyxy[:2] >= 0).all()
        assert (found.box_xyxy[2:] <= [width - 1, height - 1]).all()
        assert (found.box_xyxy[2:] - found.box_xyxy[:2]).min() >= 1


def test_there_is_room_for_the_hair(person, rng):
    image, keypoints, labelled, box = person
    tops = []
    for _ in range(100):
        found = random_portrait(image, keypoints, labelled, box, settings=only(0), rng=rng)
        tops.append((keypoints[0] - found.keypoints[0])[1])
    head = keypoints[np.r_[0:5, 23:91], 1]
    assert max(tops) <= head.min() - 0.6 * np.ptp(head) + 1


def test_parts_that_are_not_labelled_are_not_cut_out(person, rng):
    image, keypoints, labelled, box = person
    labelled[5] = False
    for kind in (1, 2):
        settings = only(kind)
        assert random_portrait(image, keypoints, labelled, box, settings=settings, rng=rng) is None
    labelled[91:] = False
    assert random_portrait(image, keypoints, labelled, box, settings=only(3), rng=rng) is None
    assert random_portrait(image, keypoints, labelled, box, settings=only(0), rng=rng) is not None


def test_small_parts_are_not_cut_out(person, rng):
    image, keypoints, labelled, box = person
    settings = replace(only(3), portrait_min_side=200)
    assert random_portrait(image, keypoints, labelled, box, settings=settings, rng=rng) is None


def test_kinds_come_as_often_as_asked(person):
    image, keypoints, labelled, box = person
    rng = np.random.default_rng(5)
    settings = replace(
        SETTINGS,
        portrait_shares=(2.0, 0.0, 0.0, 6.0),
        portrait_margins=(0.0, 0.0),
        portrait_min_side=8,
    )
    hands = 0
    for _ in range(1000):
        found = random_portrait(image, keypoints, labelled, box, settings=settings, rng=rng)
        hands += found.keypoints[30, 0] == ABSENT
    assert hands / 1000 == pytest.approx(0.75, abs=0.05)


def test_off_by_default(person):
    assert AugmentSettings().portrait_probability == 0
    crops = [
        training_crop(
            *person,
            input_size_wh=(192, 256),
            settings=replace(AugmentSettings(), portrait_margins=margins),
            rng=np.random.default_rng(3),
        )[0]
        for margins in ((0.0, 0.1), (0.4, 0.5))
    ]
    np.testing.assert_array_equal(*crops)


def test_points_cut_off_stay_outside_of_every_crop(person):
    for seed in range(100):
        _, points, labelled = training_crop(
            *person,
            input_size_wh=(192, 256),
            settings=only(0),
            rng=np.random.default_rng(seed),
        )
        feet = points[15:23]
        assert labelled[15:23].all()
        assert ((abs(feet) > 1e4).any(axis=1)).all()
