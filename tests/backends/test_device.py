from __future__ import annotations

import pytest

from dwpose_infer.backends import load_backend
from dwpose_infer.backends.device import Device, parse_device
from dwpose_infer.errors import BackendUnavailableError, InvalidArgumentError


@pytest.mark.parametrize(
    ("name", "device"),
    [("cpu", Device("cpu")), ("cuda", Device("cuda", 0)), ("cuda:3", Device("cuda", 3))],
)
def test_names(name, device):
    assert parse_device(name) == device
    assert parse_device(str(device)) == device


@pytest.mark.parametrize("name", ["", "gpu", "CPU", "cuda:", "cuda:-1", "cpu:0", "cuda:1x"])
def test_unknown_names(name):
    with pytest.raises(InvalidArgumentError, match="the devices are"):
        parse_device(name)


def test_backends_to_come_say_what_to_use(tmp_path):
    with pytest.raises(BackendUnavailableError, match="backend='ort'"):
        load_backend("trt", tmp_path / "model.onnx")


def test_options_that_do_not_go_with_the_backend(tmp_path):
    with pytest.raises(InvalidArgumentError, match="does not go with backend 'ort'"):
        load_backend("ort", tmp_path / "model.onnx", precision="bf16")
    with pytest.raises(InvalidArgumentError, match="does not go with backend 'openvino'"):
        load_backend("openvino", tmp_path / "model.onnx", provider="cpu")


def test_unknown_backend(tmp_path):
    with pytest.raises(InvalidArgumentError, match="the backends are ort"):
        load_backend("tensorflow", tmp_path / "model.onnx")
