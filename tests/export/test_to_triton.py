from __future__ import annotations

import numpy as np
import onnx
import pytest

from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.export.cli import main
from dwpose_infer.export.running import GraphRunner
from dwpose_infer.export.to_triton import TritonOptions, config_text


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository with both bundled networks, made by the command."""
    folder = tmp_path_factory.mktemp("triton") / "repository"
    for arguments in (
        ["dwpose-t-bundled", "--instances", "2", "--instance-kind", "gpu", "--max-batch", "8"],
        ["yolox-nano-person-bundled", "--precision", "fp16-stored", "--queue-delay-us", "500"],
    ):
        assert main([*arguments, "--to", "triton", "--out", str(folder), "--quiet"]) == 0
    return folder


@pytest.mark.slow
def test_the_repository(repository):
    found = sorted(str(path.relative_to(repository)) for path in repository.rglob("*.*"))
    assert found == [
        "dwpose-t-bundled/1/model.onnx",
        "dwpose-t-bundled/config.pbtxt",
        "yolox-nano-person-bundled/1/model.onnx",
        "yolox-nano-person-bundled/config.pbtxt",
    ]
    pose = (repository / "dwpose-t-bundled/config.pbtxt").read_text()
    assert pose == (
        'name: "dwpose-t-bundled"\n'
        'backend: "onnxruntime"\n'
        "max_batch_size: 8\n"
        'input [ { name: "crops" data_type: TYPE_UINT8 dims: [256, 192, 3] } ]\n'
        'output [ { name: "keypoints" data_type: TYPE_FP32 dims: [133, 2] } ]\n'
        'output [ { name: "scores" data_type: TYPE_FP32 dims: [133] } ]\n'
        "instance_group [ { count: 2 kind: KIND_GPU } ]\n"
        "dynamic_batching { preferred_batch_size: [4, 8] max_queue_delay_microseconds: 500 }\n"
    ).replace("500", "2000")
    detector = (repository / "yolox-nano-person-bundled/config.pbtxt").read_text()
    assert 'input [ { name: "images" data_type: TYPE_UINT8 dims: [-1, -1, 3] } ]' in detector
    assert 'output [ { name: "boxes_xyxy" data_type: TYPE_FP32 dims: [-1, 4] } ]' in detector
    assert "max_queue_delay_microseconds: 500" in detector


@pytest.mark.slow
def test_the_file_is_the_network_in_deploy_form(repository, rng):
    model = onnx.load(repository / "dwpose-t-bundled/1/model.onnx")
    crops = rng.integers(0, 256, (3, 256, 192, 3), np.uint8)
    with GraphRunner(model) as run:
        found = run({"crops": crops})
    assert found["keypoints"].shape == (3, 133, 2) and found["scores"].shape == (3, 133)


@pytest.mark.slow
def test_the_config_is_of_tritons_own_schema(repository):
    """Needs the package tritonclient[grpc], whose protobuf is older than that of onnx here."""
    service = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    text_format = pytest.importorskip("google.protobuf.text_format")
    for path in repository.rglob("config.pbtxt"):
        config = text_format.Parse(path.read_text(), service.ModelConfig())
        assert config.name == path.parent.name
        assert config.max_batch_size in (8, 16)


def batch_of(size):
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["crops"], ["scores"])],
        "identity",
        [value("crops", onnx.TensorProto.FLOAT, ["batch", 4])],
        [value("scores", onnx.TensorProto.FLOAT, ["batch", 4])],
    )
    return config_text("net", onnx.helper.make_model(graph), TritonOptions(max_batch=size))


def test_without_batches_the_first_side_is_there_and_nothing_waits():
    text = batch_of(0)
    assert "max_batch_size: 0" in text and "dims: [-1, 4]" in text
    assert "dynamic_batching" not in text


def test_small_batches_have_no_preferred_size():
    assert "dynamic_batching { max_queue_delay_microseconds: 2000 }" in batch_of(2)


@pytest.mark.parametrize(
    "options", [{"max_batch": -1}, {"instances": 0}, {"queue_delay_us": -1}, {"kind": "tpu"}]
)
def test_impossible_options(options):
    with pytest.raises(InvalidArgumentError, match=next(iter(options))):
        TritonOptions(**options)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--to", "triton", "--form", "official"], "deploy form"),
        (["--to", "triton", "--opt-batch", "4"], "--opt-batch goes with --to engine only"),
        (["--instances", "2"], "--instances goes with --to triton only"),
        (["--max-batch", "2"], "--max-batch goes with --to engine or --to triton only"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, capsys, arguments, complaint):
    assert main(["dwpose-t-bundled", "--out", str(tmp_path / "x"), *arguments]) == 2
    assert complaint in capsys.readouterr().err
