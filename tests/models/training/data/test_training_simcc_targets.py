"""SimCC targets against mmpose's codec (simcc/encode_*.npz)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dwpose_infer.models.training.data import encode, encode_batch
from dwpose_infer.models.training.data.augment import ABSENT
from dwpose_infer.models.training.settings import CodecSettings
from dwpose_infer.simcc import decode_simcc

SIZES = {"256x192": (192, 256), "384x288": (288, 384)}
CODECS = {
    "256x192": CodecSettings(),
    "384x288": CodecSettings(sigma_xy=(6.0, 6.93)),
}
GOLDENS = [(size, number) for size in SIZES for number in range(3)]


def encode_both(keypoints, weights, size, codec):
    """With NumPy and with torch, after checking that both are equal."""
    x, y, new = encode(keypoints, weights, input_size_wh=size, codec=codec)
    targets = encode_batch(
        torch.from_numpy(keypoints), torch.from_numpy(weights), input_size_wh=size, codec=codec
    )
    for ours, other in zip((x, y, new), targets, strict=True):
        np.testing.assert_array_equal(ours, other.numpy())
        assert ours.dtype == other.numpy().dtype == np.float32
    return x, y, new


@pytest.mark.parametrize(("size", "number"), GOLDENS)
def test_targets_are_mmposes(reference, size, number):
    with np.load(reference / "simcc" / f"encode_{size}_{number}.npz") as golden:
        x, y, weights = encode_both(
            golden["keypoints"], golden["visible"], SIZES[size], CODECS[size]
        )
        np.testing.assert_array_equal(x, golden["x_labels"])
        np.testing.assert_array_equal(y, golden["y_labels"])
        np.testing.assert_array_equal(weights, golden["weights"])
        located, scores = decode_simcc(x, y)
        np.testing.assert_array_equal(located, golden["decoded"])
        np.testing.assert_array_equal(scores, golden["scores"])


@given(
    st.lists(
        st.tuples(st.floats(-60, 260, width=32), st.floats(-60, 320, width=32)),
        min_size=1,
        max_size=30,
    )
)
@settings(deadline=None, max_examples=50)
def test_points_come_back_to_the_nearest_bin_or_count_nothing(places):
    keypoints = np.array([places], np.float32)
    weights = np.ones((1, len(places)), np.float32)
    x, y, new = encode_both(keypoints, weights, (192, 256), CODECS["256x192"])
    inside = ((np.around(keypoints * 2) >= 0) & (np.around(keypoints * 2) < [384, 512])).all(
        axis=-1
    )
    assert (new[inside] == 1).all()
    located, scores = decode_simcc(x, y)
    assert (scores[inside] == 1).all()
    assert abs(located - keypoints)[inside].max(initial=0) <= 0.25
    nothing = new == 0
    assert x[nothing].max(initial=0) == 0 == y[nothing].max(initial=0)


@pytest.mark.parametrize(
    ("place", "weight"),
    [
        # Along x, 3 sigma are 14.7 bins, along y 16.98; a bin is half a pixel.
        ((-7.5, 50), 1),  # bin -15: -15 + 14.7 + 1 is 0.7, not below 0
        ((-8, 50), 0),
        ((199, 50), 1),  # bin 398: 398 - 14.7 is below 384
        ((199.5, 50), 0),
        ((50, -8.5), 1),
        ((50, -9), 0),
        ((50, 264), 1),
        ((50, 264.5), 0),
        ((ABSENT, ABSENT), 0),
    ],
)
def test_how_far_outside_a_point_still_counts(place, weight):
    keypoints = np.array([[place]], np.float32)
    codec = CODECS["256x192"]
    x, y, new = encode_both(keypoints, np.ones((1, 1), np.float32), (192, 256), codec)
    assert new[0, 0] == weight
    assert (x.max() > 0 and y.max() > 0) == bool(weight)


def test_points_outside_can_be_given_a_flat_target():
    codec = CodecSettings(outside_weight=0.25)
    keypoints = np.array([[[ABSENT, ABSENT], [10, 10], [-100, 10]]], np.float32)
    weights = np.array([[1, 1, 0]], np.float32)
    x, y, new = encode_both(keypoints, weights, (192, 256), codec)
    assert new.tolist() == [[0.25, 1, 0]]
    assert x[0, [0, 2]].max() == y[0, [0, 2]].max() == 0


def test_a_batch_without_samples():
    x, y, weights = encode_both(
        np.zeros((0, 133, 2), np.float32),
        np.zeros((0, 133), np.float32),
        (192, 256),
        CODECS["256x192"],
    )
    assert (x.shape, y.shape, weights.shape) == ((0, 133, 384), (0, 133, 512), (0, 133))
