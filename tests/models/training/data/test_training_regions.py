"""Random regions against mmpose's arithmetic and distributions (extra/aug_samples.npz)."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwpose_infer.models.training.data.regions import (
    LOWER_BODY,
    UPPER_BODY,
    Region,
    box_region,
    flip_points,
    flip_region,
    half_body_points,
    points_region,
    random_half_body,
    random_jitter,
    truncated_normal,
)
from dwpose_infer.models.training.settings import AugmentSettings

SETTINGS = AugmentSettings()
SAMPLES = range(12)


@pytest.fixture(scope="module")
def goldens(reference):
    with np.load(reference / "extra" / "aug_samples.npz") as file:
        return dict(file)


@pytest.mark.parametrize("sample", SAMPLES)
def test_box_regions_are_mmposes(goldens, sample):
    region = box_region(goldens[f"{sample}.bbox"][0], padding=1.25)
    np.testing.assert_array_equal(region.center, goldens[f"{sample}.center"][0])
    np.testing.assert_array_equal(region.size, goldens[f"{sample}.scale"][0])


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("half", ["upper", "lower"])
def test_half_bodies_are_mmposes(goldens, sample, half):
    labelled = goldens[f"{sample}.visible"][0] > 0
    picked = half_body_points(labelled, prefer_upper=half == "upper", settings=SETTINGS)
    np.testing.assert_array_equal(picked, goldens[f"{sample}.half_{half}.ids"])
    region = points_region(goldens[f"{sample}.keypoints"][0][picked], padding=1.5)
    np.testing.assert_array_equal(region.center, goldens[f"{sample}.half_{half}.center"])
    np.testing.assert_array_equal(region.size, goldens[f"{sample}.half_{half}.scale"])


@pytest.mark.parametrize("sample", SAMPLES)
def test_flips_are_mmposes(goldens, sample):
    width = int(goldens[f"{sample}.img_shape"][1])
    labelled = goldens[f"{sample}.visible"][0] > 0
    points, flipped = flip_points(goldens[f"{sample}.keypoints"][0], labelled, width=width)
    np.testing.assert_array_equal(points, goldens[f"{sample}.flip.keypoints"][0])
    np.testing.assert_array_equal(flipped, goldens[f"{sample}.flip.visible"][0] > 0)
    region = flip_region(
        Region(goldens[f"{sample}.center"][0], goldens[f"{sample}.scale"][0]), width=width
    )
    np.testing.assert_array_equal(region.center, goldens[f"{sample}.flip.center"][0])


@given(st.integers(8, 4000), st.integers(0, 2**32 - 1))
def test_flipping_twice_changes_nothing(width, seed):
    rng = np.random.default_rng(seed)
    keypoints = rng.integers(-100, 4000, (133, 2)).astype(np.float32)
    labelled = rng.random(133) < 0.5
    once, labelled_once = flip_points(keypoints, labelled, width=width)
    twice, labelled_twice = flip_points(once, labelled_once, width=width)
    np.testing.assert_array_equal(twice, keypoints)
    np.testing.assert_array_equal(labelled_twice, labelled)
    np.testing.assert_array_equal(once[0], [width - 1 - keypoints[0, 0], keypoints[0, 1]])
    np.testing.assert_array_equal(once[5], [width - 1 - keypoints[6, 0], keypoints[6, 1]])


def test_jitter_has_mmposes_distribution(reference):
    expected = json.loads((reference / "extra" / "aug.json").read_text())
    expected = expected["bbox_transform_stats_4000"]
    rng = np.random.default_rng(0)
    region = Region(np.zeros(2, np.float32), np.ones(2, np.float32))
    drawn = [random_jitter(region, settings=SETTINGS, rng=rng) for _ in range(20_000)]
    offsets = np.array([each.center for each in drawn])
    scales = np.array([each.size[0] for each in drawn])
    angles = np.array([each.rotation_deg for each in drawn])
    shifted = offsets[:, 0] != 0
    # Four standard errors of the reference's 4000 samples bound every difference.
    assert shifted.mean() == pytest.approx(expected["offset_nonzero"], abs=0.03)
    assert offsets[shifted].std() == pytest.approx(expected["offset_std_when_on"], abs=0.005)
    assert scales.mean() == pytest.approx(expected["scale_mean"], abs=0.02)
    assert scales.std() == pytest.approx(expected["scale_std"], abs=0.01)
    assert 0.5 <= scales.min() < 0.505 and 1.495 < scales.max() <= 1.5
    assert (angles != 0).mean() == pytest.approx(expected["rot_nonzero"], abs=0.03)
    assert angles[angles != 0].std() == pytest.approx(expected["rot_std_when_on"], abs=2)
    assert 89 < angles.max() <= 90
    assert abs(offsets).max() <= np.float32(0.16)


def test_shift_is_a_share_of_the_region_and_off_when_0(rng):
    always = replace(SETTINGS, shift_probability=1.0, scale_probability=0.0)
    region = Region(np.array([50, 80], np.float32), np.array([200, 100], np.float32))
    shifts = np.array(
        [random_jitter(region, settings=always, rng=rng).center for _ in range(2000)]
    ) - [50, 80]
    assert 31 < abs(shifts[:, 0]).max() <= 32.001
    assert 15.5 < abs(shifts[:, 1]).max() <= 16.001
    final = replace(always, shift_factor=0.0, rotation_probability=0.0)
    still = random_jitter(region, settings=final, rng=rng)
    np.testing.assert_array_equal(still.center, region.center)
    np.testing.assert_array_equal(still.size, region.size)
    assert still.rotation_deg == 0


@given(st.floats(0, 1))
def test_truncated_normal_is_symmetric_and_bounded(quantile):
    value = truncated_normal(quantile)
    assert -1 - 1e-9 <= value <= 1 + 1e-9
    assert value == pytest.approx(-truncated_normal(1 - quantile), abs=1e-9)


def test_truncated_normal_inverts_the_integral_of_its_density():
    values = np.linspace(-1, 1, 2001)
    density = np.exp(-(values**2) / 2)
    below = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    found = [truncated_normal(quantile) for quantile in below / below[-1]]
    np.testing.assert_allclose(found, values, atol=1e-6)


def points(*labelled):
    known = np.zeros(133, np.bool_)
    known[list(labelled)] = True
    return known


@pytest.mark.parametrize(
    ("labelled", "prefer_upper", "expected"),
    [
        ((0, 5, 11, 12, 13), True, [0, 5]),
        ((0, 5, 11, 12, 13), False, [11, 12, 13]),
        ((0, 5, 11, 12), False, [0, 5]),  # two lower points are too few
        ((0, 11, 12, 13), True, [11, 12, 13]),  # one upper point is too few
        ((0, 11, 12), True, None),
        ((0, *range(91, 133)), True, None),  # hands are of neither half
    ],
)
def test_which_half_is_taken(labelled, prefer_upper, expected):
    picked = half_body_points(points(*labelled), prefer_upper=prefer_upper, settings=SETTINGS)
    assert (None if picked is None else picked.tolist()) == expected


def test_half_bodies_come_as_often_as_asked(rng):
    keypoints = rng.uniform(0, 100, (133, 2)).astype(np.float32)
    labelled = points(*range(23))
    region = Region(np.zeros(2, np.float32), np.ones(2, np.float32))
    upper = points_region(keypoints[UPPER_BODY], padding=1.5)
    lower = points_region(keypoints[LOWER_BODY], padding=1.5)
    drawn = [
        random_half_body(region, keypoints, labelled, settings=SETTINGS, rng=rng)
        for _ in range(5000)
    ]
    share_upper = np.mean([np.array_equal(each.center, upper.center) for each in drawn])
    share_lower = np.mean([np.array_equal(each.center, lower.center) for each in drawn])
    assert share_upper == pytest.approx(0.3 * 0.7, abs=0.025)
    assert share_lower == pytest.approx(0.3 * 0.3, abs=0.02)
    few = points(*range(8))  # 9 are needed
    assert random_half_body(region, keypoints, few, settings=SETTINGS, rng=rng) is region


def test_a_half_body_without_extent_is_not_taken(rng):
    always = replace(SETTINGS, half_body_probability=1.0)
    region = Region(np.zeros(2, np.float32), np.ones(2, np.float32))
    same = np.full((133, 2), 7, np.float32)
    assert random_half_body(region, same, points(*range(23)), settings=always, rng=rng) is region
