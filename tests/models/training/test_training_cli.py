"""`dwpose-train` from the command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from dwpose_infer._version import __version__
from dwpose_infer.errors import FormatError, InvalidArgumentError
from dwpose_infer.models.training import run_command
from dwpose_infer.models.training.cli import main
from dwpose_infer.models.training.loop.run_options import read_summary
from dwpose_infer.models.training.overrides import from_plain, print_settings
from dwpose_infer.models.training.recipes import recipe, recipe_names
from dwpose_infer.models.training.run_command import resume_command
from dwpose_infer.models.training.settings.choosing import (
    DataChoice,
    choose_settings,
    read_settings,
)
from training_samples import small_settings, write_set


@pytest.fixture
def own_data(tmp_path):
    return write_set(tmp_path / "set", persons=6)


@pytest.fixture
def settings_file(tmp_path, own_data):
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(small_settings(own_data, validate_every=9, epochs=2)))
    return path


def train_packages():
    for package in ("torch", "onnx", "onnxruntime", "pycocotools", "matplotlib"):
        pytest.importorskip(package)


def printed(capsys, *arguments):
    assert main([*map(str, arguments), "--print"]) == 0
    return json.loads(capsys.readouterr().out)


def failing(capsys, status, *arguments):
    assert main([str(each) for each in arguments]) == status
    captured = capsys.readouterr()
    *_, error = captured.err.splitlines()
    assert error.startswith("dwpose-train: error: ")
    assert captured.out == ""
    return error


def test_help_is_quick_and_loads_no_network_library():
    code = (
        "import sys; from dwpose_infer.models.training.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'cv2', 'msgspec'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "dwpose-train --recipe s1-l-t-256" in done.stdout


@pytest.mark.parametrize("command", [[], ["run"], ["recipes"], ["transfer"], ["distill"]])
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: dwpose-train")
    assert max(map(len, text.splitlines())) <= 100
    if command not in ([], ["recipes"]):
        assert "examples:" in text


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.strip() == f"dwpose-infer {__version__}"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--recipe"],
        ["--max-steps", "0"],
        ["transfer", "a.pth", "--out", "b"],
        ["transfer", "a.pth", "--stage", "3", "--out", "b"],
        ["distill", "--size", "x", "--teacher", "a", "--out", "b"],
    ],
)
def test_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: dwpose-train" in capsys.readouterr().err


def test_recipes_have_a_line_each(capsys):
    assert main(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == recipe_names()
    by_name = {line.split()[0]: line for line in lines}
    assert by_name["base-x-384"].endswith(
        "labels alone: x, 384x288, 270 epochs, batch 256 (8 GPUs with 32)"
    )
    assert "stage 1: l teaches t, 256x192, 270 epochs, batch 512" in by_name["s1-l-t-256"]
    assert "stage 2: a new head for t, 256x192, 60 epochs" in by_name["s2-t-256"]


def test_a_recipe_prints_itself_and_is_read_again(tmp_path, capsys):
    assert main(["--recipe", "s1-l-t-256", "--print"]) == 0
    path = tmp_path / "s.json"
    path.write_text(capsys.readouterr().out)
    assert read_settings(path) == recipe("s1-l-t-256")
    plain = printed(capsys, "--settings", path, "--set", "epochs=3", "--set", "initial=null")
    assert (plain["epochs"], plain["initial"]) == (3, None)


def test_a_recipe_prints_its_keys(capsys):
    assert main(["run", "--recipe", "s2-t-256", "--print", "keys"]) == 0
    assert capsys.readouterr().out.rstrip("\n") == print_settings(recipe("s2-t-256"))


def test_own_data_takes_the_place_of_the_recipes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = printed(
        capsys, "--recipe", "base-t-256", "--data", "a.json", "x", "--data", "/b.json", "y"
    )["data"]
    sources = [(source["annotations"], source["images"]) for source in data["train"]]
    assert sources == [
        (str(tmp_path / "a.json"), str(tmp_path / "x")),
        ("/b.json", str(tmp_path / "y")),
    ]
    assert (data["validation"], data["validation_boxes"]) == (None, None)


def test_validation_data_is_measured_on_labelled_boxes_unless_others_are_given(capsys):
    given = ["--recipe", "base-t-256", "--validation", "/v.json", "/v"]
    data = printed(capsys, *given)["data"]
    assert (data["validation"]["annotations"], data["validation"]["images"]) == ("/v.json", "/v")
    assert data["validation_boxes"] is None
    assert len(data["train"]) == 16  # the official ones
    data = printed(capsys, *given, "--validation-boxes", "/boxes.json")["data"]
    assert data["validation_boxes"] == "/boxes.json"


def test_the_root_of_the_official_data():
    data = DataChoice(root="/sets").apply(recipe("base-t-256").data)
    assert data.root == "/sets"
    assert data.train == recipe("base-t-256").data.train
    assert data.validation_boxes == recipe("base-t-256").data.validation_boxes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "s1-l-t-265", "--print"], "did you mean s1-l-t-256"),
        (["--recipe", "s1-l-t-256", "--set", "epoch=3"], "did you mean epochs"),
        (["--recipe", "s1-l-t-256", "--set", "epochs=no"], "epochs must be int, not 'no'"),
        (["--set", "epochs=3"], "say what to train: --recipe NAME"),
        (["--resume"], "say what to train"),
        (["--recipe", "s1-l-t-256", "--settings", "x.json"], "say what to train"),
    ],
)
def test_wrong_choices_say_what_is_right(capsys, arguments, message):
    assert message in failing(capsys, 2, *arguments)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting property name"),
        ("[1]", "a JSON object is needed"),
        ("\x00", "Expecting value"),
        ('{"name": "a", "size": "q"}', "size must be one of t, s, m, l, x"),
    ],
)
def test_a_file_that_holds_no_settings_is_named(tmp_path, capsys, text, message):
    path = tmp_path / "s.json"
    path.write_text(text)
    error = failing(capsys, 2, "--settings", path, "--print")
    assert message in error
    assert str(path) in error


def test_a_settings_file_that_is_not_there(tmp_path, capsys):
    assert "no such file" in failing(capsys, 1, "--settings", tmp_path / "s.json")


def test_missing_packages_are_named_before_anything_starts(monkeypatch, capsys):
    def find_spec(name):
        return None if name == "pycocotools" else object()

    monkeypatch.setattr(run_command, "find_spec", find_spec)
    error = failing(capsys, 3, "--recipe", "base-t-256")
    assert "training needs pycocotools" in error
    assert 'pip install "dwpose-infer[train]"' in error


def test_neither_or_both_sources_of_settings_are_refused(tmp_path):
    with pytest.raises(InvalidArgumentError, match="say what to train"):
        choose_settings()


def test_a_summary_file_of_another_kind(tmp_path):
    path = tmp_path / "r.json"
    path.write_text('{"step": 3}')
    with pytest.raises(FormatError, match="does not tell how a run ended"):
        read_summary(path)


def test_a_run_its_report_and_going_on(tmp_path, settings_file, capsys):
    """Stopped at step 1 of 4, gone on with from the folder alone."""
    train_packages()
    out, report = tmp_path / "run", tmp_path / "report.json"
    first = ["--settings", settings_file, "--out", out, "--max-steps", 1, "--report", report]
    assert main([str(each) for each in first]) == 0
    captured = capsys.readouterr()
    checkpoint = out / "checkpoints/step_00000001.pth"
    assert captured.out.strip() == str(checkpoint)
    summary = read_summary(report)
    assert (summary.step, summary.finished, summary.stopped_by) == (1, False, "max_steps")
    assert summary.checkpoint == checkpoint
    assert summary.samples_per_s > 0
    (hint,) = (line for line in captured.err.splitlines() if "to go on: " in line)
    assert hint.endswith(f"--report {report} --resume")
    assert "--max-steps" not in hint
    assert "go on with it" in failing(capsys, 2, "--settings", settings_file, "--out", out)
    assert main(["--out", str(out), "--resume", "--report", str(report)]) == 0
    assert capsys.readouterr().out.strip() == str(out / "best.pth")
    summary = read_summary(report)
    assert (summary.step, summary.epochs, summary.finished) == (4, 2, True)
    assert summary.best == out / "best.pth"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_a_run_that_goes_on(
    tmp_path, settings_file, monkeypatch, capsys, number, status
):
    train_packages()
    from dwpose_infer.models.training.pose.run import PoseLearner

    whole_step = PoseLearner.training_step

    def step(*given, **keywords):
        os.kill(os.getpid(), number)
        return whole_step(*given, **keywords)

    monkeypatch.setattr(PoseLearner, "training_step", step)
    out = tmp_path / "run"
    assert main(["--settings", str(settings_file), "--out", str(out)]) == status
    error = capsys.readouterr().err
    assert f"stopped by {number.name} after step 1 of 4" in error
    assert f"to go on: dwpose-train run --settings {settings_file} --out {out} --resume" in error
    assert (out / "checkpoints/step_00000001.pth").exists()


def test_the_hint_under_torchrun(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "16")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    hint = resume_command(["run", "--recipe", "s1-l-t-256", "--max-steps=5"])
    assert hint == (
        "torchrun --nproc-per-node 8 -m dwpose_infer.models.training.cli run --recipe s1-l-t-256 "
        "--resume"
    )


def test_a_device_that_is_not_there(settings_file, tmp_path, capsys):
    train_packages()
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    arguments = ["--settings", settings_file, "--out", tmp_path / "run", "--device", "cuda"]
    assert "sees no NVIDIA GPU" in failing(capsys, 3, *arguments)


def test_weights_that_are_not_there_say_where_they_are(own_data, tmp_path, capsys):
    train_packages()
    labels = [str(own_data / "labels.json"), str(own_data)]
    error = failing(capsys, 4, "--recipe", "base-t-256", "--data", *labels, "--out", tmp_path / "r")
    assert "download https://download.openmmlab.com/" in error


def test_data_that_are_not_there(tmp_path, capsys):
    train_packages()
    error = failing(capsys, 1, "--recipe", "base-t-256", "--data-root", tmp_path, "--out", tmp_path)
    assert "coco_wholebody_train_v1.0.json" in error


def test_transfer_of_a_run(tmp_path, own_data, capsys):
    """From a folder: the best weights where there are some, else the newest checkpoint."""
    train_packages()
    import torch

    from dwpose_infer.models.checkpoints import load_model
    from dwpose_infer.models.dwpose import DWPose, DWPoseArchitecture

    torch.manual_seed(1)
    teacher = tmp_path / "teacher.pth"
    torch.save(DWPose(DWPoseArchitecture("t", 64, 64)).state_dict(), teacher)
    distill = {"stage": 1, "teacher_size": "t", "teacher_checkpoint": str(teacher)}
    settings = tmp_path / "s.json"
    settings.write_text(json.dumps(small_settings(own_data, epochs=1, distill=distill)))
    run, out = tmp_path / "run", tmp_path / "model.pth"
    assert main(["--settings", str(settings), "--out", str(run)]) == 0
    capsys.readouterr()
    assert main(["transfer", str(run), "--stage", "1", "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == str(out)
    assert f"{run / 'best.pth'}: dwpose-t-64x64" in captured.err
    assert load_model(out).architecture == DWPoseArchitecture("t", 64, 64)
    (run / "best.pth").unlink()
    assert main(["transfer", str(run), "--stage", "1", "--out", str(out)]) == 0
    assert "step_00000002.pth: dwpose-t-64x64" in capsys.readouterr().err
    assert "written by stage 1" in failing(capsys, 4, "transfer", run, "--stage", 2, "--out", out)
    shutil.rmtree(run / "checkpoints")
    assert "holds no run" in failing(capsys, 4, "transfer", run, "--stage", 1, "--out", out)


def test_distill_starts_its_processes_itself(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "0")
    error = failing(capsys, 2, "distill", "--teacher", "a", "--size", "t", "--out", "b")
    assert "leave torchrun away" in error


def test_distill_without_its_teacher(tmp_path, capsys):
    train_packages()
    missing = tmp_path / "l.pth"
    out = tmp_path / "out"
    assert str(missing) in failing(
        capsys, 4, "distill", "--teacher", missing, "--size", "t", "--out", out
    )
    assert not out.exists()


def test_distill_prints_both_stages(tmp_path, capsys):
    train_packages()
    import torch

    from dwpose_infer.models.dwpose import DWPose, DWPoseArchitecture

    teacher = tmp_path / "teacher.pth"
    torch.save(DWPose(DWPoseArchitecture("s", 96, 64)).state_dict(), teacher)
    stages = printed(
        capsys, "distill", "--teacher", teacher, "--size", "t", "--out", tmp_path / "o"
    )
    first, second = stages["stage1"], stages["stage2"]
    assert first["distill"]["teacher_size"] == "s"
    assert (first["size"], first["input_height"], first["input_width"]) == ("t", 96, 64)
    assert first["codec"]["sigma_xy"] == [2.83, 3.46]  # square roots of 64 / 8 and 96 / 8
    assert second["distill"]["teacher_checkpoint"] == str(tmp_path / "o/stage1/model.pth")
    assert (first["epochs"], second["epochs"]) == (270, 60)
    from_plain(first)
    assert not (tmp_path / "o").exists()
