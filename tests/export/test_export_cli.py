from __future__ import annotations

import errno
import json
import os

import cv2
import numpy as np
import onnx
import pytest

from dwpose_infer import Predictor
from dwpose_infer.export import exporter
from dwpose_infer.export.cli import main

POSE = "dwpose-t-bundled"


@pytest.mark.slow
def test_a_file_its_summary_and_its_report(tmp_path, capsys, astronaut):
    out, report = tmp_path / "t.onnx", tmp_path / "t.json"
    assert main([POSE, "--out", str(out), "--report", str(report)]) == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == str(out)
    for word in ("MB", "operators", "points:", "fingers", "deploy form"):
        assert word in captured.err
    document = json.loads(report.read_text())
    assert document["size_bytes"] == out.stat().st_size
    assert document["parity"]["violations"] == []
    assert document["facts"]["form"] == "deploy"
    with Predictor(pose=out) as deployed, Predictor(POSE) as official:
        np.testing.assert_allclose(
            deployed(astronaut).keypoints, official(astronaut).keypoints, atol=1e-3
        )


@pytest.mark.slow
def test_own_pictures_are_compared_too(tmp_path, photos, capsys):
    out = tmp_path / "t.onnx"
    folder = photos[0].parent
    assert main([POSE, "--out", str(out), "--form", "official", "--verify", str(folder)]) == 0
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "sure enough" in line)
    assert int(line.split("of ")[1].split(" x")[0]) > 3


@pytest.mark.slow
def test_over_the_limit_nothing_is_kept_but_the_report(tmp_path, capsys, monkeypatch):
    def broken(model):
        deployed = to_deploy_pose(model)
        (mul,) = (node for node in deployed.graph.node if list(node.output) == ["keypoints"])
        mul.op_type = "Add"
        return deployed

    to_deploy_pose = exporter.to_deploy_pose
    monkeypatch.setattr(exporter, "to_deploy_pose", broken)
    out, report = tmp_path / "t.onnx", tmp_path / "t.json"
    assert main([POSE, "--out", str(out), "--report", str(report)]) == 1
    assert "the limit is" in capsys.readouterr().err
    assert json.loads(report.read_text())["parity"]["violations"]
    assert list(tmp_path.iterdir()) == [report]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["no-such-model"], 4, "no model is called"),
        ([POSE, "--precision", "int8"], 2, "calibration"),
        ([POSE, "--calibration", "."], 2, "int8"),
        ([POSE, "--opset", "5"], 2, "opset 5"),
        ([POSE, "--input-size", "320"], 2, "checkpoints only"),
        (["yolox-nano-person-bundled", "--top-k", "0"], 2, "top_k is 0"),
    ],
)
def test_wrong_use(tmp_path, capsys, arguments, status, message):
    out = tmp_path / "out.onnx"
    assert main([*arguments, "--out", str(out)]) == status
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_an_unknown_precision_is_wrong_usage(tmp_path):
    with pytest.raises(SystemExit, match="2"):
        main([POSE, "--out", str(tmp_path / "x.onnx"), "--precision", "fp8"])


@pytest.mark.slow
def test_calibration_pictures_without_people(tmp_path, capsys):
    folder = tmp_path / "empty"
    folder.mkdir()
    cv2.imwrite(str(folder / "grey.png"), np.full((64, 64, 3), 128, np.uint8))
    out = tmp_path / "x.onnx"
    command = [POSE, "--out", str(out), "--precision", "int8", "--calibration", str(folder)]
    assert main(command) == 1
    assert "nobody was found on the 1 pictures" in capsys.readouterr().err
    assert not out.exists()


def test_the_source_is_not_overwritten(tmp_path, capsys, pose_source):
    path = tmp_path / "official.onnx"
    onnx.save(pose_source.model, path)
    before = path.read_bytes()
    assert main([str(path), "--out", str(path)]) == 2
    assert "the source itself" in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.slow
def test_a_full_disk_leaves_nothing(tmp_path, capsys, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert main([POSE, "--out", str(tmp_path / "t.onnx"), "--quiet"]) == 1
    assert "no space is left" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_help_teaches(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    for word in ("deploy", "official", "--verify", "examples:", "exit status:"):
        assert word in text
