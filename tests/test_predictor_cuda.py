"""A predictor on a GPU from end to end, on the fake of the GPU wheel, which computes on the CPU."""

from __future__ import annotations

import numpy as np
import pytest

from dwpose_infer import Predictor
from dwpose_infer.backends.cuda_sessions import fixed_batch
from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.images import read_image
from dwpose_infer.zoo import resolve_model
from fake_onnxruntime import install_onnxruntime
from tolerances import BATCH_KEYPOINT_PX, BATCH_SCORE

POSE = "dwpose-t-bundled"


@pytest.fixture
def ort(monkeypatch):
    return install_onnxruntime(monkeypatch)


def tiles(photo, count):
    """Pictures with one person more each, up to three."""
    return [np.concatenate([photo] * (1 + index % 3), axis=1) for index in range(count)]


@pytest.mark.slow
def test_a_gpu_gives_what_the_cpu_gives_whatever_its_batches_are_filled_up_with(ort, photos):
    pictures = tiles(read_image(photos[0]), 9)  # more than are searched together
    with Predictor(POSE, threads=1, square_input=True) as predictor:
        expected = predictor(pictures)
    with Predictor(POSE, threads=1, device="cuda") as predictor:
        found = predictor(pictures)
    assert sum(map(len, expected)) >= 9
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.keypoints, other.keypoints, rtol=0, atol=BATCH_KEYPOINT_PX)
        np.testing.assert_allclose(one.scores, other.scores, rtol=0, atol=BATCH_SCORE)
        np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, rtol=0, atol=1e-2)
    batches = {shape[0][0] for session in ort.sessions for shape in session.shapes}
    assert batches <= {fixed_batch(size) for size in range(1, 17)}
    assert len(batches) > 1


@pytest.mark.slow
def test_numbers_of_persons_and_pictures_can_be_prepared_ahead(ort, photos):
    with Predictor(POSE, threads=1, device="cuda") as predictor:
        predictor.warmup(persons=4, pictures=2)
        sizes = sorted(shape[0][0] for session in ort.sessions for shape in session.shapes)
        assert sizes == [1, 1, 2, 2, 4]
        predictor([read_image(photos[0])] * 2)
        assert len(ort.sessions) == len(sizes)
        with pytest.raises(InvalidArgumentError, match="persons is 0 and pictures 1"):
            predictor.warmup(0)


@pytest.mark.slow
def test_official_files_run_in_deploy_form(ort, photos, tmp_path):
    onnx = pytest.importorskip("onnx")
    from dwpose_infer.export.sources import load_source

    official = tmp_path / "official.onnx"
    onnx.save(load_source(resolve_model(POSE)).model, official)
    picture = read_image(photos[0])
    boxes = [[0, 0, *picture.shape[1::-1]]]
    with Predictor(official, None, threads=1) as predictor:
        assert predictor.estimator.form == "simcc"
        expected = predictor(picture, boxes=boxes)
    with Predictor(official, None, threads=1, device="cuda") as predictor:
        assert predictor.estimator.form == "deploy"
        found = predictor(picture, boxes=boxes)
    (session,) = ort.sessions
    assert session.get_inputs()[0].type == "tensor(uint8)"
    np.testing.assert_allclose(found.keypoints, expected.keypoints, rtol=0, atol=0.51)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-4)
