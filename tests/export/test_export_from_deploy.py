from __future__ import annotations

import numpy as np
import onnx
import pytest

from dwpose_infer.errors import ModelFormatError
from dwpose_infer.export.deploy import to_deploy_detector, to_deploy_pose
from dwpose_infer.export.exporter import ExportOptions, export_model
from dwpose_infer.export.from_deploy import deploy_kind, to_official
from dwpose_infer.export.graph import BATCH
from dwpose_infer.export.metadata import ModelFacts, Precision, write_facts
from dwpose_infer.export.pictures import official_input, shipped_samples
from dwpose_infer.export.running import GraphRunner
from dwpose_infer.export.sources import Source, load_source


def deployed(source: Source, precision: Precision = "fp32") -> onnx.ModelProto:
    make = to_deploy_pose if source.kind == "pose" else to_deploy_detector
    model = make(source.model)
    size = source.input_size_wh
    facts = ModelFacts(source.kind, "deploy", "test", size, precision, source.sha256, 17)
    write_facts(model, facts)
    return model


@pytest.fixture(params=["pose", "detector"])
def source(request) -> Source:
    chosen: Source = request.getfixturevalue(f"{request.param}_source")
    return chosen


def test_there_and_back_is_exact(source):
    deploy = deployed(source)
    assert deploy_kind(deploy) == source.kind
    assert deploy_kind(source.model) is None
    official = to_official(deploy, source.kind)
    inputs = official_input(source.kind, shipped_samples(source.kind, source.input_size_wh))
    (fed,) = official.graph.input
    with GraphRunner(official) as back, GraphRunner(source.model) as there:
        found, expected = back({fed.name: inputs}), there({fed.name: inputs})
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
    for value in (fed, *official.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == BATCH


@pytest.mark.slow
def test_a_network_with_another_beginning(pose_source):
    """Where the first convolution could not be rewritten, planes were fed instead."""
    model = onnx.ModelProto()
    model.CopyFrom(pose_source.model)
    reader = next(node for node in model.graph.node if "input" in node.input)
    reader.input[0] = "shifted"
    nodes = [onnx.helper.make_node("Relu", ["input"], ["shifted"], name="shift")]
    nodes += list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    deploy = to_deploy_pose(model)
    facts = ModelFacts("pose", "deploy", "test", pose_source.input_size_wh, "fp32", "0" * 64, 17)
    write_facts(deploy, facts)
    official = to_official(deploy, "pose")
    assert official.graph.node[0].op_type == "Relu"
    inputs = official_input("pose", shipped_samples("pose", pose_source.input_size_wh))
    with GraphRunner(official) as back, GraphRunner(model) as there:
        for name, array in there({"input": inputs}).items():
            np.testing.assert_array_equal(back({"input": inputs})[name], array)


@pytest.mark.slow
def test_reference_runs_the_file_itself_on_the_pictures_bytes(source, tmp_path):
    path = tmp_path / "deploy.onnx"
    onnx.save(deployed(source), path)
    loaded = load_source(path)
    inputs = official_input(source.kind, shipped_samples(source.kind, source.input_size_wh))
    with GraphRunner(loaded.model) as run:
        (fed,) = loaded.model.graph.input
        expected = run({fed.name: inputs})
    for name, array in loaded.reference(inputs).items():
        np.testing.assert_allclose(array, expected[name], atol=1e-5 * max(1, abs(array).max()))


@pytest.mark.slow
def test_a_deploy_file_is_exported_to_official_form(source, tmp_path):
    path = tmp_path / "deploy.onnx"
    onnx.save(deployed(source), path)
    options = ExportOptions(form="official", allow_undecided=True)
    result = export_model(path, tmp_path / "official.onnx", options)
    assert result.facts.form == "official"
    assert result.parity.violations == ()


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_what_was_rounded_cannot_be_a_source(pose_source, tmp_path, precision):
    path = tmp_path / "rounded.onnx"
    onnx.save(deployed(pose_source, precision), path)
    with pytest.raises(ModelFormatError, match=f"computes in {precision}"):
        load_source(path)
