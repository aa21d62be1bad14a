from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import weakref
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

import tolerances
from dwpose_infer import Predictor, formats, picture_groups
from dwpose_infer.backends.tensorrt.system import find_driver
from dwpose_infer.cli import run as cli_run
from dwpose_infer.cli.infer import main
from dwpose_infer.cli.run_files import JOURNAL_NAME
from dwpose_infer.zoo import DEFAULT_DETECTOR


@pytest.fixture
def folder(tmp_path, astronaut, monkeypatch):
    """A working folder with one.jpg, deep/two.jpg and a grey picture without anybody."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in/deep").mkdir(parents=True)
    shutil.copy(astronaut, tmp_path / "in/one.jpg")
    shutil.copy(astronaut, tmp_path / "in/deep/two.jpg")
    cv2.imwrite(str(tmp_path / "in/nobody.png"), np.full((60, 80, 3), 114, np.uint8))
    return tmp_path


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_one_picture_with_the_defaults(folder, capsys):
    assert main(["in/one.jpg"]) == 0
    assert files(folder / "dwpose-out") == ["one.json", "one_overlay.jpg"]
    (result,) = formats.load(folder / "dwpose-out/one.json")
    assert result.source == "in/one.jpg"
    assert result.image_size == (512, 512)
    assert cv2.imread(str(folder / "dwpose-out/one_overlay.jpg")).shape == (512, 512, 3)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("1 picture, ")
    assert captured.err.rstrip().endswith("results in dwpose-out")


@pytest.mark.slow
def test_the_closing_line_says_where_nobody_was_found_and_what_helps(folder, capsys):
    assert main(["in/one.jpg", "in/nobody.png"]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == (
        "nobody found on 1 of 2 pictures. If there is somebody: "
        "--score-threshold 0.2 (default 0.3) takes less sure ones; "
        "--whole-image takes the whole picture where nobody is found; "
        "--det yolox-nano or larger (yolox-m, yolox-l) finds more, by download"
    )
    assert main(["in/one.jpg"]) == 0
    assert "nobody" not in capsys.readouterr().err
    assert main(["in/nobody.png", "--quiet", "--out", "q"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_the_flip_test_is_that_of_the_predictor(folder):
    pytest.importorskip("onnx")
    assert main(["in/one.jpg", "--flip-test", "--out", "flip", "--draw", "none"]) == 0
    assert main(["in/one.jpg", "--out", "plain", "--draw", "none"]) == 0
    (flipped,), (plain,) = (formats.load(f"{name}/one.json") for name in ("flip", "plain"))
    with Predictor(flip_test=True) as predictor:
        np.testing.assert_allclose(
            flipped.keypoints, predictor("in/one.jpg").keypoints, atol=tolerances.KEYPOINT_PX
        )
    assert not np.array_equal(flipped.keypoints, plain.keypoints)


@pytest.mark.slow
def test_what_was_given_is_not_advised(folder, capsys):
    detector = ["--det", DEFAULT_DETECTOR, "--score-threshold", "0.9"]
    assert main(["in/nobody.png", *detector]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == (
        "nobody found on 1 of 1 picture. If there is somebody: "
        "--whole-image takes the whole picture where nobody is found"
    )
    assert main(["in/nobody.png", "--whole-image"]) == 0
    assert "nobody found" not in capsys.readouterr().err  # the whole picture counts as one person


def test_folder_keeps_its_tree_and_nobody_is_fine(folder):
    assert main(["in", "--out", "res", "--draw", "none", "--quiet"]) == 0
    assert files(folder / "res") == ["deep/two.json", "nobody.json", "one.json"]
    assert len(formats.load(folder / "res/nobody.json")[0]) == 0


def test_every_format_and_drawing(folder):
    arguments = ["in", "--format", "json,openpose", "--format", "npz,csv", "--draw"]
    assert main([*arguments, "overlay,openpose"]) == 0
    names = [
        "{}.json",
        "{}.npz",
        "{}_keypoints.json",
        "{}_openpose.png",
        "{}_overlay.jpg",
    ]
    expected = [name.format(stem) for stem in ("deep/two", "nobody", "one") for name in names]
    assert files(folder / "dwpose-out") == sorted([*expected, "poses.csv", JOURNAL_NAME])
    openpose = json.loads((folder / "dwpose-out/one_keypoints.json").read_text())
    assert openpose["version"] == 1.3
    (plain,), (packed,) = (formats.load(folder / f"dwpose-out/one.{e}") for e in ("json", "npz"))
    np.testing.assert_array_equal(plain.keypoints, packed.keypoints)


@pytest.mark.slow
def test_coco_results(folder, astronaut):
    shutil.copy(astronaut, folder / "000000000785.jpg")
    picture = "000000000785.jpg"
    assert main([picture, "--format", "coco", "--draw", "none", "--score-threshold", "0.1"]) == 0
    results = json.loads((folder / "dwpose-out/results_coco.json").read_text())
    assert {person["image_id"] for person in results} == {785}
    annotations = folder / "annotations.json"
    annotations.write_text(json.dumps({"images": [{"file_name": "one.jpg", "id": 12}]}))
    arguments = ["--format", "coco", "--annotations", str(annotations), "--draw", "none"]
    assert main(["in/one.jpg", *arguments, "--score-threshold", "0.1"]) == 0
    results = json.loads((folder / "dwpose-out/results_coco.json").read_text())
    assert {person["image_id"] for person in results} == {12}


def test_coco_without_numbers_gives_places_and_names(folder, caplog):
    assert main(["in", "--format", "coco", "--draw", "none"]) == 0
    results = json.loads((folder / "dwpose-out/results_coco.json").read_text())
    assert {(each["image_id"], each["file_name"]) for each in results} == {
        (1, "two.jpg"),
        (3, "one.jpg"),
    }
    assert "image ids in results_coco.json are the pictures' places in the run" in caplog.text


def test_a_large_picture_is_gone_before_the_next_one_is_read(folder, monkeypatch):
    monkeypatch.setattr(picture_groups, "GROUP_PIXELS", 1000)
    alive, read = [], cli_run._read

    def read_alone(picture, **options):
        assert not any(reference() is not None for reference in alive)
        found = read(picture, **options)
        alive.append(weakref.ref(found.image_bgr))
        return found

    monkeypatch.setattr(cli_run, "_read", read_alone)
    assert main(["in", "--format", "csv"]) == 0
    assert len(alive) == 3


def test_json_on_standard_output(folder, capsys):
    assert main(["in/one.jpg", "in/nobody.png", "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    one, nobody = map(json.loads, lines)
    assert one["source"] == "in/one.jpg"
    assert len(one["persons"]) >= 1
    assert nobody["persons"] == []
    assert not (folder / "dwpose-out").exists()


def test_standard_input(folder, capsys, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO((folder / "in/one.jpg").read_bytes()))
    monkeypatch.setattr(sys, "stdin", stream)
    assert main(["-", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["source"] == "-"


@pytest.mark.slow
def test_one_bad_file_among_many(folder, capsys):
    (folder / "in/bad.jpg").write_bytes((folder / "in/one.jpg").read_bytes()[:5000])
    assert main(["in", "missing.jpg", "--draw", "none"]) == 1
    captured = capsys.readouterr().err
    assert "in/bad.jpg is damaged or cut off" in captured
    assert "missing.jpg: no such file" in captured
    assert "3 pictures" in captured
    assert "2 failed" in captured
    assert files(folder / "dwpose-out") == ["deep/two.json", "nobody.json", "one.json"]


@pytest.mark.slow
def test_skip_existing(folder, capsys):
    assert main(["in/one.jpg", "--draw", "none"]) == 0
    written = (folder / "dwpose-out/one.json").stat().st_mtime_ns
    assert main(["in", "--draw", "none", "--skip-existing"]) == 0
    assert (folder / "dwpose-out/one.json").stat().st_mtime_ns == written
    assert "1 skipped" in capsys.readouterr().err


@pytest.mark.slow
def test_a_second_run_does_not_take_the_drawings_for_pictures(folder):
    for _ in range(2):
        assert main([".", "--out", "out", "--quiet"]) == 0
    assert len(files(folder / "out")) == 6


def test_inputs_are_never_overwritten(folder, capsys):
    shutil.copy(folder / "in/one.jpg", folder / "in/one_overlay.jpg")
    before = (folder / "in/one_overlay.jpg").read_bytes()
    assert main(["in", "--out", "in"]) == 1  # every picture lies in the folder of the results
    assert main(["in/one.jpg", "in/one_overlay.jpg", "--out", "in"]) == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert (folder / "in/one_overlay.jpg").read_bytes() == before


def test_two_results_of_one_name(folder, capsys):
    shutil.copy(folder / "in/one.jpg", folder / "one.jpg")
    assert main(["one.jpg", "in/one.jpg"]) == 2
    assert "would both be written as one.*" in capsys.readouterr().err
    assert not (folder / "dwpose-out").exists()


@pytest.mark.slow
def test_two_endings_of_one_name(folder, capsys):
    (folder / "in/one.png").write_bytes((folder / "in/nobody.png").read_bytes())
    assert main(["in/one.jpg", "in/one.png", "--out", "res"]) == 0
    assert {"one.jpg.json", "one.png.json", "one.jpg_overlay.jpg"} <= set(files(folder / "res"))
    said = "2 pictures with results of one name: these keep the picture's ending"
    assert said in capsys.readouterr().err
    assert main(["in/one.jpg", "--out", "res"]) == 0
    assert said not in capsys.readouterr().err


@pytest.mark.slow
def test_parts_and_threshold_act_on_data_and_drawing(folder):
    common = ["in/one.jpg", "--quiet", "--whole-image", "--draw", "openpose"]
    assert main([*common, "--out", "all"]) == 0
    assert main([*common, "--out", "face", "--parts", "face"]) == 0
    assert main([*common, "--out", "strict", "--keypoint-threshold", "99"]) == 0
    (everything,) = formats.load(folder / "all/one.json")
    (face,) = formats.load(folder / "face/one.json")
    (strict,) = formats.load(folder / "strict/one.json")
    assert np.isfinite(everything.keypoints).all()
    assert np.isfinite(face.keypoints[:, 23:91]).all()
    assert np.isnan(face.keypoints[:, :23]).all()
    assert np.isnan(strict.keypoints).all()
    drawn = {name: cv2.imread(str(folder / name / "one_openpose.png")) for name in ("all", "face")}
    assert 0 < (drawn["face"] > 0).sum() < (drawn["all"] > 0).sum()
    assert cv2.imread(str(folder / "strict/one_openpose.png")).max() == 0


@pytest.mark.slow
def test_drawing_size(folder):
    assert main(["in/one.jpg", "--draw", "openpose", "--canvas-size", "256", "--out", "a"]) == 0
    assert cv2.imread("a/one_openpose.png").shape == (256, 256, 3)
    assert main(["in/one.jpg", "--draw", "openpose", "--canvas-size", "320x200", "--out", "b"]) == 0
    assert cv2.imread("b/one_openpose.png").shape == (200, 320, 3)
    canvas = ["--draw", "openpose", "--format", "openpose", "--canvas-size", "1000x300"]
    assert main(["in/one.jpg", *canvas, "--canvas-multiple", "64", "--out", "c"]) == 0
    drawn = cv2.imread("c/one_openpose.png")
    assert drawn.shape == (320, 1024, 3)
    written = json.loads(Path("c/one_keypoints.json").read_text())
    assert (written["canvas_width"], written["canvas_height"]) == (1024, 320)
    (result,) = formats.load("c/one_keypoints.json")
    points = result.keypoints[0][result.scores[0] > 0.5]
    # The picture is a square of 320 pixels, in the middle.
    assert (points[:, 0] >= 352 - 20).all() and (points[:, 0] <= 672 + 20).all()
    columns = np.flatnonzero(drawn.any(axis=(0, 2)))
    assert 332 < columns.min() < columns.max() < 692


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["in/one.jpg", "--pose", "dwpose-mm"], 4, "dwpose-m"),
        (["in/one.jpg", "--pose", "in/nobody.png"], 4, "not a usable ONNX model"),
        (["in/one.jpg", "--det", "yolox-l", "--offline"], 4, "dwpose-models download yolox-l"),
        (["in/one.jpg", "--device", "cuda"], 3, "dwpose-infer[gpu]"),
        (["in/one.jpg", "--backend", "trt", "--device", "cpu"], 2, "device='cuda'"),
        (["in/one.jpg", "--precision", "fp16"], 2, "use backend='trt'"),
        (["in/one.jpg", "--backend", "openvino", "--provider-option", "a=b"], 2, "backend='ort'"),
        (["in/one.jpg", "--backend", "openvino", "--device", "cuda"], 2, "device='cpu'"),
        (["in/one.jpg", "--precision", "bf16"], 2, "backend='openvino'"),
        (["in/one.jpg", "--device", "tpu"], 2, "the devices are"),
        (["in/one.jpg", "--max-pixels", "1000"], 1, "max_pixels"),
        (["missing.jpg"], 1, "no such file"),
        (["*.gif"], 1, "no file matches"),
    ],
)
def test_failures(folder, capsys, arguments, status, message):
    assert main(arguments) == status
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert not (folder / "dwpose-out").exists() or not files(folder / "dwpose-out")


@pytest.mark.skipif(find_driver() is not None, reason="there is an NVIDIA driver")
@pytest.mark.parametrize("models", [[], ["--pose", "dwpose-l-384"]])
def test_tensorrt_without_a_gpu_names_what_is_missing_before_any_download(folder, capsys, models):
    assert main(["in/one.jpg", "--backend", "trt", *models]) == 3
    message = capsys.readouterr().err
    assert "(1) no NVIDIA driver" in message
    if find_spec("tensorrt") is None and find_spec("tensorrt_rtx") is None:
        assert 'TensorRT is not installed: pip install "dwpose-infer[trt]"' in message
    assert not files(folder / "dwpose-out")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["in/one.jpg", "--format", "xml"],
        ["in/one.jpg", "--draw", "stick"],
        ["in/one.jpg", "--threads", "0"],
        ["in/one.jpg", "--score-threshold", "2"],
        ["in/one.jpg", "--canvas-size", "big"],
        ["in/one.jpg", "--parts", "tail"],
        ["in/one.jpg", "--provider-option", "gpu_mem_limit"],
        ["in/one.jpg", "--precision", "int8"],
        ["in/one.jpg", "--no-such-option"],
    ],
)
def test_wrong_usage(folder, capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "dwpose-infer: error:" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_output_folder(folder, capsys):
    locked = folder / "locked"
    locked.mkdir(mode=0o555)
    assert main(["in/one.jpg", "--out", "locked/res"]) == 1
    assert "no permission" in capsys.readouterr().err


def test_output_folder_that_is_a_file(folder, capsys):
    Path("taken").touch()
    assert main(["in/one.jpg", "--out", "taken"]) == 1
    assert "is a file, not a folder" in capsys.readouterr().err


def test_interruption_leaves_whole_files_and_a_hint(folder, capsys, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_run, "_deliver", stop)
    assert main(["in"]) == 130
    captured = capsys.readouterr().err
    assert "3 pictures are left; run it again with --skip-existing" in captured


def test_help_and_version(capsys):
    for option in ("--help", "--version"):
        with pytest.raises(SystemExit) as stop:
            main([option])
        assert stop.value.code == 0
    assert "examples:" in capsys.readouterr().out


@pytest.mark.slow
def test_environment(capsys):
    assert main(["--env"]) == 0
    text = capsys.readouterr().out
    assert "--backend ort --device cpu: usable" in text
    assert "opencv-python-headless" in text
    for component in ("NVIDIA driver", "GPUs", "CUDA", "cuDNN", "TensorRT", "CUDA bindings"):
        assert f"\n{component} " in text
    assert main(["--env", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["backends"][0]["usable"] is True


def test_installed_command(folder):
    done = subprocess.run(
        [str(Path(sys.executable).with_name("dwpose-infer")), "in/nobody.png", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["persons"] == []
