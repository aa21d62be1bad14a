"""Sessions on a GPU that do not start, on a fake of the GPU wheel."""

from __future__ import annotations

import logging

import numpy as np
import onnx
import pytest

from dwpose_infer.backends import load_backend, onnxruntime_session
from dwpose_infer.backends.tensorrt.system import Driver
from dwpose_infer.errors import BackendUnavailableError, InferenceError, InvalidArgumentError


def test_libraries_are_loaded_first_and_nothing_is_printed(ort, graph, capsys, caplog):
    with caplog.at_level(logging.DEBUG):
        load_backend("ort", graph(), device="cuda")
    assert ort.preloaded == 1
    assert capsys.readouterr().out == ""
    assert "libcublasLt" in caplog.text


def test_provider_that_did_not_start_is_an_error(ort, graph):
    ort.used = ["CPUExecutionProvider"]
    with pytest.raises(BackendUnavailableError, match="cuDNN") as caught:
        load_backend("ort", graph(), device="cuda:1")
    assert "CPUExecutionProvider" in str(caught.value)


def test_tensorrt_that_fell_to_cuda_is_an_error(ort, graph):
    ort.used = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    with pytest.raises(BackendUnavailableError, match="TensorrtExecutionProvider was asked for"):
        load_backend("ort", graph(), device="cuda", provider="tensorrt")


def test_an_unknown_provider_option_is_not_blamed_on_libraries(ort, graph):
    ort.refusal = 'Unknown provider option: "no_such_option".'
    with pytest.raises(InvalidArgumentError, match="no_such_option") as caught:
        load_backend("ort", graph(), device="cuda", provider_options={"no_such_option": 1})
    assert "pip install" not in str(caught.value)


def test_a_gpu_that_is_not_there_is_not_blamed_on_libraries(ort, graph, monkeypatch):
    driver = Driver((13, 0), ("cuda:0 NVIDIA L4, 22 GiB",))
    monkeypatch.setattr(onnxruntime_session, "find_driver", lambda: driver)
    load_backend("ort", graph(), device="cuda:0")
    complaint = r"no GPU cuda:1 .* cuda:0 NVIDIA L4"
    with pytest.raises(BackendUnavailableError, match=complaint) as caught:
        load_backend("ort", graph(), device="cuda:1")
    assert "pip install" not in str(caught.value)


def test_failure_on_the_gpu_is_chained(ort, graph):
    backend = load_backend("ort", graph(), device="cuda")
    ort.failure = RuntimeError("CUDA failure 2: out of memory")
    ones = np.ones((1, 2), np.float32)
    with pytest.raises(InferenceError, match="out of memory") as caught:
        backend.run({"x": ones, "w": ones})
    assert caught.value.__cause__ is ort.failure


def test_a_failure_is_an_exception_and_no_line_in_red(save_graph, capfd):
    """At level 3 ONNX Runtime prints "[E:onnxruntime:, sequential_executor.cc" besides."""
    path = save_graph(
        [onnx.helper.make_node("Gather", ["x", "index"], ["y"])],
        {"x": (np.float32, ["N", 2])},
        {"y": (np.float32, [1, 2])},
        {"index": np.array([9], np.int64)},
    )
    with (
        load_backend("ort", path) as backend,
        pytest.raises(InferenceError, match="idx=9 must be within"),
    ):
        backend.run({"x": np.zeros((2, 2), np.float32)})
    assert capfd.readouterr() == ("", "")
