from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwpose_infer.letterbox import PAD_VALUE, letterbox
from dwpose_infer.models.training.detector.scenes import (
    KINDS,
    LEAST_SIDE,
    background_window,
    change_pixels,
    make_scene,
    part_window,
    portrait_window,
)
from dwpose_infer.models.training.detector.settings import SceneSettings
from dwpose_infer.models.training.detector.table import read_table
from dwpose_infer.models.training.settings import DataSource

SIZE_WH = (96, 64)
STILL = SceneSettings(
    kind_shares=(1, 0, 0, 0, 0),
    letterbox_probability=1,
    aspect_range=(1, 1),
    flip_probability=0,
    turn_probability=0,
    hsv_deltas=(0, 0, 0),
    grey_probability=0,
    blur_probability=0,
    noise_probability=0,
)


@pytest.fixture(scope="module")
def table(pictures):
    return read_table([DataSource(annotations="labels.json", images=".")], root=pictures)


def scene_of(table, index, settings, seed=0):
    rng = np.random.default_rng(seed)
    return make_scene(table, index, size_wh=SIZE_WH, settings=settings, rng=rng)


def test_without_changes_a_sample_is_the_letterboxed_picture(table):
    scene = scene_of(table, 2, STILL)
    canvas, ratio = letterbox(table.read(2), size_wh=SIZE_WH)
    np.testing.assert_array_equal(scene.canvas, canvas)
    np.testing.assert_allclose(scene.boxes_xyxy, table.boxes_of(2) * ratio, atol=1)
    assert len(scene_of(table, 9, STILL).boxes_xyxy) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_fills_the_canvas_and_depends_on_its_key_alone(table, kind):
    shares = tuple(float(kind == other) for other in KINDS)
    settings = replace(SceneSettings(), kind_shares=shares)
    for seed in range(8):
        first, again = (scene_of(table, 1, settings, seed) for _ in range(2))
        np.testing.assert_array_equal(first.canvas, again.canvas)
        np.testing.assert_array_equal(first.boxes_xyxy, again.boxes_xyxy)
        assert first.canvas.shape == (SIZE_WH[1], SIZE_WH[0], 3)
        assert first.canvas.dtype == np.uint8
        assert (first.boxes_xyxy >= 0).all()
        assert (first.boxes_xyxy <= [*SIZE_WH, *SIZE_WH]).all()
        assert (first.boxes_xyxy[:, 2:] > first.boxes_xyxy[:, :2]).all()
    assert (scene_of(table, 1, settings, 0).canvas != scene_of(table, 1, settings, 1).canvas).any()


def test_a_mosaic_has_four_pictures_in_their_fields(table):
    settings = replace(STILL, kind_shares=(0, 0, 0, 1, 0), mosaic_split_range=(0.5, 0.5))
    for seed in range(5):
        scene = scene_of(table, 0, settings, seed)
        rng = np.random.default_rng(seed)
        rng.choice(5, p=[0, 0, 0, 1, 0])  # the kind
        members = [0, *rng.integers(len(table), size=3).tolist()]
        expected, boxes = np.full((64, 96, 3), PAD_VALUE, np.uint8), []
        for member, corner in zip(members, [(0, 0), (48, 0), (0, 32), (48, 32)], strict=True):
            x, y = corner
            expected[y : y + 32, x : x + 48], _ = letterbox(table.read(member), size_wh=(48, 32))
            scale = [int(72 * 32 / 60) / 72, 32 / 60] * 2
            boxes.append(table.boxes_of(member) * scale + [*corner, *corner])
        np.testing.assert_array_equal(scene.canvas, expected)
        np.testing.assert_allclose(scene.boxes_xyxy, np.concatenate(boxes), atol=1e-4)


def test_the_last_epochs_have_no_mosaics():
    settings = SceneSettings(kind_shares=(1, 2, 3, 4, 5), final_epochs=2)
    assert settings.at_epoch(7, epochs=10) is settings
    assert settings.at_epoch(8, epochs=10).kind_shares == (5, 2, 3, 0, 5)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_portrait_shows_the_top_of_a_person_and_ends_within(seed):
    box = np.array([[100, 50, 300, 450]], np.float32)
    rng = np.random.default_rng(seed)
    window = portrait_window((400, 500), box, SceneSettings(), rng)
    assert window is not None
    left, top, right, bottom = window
    assert 0 <= left < right <= 400
    assert 0 <= top <= 50
    assert 50 + 0.17 * 400 <= bottom <= 50 + 0.91 * 400
    assert min(right - left, bottom - top) >= LEAST_SIDE
    assert left < 260
    assert right > 140


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), wide=st.integers(45, 600), high=st.integers(45, 600))
def test_parts_lie_within_the_picture(seed, wide, high):
    window = part_window((wide, high), SceneSettings(), np.random.default_rng(seed))
    if window is not None:
        left, top, right, bottom = window
        assert 0 <= left < right <= wide
        assert 0 <= top < bottom <= high


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_background_has_no_labelled_person(seed):
    boxes = np.array([[100.5, 60, 180, 200], [150, 50, 220.5, 190]], np.float32)
    window = background_window((300, 210), boxes, np.random.default_rng(seed))
    assert window in {(0, 0, 100, 210), (221, 0, 300, 210), (0, 0, 300, 50)}


def test_windows_that_would_be_too_small_are_none(rng):
    nobody = np.zeros((0, 4), np.float32)
    small = np.array([[0, 0, 30, 30]], np.float32)
    assert portrait_window((100, 100), nobody, SceneSettings(), rng) is None
    assert portrait_window((100, 100), small, SceneSettings(), rng) is None
    assert part_window((30, 30), SceneSettings(), rng) is None
    assert background_window((60, 60), np.array([[25, 25, 40, 40]], np.float32), rng) is None
    assert background_window((60, 50), nobody, rng) == (0, 0, 60, 50)


def test_pixels_change_as_told(rng):
    image = rng.integers(0, 256, (40, 50, 3), np.uint8)
    np.testing.assert_array_equal(change_pixels(image, STILL, rng), image)
    grey = change_pixels(image, replace(STILL, grey_probability=1), rng)
    assert (grey[..., 0] == grey[..., 1]).all()
    assert (grey[..., 1] == grey[..., 2]).all()
    flat = np.full((200, 200, 3), 128, np.uint8)
    noisy = change_pixels(flat, replace(STILL, noise_probability=1, noise_range=(10, 10)), rng)
    assert noisy.std() == pytest.approx(10, rel=0.02)  # 120000 numbers: 0.2 % one sigma
    blurred = change_pixels(image, replace(STILL, blur_probability=1), rng)
    assert blurred.std() < image.std() / 2
