"""The weights to go on from are those of the bundled models; their settings can be read."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("safetensors")

from dwpose_infer.models.checkpoints import load_model, read_state_dict
from dwpose_infer.models.training.detector.settings import DetectorSettings
from dwpose_infer.models.training.overrides import settings_of_kind
from dwpose_infer.models.training.settings import Settings
from dwpose_infer.zoo import resolve_model

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "models/start_weights"
SETTINGS = ROOT / "docs/bundled-models"


def stored_arrays(name):
    graph = onnx.load(resolve_model(name)).graph
    return [onnx.numpy_helper.to_array(value) for value in graph.initializer]


@pytest.mark.parametrize(
    ("file", "bundled", "architecture", "weight"),
    [
        ("dwpose-t-256x192", "dwpose-t-bundled", "dwpose-t-256x192", "head.cls_x.weight"),
        ("yolox-nano-person", "yolox-nano-person-bundled", "yolox-nano", "head.reg_preds.1.weight"),
    ],
)
def test_they_are_those_of_the_bundled_models(file, bundled, architecture, weight):
    path = FOLDER / f"{file}.safetensors"
    assert load_model(path).architecture.name == architecture
    expected = read_state_dict(path)[weight].numpy()
    assert expected.dtype == np.float16
    found = [
        value
        for array in stored_arrays(bundled)
        for value in (array, array.T)
        if value.shape == expected.shape and np.array_equal(value.astype(np.float16), expected)
    ]
    assert found


@pytest.mark.parametrize("path", sorted(SETTINGS.glob("*.json")), ids=lambda path: path.stem)
def test_settings_are_complete_and_name_themselves(path):
    plain = json.loads(path.read_text())
    kind = DetectorSettings if path.stem.startswith("detector-") else Settings
    settings = settings_of_kind(kind, plain)
    assert settings.name == path.stem
    assert settings.data.validation.annotations == "people/val.json"


@pytest.mark.parametrize("kind", ["pose", "detector"])
def test_every_run_goes_on_from_the_one_before(kind):
    runs = [json.loads(path.read_text()) for path in sorted(SETTINGS.glob(f"{kind}-*.json"))]
    assert len(runs) > 1
    for before, after in pairwise(runs):
        assert after["initial"] == f"runs/{before['name']}/best.pth"
        assert after["data"]["train"] == before["data"]["train"]
        assert after.get("initial_part", "all") == "all"


def test_the_pose_network_began_from_nothing():
    assert json.loads((SETTINGS / "pose-1-128x96.json").read_text())["initial"] is None
