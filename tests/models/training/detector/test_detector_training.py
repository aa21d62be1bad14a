from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch
from detector_samples import CLASSES, SIDE, make_teacher, small_run, write_teacher

from dwpose_infer.backends import load_backend
from dwpose_infer.detector import Detector, DetectorOptions, decode_yolox
from dwpose_infer.errors import InputError, InvalidArgumentError, ModelFormatError
from dwpose_infer.export.exporter import ExportOptions, convert, read_source
from dwpose_infer.models.checkpoints import load_model
from dwpose_infer.models.training.detector.settings import DetectorSettings
from dwpose_infer.models.training.detector.trainer import (
    build_student,
    person_weights,
    train_detector,
)
from dwpose_infer.models.training.loop.checkpoint import list_checkpoints, load_state
from dwpose_infer.models.training.loop.csv_log import read_table
from dwpose_infer.models.training.loop.run_options import RunOptions
from dwpose_infer.models.training.overrides import settings_of_kind
from dwpose_infer.models.yolox import YOLOX, YOLOXArchitecture

TIMES = ("samples_per_s", "data_wait_share", "memory_mb")
NO_VALIDATION = {"validation": None}
STILL = {
    "kind_shares": [1, 0, 0, 0, 0],
    "letterbox_probability": 1,
    "aspect_range": [1, 1],
    "flip_probability": 0,
    "turn_probability": 0,
    "hsv_deltas": [0, 0, 0],
    "grey_probability": 0,
    "blur_probability": 0,
    "noise_probability": 0,
}


def settings_of(plain):
    return settings_of_kind(DetectorSettings, plain)


def losses(folder):
    table = read_table(folder / "log.csv")
    return {name: values for name, values in table.items() if name not in TIMES}


def newest(folder):
    return load_state(list_checkpoints(folder / "checkpoints")[-1])


def assert_same_weights(first, second):
    for name in ("weights", "averaged"):
        expected, actual = getattr(first, name), getattr(second, name)
        assert (expected is None) == (actual is None)
        for key, value in (expected or {}).items():
            torch.testing.assert_close(actual[key], value, rtol=0, atol=0, msg=key)


@pytest.fixture(scope="module")
def finished(pictures, teacher, tmp_path_factory):
    """A whole run on ten pictures as they are, so that the student can come near the teacher."""
    folder = tmp_path_factory.mktemp("run")
    plain = small_run(
        pictures,
        teacher,
        epochs=24,
        batch_size=10,
        validate_every=12,
        scenes=STILL,
        optimizer={"learning_rate": 1e-2, "clip_norm": 20.0},
    )
    torch.set_num_threads(1)
    return train_detector(settings_of(plain), folder)


def test_the_student_comes_nearer_to_the_teacher(finished):
    table = losses(finished.folder)
    assert table["step"] == list(range(1, 25))
    for name, share in {"loss": 0.6, "loss_score": 0.65, "loss_iou": 0.2, "loss_l1": 0.2}.items():
        assert table[name][-1] < share * table[name][0], name
    weighted = 2 * np.array(table["loss_score"]) + 5 * np.array(table["loss_iou"])
    np.testing.assert_allclose(table["loss"], weighted + table["loss_l1"], rtol=1e-5)


def test_a_run_writes_what_every_run_writes(finished):
    assert (finished.step, finished.epochs, finished.finished) == (24, 24, True)
    assert (finished.folder / "curves.png").stat().st_size > 10_000
    table = read_table(finished.folder / "validation.csv")
    assert table["step"] == [12, 24]
    assert max(table["AP_50"]) == finished.best_value
    for name in ("AP", "AP_50", "AP_75", "AR", "AP_50_portrait"):
        assert all(0 <= value <= 1 for value in table[name]), name
    assert all(value >= 0 for value in table["boxes_per_portrait"])
    stored = json.loads((finished.folder / "settings.json").read_text())
    assert settings_of(stored).epochs == 24


def test_checkpoints_have_the_official_names_and_one_class(finished):
    for path in (finished.checkpoint, finished.best):
        model = load_model(path)
        assert model.architecture == YOLOXArchitecture("nano", classes=1)
    state = load_state(finished.checkpoint)
    assert list(state.weights) == list(model.state_dict())
    for name, value in load_model(finished.checkpoint).state_dict().items():
        torch.testing.assert_close(value, state.averaged[name], rtol=0, atol=0)


def test_the_result_is_exported_and_detects(finished, rng, tmp_path):
    options = ExportOptions(detector_size_wh=(SIDE, SIDE), fixed_size=True)
    source = read_source(finished.checkpoint, options, download_bar=False)
    assert (source.kind, source.input_size_wh) == ("detector", (SIDE, SIDE))
    path = tmp_path / "detector.onnx"
    onnx.save(convert(source, options), path)
    picture = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    with torch.inference_mode():
        planes = torch.from_numpy(picture.transpose(2, 0, 1)[None]).float()
        rows = load_model(finished.checkpoint)(planes)[0].numpy()
    best = float((rows[:, 4] * rows[:, 5]).max())
    boxes, scores = decode_yolox(rows, input_size_wh=(SIDE, SIDE), score_threshold=best / 2)
    with load_backend("ort", path, threads=1) as backend:
        thresholds = DetectorOptions(score_threshold=best / 2, nms_threshold=1.0)
        (found,) = Detector(backend, thresholds)([picture])
    assert len(found) == len(boxes) > 0
    first = int(scores.argmax())
    assert found.scores[0] == pytest.approx(scores[first], abs=1e-4)
    np.testing.assert_allclose(found.boxes_xyxy[0], boxes[first], atol=1e-2)


@pytest.mark.parametrize("kind", ["plain", "labels, features, workers", "bf16, no average"])
def test_a_run_can_be_interrupted_anywhere(pictures, teacher, tmp_path, kind):
    changes = {
        "plain": {},
        "labels, features, workers": {
            "loss": {"label_weight": 1.0, "feature_weight": 1.0},
            "data": {"workers": 1},
        },
        "bf16, no average": {"precision": "bf16", "ema": {"enabled": False}},
    }[kind]
    if kind != "labels, features, workers":  # there the validation comes before the workers
        changes["data"] = NO_VALIDATION
    settings = settings_of(small_run(pictures, teacher, epochs=2, batch_size=5, **changes))
    assert train_detector(settings, tmp_path / "whole").finished
    for last in (1, 2, None):
        options = RunOptions(resume=True, max_steps=last)
        assert train_detector(settings, tmp_path / "parts", options).step == (last or 4)
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")
    assert_same_weights(newest(tmp_path / "whole"), newest(tmp_path / "parts"))


def test_a_run_does_not_go_on_with_another_teacher(pictures, teacher, tmp_path):
    plain = small_run(pictures, teacher, data=NO_VALIDATION)
    train_detector(settings_of(plain), tmp_path / "run", RunOptions(max_steps=2))
    (tmp_path / "other").mkdir()
    other = write_teacher(tmp_path / "other", make_teacher(seed=9))
    with pytest.raises(InvalidArgumentError, match=r"run\.teacher_sha256 was"):
        train_detector(
            settings_of(plain | {"teacher": str(other)}),
            tmp_path / "run",
            RunOptions(resume=True),
        )
    moved = tmp_path / "moved.onnx"
    moved.write_bytes(teacher.read_bytes())
    summary = train_detector(
        settings_of(plain | {"teacher": str(moved)}), tmp_path / "run", RunOptions(resume=True)
    )
    assert summary.finished


def test_the_person_of_many_classes_is_where_a_run_starts(teacher_network, tmp_path):
    path = tmp_path / "many.pth"
    torch.save({"model": teacher_network.state_dict()}, path)
    student = build_student(
        DetectorSettings(initial=str(path), input_height=SIDE, input_width=SIDE)
    )
    assert student.training
    pictures = torch.rand(2, 3, SIDE, SIDE) * 255
    with torch.inference_mode():
        rows, wanted = student.eval()(pictures), teacher_network(pictures)
    assert wanted.shape[-1] == 5 + CLASSES
    torch.testing.assert_close(rows, wanted[..., :6])


def test_frozen_stages_stay_as_they_are(pictures, teacher, teacher_network, tmp_path):
    initial = tmp_path / "initial.pth"
    torch.save(teacher_network.state_dict(), initial)
    plain = small_run(
        pictures, teacher, epochs=1, data=NO_VALIDATION, initial=str(initial), frozen_stages=2
    )
    summary = train_detector(settings_of(plain), tmp_path / "run")
    trained, before = newest(tmp_path / "run").weights, teacher_network.state_dict()
    frozen = ("backbone.backbone.stem.", "backbone.backbone.dark2.")
    for name, value in trained.items():
        if name.startswith("head.cls_preds."):
            continue
        same = bool((value == before[name]).all())
        assert same if name.startswith(frozen) else not same or value.ndim == 0, name
    assert summary.finished


def test_weights_of_another_network_are_refused(tmp_path):
    nano = YOLOXArchitecture("nano", classes=1)
    with pytest.raises(ModelFormatError, match="those of yolox-tiny, the run trains yolox-nano"):
        person_weights(YOLOX(YOLOXArchitecture("tiny", classes=2)).state_dict(), nano)
    path = tmp_path / "weights.pth"
    torch.save({"head.other": torch.zeros(3)}, path)
    with pytest.raises(ModelFormatError, match=r"weights\.pth: these are not the weights"):
        build_student(DetectorSettings(initial=str(path)))


def test_a_spoilt_picture_ends_the_run_with_its_name(pictures, teacher, tmp_path):
    for name in ("labels.json", *(f"{number}.png" for number in range(1, 11))):
        (tmp_path / name).write_bytes((pictures / name).read_bytes())
    (tmp_path / "4.png").write_bytes(b"no picture")
    plain = small_run(tmp_path, teacher, data={"validation": None, "workers": 1})
    with pytest.raises(InputError, match=r"4\.png"):
        train_detector(settings_of(plain), tmp_path / "run")
