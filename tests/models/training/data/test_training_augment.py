"""The way from a person to a crop: geometry against mmpose (extra/warp.npz), and its order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dwpose_infer import geometry
from dwpose_infer.models.training.data.augment import cut, training_crop
from dwpose_infer.models.training.data.regions import Region, box_region
from dwpose_infer.models.training.settings import AugmentSettings

SIZE = (192, 256)
OFFICIAL = AugmentSettings()
NOTHING = replace(
    OFFICIAL,
    flip_probability=0.0,
    half_body_probability=0.0,
    shift_probability=0.0,
    scale_probability=0.0,
    rotation_probability=0.0,
    hsv_deltas=(0.0, 0.0, 0.0),
    blur_probability=0.0,
    median_blur_probability=0.0,
    hole_probability=0.0,
)
"""Every random change switched off."""


@pytest.fixture
def sample(rng):
    image = rng.integers(0, 256, (300, 220, 3), np.uint8)
    box = np.array([40, 30, 170, 260], np.float32)
    keypoints = rng.uniform((40, 30), (170, 260), (133, 2)).astype(np.float32)
    labelled = rng.random(133) < 0.8
    return image, keypoints, labelled, box


@pytest.mark.parametrize("case", range(24))
def test_rotated_crops_put_points_where_mmpose_puts_them(reference, rng, case):
    with np.load(reference / "extra" / "warp.npz") as golden:
        size = tuple(golden["size"][case].tolist())
        region = Region(golden["center"][case], golden["scale"][case], float(golden["rot"][case]))
        image = rng.integers(0, 256, (40, 30, 3), np.uint8)
        crop, points = cut(image, golden["kpts"][case][0], region, input_size_wh=size)
        np.testing.assert_array_equal(points, golden["kpts_t"][case][0])
    assert crop.shape == (size[1], size[0], 3)


def test_without_changes_the_crop_is_the_estimators(sample, rng):
    image, keypoints, labelled, box = sample
    crop, points, known = training_crop(*sample, input_size_wh=SIZE, settings=NOTHING, rng=rng)
    center, scale = geometry.box_to_center_scale(box, input_size_wh=SIZE)
    (expected,) = geometry.crop_boxes(image, center, scale, output_size_wh=SIZE)
    np.testing.assert_array_equal(crop, expected)
    np.testing.assert_array_equal(known, labelled)
    back = geometry.crop_to_picture(points[None], center, scale, input_size_wh=SIZE)[0]
    np.testing.assert_allclose(back, keypoints, atol=1e-3)


def test_points_stay_on_what_they_mark(rng):
    """A bright dot stays under its point through flips, half bodies, shifts and rotations."""
    settings = replace(
        OFFICIAL,
        hsv_deltas=(0.0, 0.0, 0.0),
        blur_probability=0.0,
        median_blur_probability=0.0,
        hole_probability=0.0,
    )
    image = np.zeros((300, 220, 3), np.uint8)
    image[118:123, 98:103] = 255  # centred on pixel (100, 120)
    keypoints = np.tile(np.array([60, 70], np.float32), (133, 1))
    keypoints[1::2] = 160, 190
    keypoints[0] = 100, 120  # the nose, which has no other side
    labelled = np.ones(133, np.bool_)
    box = np.array([40, 30, 180, 230], np.float32)
    seen = 0
    for _ in range(60):
        crop, points, _ = training_crop(
            image, keypoints, labelled, box, input_size_wh=SIZE, settings=settings, rng=rng
        )
        rows, columns = np.nonzero(crop[:, :, 0] > 127)
        x, y = points[0]
        if 15 < x < 177 and 15 < y < 241:
            seen += 1
            assert columns.mean() == pytest.approx(x, abs=0.6)
            assert rows.mean() == pytest.approx(y, abs=0.6)
    assert seen > 30


def test_the_picture_is_left_as_it_is(sample):
    image = sample[0]
    before = image.copy()
    image.flags.writeable = False  # as in the cache
    settings = replace(OFFICIAL, portrait_probability=0.5)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        training_crop(*sample, input_size_wh=SIZE, settings=settings, rng=rng)
    np.testing.assert_array_equal(image, before)


def test_everything_official_happens(sample):
    """Each change alone gives another crop than none."""
    always = {
        "flip_probability": 1.0,
        "half_body_probability": 1.0,
        "shift_probability": 1.0,
        "scale_probability": 1.0,
        "rotation_probability": 1.0,
        "hsv_deltas": (5.0, 30.0, 30.0),
        "blur_probability": 1.0,
        "median_blur_probability": 1.0,
        "hole_probability": 1.0,
    }

    def crop(settings):
        rng = np.random.default_rng(1)
        return training_crop(*sample, input_size_wh=SIZE, settings=settings, rng=rng)[0]

    plain = crop(NOTHING)
    for name, value in always.items():
        assert not np.array_equal(crop(replace(NOTHING, **{name: value})), plain), name


def test_regions_are_widened_after_the_jitter(sample, rng):
    """As in mmpose: shifts are shares of the padded box, not of the widened region."""
    image, keypoints, labelled, _box = sample
    narrow = np.array([100, 30, 110, 260], np.float32)
    settings = replace(NOTHING, shift_probability=1.0)
    places = []
    for _ in range(300):
        _, points, _ = training_crop(
            image, keypoints, labelled, narrow, input_size_wh=SIZE, settings=settings, rng=rng
        )
        places.append(points[0, 0])
    padded = box_region(narrow, padding=1.25).size
    pixels_per_pixel = 256 / padded[1]
    largest = 0.16 * padded[0] * pixels_per_pixel
    assert np.ptp(places) <= 2 * largest + 1e-3
    assert np.ptp(places) > 1.8 * largest
