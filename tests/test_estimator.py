from __future__ import annotations

import numpy as np
import pytest

from dwpose_infer.errors import InferenceError, InvalidArgumentError, ModelFormatError
from dwpose_infer.estimator import Crops, PoseEstimator, join_crops
from fake_backend import FakeBackend, spec

WIDTH, HEIGHT = 24, 32


def simcc_backend(answer=None, dtype=np.float32):
    return FakeBackend(
        spec("input", None, 3, HEIGHT, WIDTH, dtype=dtype),
        spec("simcc_x", None, 133, 2 * WIDTH, dtype=dtype),
        spec("simcc_y", None, 133, 2 * HEIGHT, dtype=dtype),
        answer=answer or brightest,
    )


def brightest(images):
    """Places every keypoint at the column and row of the highest red value."""
    red = images[:, 0].astype(np.float32)
    x = np.repeat(np.repeat(red.max(axis=1), 2, axis=1)[:, None], 133, axis=1)
    y = np.repeat(np.repeat(red.max(axis=2), 2, axis=1)[:, None], 133, axis=1)
    return {"simcc_x": x.astype(images.dtype), "simcc_y": y.astype(images.dtype)}


def test_normalisation_equals_the_formula_for_every_byte():
    fake = simcc_backend()
    estimator = PoseEstimator(fake)
    image = np.zeros((1, HEIGHT, WIDTH, 3), np.uint8)
    image.reshape(-1, 3)[:256] = np.arange(256)[:, None]
    estimator(Crops(image, np.zeros((1, 2), np.float32), np.ones((1, 2), np.float32)))
    (planes,) = fake.calls
    values = planes.reshape(3, -1)[:, :256]
    mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    for channel in range(3):
        expected = ((np.arange(256) - mean[channel]) / std[channel]).astype(np.float32)
        np.testing.assert_array_equal(values[channel], expected)


def test_network_sees_rgb():
    fake = simcc_backend()
    blue = np.zeros((50, 50, 3), np.uint8)
    blue[..., 0] = 255
    estimator = PoseEstimator(fake)
    estimator(estimator.crop(blue, [[0, 0, 50, 50]]))
    middle = fake.calls[0][0, :, HEIGHT // 2, WIDTH // 2]
    np.testing.assert_allclose(middle, [-2.1179, -2.0357, 2.64], atol=1e-4)


def test_keypoints_are_found_where_the_picture_is_red(rng):
    """From the picture through crop, decode and back: the law of the whole estimator."""
    image = np.zeros((300, 400, 3), np.uint8)
    spots = [(60, 40), (210, 150), (320, 260)]
    for x, y in spots:
        image[y - 1 : y + 2, x - 1 : x + 2, 2] = 255
    boxes = [[x - 9, y - 12, x + 12, y + 10] for x, y in spots]
    estimator = PoseEstimator(simcc_backend(), max_batch=2)
    keypoints, scores = estimator(estimator.crop(image, boxes))
    assert keypoints.shape == (3, 133, 2)
    assert keypoints.dtype == np.float32
    for person, spot in enumerate(spots):
        np.testing.assert_allclose(keypoints[person, 0], spot, atol=1.5)
    assert (scores > 1).all()


def test_batches_are_of_the_size_asked_for():
    fake = simcc_backend()
    estimator = PoseEstimator(fake, max_batch=4)
    image = np.full((40, 40, 3), 9, np.uint8)
    estimator(estimator.crop(image, [[0, 0, 20, 30]] * 9))
    assert [len(call) for call in fake.calls] == [4, 4, 1]


def test_crops_of_several_pictures_are_joined_in_order(rng):
    estimator = PoseEstimator(simcc_backend())
    images = rng.integers(0, 256, (2, 60, 60, 3), np.uint8)
    parts = [estimator.crop(image, [[0, 0, 30, 40], [10, 10, 50, 50]]) for image in images]
    joined, _ = estimator(join_crops(parts))
    alone = np.concatenate([estimator(part)[0] for part in parts])
    np.testing.assert_array_equal(joined, alone)


def test_nobody():
    estimator = PoseEstimator(simcc_backend())
    keypoints, scores = estimator(estimator.crop(np.zeros((9, 9, 3), np.uint8), np.zeros((0, 4))))
    assert (keypoints.shape, scores.shape) == ((0, 133, 2), (0, 133))


def test_half_precision_input_and_output():
    estimator = PoseEstimator(simcc_backend(dtype=np.float16))
    keypoints, scores = estimator(
        estimator.crop(np.full((40, 40, 3), 200, np.uint8), [[0, 0, 30, 40]])
    )
    assert (keypoints.dtype, scores.dtype) == (np.float32, np.float32)


def test_nan_is_an_error():
    def broken(images):
        return {name: np.full_like(value, np.nan) for name, value in brightest(images).items()}

    estimator = PoseEstimator(simcc_backend(broken))
    with pytest.raises(InferenceError, match="half-precision"):
        estimator(estimator.crop(np.zeros((40, 40, 3), np.uint8), [[0, 0, 30, 40]]))


def test_deploy_form():
    def answer(images):
        count = len(images)
        return {
            "keypoints": np.full((count, 133, 2), (WIDTH / 2, HEIGHT / 2), np.float32),
            "scores": np.full((count, 133), 0.5, np.float32),
        }

    fake = FakeBackend(
        spec("crops", None, HEIGHT, WIDTH, 3, dtype=np.uint8),
        spec("keypoints", None, 133, 2),
        spec("scores", None, 133),
        answer=answer,
    )
    estimator = PoseEstimator(fake)
    assert (estimator.form, estimator.input_size_wh) == ("deploy", (WIDTH, HEIGHT))
    keypoints, _ = estimator(estimator.crop(np.zeros((99, 99, 3), np.uint8), [[10, 20, 50, 60]]))
    np.testing.assert_allclose(keypoints[0, 0], [30, 40])
    assert fake.calls[0].dtype == np.uint8


@pytest.mark.parametrize(
    ("image", "outputs", "complaint"),
    [
        (spec("x", None, 3, 32, 24), [spec("logits", None, 10)], "not a pose network"),
        (
            spec("x", None, 3, 32, 24),
            [spec("simcc_x", None, 14, 48), spec("simcc_y", None, 14, 64)],
            "14 keypoints; understood are 133 .*17 .*23 .*26",
        ),
        (
            spec("x", None, 3, 32, 24),
            [spec("simcc_x", None, 133, 64), spec("simcc_y", None, 133, 48)],
            "64 SimCC bins for 24 pixels",
        ),
        (
            spec("x", None, 3, None, None),
            [spec("simcc_x", None, 133, 48), spec("simcc_y", None, 133, 64)],
            "no fixed height",
        ),
        (spec("x", None, 3), [spec("simcc_x", 1), spec("simcc_y", 1)], "not a pose network"),
    ],
)
def test_foreign_graphs(image, outputs, complaint):
    with pytest.raises(ModelFormatError, match=complaint):
        PoseEstimator(FakeBackend(image, *outputs))


def test_bad_batch():
    with pytest.raises(InvalidArgumentError, match="max_batch"):
        PoseEstimator(simcc_backend(), max_batch=0)
