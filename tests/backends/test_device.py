from __future__ import annotations

import pytest

from dwpose_infer.backends import default_device, load_backend
from dwpose_infer.backends.device import Device, parse_device
from dwpose_infer.backends.tensorrt.system import find_driver
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


@pytest.mark.skipif(find_driver() is not None, reason="there is an NVIDIA driver")
def test_tensorrt_on_a_machine_without_gpu_names_all_that_is_missing(tmp_path):
    with pytest.raises(BackendUnavailableError, match="no NVIDIA driver") as caught:
        load_backend("trt", tmp_path / "model.onnx")
    assert caught.value.exit_code == 3
    assert "--backend ort" in str(caught.value)


def test_devices_without_a_name():
    assert default_device("trt") == "cuda:0"
    assert default_device("ort") == default_device("openvino") == "cpu"


def test_options_that_do_not_go_with_the_backend(tmp_path):
    with pytest.raises(InvalidArgumentError, match="does not go with backend 'ort'"):
        load_backend("ort", tmp_path / "model.onnx", precision="bf16")
    with pytest.raises(InvalidArgumentError, match="dwpose-export --precision"):
        load_backend("ort", tmp_path / "model.onnx", precision="fp16")
    with pytest.raises(InvalidArgumentError, match="which calculates in 'fp32' or 'bf16'"):
        load_backend("openvino", tmp_path / "model.onnx", precision="fp16")


@pytest.mark.parametrize("backend", ["openvino", "trt"])
def test_options_of_onnx_runtime_only(tmp_path, backend):
    for options in ({"provider": "cuda"}, {"provider_options": {"device_id": 1}}):
        with pytest.raises(InvalidArgumentError, match=f"does not go with backend '{backend}'"):
            load_backend(backend, tmp_path / "model.onnx", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cpu"}, "does not run on device 'cpu'"),
        ({"threads": 2}, "threads 2 does not go with backend 'trt'"),
        ({"precision": "bf16"}, "'fp16' or 'fp32'"),
        ({"provider": "cuda"}, "whose providers are 'tensorrt', 'tensorrt-rtx'"),
        ({"max_batch": 0}, "must be at least 1"),
    ],
)
def test_options_that_tensorrt_has_not(tmp_path, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        load_backend("trt", tmp_path / "model.onnx", **options)


def test_a_provider_of_tensorrt_only(tmp_path):
    with pytest.raises(InvalidArgumentError, match="whose providers are 'cpu', 'cuda', 'tensorrt'"):
        load_backend("ort", tmp_path / "model.onnx", provider="tensorrt-rtx")


def test_unknown_backend(tmp_path):
    with pytest.raises(InvalidArgumentError, match="the backends are ort"):
        load_backend("tensorflow", tmp_path / "model.onnx")
