"""Changes of pixels: colours against mmdet's arithmetic (extra/hsv.npz), the rest by its rules."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from dwpose_infer.models.training.data.photometric import (
    blur,
    change_colours,
    cut_hole,
    shift_hsv,
)
from dwpose_infer.models.training.settings import AugmentSettings

SETTINGS = AugmentSettings()


@pytest.fixture
def image(rng):
    return rng.integers(0, 256, (64, 48, 3), np.uint8)


@pytest.mark.parametrize("case", range(8))
def test_colours_are_shifted_as_mmdet_does(reference, case):
    with np.load(reference / "extra" / "hsv.npz") as golden:
        found = shift_hsv(golden["img"], *golden[f"gain{case}"].tolist())
        np.testing.assert_array_equal(found, golden[f"out{case}"])


def test_colour_shifts_are_drawn_as_mmdet_draws_them(image, monkeypatch):
    from dwpose_infer.models.training.data import photometric

    drawn = []
    monkeypatch.setattr(photometric, "shift_hsv", lambda _image, *shifts: drawn.append(shifts))
    rng = np.random.default_rng(0)
    for _ in range(6000):
        change_colours(image, settings=SETTINGS, rng=rng)
    shifts = np.array(drawn)
    # Half of them are off; of the others, uniform in -d..d, 1 in d is rounded to 0.
    for channel, largest in enumerate((5, 30, 30)):
        assert abs(shifts[:, channel]).max() == largest - 1  # d itself has probability 0
        share_0 = 0.5 + 0.5 / largest
        assert (shifts[:, channel] == 0).mean() == pytest.approx(share_0, abs=0.025)
        assert shifts[:, channel].mean() == pytest.approx(0, abs=0.02 * largest)
    assert abs(np.corrcoef(shifts.T)[0, 1]) < 0.05


def test_the_picture_itself_is_not_changed(image, rng):
    before = image.copy()
    always = replace(SETTINGS, blur_probability=1.0, median_blur_probability=1.0)
    change_colours(image, settings=SETTINGS, rng=rng)
    blur(image, settings=always, rng=rng)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("kind", ["blur", "median_blur"])
def test_windows_have_odd_sides_from_3_to_7(image, kind):
    both = {"blur_probability": 0.0, "median_blur_probability": 0.0}
    settings = replace(SETTINGS, **{**both, f"{kind}_probability": 1.0})
    filtered = {
        side: cv2.blur(image, (side, side)) if kind == "blur" else cv2.medianBlur(image, side)
        for side in (3, 5, 7)
    }
    rng = np.random.default_rng(1)
    counts = dict.fromkeys(filtered, 0)
    for _ in range(300):
        found = blur(image, settings=settings, rng=rng)
        (side,) = [side for side, each in filtered.items() if np.array_equal(each, found)]
        counts[side] += 1
    assert min(counts.values()) > 70


def test_blur_comes_as_often_as_asked(image):
    rng = np.random.default_rng(2)
    same = [blur(image, settings=SETTINGS, rng=rng) is image for _ in range(3000)]
    assert np.mean(same) == pytest.approx(0.9 * 0.9, abs=0.025)


def test_holes_are_one_black_rectangle_of_the_size_asked():
    rng = np.random.default_rng(3)
    heights, widths, tops, lefts = [], [], [], []
    for _ in range(2000):
        image = np.full((256, 192, 3), 255, np.uint8)
        cut_hole(image, settings=SETTINGS, rng=rng)
        rows, columns = np.nonzero(image[:, :, 0] == 0)
        top, left = rows.min(), columns.min()
        height, width = rows.max() - top + 1, columns.max() - left + 1
        assert (image == 0).sum() == 3 * height * width
        heights.append(height)
        widths.append(width)
        tops.append(top)
        lefts.append(left)
    # int(side * u), u in 0.2..0.4: 51..102 rows and 38..76 columns, anywhere in the picture.
    assert (min(heights), max(heights)) == (51, 102)
    assert (min(widths), max(widths)) == (38, 76)
    assert min(tops) == 0 and max(tops) > 195
    assert np.mean(heights) == pytest.approx(0.3 * 256, abs=1.5)
    assert np.mean(lefts) == pytest.approx((192 - 0.3 * 192) / 2, abs=4)


def test_holes_come_as_often_as_asked():
    final = SETTINGS.at_epoch(269, epochs=270)
    rng = np.random.default_rng(4)
    cut = 0
    for _ in range(2000):
        image = np.full((64, 48, 3), 255, np.uint8)
        cut_hole(image, settings=final, rng=rng)
        cut += bool((image == 0).any())
    assert cut / 2000 == pytest.approx(0.5, abs=0.05)
