from __future__ import annotations

import json
from collections import OrderedDict

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from dwpose_infer.errors import (
    InvalidArgumentError,
    ModelFormatError,
    ModelNotFoundError,
    OutputError,
)
from dwpose_infer.models.checkpoints import load_model
from dwpose_infer.models.dwpose import DWPose, DWPoseArchitecture
from dwpose_infer.models.training.transfer import transfer

TEACHER = DWPoseArchitecture("s", 64, 32)
STUDENT = DWPoseArchitecture("t", 64, 32)


def weights(architecture, seed):
    torch.manual_seed(seed)
    return DWPose(architecture).state_dict()


def distiller(teacher, student, *, seeds=(0, 1), align=True):
    state = OrderedDict()
    for prefix, architecture, seed in (
        ("teacher.", teacher, seeds[0]),
        ("student.", student, seeds[1]),
    ):
        state |= {prefix + name: value for name, value in weights(architecture, seed).items()}
    if align:
        state["distill_losses.loss_fea.align.weight"] = torch.zeros(4, 4, 1, 1)
    return state


def official(state, **more):
    """A checkpoint as mmengine's runner leaves it, numpy objects in its meta and all."""
    meta = {
        "epoch": 270,
        "mmengine_version": "0.10",
        "dataset_meta": {"sigmas": np.ones(3, np.float32), "names": ("nose", "eye")},
        "seed": np.float64(3),
    }
    return {"meta": meta, "state_dict": state, "optimizer": {"lr": np.float64(1)}, **more}


def read(path):
    return torch.load(path, weights_only=True)


@pytest.fixture(scope="module")
def first_stage():
    return distiller(TEACHER, STUDENT)


@pytest.fixture(scope="module")
def second_stage():
    return distiller(STUDENT, STUDENT, align=False)


def test_stage_1_hands_on_the_student(tmp_path, first_stage):
    torch.save(official(first_stage), tmp_path / "epoch_270.pth")
    out = tmp_path / "new" / "model.pth"
    assert transfer(tmp_path / "epoch_270.pth", 1, out) == STUDENT

    written = read(out)
    expected = weights(STUDENT, 1)
    assert list(written) == ["meta", "state_dict"]
    assert list(written["state_dict"]) == list(expected)
    assert all(torch.equal(written["state_dict"][name], expected[name]) for name in expected)
    DWPose(STUDENT).load_state_dict(written["state_dict"], strict=True)
    assert load_model(out).architecture == STUDENT


def test_stage_2_hands_on_the_teachers_backbone_with_the_students_head(tmp_path, second_stage):
    torch.save(official(second_stage), tmp_path / "epoch_60.pth")
    assert transfer(tmp_path / "epoch_60.pth", 2, tmp_path / "model.pth") == STUDENT
    written = read(tmp_path / "model.pth")["state_dict"]
    teacher, student = weights(STUDENT, 0), weights(STUDENT, 1)
    assert list(written) == list(teacher)
    for name, value in written.items():
        source = teacher if name.startswith("backbone.") else student
        assert torch.equal(value, source[name])


def test_plain_facts_are_kept_and_all_else_is_dropped(tmp_path, first_stage):
    torch.save(official(first_stage), tmp_path / "epoch_270.pth")
    transfer(tmp_path / "epoch_270.pth", 1, tmp_path / "model.pth")
    meta = read(tmp_path / "model.pth")["meta"]
    assert meta["epoch"] == 270
    assert meta["mmengine_version"] == "0.10"
    assert meta["dataset_meta"] == {"names": ["nose", "eye"]}
    assert meta["transferred_from"] == "epoch_270.pth"
    assert meta["stage"] == 1
    assert "seed" not in meta


@pytest.mark.parametrize("zipped", [True, False])
def test_the_average_is_taken_and_both_formats_are_read(tmp_path, first_stage, zipped):
    raw = {f"module.{name}": torch.zeros_like(value) for name, value in first_stage.items()}
    tree = official(first_stage, ema_state_dict={"steps": torch.tensor(5), **raw})
    torch.save(tree, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    transfer(tmp_path / "a.pth", 1, tmp_path / "model.pth")
    name = "head.cls_x.weight"
    written = read(tmp_path / "model.pth")["state_dict"][name]
    assert torch.equal(written, first_stage[f"student.{name}"])


def test_the_prefix_of_data_parallel_training_is_taken_off(tmp_path, first_stage):
    state = {f"module.{name}": value for name, value in first_stage.items()}
    torch.save({"state_dict": state}, tmp_path / "a.pth")
    assert transfer(tmp_path / "a.pth", 1, tmp_path / "model.pth") == STUDENT


def test_the_result_predicts_what_the_student_predicts(tmp_path, first_stage):
    torch.save({"state_dict": first_stage}, tmp_path / "a.pth")
    transfer(tmp_path / "a.pth", 1, tmp_path / "model.pth")
    student = DWPose(STUDENT).eval()
    student.load_state_dict(weights(STUDENT, 1))
    crops = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        for mine, its in zip(
            load_model(tmp_path / "model.pth")(crops), student(crops), strict=True
        ):
            assert torch.equal(mine, its)


class Harmful:
    def __reduce__(self):
        raise_in_reader = "raise SystemExit('ran')"
        return exec, (raise_in_reader,)


def test_nothing_in_the_file_is_run(tmp_path, first_stage):
    tree = official(first_stage, hook=Harmful())
    tree["meta"]["hook"] = Harmful()
    torch.save(tree, tmp_path / "a.pth")
    transfer(tmp_path / "a.pth", 1, tmp_path / "model.pth")
    assert "hook" not in read(tmp_path / "model.pth")["meta"]


def test_the_wrong_stage_is_refused(tmp_path, first_stage, second_stage):
    torch.save({"state_dict": first_stage}, tmp_path / "first.pth")
    with pytest.raises(ModelFormatError, match=r"first\.pth: what stage 2 .*mis-shaped"):
        transfer(tmp_path / "first.pth", 2, tmp_path / "model.pth")
    # both stages would do as far as shapes tell: our own files say which it was
    meta = {"settings": json.dumps({"distill": {"stage": 2}})}
    torch.save({"meta": meta, "state_dict": second_stage}, tmp_path / "second.pth")
    with pytest.raises(ModelFormatError, match=r"second\.pth: .*written by stage 2, not 1"):
        transfer(tmp_path / "second.pth", 1, tmp_path / "model.pth")
    assert not (tmp_path / "model.pth").exists()
    with pytest.raises(InvalidArgumentError, match="1 or 2"):
        transfer(tmp_path / "second.pth", 3, tmp_path / "model.pth")


def test_other_files_are_refused(tmp_path, first_stage):
    def save(tree):
        torch.save(tree, tmp_path / "a.pth")
        return tmp_path / "a.pth"

    out = tmp_path / "model.pth"
    with pytest.raises(ModelNotFoundError, match=r"none\.pth"):
        transfer(tmp_path / "none.pth", 1, out)
    with pytest.raises(ModelFormatError, match="plain network already"):
        transfer(save({"state_dict": weights(STUDENT, 0)}), 1, out)
    with pytest.raises(ModelFormatError, match=r"no student"):
        transfer(save({"state_dict": {"a": torch.zeros(1)}}), 1, out)
    with pytest.raises(ModelFormatError, match="under state_dict"):
        transfer(save(first_stage), 1, out)
    with pytest.raises(ModelFormatError, match="is not a tensor"):
        transfer(save({"state_dict": {"student.a": 3}}), 1, out)
    student = {name: value for name, value in first_stage.items() if "cls_y" not in name}
    with pytest.raises(ModelFormatError, match=r"cls_y\.weight is missing"):
        transfer(save({"state_dict": student}), 1, out)
    short = {name: value for name, value in first_stage.items() if "gau.o" not in name}
    with pytest.raises(ModelFormatError, match=r"missing \(1\): head\.gau\.o\.weight"):
        transfer(save({"state_dict": short}), 1, out)
    assert not out.exists()


def test_the_checkpoint_itself_and_folders_are_not_written_to(tmp_path, first_stage):
    path = tmp_path / "a.pth"
    torch.save({"state_dict": first_stage}, path)
    with pytest.raises(InvalidArgumentError, match="the checkpoint itself"):
        transfer(path, 1, path)
    with pytest.raises(OutputError, match="folder"):
        transfer(path, 1, tmp_path)
