"""A network of Halpe's 26 points, from the checkpoint to its evaluation; its weights are random."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pycocotools")

from dwpose_infer.cli.infer import main as infer
from dwpose_infer.evaluation.cli import main as evaluate
from dwpose_infer.export.cli import main as export
from dwpose_infer.formats import load, save
from dwpose_infer.layouts import HALPE_26
from dwpose_infer.models.dwpose import DWPose, DWPoseArchitecture
from dwpose_infer.predictor import Predictor

PHOTOS = Path(__file__).parent / "photos"
NAMES = ("astronaut.jpg", "grace_hopper.jpg")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A checkpoint as RTMPose's are laid out, exported in deploy form."""
    folder = tmp_path_factory.mktemp("halpe")
    torch.manual_seed(0)
    model = DWPose(DWPoseArchitecture("t", 64, 64, keypoints=26)).eval()
    weights = model.state_dict()
    with torch.inference_mode():
        for axis, values in zip("xy", model(torch.randn(4, 3, 64, 64)), strict=True):
            # Scores near those of trained networks: random weights give 1e-14.
            weights[f"head.cls_{axis}.weight"] *= 0.6 / values.amax(dim=2).mean()
    torch.save({"state_dict": weights, "meta": {"epoch": 420}}, folder / "rtmpose.pth")
    out = folder / "rtmpose.onnx"
    command = [str(folder / "rtmpose.pth"), "--out", str(out), "--quiet", "--allow-undecided"]
    assert export(command) == 0
    return out


@pytest.fixture
def labels(tmp_path, network):
    """What the network finds in the boxes of two photographs, as labels: all points in one list."""
    with Predictor(pose=network, detector=None) as predictor:
        boxes = [[[100, 20, 350, 500]], [[50, 40, 400, 500]]]
        results = [
            predictor(PHOTOS / name, boxes=each) for name, each in zip(NAMES, boxes, strict=True)
        ]
    assert all(result.layout is HALPE_26 for result in results)
    path = tmp_path / "labels.json"
    save(results, path, format="coco-dataset", layout="one-list", min_score=-1.0)
    return path


def figures(path: Path) -> dict:
    return json.loads(path.read_bytes())


@pytest.mark.slow
def test_predict_and_write(network, tmp_path, capsys):
    formats = "openpose,npz,json,coco-dataset"
    command = [*(str(PHOTOS / name) for name in NAMES), "--pose", str(network), "--format", formats]
    common = [*command, "--draw", "openpose", "--keep-doubtful", "--out", str(tmp_path), "--quiet"]
    assert infer(common) == 2  # the five lists have no place for head, neck and hip
    assert infer([*common, "--coco-layout", "one-list"]) == 0
    plain = [*command, "--draw", "none", "--coco-layout", "one-list", "--out", str(tmp_path)]
    assert infer(plain) == 0
    said = capsys.readouterr().err
    assert "--format openpose: head, neck, hip have no place there and are left out" in said
    (found,) = load(tmp_path / "astronaut.npz")
    assert found.keypoints.shape == (1, 26, 2)
    assert figures(tmp_path / "astronaut.json")["keypoint_order"] == "halpe-26"
    (person,) = figures(tmp_path / "astronaut_keypoints.json")["people"]
    assert len(person["pose_keypoints_2d"]) == 54 and person["face_keypoints_2d"] == []
    dataset = figures(tmp_path / "dataset_coco.json")
    assert dataset["categories"][0]["keypoints"][17:20] == ["head", "neck", "hip"]
    assert infer([*common, "--coco-layout", "one-list", "--parts", "face"]) == 2
    ids = tmp_path / "ids.json"
    ids.write_text(json.dumps({"images": [{"id": 1, "file_name": "astronaut.jpg"}]}))
    command = [str(PHOTOS / NAMES[0]), "--pose", str(network), "--format", "coco"]
    command += ["--annotations", str(ids), "--draw", "none", "--keep-doubtful", "--quiet"]
    assert infer([*command, "--out", str(tmp_path)]) == 0
    (entry,) = figures(tmp_path / "results_coco.json")
    assert len(entry["keypoints"]) == 78


@pytest.mark.slow
def test_evaluation(network, labels, tmp_path, capsys):
    out, saved = tmp_path / "metrics.json", tmp_path / "results.json"
    common = ["--annotations", str(labels), "--out", str(out)]
    made = ["--images", str(PHOTOS), "--pose", str(network), "--save-results", str(saved)]
    assert evaluate([*common, *made, "--per-person", str(tmp_path / "persons.csv")]) == 0
    document = figures(out)
    assert document["labels"]["keypoint_order"] == "halpe-26"
    # The labels are what the network itself finds in these boxes.
    assert {part: each["AP"] for part, each in document["parts"].items()} == {
        "body": 1.0,
        "foot": 1.0,
        "all": 1.0,
    }
    pck = {part: each["pck"] for part, each in document["groups"][0]["parts"].items()}
    assert pck == {"body": 1.0, "feet": 1.0, "midline": 1.0, "all": 1.0}
    assert "Points: halpe-26; areas of persons: the field area" in capsys.readouterr().out
    assert evaluate([*common, "--results", str(saved), "--quiet"]) == 0
    assert figures(out)["parts"]["all"]["AP"] == 1.0

    # Against labels of the whole body the points that both have are compared: body and feet.
    content = figures(labels)
    for person in content["annotations"]:
        triples = np.reshape(person["keypoints"], (26, 3))
        person["keypoints"] = triples[:17].ravel().tolist()
        person["foot_kpts"] = triples[[20, 22, 24, 21, 23, 25]].ravel().tolist()
    labels.write_text(json.dumps(content))
    assert evaluate([*common, "--results", str(saved), "--quiet"]) == 0
    document = figures(out)
    assert document["labels"]["keypoint_order"] == "coco-wholebody-23"
    assert {part: each["AP"] for part, each in document["parts"].items()} == {
        "body": 1.0,
        "foot": 1.0,
        "all": 1.0,
    }
