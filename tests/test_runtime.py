"""From the name or path of a model to a loaded network."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

from dwpose_infer import Predictor
from dwpose_infer import runtime as runtime_module
from dwpose_infer.errors import DeviceMemoryError, InvalidArgumentError, ModelFormatError
from dwpose_infer.images import read_image
from dwpose_infer.runtime import (
    Runtime,
    deploy_form,
    official_form,
    open_network,
    open_networks,
)
from dwpose_infer.zoo import DEFAULT_DETECTOR, DEFAULT_POSE, resolve_model
from fake_backend import FakeBackend, spec


@pytest.mark.slow
def test_a_name_or_a_path_becomes_a_network_of_its_kind():
    runtime = Runtime(threads=1)
    for model in (DEFAULT_POSE, resolve_model(DEFAULT_POSE)):
        with open_network(model, runtime, kind="pose") as network:
            assert {output.name for output in network.outputs} == {"keypoints", "scores"}
        with open_network(model, runtime, kind="pose", official=True) as network:
            assert {output.name for output in network.outputs} == {"simcc_x", "simcc_y"}
    with pytest.raises(InvalidArgumentError, match=DEFAULT_DETECTOR):
        open_network(DEFAULT_DETECTOR, runtime, kind="pose")


def test_options_of_the_runtime_reach_the_backend():
    with pytest.raises(InvalidArgumentError, match="does not go with backend 'openvino'"):
        open_network(
            DEFAULT_POSE,
            Runtime(backend="openvino", provider_options={"a": "b"}),
            kind="pose",
        )


def test_the_bundled_model_is_converted_and_means_the_same(photos):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    deploy = resolve_model("dwpose-t-bundled")
    picture = read_image(photos[0])
    height, width = picture.shape[:2]
    with official_form(deploy) as official:
        results = []
        for path in (deploy, official):
            with Predictor(path, None, threads=1) as predictor:
                assert predictor.estimator.form == ("deploy" if path == deploy else "simcc")
                results.append(predictor(picture, boxes=[[0, 0, width, height]]))
        with official_form(official) as same:
            assert same == official
    assert not official.exists()
    np.testing.assert_allclose(results[0].scores, results[1].scores, atol=1e-4)


def test_the_deploy_form_is_known_whatever_the_file_is_called(tmp_path):
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "weights"
    path.write_bytes(resolve_model("dwpose-t-bundled").read_bytes())
    with official_form(path) as official:
        graph = onnx.load(official).graph
        assert [value.name for value in graph.output] == ["simcc_x", "simcc_y"]


def test_a_damaged_file_fails_as_it_does_without(tmp_path):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "damaged.onnx"
    path.write_bytes(resolve_model("dwpose-t-bundled").read_bytes()[:10_000])
    with pytest.raises(ModelFormatError, match="not a usable ONNX model"):
        Predictor(path, None, flip_test=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dwpose-t-bundled", DEFAULT_DETECTOR])
def test_gpus_get_the_deploy_form_of_official_files(name, tmp_path, photos):
    onnx = pytest.importorskip("onnx")
    from dwpose_infer.export.sources import load_source

    deploy = resolve_model(name)
    official = tmp_path / "official.onnx"
    onnx.save(load_source(deploy).model, official)
    with deploy_form(deploy) as same:
        assert same == deploy
    picture = read_image(photos[0])
    with deploy_form(official) as converted:
        (image,) = onnx.load(converted).graph.input
        assert image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
        results = []
        for path in (converted, official):
            networks = (path, None) if "dwpose" in name else ("dwpose-t-bundled", path)
            with Predictor(*networks, threads=1, square_input=True) as predictor:
                boxes = [[0, 0, *picture.shape[1::-1]]] if "dwpose" in name else None
                results.append(predictor(picture, boxes=boxes))
    assert not converted.exists()
    assert len(results[0]) >= 1
    np.testing.assert_allclose(results[0].keypoints, results[1].keypoints, atol=0.51)
    np.testing.assert_allclose(results[0].scores, results[1].scores, atol=1e-4)
    np.testing.assert_allclose(results[0].boxes_xyxy, results[1].boxes_xyxy, atol=1e-2)


def test_files_that_the_exporter_does_not_know_stay_as_they_are(tmp_path):
    unknown = tmp_path / "unknown.onnx"
    unknown.write_bytes(b"no network")
    with deploy_form(unknown) as same:
        assert same == unknown


def test_exported_files_need_no_onnx_to_be_known(monkeypatch):
    """Importing it and reading the graph would be a tenth of the first picture's time."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    path = resolve_model(DEFAULT_POSE)
    with deploy_form(path) as same:
        assert same == path


def test_networks_are_opened_side_by_side(monkeypatch):
    meeting = threading.Barrier(2)

    def load(backend, path, **_options):
        meeting.wait(timeout=30)
        return FakeBackend(spec(path.stem, None, 3))

    monkeypatch.setattr(runtime_module, "load_backend", load)
    models = {"detector": DEFAULT_DETECTOR, "pose": DEFAULT_POSE}
    opened = open_networks(models, Runtime(), side_by_side=True)
    assert list(opened) == ["detector", "pose"]
    assert opened["pose"].inputs[0].name == resolve_model(DEFAULT_POSE).stem


@pytest.mark.parametrize("side_by_side", [True, False])
@pytest.mark.parametrize("broken", [DEFAULT_DETECTOR, DEFAULT_POSE])
def test_all_networks_or_none(monkeypatch, side_by_side, broken):
    opened = []

    def load(backend, path, **_options):
        if path == resolve_model(broken):
            raise DeviceMemoryError("too little memory")
        opened.append(FakeBackend(spec("x", None, 3)))
        return opened[-1]

    monkeypatch.setattr(runtime_module, "load_backend", load)
    models = {"detector": DEFAULT_DETECTOR, "pose": DEFAULT_POSE}
    with pytest.raises(DeviceMemoryError, match="too little"):
        open_networks(models, Runtime(), side_by_side=side_by_side)
    assert all(each.closed for each in opened)
