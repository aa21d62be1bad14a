"""The flip test, on networks whose outputs are known, and through `Predictor`."""

from __future__ import annotations

import numpy as np
import pytest

from dwpose_infer import Predictor, geometry
from dwpose_infer.errors import InferenceError, ModelFormatError
from dwpose_infer.estimator import PoseEstimator
from dwpose_infer.images import read_image
from dwpose_infer.keypoints import FLIP_INDICES
from dwpose_infer.simcc import decode_simcc
from fake_backend import FakeBackend, spec

WIDTH, HEIGHT = 48, 64


def estimator(answer, *, flip_test: bool = True, **options) -> PoseEstimator:
    backend = FakeBackend(
        spec("input", None, 3, HEIGHT, WIDTH),
        spec("simcc_x", None, 133, 2 * WIDTH),
        spec("simcc_y", None, 133, 2 * HEIGHT),
        answer=answer,
    )
    return PoseEstimator(backend, flip_test=flip_test, **options)


def noise(seed: int):
    """A network of random outputs, another for every crop: seeded by the sum of its values."""

    def answer(images):
        shapes = {"simcc_x": (133, 2 * WIDTH), "simcc_y": (133, 2 * HEIGHT)}
        outputs = {name: [] for name in shapes}
        for image in images:
            ramp = np.arange(WIDTH, dtype=np.float64)
            key = abs(int(1000 * (image.astype(np.float64) * ramp).sum())) % 2**32
            rng = np.random.default_rng([seed, key])
            for name, shape in shapes.items():
                outputs[name].append(rng.random(shape, np.float32))
        return {name: np.stack(values) for name, values in outputs.items()}

    return answer


def crops(model: PoseEstimator, rng, count: int = 5):
    picture = rng.integers(0, 256, (200, 160, 3), np.uint8)
    corners = np.array([[index, 2 * index, 90 + index, 150] for index in range(count)])
    return model.crop(picture, corners)


def test_both_directions_are_averaged(rng):
    model = estimator(noise(1), max_batch=2)
    cut = crops(model, rng)
    keypoints, scores = model(cut)
    for index in range(len(cut)):
        x, y = (values[0] for values in model.simcc(cut.images_bgr[index : index + 1]))
        mirror = np.ascontiguousarray(cut.images_bgr[index : index + 1, :, ::-1])
        other_x, other_y = (values[0] for values in model.simcc(mirror))
        for point in (0, 5, 6, 17, 40, 91, 120):
            twin = FLIP_INDICES[point]
            mean_x = (x[point] + other_x[twin][::-1]) / 2
            mean_y = (y[point] + other_y[twin]) / 2
            assert scores[index, point] == pytest.approx(min(mean_x.max(), mean_y.max()))
            place = np.array([mean_x.argmax(), mean_y.argmax()]) / 2
            scale, center = cut.scale[index], cut.center[index]
            expected = place / [WIDTH, HEIGHT] * scale + center - scale / 2
            np.testing.assert_allclose(keypoints[index, point], expected, atol=1e-4)


def test_mirroring_the_crop_exchanges_left_and_right(rng):
    """The flip test of a mirrored crop is the mirror image of the flip test."""
    model = estimator(noise(2))
    cut = crops(model, rng, count=1)
    mirrored = type(cut)(np.ascontiguousarray(cut.images_bgr[:, :, ::-1]), cut.center, cut.scale)
    keypoints, scores = model(cut)
    mirrored_keypoints, mirrored_scores = model(mirrored)
    order = list(FLIP_INDICES)
    np.testing.assert_allclose(mirrored_scores[:, order], scores, rtol=1e-6)
    # Bin i of n becomes bin n - 1 - i, half a pixel left of the mirror image of its place.
    left = cut.center[0, 0] - cut.scale[0, 0] / 2
    bin_px = cut.scale[0, 0] / (2 * WIDTH)
    expected = 2 * left + cut.scale[0, 0] - bin_px - mirrored_keypoints[:, order, 0]
    np.testing.assert_allclose(keypoints[..., 0], expected, atol=1e-3)
    np.testing.assert_allclose(keypoints[..., 1], mirrored_keypoints[:, order, 1], atol=1e-4)


def test_without_it_the_network_sees_and_says_what_it_always_did(rng):
    model = estimator(noise(5), flip_test=False, max_batch=2)
    cut = crops(model, rng)
    keypoints, scores = model(cut)
    assert [len(call) for call in model.backend.calls] == [2, 2, 1]
    places, expected_scores = decode_simcc(*model.simcc(cut.images_bgr))
    np.testing.assert_array_equal(scores, expected_scores)
    np.testing.assert_array_equal(
        keypoints,
        geometry.crop_to_picture(places, cut.center, cut.scale, input_size_wh=(WIDTH, HEIGHT)),
    )


def test_a_batch_of_one_still_holds_both_directions(rng):
    model = estimator(noise(6), max_batch=1)
    cut = crops(model, rng, count=3)
    alone = model(cut)
    assert [len(call) for call in model.backend.calls] == [2, 2, 2]
    for got, expected in zip(alone, estimator(noise(6), max_batch=16)(cut), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_numbers_that_are_none_are_reported(rng):
    def answer(images):
        outputs = noise(3)(images)
        outputs["simcc_x"][:, 4] = np.nan
        return outputs

    model = estimator(answer)
    with pytest.raises(InferenceError, match="not numbers"):
        model(crops(model, rng))


def test_the_deploy_form_cannot_take_part():
    backend = FakeBackend(
        spec("crops", None, HEIGHT, WIDTH, 3, dtype=np.uint8),
        spec("keypoints", None, 133, 2),
        spec("scores", None, 133),
    )
    with pytest.raises(ModelFormatError, match="pip install onnx"):
        PoseEstimator(backend, flip_test=True)


def test_one_call_of_the_network_sees_both_directions(rng):
    seen = []

    def answer(images):
        seen.append(len(images))
        return noise(4)(images)

    model = estimator(answer, max_batch=4)
    model(crops(model, rng, count=5))
    assert seen == [4, 4, 2]  # two persons and their mirror images fill a batch of four


@pytest.mark.slow
def test_a_predictor_gives_a_mirrored_picture_mirrored_points(photos):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    picture = read_image(photos[0])
    height, width = picture.shape[:2]
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    box, twin = [[40, 20, width - 30, height]], [[30, 20, width - 40, height]]
    order = list(FLIP_INDICES)
    with Predictor(detector=None, threads=1, flip_test=True) as predictor:
        here, there = predictor([picture, mirrored], boxes=[box, twin])
        assert np.array_equal(predictor(picture, boxes=box).keypoints, here.keypoints)
    with Predictor(detector=None, threads=1) as predictor:
        plain, plain_there = predictor([picture, mirrored], boxes=[box, twin])

    def apart_px(one, other):
        """Median distance of the points that are sure, with left and right exchanged."""
        turned = other.keypoints[0, order] * [-1, 1] + [width - 1, 0]
        sure = one.scores[0] > 0.3
        assert sure.sum() > 60
        return float(np.median(np.linalg.norm(one.keypoints[0] - turned, axis=1)[sure]))

    bin_px = 1.25 * height / 256 / 2
    assert apart_px(here, there) <= 2 * bin_px < 2 * apart_px(plain, plain_there) + 2 * bin_px
    assert not np.array_equal(plain.keypoints, here.keypoints)


@pytest.mark.slow
def test_the_whole_picture_is_looked_at_from_both_sides_too(photos):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    picture = read_image(photos[0])
    height, width = picture.shape[:2]
    with Predictor(detector=None, threads=1, flip_test=True) as predictor:
        whole = predictor(picture, whole_image=True)
        given = predictor(picture, boxes=[[0, 0, width, height]])
    with Predictor(detector=None, threads=1) as predictor:
        plain = predictor(picture, whole_image=True)
    assert whole.box_scores.tolist() == [0]
    np.testing.assert_array_equal(whole.keypoints, given.keypoints)
    np.testing.assert_array_equal(whole.scores, given.scores)
    assert not np.array_equal(whole.keypoints, plain.keypoints)
