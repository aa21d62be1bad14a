from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx

from dwpose_infer.export.sources import load_source

POSE = "dwpose-t-bundled"
DETECTOR = "yolox-nano-person-bundled"


@pytest.fixture(scope="session")
def pose_source():
    return load_source(POSE)


@pytest.fixture(scope="session")
def detector_source():
    return load_source(DETECTOR)


@pytest.fixture
def copied():
    """Returns a model that may be changed."""

    def copy(model):
        other = onnx.ModelProto()
        other.CopyFrom(model)
        return other

    return copy


@pytest.fixture
def noise(rng):
    """Returns uint8 pictures (count, height, width, 3) of the size of a source's input."""

    def make(source, count):
        width, height = source.input_size_wh
        return rng.integers(0, 256, (count, height, width, 3), np.uint8)

    return make


@pytest.fixture(scope="session")
def torch():
    """torch on one thread; the networks here are small."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(before)


@pytest.fixture
def checkpoint(torch, tmp_path):
    """Saves a network with random weights, whose values may be changed first."""
    from dwpose_infer.models.checkpoints import build_model

    def save(architecture, change=None, name="checkpoint.pth"):
        torch.manual_seed(0)
        state = build_model(architecture).state_dict()
        if change is not None:
            change(state)
        path = tmp_path / name
        torch.save({"state_dict": state}, path)
        return path

    return save
