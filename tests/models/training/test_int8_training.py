"""`dwpose-train int8`, from a float network to a file in integers."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for package in ("onnx", "onnxruntime", "pycocotools", "matplotlib"):
    pytest.importorskip(package)

import onnx

from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.models.checkpoints import load_model, read_state_dict
from dwpose_infer.models.dwpose import DWPose, DWPoseArchitecture
from dwpose_infer.models.quantized_dwpose import QuantizedDWPose
from dwpose_infer.models.training.cli import main
from dwpose_infer.models.training.loop.csv_log import read_table
from dwpose_infer.models.training.overrides import apply_overrides, from_plain
from dwpose_infer.models.training.pose.building import build_stage
from dwpose_infer.models.training.pose.int8_stage import Int8Stage
from training_samples import small_settings, write_set

SMALL = ["--set", "batch_size=4", "--set", "data.workers=0", "--set", "data.flip_test=false"]


@pytest.fixture(scope="module")
def float_file(tmp_path_factory):
    torch.manual_seed(3)
    model = DWPose(DWPoseArchitecture("t", 64, 64))
    with torch.no_grad():  # fresh networks say nearly nothing
        for layer in (model.head.final_layer, model.head.cls_x, model.head.cls_y):
            layer.weight.mul_(100)
    path = tmp_path_factory.mktemp("float") / "float.pth"
    torch.save({"state_dict": model.state_dict()}, path)
    return path


def batch(count=2):
    generator = torch.Generator().manual_seed(5)
    targets = [torch.rand(count, 133, 128, generator=generator) for _ in "xy"]
    return (torch.randn(count, 3, 64, 64, generator=generator), *targets, torch.ones(count, 133))


def stage_of(float_file, **quantize):
    plain = small_settings(
        float_file.parent, initial=str(float_file), initial_part="all", quantize=quantize
    )
    return build_stage(from_plain(plain))


def test_nothing_is_learnt_while_ranges_are_measured(float_file):
    stage = stage_of(float_file, measured_steps=2)
    assert isinstance(stage, Int8Stage)
    for _ in range(2):
        losses = stage(*batch(), 0)
        losses["loss"].backward()
        assert losses["loss"] == 0
        assert all(not each.grad.any() for each in stage.parameters() if each.grad is not None)
    losses = stage(*batch(), 0)
    assert set(losses) == {"loss", "loss_fea", "loss_logit"}
    assert 0 < losses["loss_logit"] < 1
    losses["loss"].backward()
    assert stage.student.backbone.stage2[0].conv.weight.grad.any()
    assert not stage.teacher.training
    assert all(each.grad is None for each in stage.teacher.parameters())


def test_the_result_is_the_rounded_network(float_file):
    stage = stage_of(float_file, measured_steps=1, feature_alpha=0.0)
    assert list(stage(*batch(), 0)) == ["loss", "loss_logit"]
    model = stage.trained_model()
    assert isinstance(model, QuantizedDWPose)
    assert torch.equal(model.ranges, stage.student.ranges)
    stage.eval()
    with torch.no_grad():
        crops = batch()[0]
        for ours, theirs in zip(model(crops), stage.student(crops), strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.slow
def test_from_a_float_network_to_a_file_in_integers(float_file, tmp_path, capsys):
    folder = write_set(tmp_path / "set", persons=10)
    data = [str(folder / "labels.json"), str(folder)]
    out = tmp_path / "q"
    arguments = ["int8", str(float_file), "--data", *data, "--validation", *data, "--out", str(out)]
    steps = ["--set", "quantize.measured_steps=2", "--set", "log_every=1", "--set", "epochs=2"]
    assert main([*arguments, *SMALL, *steps, "--max-steps", "4"]) == 0
    assert "with --resume" not in capsys.readouterr().out
    assert main(["int8", "--out", str(out), "--resume"]) == 0
    losses = read_table(out / "log.csv")["loss_logit"]
    assert len(losses) == 6 and not any(losses[:2]) and all(losses[2:])
    assert np.isfinite(read_table(out / "validation.csv")["PCK"]).all()

    from dwpose_infer.export.cli import main as export

    best, file = out / "best.pth", tmp_path / "q.onnx"
    assert isinstance(load_model(best), QuantizedDWPose)
    assert any("ranges" in name for name in read_state_dict(best))
    command = [str(best), "--precision", "int8", "--out", str(file), "--allow-undecided"]
    labels = ["--labels", *data, "--against", str(float_file), "--report", str(tmp_path / "r.json")]
    status = export([*command, *labels])  # a network of random weights may pass or not
    figures = json.loads((tmp_path / "r.json").read_text())["parity"]["labelled"]["figures"]
    assert set(figures) == {"AP", "PCK body", "PCK feet", "PCK face", "PCK hands"}
    assert status in (0, 1)
    assert export(command) == 0
    kinds = [node.op_type for node in onnx.load(str(file)).graph.node]
    assert kinds.count("QuantizeLinear") > 100
    assert main(["int8", str(best), "--data", *data, "--out", str(tmp_path / "other")]) == 4
    assert "give the network it was trained from" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["quantize.measured_steps=0"], "measured_steps must be at least 1"),
        (["quantize.logit_weight=0"], "logit_weight must be positive"),
        (["quantize.feature_alpha=-1"], "feature_alpha cannot be negative"),
        (["quantize.bits=4"], "bits"),
        (["initial_part=backbone"], "initial_part=all"),
        (["initial=null"], "set initial to its file"),
        (["precision=bf16"], "quantize needs precision=fp32, not bf16"),
        (["loss.map_weight=1"], "set loss.map_weight=0"),
        (
            ['distill={"stage": 1, "teacher_size": "s", "teacher_checkpoint": "s.pth"}'],
            "set distill=null",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, changes, message):
    plain = small_settings(tmp_path, initial="float.pth", initial_part="all", quantize={})
    with pytest.raises(InvalidArgumentError, match=message):
        apply_overrides(from_plain(plain), changes)


def test_commands_that_lack_something_say_what(float_file, tmp_path, capsys):
    assert main(["int8"]) == 2
    assert "name the finished network" in capsys.readouterr().err
    assert main(["int8", str(float_file)]) == 2
    assert "--data ANNOTATIONS IMAGES" in capsys.readouterr().err
    assert main(["int8", str(tmp_path / "none.pth")]) == 4
    assert "none.pth" in capsys.readouterr().err
    assert main(["int8", str(float_file), "--set", "quantize=null", "--print"]) == 2
    assert "quantize is null" in capsys.readouterr().err
    assert main(["int8", str(float_file), "--print"]) == 0
    assert json.loads(capsys.readouterr().out)["quantize"]["measured_steps"] == 16
