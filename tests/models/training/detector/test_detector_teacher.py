from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from detector_samples import SIDE

from dwpose_infer.backends import load_backend
from dwpose_infer.detector import Detector, DetectorOptions
from dwpose_infer.errors import ModelFormatError, ModelNotFoundError
from dwpose_infer.export.deploy import to_deploy_detector
from dwpose_infer.export.from_checkpoint import detector_network, to_official
from dwpose_infer.models.dwpose import DWPose, DWPoseArchitecture
from dwpose_infer.models.training.detector.blocks import BLOCKS, PREDICTORS
from dwpose_infer.models.training.detector.cells import make_cells
from dwpose_infer.models.training.detector.onnx_weights import (
    _execution_order,
    _official_order,
    read_onnx_yolox,
)
from dwpose_infer.models.training.detector.teacher import Teacher
from dwpose_infer.models.yolox import YOLOX, YOLOXArchitecture

OFFICIAL = Path(__file__).parents[5] / "shared" / "weights" / "teacher-yolox_nano.onnx"


def planes(canvas):
    return torch.from_numpy(canvas.transpose(2, 0, 1)[None]).float()


def a_canvas(rng):
    return rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def test_the_answer_is_what_the_detector_finds(teacher, rng):
    """Decoded and with the detector's own threshold: the same boxes, before suppression."""
    canvas = a_canvas(rng)
    answer = Teacher(teacher)(planes(canvas))
    assert answer.scores.shape == (1, 84)
    assert answer.scores.dtype == answer.boxes.dtype == torch.float32
    ranked = answer.scores[0].sort().values[:-20]
    gap = int(ranked.diff().argmax())  # equal but for rounding they would fall on both sides
    threshold = float(ranked[gap : gap + 2].mean())
    options = DetectorOptions(score_threshold=threshold, nms_threshold=1.0)
    with load_backend("ort", teacher, threads=1) as backend:
        (found,) = Detector(backend, options)([canvas])
    boxes = make_cells((SIDE, SIDE)).boxes_xyxy(answer.boxes)[0].numpy()
    scores = answer.scores[0].numpy()
    wanted = scores > threshold
    assert len(found) == wanted.sum() >= 20
    expected = in_order(boxes[wanted], scores[wanted])
    actual = in_order(found.boxes_xyxy, found.scores)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-3)


def in_order(boxes, scores):
    """Rows of score and box by the place of the box: some scores differ by rounding alone."""
    rows = np.concatenate([scores[:, None], boxes], axis=1)
    return rows[np.lexsort(np.rint(boxes.T))]


def test_onnx_and_checkpoint_teach_the_same(teacher, teacher_network, tmp_path, rng):
    pictures = torch.cat([planes(a_canvas(rng)), planes(a_canvas(rng))])
    path = tmp_path / "teacher.pth"
    torch.save(teacher_network.state_dict(), path)
    with torch.inference_mode():
        rows = teacher_network(pictures)
    for file in (teacher, path):
        answer = Teacher(file)(pictures)
        torch.testing.assert_close(answer.scores, rows[..., 4] * rows[..., 5], rtol=0, atol=1e-4)
        torch.testing.assert_close(answer.boxes, rows[..., :4], rtol=0, atol=1e-3)
        assert answer.scores.max() > 0.3
        assert not answer.blocks.outputs


def test_a_teacher_looks_at_any_size(teacher, teacher_network, rng):
    pictures = planes(rng.integers(0, 256, (96, 160, 3), np.uint8))
    with torch.inference_mode():
        rows = teacher_network(pictures)
    answer = Teacher(teacher)(pictures)
    assert answer.scores.shape == (1, 96 * 160 * 21 // 1024)
    torch.testing.assert_close(answer.boxes, rows[..., :4], rtol=0, atol=1e-3)


def test_blocks_are_recorded_as_they_are_run(teacher, teacher_network, rng):
    pictures = planes(a_canvas(rng))
    blocks = Teacher(teacher)(pictures, blocks=True).blocks
    assert set(blocks.inputs) == set(blocks.outputs) == {*BLOCKS, *PREDICTORS}
    with torch.no_grad():
        levels = teacher_network.backbone(pictures)
        for level, wanted in enumerate(levels):
            given = blocks.inputs[f"head.stems.{level}"]
            torch.testing.assert_close(given, wanted, rtol=1e-4, atol=1e-4)
            output = teacher_network.head.stems[level](wanted)
            given = blocks.outputs[f"head.stems.{level}"]
            torch.testing.assert_close(given, output, rtol=1e-4, atol=1e-4)
        for name in (*BLOCKS, *PREDICTORS):
            again = teacher_network.get_submodule(name)(blocks.inputs[name])
            torch.testing.assert_close(again, blocks.outputs[name], rtol=1e-3, atol=1e-3, msg=name)


@pytest.mark.parametrize("size", ["nano", "tiny"])
def test_files_in_the_official_order_are_read(size, tmp_path, rng):
    """The public files list a stage's second path before its bottlenecks, and classes first."""
    torch.manual_seed(2)
    network = YOLOX(YOLOXArchitecture(size, classes=2))
    network.train()(torch.rand(4, 3, SIDE, SIDE) * 255)
    network.eval()
    model = to_official(detector_network(network, input_size_wh=(SIDE, SIDE)))
    own = _execution_order(network)
    official = _official_order(network, own)
    assert sorted(own) == sorted(official) and own != official
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    by_name = dict(zip(own, convolutions, strict=True))
    nodes = list(model.graph.node)
    # What is run depends on the names of tensors, not on the order of the list.
    first = [by_name[name] for name in official]
    del model.graph.node[:]
    model.graph.node.extend(sorted_by_need(nodes, first))
    path = tmp_path / "official.onnx"
    onnx.save(model, path)
    pictures = planes(a_canvas(rng))
    with torch.inference_mode():
        torch.testing.assert_close(
            read_onnx_yolox(path)(pictures), network(pictures), rtol=1e-3, atol=1e-3
        )


def sorted_by_need(nodes, convolutions):
    """All nodes, convolutions in the given order, each after what it needs."""
    made_by = {name: node for node in nodes for name in node.output}
    done, ordered = set(), []

    def add(node):
        if id(node) in done:
            return
        done.add(id(node))
        for name in node.input:
            if name in made_by:
                add(made_by[name])
        ordered.append(node)

    for node in (*convolutions, *nodes):
        add(node)
    return ordered


@pytest.mark.skipif(not OFFICIAL.is_file(), reason="the public yolox_nano.onnx is not at hand")
def test_the_public_file_is_read():
    """Its answers are compared while it is read."""
    network = read_onnx_yolox(OFFICIAL)
    assert network.architecture == YOLOXArchitecture("nano", classes=80)


def test_files_that_cannot_teach_are_refused(teacher, tmp_path):
    with pytest.raises(ModelNotFoundError, match="should hold the teacher"):
        Teacher(tmp_path / "none.onnx")
    deploy = tmp_path / "deploy.onnx"
    onnx.save(to_deploy_detector(onnx.load(teacher)), deploy)
    with pytest.raises(ModelFormatError, match="--form official"):
        Teacher(deploy)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(teacher.read_bytes()[:1000])
    with pytest.raises(ModelFormatError):
        Teacher(broken)
    pose = DWPose(DWPoseArchitecture("t", 64, 64, keypoints=17))
    torch.save(pose.state_dict(), tmp_path / "pose.pth")
    with pytest.raises(ModelFormatError, match="holds a pose network"):
        Teacher(tmp_path / "pose.pth")


def test_a_file_built_in_another_way_is_refused(teacher, teacher_network, tmp_path):
    """The first convolution of two branches swapped: shapes fit, the answer does not."""
    model = onnx.load(teacher)
    one, other = (
        next(node for node in model.graph.node if node.op_type == "Conv" and place in node.name)
        for place in ("cls_convs.0/cls_convs.0.0/dconv", "reg_convs.0/reg_convs.0.0/dconv")
    )
    index = [list(model.graph.node).index(node) for node in (one, other)]
    nodes = list(model.graph.node)
    nodes[index[0]], nodes[index[1]] = nodes[index[1]], nodes[index[0]]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    path = tmp_path / "other.onnx"
    onnx.save(model, path)
    with pytest.raises(ModelFormatError, match="answer something else"):
        read_onnx_yolox(path)
    spoilt = {name: value.clone() for name, value in teacher_network.state_dict().items()}
    spoilt["head.reg_preds.0.bias"][0] = float("nan")
    torch.save(spoilt, tmp_path / "spoilt.pth")
    with pytest.raises(ModelFormatError, match="not finite"):
        Teacher(tmp_path / "spoilt.pth")
