from __future__ import annotations

import logging
import threading

import numpy as np
import onnx
import pytest

from dwpose_infer import wheels
from dwpose_infer.backends import load_backend
from dwpose_infer.errors import (
    BackendUnavailableError,
    InferenceError,
    InvalidArgumentError,
    MissingDependencyError,
    ModelFormatError,
)


@pytest.fixture
def double(save_graph):
    """Graph that doubles its input, for a batch of the given size."""

    def save(batch: int | str, name: str = "double.onnx"):
        return save_graph(
            [onnx.helper.make_node("Mul", ["x", "two"], ["y"])],
            {"x": (np.float32, [batch, 2])},
            {"y": (np.float32, [batch, 2])},
            {"two": np.float32(2)},
            name=name,
            metadata={"source": "a test"},
        )

    return save


@pytest.mark.parametrize("batch", ["N", 1, 4])
def test_runs_any_number_of_samples(double, batch):
    with load_backend("ort", double(batch)) as backend:
        samples = np.arange(14, dtype=np.float32).reshape(7, 2)
        np.testing.assert_array_equal(backend.run({"x": samples})["y"], samples * 2)


def test_tells_what_it_loaded(double):
    backend = load_backend("ort", double("N"))
    assert str(backend.inputs[0]) == "x float32[?, 2]"
    assert backend.metadata == {"source": "a test"}
    assert "CPUExecutionProvider" in backend.description
    backend.warmup()


def test_several_threads_at_once(double):
    backend = load_backend("ort", double(2), threads=1)
    wrong = []

    def work(value):
        samples = np.full((5, 2), value, np.float32)
        for _ in range(50):
            if not (backend.run({"x": samples})["y"] == 2 * value).all():
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_closed_backend_says_so(double):
    backend = load_backend("ort", double("N"))
    backend.close()
    backend.close()
    with pytest.raises(InferenceError, match="closed"):
        backend.run({"x": np.zeros((1, 2), np.float32)})


def test_not_a_model(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"this is not a protobuf")
    with pytest.raises(ModelFormatError, match="not a usable ONNX model") as caught:
        load_backend("ort", path)
    assert caught.value.__cause__ is not None


def test_unknown_operator(save_graph, tmp_path):
    model = onnx.load(
        save_graph(
            [onnx.helper.make_node("Relu", ["x"], ["y"])],
            {"x": (np.float32, [1])},
            {"y": (np.float32, [1])},
        )
    )
    model.graph.node[0].op_type = "NoSuchOperator"
    path = tmp_path / "foreign.onnx"
    onnx.save(model, path)
    with pytest.raises(ModelFormatError, match="NoSuchOperator"):
        load_backend("ort", path)


def test_failure_while_running_is_chained(save_graph):
    path = save_graph(
        [onnx.helper.make_node("Reshape", ["x", "shape"], ["y"])],
        {"x": (np.float32, ["N", 2])},
        {"y": (np.float32, ["M", 3])},
        {"shape": np.array([-1, 3])},
    )
    with pytest.raises(InferenceError, match="failed") as caught:
        load_backend("ort", path).run({"x": np.zeros((2, 2), np.float32)})
    assert caught.value.__cause__ is not None


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
    with pytest.raises(InvalidArgumentError, match="at least 1"):
        load_backend("ort", double("N"), threads=0)
    with pytest.raises(InvalidArgumentError, match="unknown execution provider"):
        load_backend("ort", double("N"), provider="rocm")


def test_threads_do_not_spin_between_calls(double):
    """Those of one session would take the cores of the next: its option says so, as it was set."""
    with load_backend("ort", double("N"), threads=2) as backend:
        settings = backend.session.get_session_options()
    assert settings.get_session_config_entry("session.force_spinning_stop") == "1"
