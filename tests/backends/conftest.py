from __future__ import annotations

import numpy as np
import onnx
import pytest


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
