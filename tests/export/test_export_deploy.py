from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from dwpose_infer.detector import Detector, DetectorOptions, decode_yolox
from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.estimator import PoseEstimator
from dwpose_infer.export.deploy import to_deploy_detector, to_deploy_pose
from dwpose_infer.export.graph import BATCH, opset_of
from dwpose_infer.export.pictures import official_input, shipped_samples
from dwpose_infer.export.running import GraphRunner
from dwpose_infer.simcc import decode_simcc


def test_pose_gives_the_keypoints_of_the_official_form(pose_source, noise):
    crops = np.concatenate(
        [shipped_samples("pose", pose_source.input_size_wh), noise(pose_source, 2)]
    )
    raw = pose_source.reference(official_input("pose", crops))
    keypoints, scores = decode_simcc(raw["simcc_x"], raw["simcc_y"])
    with GraphRunner(to_deploy_pose(pose_source.model)) as run:
        assert run.backend.inputs[0].dtype == np.uint8
        outputs = run({"crops": crops})
        np.testing.assert_array_equal(outputs["keypoints"], keypoints)
        np.testing.assert_allclose(outputs["scores"], scores, atol=1e-5)
        alone = run({"crops": crops[2:3]})
        np.testing.assert_array_equal(alone["keypoints"][0], keypoints[2])


def test_the_package_reads_what_it_wrote(pose_source, detector_source, astronaut):
    from dwpose_infer.images import read_image

    image = read_image(astronaut)
    with GraphRunner(to_deploy_detector(detector_source.model)) as run:
        detector = Detector(run.backend, DetectorOptions(score_threshold=0.5))
        assert detector.form == "deploy"
        (found,) = detector([image])
    assert len(found) == 1
    with GraphRunner(to_deploy_pose(pose_source.model)) as run:
        estimator = PoseEstimator(run.backend)
        assert estimator.form == "deploy"
        deployed, _ = estimator(estimator.crop(image, found.boxes_xyxy))
    with GraphRunner(pose_source.model) as run:
        estimator = PoseEstimator(run.backend)
        official, _ = estimator(estimator.crop(image, found.boxes_xyxy))
    np.testing.assert_allclose(deployed, official, atol=1e-3)


@pytest.mark.parametrize("top_k", [7, 100_000])
def test_detector_gives_the_best_boxes_of_the_official_form(detector_source, noise, top_k):
    pictures = noise(detector_source, 2)
    raw = detector_source.reference(official_input("detector", pictures))["output"]
    cells = raw.shape[1]
    with GraphRunner(to_deploy_detector(detector_source.model, top_k=top_k)) as run:
        outputs = run({"images": pictures})
    assert outputs["boxes_xyxy"].shape == (2, min(top_k, cells), 4)
    for index in range(2):
        boxes, scores = decode_yolox(
            raw[index], input_size_wh=detector_source.input_size_wh, score_threshold=-1
        )
        best = np.argsort(-scores, kind="stable")[:7]
        np.testing.assert_allclose(outputs["scores"][index, :7], scores[best], atol=1e-5)
        np.testing.assert_allclose(outputs["boxes_xyxy"][index, :7], boxes[best], atol=1e-3)


def test_top_k_must_be_positive(detector_source):
    with pytest.raises(InvalidArgumentError, match="top_k is 0"):
        to_deploy_detector(detector_source.model, top_k=0)


def test_names_shapes_and_opset(pose_source, detector_source):
    pose, detector = to_deploy_pose(pose_source.model), to_deploy_detector(detector_source.model)
    for model in (pose, detector):
        assert opset_of(model) == 17
        for value in (*model.graph.input, *model.graph.output):
            first, *others = value.type.tensor_type.shape.dim
            assert first.dim_param == BATCH
            assert all(side.dim_value > 0 for side in others)


def linear_pose(readers, height=32, width=32):
    """A pose network whose SimCC is a weighted sum of the planes: too small to be any good."""
    weight = np.zeros((133, 3, 1, 1), np.float32)
    weight[0, 0] = weight[1, 1] = weight[2, 2] = 1  # points 0, 1 and 2 see red, green and blue
    weight[3] = -1
    constants = {
        "weight": weight,
        "rows": np.array([2]),
        "columns": np.array([3]),
        "double": np.tile(np.eye(width, dtype=np.float32), (1, 2)),
    }
    nodes = [
        helper.make_node("Conv", ["input", "weight"], ["maps"], kernel_shape=[1, 1]),
        helper.make_node("ReduceMean", ["maps"], ["along_x"], axes=[2], keepdims=0),
        helper.make_node("MatMul", ["along_x", "double"], ["simcc_x"]),
        helper.make_node("ReduceMean", ["maps"], ["along_y"], axes=[3], keepdims=0),
        helper.make_node("MatMul", ["along_y", "double"], ["simcc_y"]),
    ]
    if readers == 2:
        nodes[0].output[0] = "conv"
        nodes.insert(1, helper.make_node("ReduceMax", ["input"], ["peak"], axes=[1, 2, 3]))
        nodes.insert(2, helper.make_node("Sub", ["peak", "peak"], ["zero"]))
        nodes.insert(3, helper.make_node("Add", ["conv", "zero"], ["maps"]))
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("input", 1, [BATCH, 3, height, width])],
        [
            helper.make_tensor_value_info(name, 1, [BATCH, 133, 2 * side])
            for name, side in (("simcc_x", width), ("simcc_y", height))
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("readers", [1, 2], ids=["into the weights", "by reordering"])
def test_channels_are_reversed_and_absent_points_are_marked(readers):
    model = to_deploy_pose(linear_pose(readers))
    assert any(node.op_type == "Gather" for node in model.graph.node) == (readers == 2)
    crop = np.zeros((1, 32, 32, 3), np.uint8)
    for channel, place in ((0, 5), (1, 10), (2, 20)):  # blue, green, red
        crop[0, place, place + 1, channel] = 255
    crop[0, :, :] = np.maximum(crop[0], 200)  # above the mean everywhere
    with GraphRunner(model) as run:
        outputs = run({"crops": crop})
    np.testing.assert_array_equal(outputs["keypoints"][0, :3], [[10.5, 10], [5.5, 5], [3, 2.5]])
    np.testing.assert_array_equal(outputs["keypoints"][0, 3:], -0.5)
    assert (outputs["scores"][0, :3] > 0).all()
    assert (outputs["scores"][0, 3:] <= 0).all()


def test_a_network_that_gives_no_numbers_shows_it(pose_source, copied):
    model = copied(pose_source.model)
    weight = next(t for t in model.graph.initializer if len(t.dims) == 4)
    broken = np.full(tuple(weight.dims), np.nan, np.float32)
    weight.CopyFrom(numpy_helper.from_array(broken, weight.name))
    with GraphRunner(to_deploy_pose(model)) as run:
        outputs = run({"crops": shipped_samples("pose", pose_source.input_size_wh)[:1]})
    assert np.isnan(outputs["scores"]).all()


def test_the_official_model_is_left_alone(pose_source):
    before = pose_source.model.SerializeToString()
    to_deploy_pose(pose_source.model)
    assert pose_source.model.SerializeToString() == before
    assert isinstance(pose_source.model, onnx.ModelProto)
