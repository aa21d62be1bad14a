from __future__ import annotations

import logging

import pytest

from dwpose_infer import wheels
from dwpose_infer.backends import load_backend
from dwpose_infer.errors import (
    BackendUnavailableError,
    InvalidArgumentError,
    MissingDependencyError,
)


@pytest.mark.skipif(
    "onnxruntime-gpu" in wheels.onnxruntime_wheels(), reason="the GPU wheel is installed"
)
@pytest.mark.parametrize("provider", [None, "cuda", "tensorrt"])
def test_gpu_without_the_gpu_wheel_is_an_error_with_a_remedy(double, provider):
    with pytest.raises(BackendUnavailableError, match="ExecutionProvider") as caught:
        load_backend("ort", double("N"), device="cuda:1", provider=provider)
    message = str(caught.value)
    assert 'pip uninstall -y onnxruntime && pip install "dwpose-infer[gpu]"' in message
    assert caught.value.exit_code == 3


def test_two_wheels_over_one_another_are_reported(double, monkeypatch, caplog):
    monkeypatch.setattr(
        wheels,
        "onnxruntime_wheels",
        lambda: {"onnxruntime": "1.0", "onnxruntime-gpu": "1.0"},
    )
    with caplog.at_level(logging.WARNING):
        load_backend("ort", double("N"))
    assert "pip uninstall -y onnxruntime onnxruntime-gpu && pip install" in caplog.text


def test_missing_runtime(double, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match=r"dwpose-infer\[cpu\]"):
        load_backend("ort", double("N"))


@pytest.mark.parametrize(("device", "provider"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_device_and_provider_must_agree(double, device, provider):
    with pytest.raises(InvalidArgumentError, match="does not run on device"):
        load_backend("ort", double("N"), device=device, provider=provider)


def test_bad_options(double):
    with pytest.raises(InvalidArgumentError, match="from 1 to 1024"):
        load_backend("ort", double("N"), threads=0)
    with pytest.raises(InvalidArgumentError, match="whose providers are 'cpu', 'cuda', 'tensorrt'"):
        load_backend("ort", double("N"), provider="rocm")


def test_threads_do_not_spin_between_calls(double):
    """Those of one session would take the cores of the next: its option says so, as it was set."""
    with load_backend("ort", double("N"), threads=2) as backend:
        settings = backend.session.get_session_options()
    assert settings.get_session_config_entry("session.force_spinning_stop") == "1"
