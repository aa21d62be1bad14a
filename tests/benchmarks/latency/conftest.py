from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def small_network(save_graph):
    """An ONNX file that multiplies pictures (N, 3, 64, 48) by a kernel, in a moment."""
    from onnx import helper

    def save(name="small.onnx", fed=("N", 3, 64, 48), dtype=np.float32):
        nodes = [
            helper.make_node("Cast", ["x"], ["f"], to=1),
            helper.make_node("Conv", ["f", "w"], ["y"], pads=[1, 1, 1, 1]),
        ]
        kernel = np.ones((4, 3, 3, 3), np.float32)
        given = [fed[0], 4, *fed[2:]]
        return save_graph(
            nodes,
            {"x": (dtype, list(fed))},
            {"y": (np.float32, given)},
            {"w": kernel},
            name=name,
        )

    return save
