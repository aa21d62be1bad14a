"""The weights to go on from are those of the bundled models; their settings can be read."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
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
        ("dwpose-s-256x192", "dwpose-s-bundled", "dwpose-s-256x192", "head.cls_x.weight"),
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
    everyday = path.stem.startswith(("everyday-", "detector-5", "detector-6", "detector-7"))
    measured_on = "people-everyday/val.json" if everyday else "people/val.json"
    assert settings.data.validation.annotations == measured_on


def proportions(run):
    """The sources of a run, and how often they are seen beside the first."""
    sources = run["data"]["train"]
    first = sources[0].get("repeats", 1)
    return [{**source, "repeats": source.get("repeats", 1) / first} for source in sources]


@pytest.mark.parametrize("kind", ["pose", "detector"])
def test_every_run_goes_on_from_the_one_before(kind):
    runs = [json.loads(path.read_text()) for path in sorted(SETTINGS.glob(f"{kind}-*.json"))]
    assert len(runs) > 1
    for before, after in pairwise(runs):
        if after["initial"] is None:  # begun anew, and nothing before it is bundled any more
            assert after["name"] == "detector-5-blocks"
            continue
        assert after["initial"].startswith(f"runs/{before['name']}/")
        assert proportions(after) == proportions(before)
        assert after.get("initial_part", "all") == "all"


@pytest.mark.parametrize("name", ["pose-1-128x96", "everyday-s-1"])
def test_the_pose_networks_began_from_nothing(name):
    assert json.loads((SETTINGS / f"{name}.json").read_text())["initial"] is None


def test_the_default_pose_network_went_on_from_its_first_run():
    after = json.loads((SETTINGS / "everyday-s-2.json").read_text())
    assert after["initial"] == "runs/everyday-s-1/best.pth"
    assert (after["initial_part"], after["size"]) == ("all", "s")


def test_the_mean_of_the_two_runs_is_made_as_the_page_says(tmp_path, monkeypatch):
    """The snippet of docs/bundled-models.md, run as it stands."""
    text = (ROOT / "docs/bundled-models.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    for run, value in (("everyday-s-1", 1.0), ("everyday-s-2", 3.0)):
        state = {"a.weight": torch.full((2,), value).half(), "a.count": torch.tensor(int(value))}
        (tmp_path / "runs" / run).mkdir(parents=True)
        torch.save({"state_dict": state}, tmp_path / "runs" / run / "best.pth")
    exec(compile(snippet, "docs/bundled-models.md", "exec"), {})
    mean = read_state_dict(tmp_path / "runs/everyday-s-2/mean.pth")
    assert mean["a.weight"].tolist() == pytest.approx([2.7, 2.7])
    assert mean["a.count"].item() == 3


def test_the_two_stages_learn_from_the_teacher_and_from_each_other():
    """What `plain` is compared with differs in its teacher, not in where it began."""
    names = ("pose-5-256x192", "teacher-m-256x192", "stage-1-256x192", "stage-2-256x192")
    plain, teacher, first, second = (
        json.loads((SETTINGS / f"{name}.json").read_text()) for name in names
    )
    assert teacher["initial"] is None
    assert first["distill"]["teacher_checkpoint"] == f"runs/{teacher['name']}/best.pth"
    assert second["distill"]["teacher_checkpoint"] == f"runs/{first['name']}/best.pth"
    for same in ("initial", "data", "augment", "loss", "batch_size", "ema"):
        without_workers = [
            {**run[same], "workers": 0} if same == "data" else run[same] for run in (plain, first)
        ]
        assert without_workers[0] == without_workers[1], same
    assert plain["optimizer"]["learning_rate"] == first["optimizer"]["learning_rate"]
