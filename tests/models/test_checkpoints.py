from __future__ import annotations

import sys
from collections import OrderedDict

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from dwpose_infer.errors import (
    MissingDependencyError,
    ModelFormatError,
    ModelNotFoundError,
)
from dwpose_infer.models.checkpoints import (
    build_model,
    infer_architecture,
    load_model,
    load_weights,
    read_state_dict,
)
from dwpose_infer.models.dwpose import DWPoseArchitecture
from dwpose_infer.models.yolox import YOLOXArchitecture

SMALL = DWPoseArchitecture("t", 64, 32, keypoints=5)
DETECTOR = YOLOXArchitecture("nano", classes=1)


def fresh(architecture, seed=0):
    torch.manual_seed(seed)
    return build_model(architecture).state_dict()


def prefixed(prefix, state):
    return OrderedDict((prefix + name, value) for name, value in state.items())


def same(state, other):
    return list(state) == list(other) and all(torch.equal(state[n], other[n]) for n in state)


@pytest.fixture(scope="module")
def weights():
    return fresh(SMALL)


@pytest.fixture(scope="module")
def others():
    return fresh(SMALL, seed=1)


@pytest.fixture(scope="module")
def detector_weights():
    return fresh(DETECTOR)


@pytest.fixture
def save(tmp_path):
    def save(tree, zipped=True):
        path = tmp_path / "checkpoint.pth"
        torch.save(tree, path, _use_new_zipfile_serialization=zipped)
        return path

    return save


ALL = [DWPoseArchitecture(size, *hw) for size in "tsmlx" for hw in ((256, 192), (384, 288))]
ALL += [
    YOLOXArchitecture(size, n) for size in ("nano", "tiny", "s", "m", "l", "x") for n in (1, 80)
]


@pytest.mark.parametrize("architecture", [*ALL, SMALL], ids=lambda a: a.name)
def test_the_shapes_of_the_weights_tell_the_architecture(architecture):
    with torch.device("meta"):
        state = build_model(architecture).state_dict()
    assert infer_architecture({name: value.shape for name, value in state.items()}) == architecture


@pytest.mark.slow
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "meta": {"score": np.float64(1)}},
        lambda state: {"model": state, "start_epoch": 3, "best_ap": np.float32(0.2)},
        lambda state: {"state_dict": prefixed("module.", state)},
    ],
    ids=["plain", "mmengine", "yolox", "data-parallel"],
)
def test_known_layouts(save, detector_weights, wrap, zipped):
    weights = detector_weights
    path = save(wrap(weights), zipped)
    assert same(read_state_dict(path), weights)
    model = load_model(path)
    assert model.architecture == DETECTOR
    assert not model.training
    assert same(model.state_dict(), weights)


def test_a_pose_network_in_the_published_layout(save, weights):
    model = load_model(
        save({"meta": {"score": np.float64(1)}, "state_dict": weights}, zipped=False)
    )
    assert model.architecture == SMALL
    assert same(model.state_dict(), weights)


def test_of_a_runner_with_averaging_the_average_is_taken(save, weights, others):
    raw = OrderedDict(steps=torch.tensor(9)) | prefixed("module.", others)
    path = save({"state_dict": weights, "ema_state_dict": raw, "optimizer": {"state": others}})
    assert same(read_state_dict(path), weights)


def distiller(student, teacher):
    align = {"distill_losses.loss_fea.align.weight": torch.ones(3)}
    state = prefixed("teacher.", teacher) | prefixed("student.", student) | align
    return {"state_dict": state}


def test_of_stage_1_the_student_is_taken(save, weights, caplog):
    teacher = fresh(DWPoseArchitecture("s", 64, 32, keypoints=5))
    assert same(read_state_dict(save(distiller(weights, teacher))), weights)
    (line,) = caplog.messages
    assert "teacher and the student of a distillation's stage 1 (told by the sizes" in line
    assert line.endswith("the student is taken")


def test_of_stage_2_backbone_of_the_teacher_and_head_of_the_student_are_taken(
    save, weights, others, caplog
):
    path = save(distiller(student=weights, teacher=others))
    state = read_state_dict(path)
    assert list(state) == list(weights)
    for name, value in state.items():
        source = others if name.startswith("backbone.") else weights
        assert torch.equal(value, source[name])
    assert load_model(path).architecture == SMALL
    assert "the backbone is taken from the teacher, the head from the student" in caplog.text


def test_stage_2_needs_no_backbone_of_the_student(save, weights, others):
    head = {name: value for name, value in weights.items() if name.startswith("head.")}
    assert list(read_state_dict(save(distiller(student=head, teacher=others)))) == list(weights)


def test_the_stage_can_be_said(save, weights, others, caplog):
    path = save(distiller(student=weights, teacher=others))
    assert same(read_state_dict(path, distiller_stage=1), weights)
    assert "stage 1 (as was asked for)" in caplog.text
    path = save({"state_dict": prefixed("student.", weights)})
    with pytest.raises(ModelFormatError, match="no teacher"):
        read_state_dict(path, distiller_stage=2)


def test_half_precision_becomes_float32(save, weights):
    halves = {n: v.half() if v.is_floating_point() else v for n, v in weights.items()}
    path = save(halves)
    assert read_state_dict(path)["head.cls_x.weight"].dtype == torch.float16
    model = load_model(path)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert model.get_parameter("head.cls_x.weight").requires_grad


def test_what_does_not_fit_is_listed(weights):
    state = dict(weights)
    state["head.more"] = state.pop("head.cls_y.weight")
    state["head.gau.ln.g"] = torch.ones(2)
    with pytest.raises(ModelFormatError) as caught:
        load_weights(build_model(SMALL), state)
    message = str(caught.value)
    assert "missing (1): head.cls_y.weight" in message
    assert "unexpected (1): head.more" in message
    assert "mis-shaped (1): head.gau.ln.g (2,) instead of (1,)" in message


def test_long_lists_are_cut_short(weights):
    state = {name: value for name, value in weights.items() if "stage3" not in name}
    with pytest.raises(ModelFormatError, match=r"stage3.* and \d+ more$"):
        load_weights(build_model(SMALL), state)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"a": torch.ones(1)}, "not the weights of DWPose or YOLOX: a"),
        ({}, "no weights"),
        ([torch.ones(1)], "no weights"),
        ({"state_dict": {"a": 1}}, "'a' among the weights is not a tensor"),
        ({"backbone.stem.2.conv.weight": torch.ones(25, 1)}, "25 channels"),
        ({"backbone.stem.2.conv.weight": torch.ones(24, 1)}, "cls_y.weight is missing"),
        ({"backbone.backbone.stem.conv.conv.weight": torch.ones(16)}, "cls_preds.0.weight is"),
    ],
)
def test_files_without_a_known_network_are_refused(save, tree, message):
    with pytest.raises(ModelFormatError, match=message):
        load_model(save(tree))


def test_an_input_size_that_cannot_be_is_refused(save, weights):
    state = weights | {"head.cls_x.weight": torch.ones(62, 256)}
    with pytest.raises(ModelFormatError, match="multiple of 32, not 31"):
        load_model(save(state))


def test_the_published_layouts(shared):
    pose = load_model(shared / "weights/dwpose-t-start.pth")
    assert pose.architecture == DWPoseArchitecture("t")
    detector = load_model(shared / "reference/checkpoints/yolox_nano.pth")
    assert detector.architecture == YOLOXArchitecture("nano")
    person = load_model(shared / "weights/yolox-nano-person-start.pth")
    assert person.architecture == YOLOXArchitecture("nano", classes=1)


@pytest.fixture
def save_safetensors(tmp_path):
    torch_files = pytest.importorskip("safetensors.torch")

    def save(state):
        path = tmp_path / "checkpoint.safetensors"
        torch_files.save_file({name: value.contiguous() for name, value in state.items()}, path)
        return path

    return save


def test_safetensors(save_safetensors, weights):
    path = save_safetensors(weights)
    state = read_state_dict(path)
    assert all(torch.equal(state[name], value) for name, value in weights.items())
    model = load_model(path)
    assert model.architecture == SMALL
    assert not model.training


def test_safetensors_of_a_distiller(save_safetensors, weights):
    teacher = fresh(DWPoseArchitecture("s", 64, 32, keypoints=5))
    path = save_safetensors(distiller(weights, teacher)["state_dict"])
    assert load_model(path).architecture == SMALL


def test_damaged_safetensors_are_refused(save_safetensors, weights):
    path = save_safetensors(weights)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelFormatError, match="not a readable checkpoint"):
        load_model(path)
    path.unlink()
    with pytest.raises(ModelNotFoundError, match="no file"):
        load_model(path)


def test_safetensors_of_something_else(save_safetensors):
    with pytest.raises(ModelFormatError, match=r"checkpoint\.safetensors: these are not"):
        load_model(save_safetensors({"a": torch.ones(1)}))


def test_without_safetensors_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingDependencyError, match=r"dwpose-infer\[export\]"):
        load_model(tmp_path / "checkpoint.safetensors")
