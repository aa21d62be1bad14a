from __future__ import annotations

import numpy as np
import onnx
import pytest

from fake_onnxruntime import install_onnxruntime


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
            metadata={"source": "a test", "threshold": "0.3", "input.size": ""},
        )

    return save


@pytest.fixture
def ort(monkeypatch):
    return install_onnxruntime(monkeypatch)


@pytest.fixture
def graph(save_graph):
    """Graph with two inputs and two outputs: y = x + w, z = x - w."""

    def save(batch="N", side=2):
        return save_graph(
            [
                onnx.helper.make_node("Sub", ["x", "w"], ["z"]),
                onnx.helper.make_node("Add", ["x", "w"], ["y"]),
            ],
            {"x": (np.float32, [batch, side]), "w": (np.float32, [batch, side])},
            {"z": (np.float32, [batch, side]), "y": (np.float32, [batch, side])},
        )

    return save
