from __future__ import annotations

import numpy as np
import onnx
import pytest

from dwpose_infer.export.deploy import to_deploy_detector
from dwpose_infer.export.exporter import ExportOptions, convert
from dwpose_infer.export.free_sides import free_sides
from dwpose_infer.export.from_deploy import to_official
from dwpose_infer.export.graph import network_inputs, shape_of
from dwpose_infer.export.running import GraphRunner
from dwpose_infer.export.sources import load_source


@pytest.fixture(scope="module")
def source():
    return load_source("yolox-nano-person-bundled")


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(5).integers(0, 256, (2, 416, 416, 3), np.uint8)


@pytest.fixture(scope="module")
def free(source):
    with GraphRunner(convert(source, ExportOptions())) as run:
        yield run


@pytest.mark.slow
def test_at_its_own_size_it_is_the_same_network(source, free, pictures):
    with GraphRunner(convert(source, ExportOptions(fixed_size=True))) as fixed:
        expected = fixed({"images": pictures})
    found = free({"images": pictures})
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.slow
@pytest.mark.parametrize("size_hw", [(256, 416), (416, 320), (64, 32), (32, 416)])
def test_at_other_sizes_it_is_the_network_made_for_them(free, pictures, size_hw):
    """The checkpoint exported for one size by the tracer against the graph with free sides."""
    pytest.importorskip("torch")
    height, width = size_hw
    weights = "models/start_weights/yolox-nano-person.safetensors"
    made = load_source(weights, detector_size_wh=(width, height))
    images = pictures[:, :height, :width]
    with GraphRunner(to_deploy_detector(made.model)) as run:
        expected = run({"images": images})
    found = free({"images": images})
    assert found["scores"].shape == expected["scores"].shape
    np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-3)
    # fp16-stored weights: the order of nearly equal scores may differ, so the best boxes count.
    np.testing.assert_allclose(found["boxes_xyxy"][:, 0], expected["boxes_xyxy"][:, 0], atol=0.2)


def test_the_way_back_is_the_network_of_its_own_size(source):
    from dwpose_infer.export.exporter import facts_of
    from dwpose_infer.export.metadata import write_facts

    options = ExportOptions()
    model = convert(source, options)
    write_facts(model, facts_of(source, options))
    official = to_official(model, "detector")
    assert shape_of(network_inputs(official)[0])[1:] == (3, 416, 416)
    assert shape_of(official.graph.output[0])[1:] == (3549, 6)


@pytest.mark.slow
def test_half_precision_and_engines_keep_the_size(source):
    (images,) = network_inputs(convert(source, ExportOptions(precision="fp16")))
    assert shape_of(images)[1:] == (416, 416, 3)


def test_a_network_made_for_one_size_stays_so(source):
    """A Reshape with sizes inside, as some tracers write them: nothing is claimed."""
    official = onnx.ModelProto()
    official.CopyFrom(source.model)
    node = next(node for node in official.graph.node if node.op_type == "Concat")
    inner = node.output[0]
    shape = onnx.helper.make_tensor("fixed_shape", onnx.TensorProto.INT64, [4], [0, 12, 208, 208])
    official.graph.initializer.append(shape)
    for reader in official.graph.node:
        for index, name in enumerate(reader.input):
            if name == inner:
                reader.input[index] = "fixed"
    place = list(official.graph.node).index(node) + 1
    official.graph.node.insert(
        place, onnx.helper.make_node("Reshape", [inner, "fixed_shape"], ["fixed"])
    )
    assert free_sides(to_deploy_detector(official), top_k=300) is None
