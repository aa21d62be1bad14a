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
    for name in ("trt", "openvino"):
        with pytest.raises(BackendUnavailableError, match="backend='ort'"):
            load_backend(name, tmp_path / "model.onnx")


def test_unknown_backend(tmp_path):
    with pytest.raises(InvalidArgumentError, match="the backends are ort"):
        load_backend("tensorflow", tmp_path / "model.onnx")
