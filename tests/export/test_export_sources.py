from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from dwpose_infer.errors import InvalidArgumentError, ModelFormatError, ModelNotFoundError
from dwpose_infer.export.deploy import to_deploy_pose
from dwpose_infer.export.graph import shape_of
from dwpose_infer.export.pictures import official_input
from dwpose_infer.export.running import GraphRunner
from dwpose_infer.export.sources import load_source


def test_facts_of_a_pose_network(pose_source):
    assert pose_source.kind == "pose"
    assert pose_source.name == "dwpose-t-bundled"
    assert pose_source.input_size_wh == (192, 256)
    assert len(pose_source.sha256) == 64


def test_stored_halves_become_float32(pose_source):
    types = {tensor.data_type for tensor in pose_source.model.graph.initializer}
    assert TensorProto.FLOAT16 not in types
    assert not any(node.op_type == "Cast" for node in pose_source.model.graph.node)


@pytest.mark.slow
def test_a_detector_made_for_one_picture_takes_any_number(detector_source, rng, tmp_path):
    single = onnx.ModelProto()
    single.CopyFrom(detector_source.model)
    for value in (*single.graph.input, *single.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    path = tmp_path / "single.onnx"
    onnx.save(single, path)
    source = load_source(path)
    (fed,) = source.model.graph.input
    assert shape_of(fed) == (None, 3, 416, 416)
    pictures = (rng.random((3, 3, 416, 416)) * 255).astype(np.float32)
    with GraphRunner(source.model) as run:
        together = run({"images": pictures})["output"]
    alone = source.reference(pictures)["output"]  # the file takes one at a time
    np.testing.assert_allclose(together, alone, atol=1e-4)


@pytest.mark.slow
def test_no_torch_for_onnx_files():
    program = (
        "import sys; sys.modules['torch'] = None; "  # makes every import of torch fail
        "from dwpose_infer.export.sources import load_source; "
        "from dwpose_infer.export.deploy import to_deploy_detector; "
        "to_deploy_detector(load_source('yolox-nano-person-bundled').model)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_checkpoints_without_torch_name_the_extra(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"PK\x03\x04")
    program = (
        "import sys; sys.modules['torch'] = None; "
        "from dwpose_infer.export.cli import main; "
        f"sys.exit(main([{str(path)!r}, '--out', 'x.onnx']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "dwpose-infer[export]" in done.stderr


def test_not_a_model(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"this is no model")
    with pytest.raises(ModelFormatError, match="neither a checkpoint nor"):
        load_source(path)
    with pytest.raises(ModelNotFoundError):
        load_source(tmp_path / "none.onnx")


def test_an_onnx_file_cut_short(pose_source, tmp_path):
    path = tmp_path / "short.onnx"
    path.write_bytes(pose_source.path.read_bytes()[:500_000])
    with pytest.raises(ModelFormatError, match="whole ONNX model"):
        load_source(path)


def test_deploy_form_of_another_program_is_no_source(pose_source, tmp_path):
    path = tmp_path / "deploy.onnx"
    onnx.save(to_deploy_pose(pose_source.model), path)  # without the exporter's metadata
    with pytest.raises(ModelFormatError, match="not written by dwpose-export"):
        load_source(path)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"dets": ["N", 10, 5], "labels": ["N", 10]}, "suppression inside"),
        ({"y": ["N", 10]}, "neither a pose network"),
        ({"simcc_x": ["N", 14, 64], "simcc_y": ["N", 14, 64]}, "14 keypoints; understood are"),
        ({"simcc_x": ["N", 133, 32], "simcc_y": ["N", 133, 64]}, r"\(N, points, 64\)"),
    ],
)
def test_other_networks_are_refused(save_graph, outputs, message):
    nodes = [
        onnx.helper.make_node("RandomNormal", [], [name], shape=[1, *shape[1:]])
        for name, shape in outputs.items()
    ]
    path = save_graph(
        nodes,
        {"input": (np.float32, ["N", 3, 32, 32])},
        {name: (np.float32, shape) for name, shape in outputs.items()},
    )
    with pytest.raises(ModelFormatError, match=message):
        load_source(path)


def test_weights_that_are_not_numbers(pose_source, copied, tmp_path):
    model = copied(pose_source.model)
    weight = next(t for t in model.graph.initializer if t.name.endswith("weight"))
    value = onnx.numpy_helper.to_array(weight).copy()
    value.flat[0] = np.nan
    weight.CopyFrom(onnx.numpy_helper.from_array(value, weight.name))
    path = tmp_path / "nan.onnx"
    onnx.save(model, path)
    with pytest.raises(ModelFormatError, match="not numbers"):
        load_source(path)


def test_options_for_checkpoints_only():
    with pytest.raises(InvalidArgumentError, match="checkpoints only"):
        load_source("dwpose-t-bundled", detector_size_wh=(64, 64))


@pytest.mark.slow
def test_another_opset(pose_source):
    other = load_source(pose_source.path, opset=18)
    pictures = official_input("pose", np.full((1, 256, 192, 3), 90, np.uint8))
    with GraphRunner(to_deploy_pose(other.model)):
        pass
    with GraphRunner(other.model) as run:
        got = run({"input": pictures})["simcc_x"]
    np.testing.assert_allclose(got, pose_source.reference(pictures)["simcc_x"], atol=1e-5)
