from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from detector_samples import SIDE

from dwpose_infer.backends import load_backend
from dwpose_infer.detector import Detector, DetectorOptions
from dwpose_infer.errors import ModelFormatError, ModelNotFoundError
from dwpose_infer.export.deploy import to_deploy_detector
from dwpose_infer.models.training.detector.cells import make_cells
from dwpose_infer.models.training.detector.teacher import Teacher, _head_features

WH = (SIDE, SIDE)


def test_the_answer_is_what_the_detector_finds(teacher, rng):
    """Decoded and with the detector's own threshold: the same boxes, before suppression."""
    canvas = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    answer = Teacher(teacher, input_wh=WH)(canvas)
    assert answer.scores.shape == (84,)
    assert answer.scores.dtype == answer.boxes.dtype == np.float32
    threshold = float(np.median(answer.scores))
    options = DetectorOptions(score_threshold=threshold, nms_threshold=1.0)
    with load_backend("ort", teacher, threads=1) as backend:
        (found,) = Detector(backend, options)([canvas])
    boxes = make_cells(WH).boxes_xyxy(torch.from_numpy(answer.boxes)).numpy()
    wanted = answer.scores > threshold
    assert len(found) == wanted.sum() > 20
    expected = in_order(boxes[wanted], answer.scores[wanted])
    actual = in_order(found.boxes_xyxy, found.scores)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-4)


def in_order(boxes, scores):
    """Rows of score and box; cells inside a uniform picture have equal scores."""
    rows = np.concatenate([scores[:, None], boxes], axis=1)
    return rows[np.lexsort((*np.rint(boxes.T), scores))]


def test_the_answer_is_the_networks(teacher, teacher_network, rng):
    canvas = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    answer = Teacher(teacher, input_wh=WH)(canvas)
    with torch.inference_mode():
        rows = teacher_network(torch.from_numpy(canvas.transpose(2, 0, 1)[None]).float())[0]
    np.testing.assert_allclose(answer.scores, (rows[:, 4] * rows[:, 5]).numpy(), atol=1e-4)
    np.testing.assert_allclose(answer.boxes, rows[:, :4].numpy(), atol=1e-3)
    assert answer.scores.max() > 0.3


def test_the_features_are_those_of_its_head(teacher, teacher_network, rng):
    canvas = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    answer = Teacher(teacher, input_wh=WH, features=True)(canvas)
    with torch.inference_mode():
        picture = torch.from_numpy(canvas.transpose(2, 0, 1)[None]).float()
        levels = teacher_network.backbone(picture)
        stems = [
            stem(level)[0].flatten(1).T
            for stem, level in zip(teacher_network.head.stems, levels, strict=True)
        ]
    assert answer.features.shape == (84, 64) and answer.features.dtype == np.float16
    np.testing.assert_allclose(answer.features, torch.cat(stems).numpy(), rtol=2e-3, atol=2e-3)
    plain = Teacher(teacher, input_wh=WH)(canvas)
    assert plain.features.shape == (84, 0)
    np.testing.assert_array_equal(plain.scores, answer.scores)


def test_a_teacher_without_such_a_head_has_no_features(teacher, tmp_path):
    model = onnx.load(teacher)
    for node in model.graph.node:
        if node.op_type == "Concat" and len(node.input) == 3:
            node.input.append(node.input[-1])
    with pytest.raises(ModelFormatError, match=r"without loss\.feature_weight"):
        _head_features(model.graph, tmp_path)


def test_files_that_cannot_teach_are_refused(teacher, tmp_path):
    with pytest.raises(ModelNotFoundError, match="should hold the teacher"):
        Teacher(tmp_path / "none.onnx", input_wh=WH)
    with pytest.raises(ModelFormatError, match="64x64 pixels, that of the student 416x320"):
        Teacher(teacher, input_wh=(416, 320))
    deploy = tmp_path / "deploy.onnx"
    onnx.save(to_deploy_detector(onnx.load(teacher)), deploy)
    with pytest.raises(ModelFormatError, match="--form official"):
        Teacher(deploy, input_wh=WH)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(teacher.read_bytes()[:1000])
    with pytest.raises(ModelFormatError):
        Teacher(broken, input_wh=WH)
