"""The whole distillation as one command, on a tiny set: t teaches t at 64x64."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for package in ("onnx", "onnxruntime", "pycocotools"):
    pytest.importorskip(package)

import cv2

from dwpose_infer import geometry
from dwpose_infer.annotations import read_annotations
from dwpose_infer.backends import load_backend
from dwpose_infer.errors import FormatError, InputError, InvalidArgumentError
from dwpose_infer.formats import load
from dwpose_infer.models.checkpoints import load_model, read_state_dict
from dwpose_infer.models.dwpose import DWPose, DWPoseArchitecture
from dwpose_infer.models.training.cli import main
from dwpose_infer.models.training.data import labelled_boxes, to_network_input
from dwpose_infer.models.training.distill import job as distillation
from dwpose_infer.models.training.distill.launch import train_in_processes
from dwpose_infer.models.training.distill.plan import make_plan, stage_settings
from dwpose_infer.models.training.distill.record import DistillRecord, StepRecord
from dwpose_infer.models.training.loop.checkpoint import list_checkpoints, load_state
from dwpose_infer.models.training.pose.run import PoseLearner
from dwpose_infer.models.training.recipes import FIRST_STAGE_RUNS, recipe
from dwpose_infer.models.training.settings import DataSettings, DataSource
from dwpose_infer.simcc import decode_simcc
from tolerances import KEYPOINT_PX, OTHER_RUNTIME
from training_samples import write_set

STEPS = ["stage1", "transfer1", "stage2", "transfer2", "export", "predict"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Six persons, and a teacher with random weights.

    Its statistics are those of the pictures: without, its features hardly depend on them.
    """
    folder = tmp_path_factory.mktemp("files")
    write_set(folder / "set", persons=6)
    torch.manual_seed(3)
    teacher = DWPose(DWPoseArchitecture("t", 64, 64))
    crops = to_network_input(torch.from_numpy(cut_out(folder)), channels_last=False)
    with torch.no_grad():
        for _ in range(20):
            teacher(crops)
    torch.save(teacher.state_dict(), folder / "teacher.pth")
    return folder


def cut_out(folder):
    """Crops of all labelled persons, (6, 64, 64, 3) uint8."""
    annotations = read_annotations(folder / "set/labels.json")
    boxes = labelled_boxes(annotations)
    center, scale = geometry.box_to_center_scale(boxes.boxes_xyxy, input_size_wh=(64, 64))
    crops = []
    for row, image in enumerate(boxes.image_indices):
        picture = cv2.imread(str(folder / "set" / annotations.file_name(image)))
        one = slice(row, row + 1)
        crops.append(geometry.crop_boxes(picture, center[one], scale[one], output_size_wh=(64, 64)))
    return np.concatenate(crops)


def arguments(files, out, *more):
    data = [str(files / "set/labels.json"), str(files / "set")]
    small = ["batch_size=3", "data.workers=0", "log_every=1"]
    small += ["best_by=PCK", "data.flip_test=false"]
    small += ["schedule.warmup_steps=1", "optimizer.learning_rate=1e-4"]
    given = ["distill", "--teacher", str(files / "teacher.pth"), "--size", "t", "--out", str(out)]
    given += ["--data", *data, "--validation", *data, "--initial", str(files / "teacher.pth")]
    given += ["--allow-undecided"]
    given += [word for setting in small for word in ("--set", setting)]
    given += ["--stage1-set", "epochs=2", "--stage2-set", "epochs=3"]
    return [*given, *map(str, more)]


def press_ctrl_c_in_step(number, monkeypatch):
    whole_step = PoseLearner.training_step
    done = []

    def step(*given, **keywords):
        done.append(None)
        if len(done) == number:
            os.kill(os.getpid(), signal.SIGINT)
        return whole_step(*given, **keywords)

    monkeypatch.setattr(PoseLearner, "training_step", step)


@pytest.fixture(scope="module")
def finished(files, tmp_path_factory):
    """A distillation that was stopped within stage 1 and between stage 2 and its transfer."""
    out = tmp_path_factory.mktemp("distill") / "out"
    statuses = []
    with pytest.MonkeyPatch.context() as patch:
        press_ctrl_c_in_step(3, patch)
        statuses.append(main(arguments(files, out)))
    stopped_at = [load_state(path).step for path in list_checkpoints(out / "stage1/checkpoints")]
    with pytest.MonkeyPatch.context() as patch:
        whole = distillation.transfer

        def transfer(checkpoint, stage, target):
            if stage == 2:
                raise KeyboardInterrupt
            return whole(checkpoint, stage, target)

        patch.setattr(distillation, "transfer", transfer)
        statuses.append(main(arguments(files, out)))
    between = list(json.loads((out / "distill.json").read_text())["steps"])
    statuses.append(main(arguments(files, out)))
    return {"out": out, "statuses": statuses, "stopped_at": stopped_at, "between": between}


def test_stopped_within_a_stage_and_between_steps_it_goes_on(finished):
    assert finished["statuses"] == [130, 130, 0]
    assert finished["stopped_at"] == [3]
    assert finished["between"] == STEPS[:3]
    out = finished["out"]
    assert list(json.loads((out / "distill.json").read_text())["steps"]) == STEPS
    steps = [load_state(path).step for path in list_checkpoints(out / "stage1/checkpoints")]
    assert steps[-1] == 4  # six persons in batches of three


def test_what_was_stopped_is_what_runs_through(finished, files, tmp_path):
    assert main(arguments(files, tmp_path / "out")) == 0
    for name in ("stage1/model.pth", "stage2/model.pth"):
        expected = read_state_dict(tmp_path / "out" / name)
        for key, value in read_state_dict(finished["out"] / name).items():
            torch.testing.assert_close(value, expected[key], rtol=0, atol=0)


def test_the_result_is_the_backbone_of_stage_1_with_a_new_head(finished):
    first = load_model(finished["out"] / "stage1/model.pth")
    second = load_model(finished["out"] / "stage2/model.pth")
    assert second.architecture == DWPoseArchitecture("t", 64, 64)
    same = dict(first.backbone.named_parameters())
    for name, value in second.backbone.named_parameters():
        torch.testing.assert_close(value, same[name], rtol=0, atol=0)
    heads = zip(first.head.parameters(), second.head.parameters(), strict=True)
    assert all(not torch.equal(one, other) for one, other in heads if one.numel() > 1)


def test_the_exported_file_gives_the_trained_networks_keypoints(finished, files):
    """Torch and NumPy's decoding against the graph in ONNX Runtime, on every labelled person."""
    crops = cut_out(files)
    model = load_model(finished["out"] / "stage2/model.pth")
    with torch.inference_mode():
        simcc = model(to_network_input(torch.from_numpy(crops), channels_last=False))
    keypoints, scores = decode_simcc(simcc[0].numpy(), simcc[1].numpy())
    with load_backend("ort", finished["out"] / "model.onnx", threads=1) as backend:
        found = backend.run({backend.inputs[0].name: crops})
    assert keypoints.shape == (6, 133, 2)
    np.testing.assert_allclose(found["keypoints"], keypoints, atol=KEYPOINT_PX)
    np.testing.assert_allclose(found["scores"], scores, rtol=OTHER_RUNTIME, atol=OTHER_RUNTIME)
    assert len(np.unique(keypoints, axis=0)) == 6  # it looks at the pictures


def test_the_picture_to_look_at(finished):
    (result,) = load(finished["out"] / "check.json")
    assert (len(result), result.image_size) == (1, (96, 96))
    assert cv2.imread(str(finished["out"] / "check.jpg")).shape == (96, 96, 3)


def test_done_again_it_does_nothing(finished, files, monkeypatch, capsys):
    out = finished["out"]
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    for name in ("train", "transfer", "write_bytes"):
        monkeypatch.setattr(distillation, name, None)  # a call would fail
    assert main(arguments(files, out)) == 0
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert after == before
    captured = capsys.readouterr()
    assert captured.err.count("done before") == len(STEPS)
    rows = [line for line in captured.out.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(STEPS)
    assert "PCK 0." in rows[2]
    assert "stage2/best.pth" in rows[4]


def test_an_output_that_is_gone_is_made_again_with_all_behind_it(finished, files, capsys):
    (finished["out"] / "model.onnx").unlink()
    assert main(arguments(files, finished["out"])) == 0
    assert capsys.readouterr().err.count("done before") == 4
    assert (finished["out"] / "model.onnx").exists()


def test_another_picture_runs_the_prediction_alone(finished, files, astronaut, capsys):
    given = arguments(files, finished["out"], "--picture", astronaut)
    assert main(given) == 0
    captured = capsys.readouterr()
    assert captured.err.count("done before") == 5
    assert "1 person on astronaut.jpg" in captured.out


@pytest.mark.parametrize(
    ("more", "difference"),
    [
        (["--set", "optimizer.learning_rate=1e-3"], "stage1.optimizer.learning_rate was 0.0001"),
        (["--stage2-set", "epochs=2"], "stage2.epochs was 3, is 2"),
    ],
)
def test_other_settings_are_refused_by_name(finished, files, capsys, more, difference):
    assert main(arguments(files, finished["out"], *more)) == 2
    message = capsys.readouterr().err
    assert difference in message
    assert f"remove {finished['out']} to start anew" in message


def test_another_teacher_is_refused(finished, files, tmp_path, capsys):
    other = tmp_path / "other.pth"
    torch.save(DWPose(DWPoseArchitecture("t", 64, 64)).state_dict(), other)
    assert main([*arguments(files, finished["out"]), "--teacher", str(other)]) == 2
    assert "teacher.sha256 was" in capsys.readouterr().err


def test_harmless_changes_are_none(finished, files):
    assert main(arguments(files, finished["out"], "--set", "log_every=7")) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_reaches_all_processes_once(files, tmp_path):
    out = tmp_path / "out"
    given = arguments(files, out, "--stage1-set", "epochs=2000", "--set", "batch_size=2")
    command = [sys.executable, "-m", "dwpose_infer.models.training.cli", *given]
    process = subprocess.Popen(
        [*command, "--processes", "2"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    log = out / "stage1/log.csv"
    end = time.monotonic() + 120
    while not (log.exists() and log.stat().st_size) and time.monotonic() < end:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=90)
    assert process.returncode == 130, errors
    assert "to go on: dwpose-train distill" in errors
    assert "Traceback" not in errors
    (checkpoint,) = list_checkpoints(out / "stage1/checkpoints")
    state = load_state(checkpoint)
    assert 1 <= state.step < 6000
    assert state.facts["processes"] == 2


def test_what_ends_a_process_ends_the_command_with_its_status(files, tmp_path):
    more = ["--processes", 2, "--initial", "missing.pth", "--set", "batch_size=2"]
    given = arguments(files, tmp_path / "out", *more)
    done = subprocess.run(
        [sys.executable, "-m", "dwpose_infer.models.training.cli", *given],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 4, done.stderr
    assert "error: there is no file missing.pth" in done.stderr
    assert "the 2 training processes ended with status 4" in done.stderr
    assert "Traceback" not in done.stderr


def test_several_processes_share_no_single_gpu(tmp_path):
    with pytest.raises(InvalidArgumentError, match="'cuda:1' is one GPU, but there are 2"):
        train_in_processes(recipe("base-t-256"), tmp_path, processes=2, device="cuda:1")


@pytest.mark.parametrize("run", FIRST_STAGE_RUNS, ids="-".join(["{}"]).format)
def test_the_stages_are_those_of_the_recipes(run, tmp_path):
    """For every published pairing all is official but names and places of files."""
    teacher, student, height = run
    width = {256: 192, 384: 288}[height]
    stages = stage_settings(
        DWPoseArchitecture(teacher, height, width),
        student,
        teacher=Path("teacher.pth"),
        folder=tmp_path,
    )
    names = [f"s1-{teacher}-{student}-{height}", f"s2-{student}-{height}"]
    checkpoints = ["teacher.pth", str(tmp_path / "stage1/model.pth")]
    for settings, name, checkpoint in zip(stages, names, checkpoints, strict=True):
        official = recipe(name)
        distill = replace(official.distill, teacher_checkpoint=checkpoint, teacher_url="")
        assert settings == replace(official, distill=distill)


def test_without_a_validation_a_training_picture_is_looked_at(files):
    source = DataSource(annotations="labels.json", images=".")
    data = DataSettings(root=str(files / "set"), train=(source,))
    path, boxes = distillation.labelled_picture(replace(recipe("base-t-256"), data=data))
    assert path == files / "set/1.png"
    np.testing.assert_array_equal(boxes, [[14, 14, 82, 82]])  # 14 + 68, inside of 0..95


def test_where_nobody_is_labelled_a_picture_is_asked_for(tmp_path):
    (tmp_path / "labels.json").write_text('{"images": [], "annotations": []}')
    source = DataSource(annotations="labels.json", images=".")
    data = DataSettings(root=str(tmp_path), train=(source,))
    with pytest.raises(InputError, match="give a picture to try the network on"):
        distillation.labelled_picture(replace(recipe("base-t-256"), data=data))


def test_stages_of_two_networks_are_refused(files, tmp_path):
    with pytest.raises(InvalidArgumentError, match="both stages train one size"):
        make_plan(files / "teacher.pth", "t", tmp_path, second_assignments=["input_width=192"])


def test_the_record_knows_what_a_stage_began_with(tmp_path):
    record = DistillRecord(tmp_path, {"teacher": {}, "stage1": {}, "stage2": {}})
    record.begin("stage2", "a" * 64)
    (tmp_path / "stage2").mkdir()
    with pytest.raises(InvalidArgumentError, match="began with another network"):
        record.begin("stage2", "b" * 64)
    (tmp_path / "stage2").rmdir()
    record.begin("stage2", "b" * 64)


def test_a_step_done_again_forgets_those_behind_it(tmp_path):
    identity = {"teacher": {"sha256": "0"}, "stage1": {}, "stage2": {}}
    record = DistillRecord(tmp_path, identity)
    for name in ("stage1", "transfer1", "stage2"):
        record.finish(name, StepRecord({"of": name}, (), "done"), later=())
    record.finish("stage1", StepRecord({"of": "new"}, (), "done"), later=("transfer1", "stage2"))
    again = DistillRecord(tmp_path, identity)
    assert list(again.steps) == ["stage1"]
    assert again.find("stage1", {"of": "new"}).result == "done"
    assert again.find("stage1", {"of": "old"}) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 7}', '{"format": 1}'])
def test_a_damaged_record_says_how_to_start_anew(tmp_path, text):
    (tmp_path / "distill.json").write_text(text)
    with pytest.raises(FormatError, match=r"distill\.json"):
        DistillRecord(tmp_path, {})
