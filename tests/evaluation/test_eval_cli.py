"""`dwpose-eval` from the command line, with results and with the bundled models."""

from __future__ import annotations

import csv
import json
import shutil

import cv2
import numpy as np
import pytest

pytest.importorskip("pycocotools")
pytest.importorskip("onnxruntime")

from eval_samples import as_predictions, image, label, labelled_persons, save_labels

import tolerances
from dwpose_infer import Predictor, picture_groups
from dwpose_infer.annotations import read_annotations
from dwpose_infer.evaluation import prediction
from dwpose_infer.evaluation.cli import main
from dwpose_infer.evaluation.document import EvaluationDocument
from dwpose_infer.evaluation.predictions import rank
from dwpose_infer.evaluation.results_file import read_results, write_results
from dwpose_infer.files.document import read_document
from dwpose_infer.zoo import DEFAULT_POSE, get_spec


@pytest.fixture(scope="module")
def poses(tmp_path_factory):
    """Three pictures whose labels are what the bundled models find in them, made once."""
    from pathlib import Path

    folder = tmp_path_factory.mktemp("poses")
    photos = Path(__file__).resolve().parent.parent / "photos"
    images, annotations = [], []
    with Predictor(threads=1) as predictor:
        for number, name in ((1, "astronaut.jpg"), (2, "grace_hopper.jpg"), (3, "camera.jpg")):
            shutil.copy(photos / name, folder / name)
            picture = cv2.imread(str(folder / name))
            height, width = picture.shape[:2]
            images.append(image(number, name, width=width, height=height, source=f"set-{number}"))
            box = (0.1 * width, 0.1 * height, 0.7 * width, 0.7 * height)
            found = predictor(picture, boxes=[[box[0], box[1], box[0] + box[2], box[1] + box[3]]])
            points = np.full((133, 3), 2.0)
            points[:, :2] = found.keypoints[0]
            annotations.append(label(10 + number, number, points, box, label="auto"))
    return folder, save_labels(folder, images, annotations)


def run(poses, out, *options):
    folder, labels = poses
    arguments = ["--annotations", labels, "--images", folder, "--out", out, "--threads", 1]
    return main([str(each) for each in (*arguments, "--quiet", *options)])


@pytest.mark.parametrize("name", ["A_small", "A_medium"])
def test_metrics_of_results_are_those_of_mmpose(reference, tmp_path, capsys, name):
    golden = json.loads((reference / "eval/golden.json").read_text())[name]
    labels, out = reference / "eval/gt_A.json", tmp_path / "metrics.json"
    ranked = tmp_path / "ranked.json"
    write_results(ranked, rank(read_results(reference / f"eval/raw_{name}.json")))
    for results in (reference / f"eval/raw_{name}.json", ranked):
        arguments = ["--annotations", labels, "--results", results, "--out", out]
        assert main([str(each) for each in arguments]) == 0
        plain = json.loads(out.read_text())
        assert plain["schema_version"] == 1
        for part, figures in golden["parts"].items():
            assert plain["parts"][part] == pytest.approx(figures, abs=tolerances.AP)
        table = capsys.readouterr().out
        assert f"| wholebody | {golden['parts']['wholebody']['AP']:.3f} |" in table
    assert read_document(out, EvaluationDocument).ranked_persons == golden["n_after_unique_and_nms"]
    assert str(reference) not in out.read_text()


def test_empty_results_are_zeros(tmp_path, rng):
    labels, results = labelled_persons(tmp_path, rng), tmp_path / "results.json"
    results.write_text("[]")
    out = tmp_path / "metrics.json"
    arguments = ["--annotations", labels, "--results", results, "--out", out, "--quiet"]
    assert main([str(each) for each in arguments]) == 0
    document = read_document(out, EvaluationDocument)
    assert document.parts["wholebody"].ap == 0.0 and document.groups[0].parts["all"].pck == 0.0
    assert document.labels.persons == 6 and document.predicted_persons == 0


def test_results_of_other_pictures_are_an_error(tmp_path, rng, capsys):
    path = labelled_persons(tmp_path, rng)
    found = rank(as_predictions(read_annotations(path, dtype="float64"), rng))
    found.image_ids[0] = 77
    results = write_results(tmp_path / "results.json", found)
    arguments = ["--annotations", path, "--results", results, "--out", tmp_path / "out.json"]
    assert main([str(each) for each in arguments]) == 2
    assert "labels.json has no image with the id 77" in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


def test_frame_step_leaves_out_results_too(tmp_path, rng):
    path = labelled_persons(tmp_path, rng)
    found = rank(as_predictions(read_annotations(path, dtype="float64"), rng))
    results, out = write_results(tmp_path / "results.json", found), tmp_path / "out.json"
    arguments = ["--annotations", path, "--results", results, "--out", out, "--frame-step", 5]
    assert main([*map(str, arguments), "--quiet"]) == 0
    document = read_document(out, EvaluationDocument)
    assert (document.labels.pictures, document.labels.persons) == (1, 3)
    assert document.ranked_persons == 3
    assert document.parts["wholebody"].ap == pytest.approx(1.0)


def test_what_made_the_labels_is_perfect(poses, tmp_path):
    """Persons predicted on labelled boxes, which are in the pictures, are the labels again."""
    out = tmp_path / "metrics.json"
    assert run(poses, out, "--save-results", tmp_path / "results.json") == 0
    document = read_document(out, EvaluationDocument)
    assert document.parts["wholebody"].ap == pytest.approx(1.0)
    (everyone, auto, *others) = document.groups
    sources = [group for group in others if group.by == "source"]
    assert (everyone.persons, everyone.found) == (3, 3)
    assert everyone.parts["all"].pck == 1.0
    assert everyone.parts["all"].mean_error_px == pytest.approx(0, abs=tolerances.KEYPOINT_PX)
    assert (auto.by, auto.name) == ("label", "auto") and len(sources) == 3
    assert document.prediction.pose.name == DEFAULT_POSE
    assert len(document.prediction.pose.sha256) == 64
    assert list(tmp_path.glob("*.partial.jsonl")) == []
    again = tmp_path / "again.json"
    arguments = ["--annotations", poses[1], "--results", tmp_path / "results.json", "--out", again]
    assert main([*map(str, arguments), "--quiet"]) == 0
    assert read_document(again, EvaluationDocument).parts == document.parts


def test_an_interrupted_run_goes_on(poses, tmp_path, monkeypatch, capsys):
    out = tmp_path / "metrics.json"
    complete, seen = prediction._persons, []

    def interrupted(task, found, **options):
        seen.append(task.image_id)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return complete(task, found, **options)

    monkeypatch.setattr(picture_groups, "GROUP_PICTURES", 1)
    monkeypatch.setattr(prediction, "_persons", interrupted)
    assert run(poses, out) == 130
    assert "give the same command again" in capsys.readouterr().err
    assert not out.exists()
    assert run(poses, out, "--boxes", "detector") == 2
    assert "other settings (boxes, detector" in capsys.readouterr().err
    assert run(poses, out) == 0
    assert seen == [1, 2, 2, 3]
    assert read_document(out, EvaluationDocument).parts["wholebody"].ap == pytest.approx(1.0)


def test_options_of_the_provider_reach_the_networks_and_the_document(poses, tmp_path, capsys):
    out = tmp_path / "metrics.json"
    assert run(poses, out, "--provider-option", "gpu_mem_limit=1") == 0
    document = read_document(out, EvaluationDocument)
    assert document.prediction.provider_options == {"gpu_mem_limit": "1"}
    assert "--provider-option gpu_mem_limit=1" in document.command
    assert run(poses, out, "--backend", "openvino", "--provider-option", "a=b") == 2
    assert "it is an option of backend='ort'" in capsys.readouterr().err


def test_restart_begins_anew(poses, tmp_path):
    out = tmp_path / "metrics.json"
    (tmp_path / "metrics.json.partial.jsonl").write_text("{}\n")
    assert run(poses, out) == 2
    assert run(poses, out, "--restart") == 0


@pytest.mark.slow
def test_persons_are_listed_and_drawn_worst_first(poses, tmp_path):
    folder, labels = poses
    document = json.loads(labels.read_text())
    worst = document["annotations"][1]
    worst["keypoints"] = [
        value + 90 * (place % 3 < 2) for place, value in enumerate(worst["keypoints"])
    ]
    changed = tmp_path / "labels.json"
    changed.write_text(json.dumps(document))
    options = ["--draw", tmp_path / "drawn", "--draw-count", 2]
    for name in ("persons.csv", "persons.json"):
        out = tmp_path / "metrics.json"
        assert run((folder, changed), out, "--per-person", tmp_path / name, *options) == 0
    rows = list(csv.DictReader((tmp_path / "persons.csv").read_text().splitlines()))
    assert [row["annotation_id"] for row in rows] == ["12", "11", "13"]
    assert float(rows[0]["body_mean_error_px"]) == pytest.approx(90 * 2**0.5, abs=0.01)
    assert float(rows[0]["body_pck"]) == 0.0 and float(rows[0]["face_pck"]) == 1.0
    persons = json.loads((tmp_path / "persons.json").read_text())["persons"]
    assert next(person["file_name"] for person in persons) == "grace_hopper.jpg"
    drawn = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert drawn == ["0.872_grace_hopper_12.png", "1.000_astronaut_11.png"]
    canvas = cv2.imread(str(tmp_path / "drawn" / drawn[0]))
    original = cv2.imread(str(folder / "grace_hopper.jpg"))
    assert canvas.shape == original.shape and (canvas != original).any()


def test_boxes_of_a_file_are_used_with_their_scores(poses, tmp_path):
    _folder, labels = poses
    annotations = json.loads(labels.read_text())["annotations"]
    boxes = [
        {"image_id": each["image_id"], "category_id": 1, "bbox": each["bbox"], "score": 0.5}
        for each in annotations[:2]
    ]
    path, out = tmp_path / "boxes.json", tmp_path / "metrics.json"
    path.write_text(json.dumps(boxes))
    assert run(poses, out, "--boxes", path, "--save-results", tmp_path / "results.json") == 0
    document = read_document(out, EvaluationDocument)
    assert document.prediction.boxes == "file"
    assert document.prediction.boxes_file.name == "boxes.json"
    assert (document.groups[0].found, document.groups[0].persons) == (2, 3)
    scores = read_results(tmp_path / "results.json")
    counted = scores.scores > 0.2
    means = np.where(counted, scores.scores, 0).sum(axis=1) / counted.sum(axis=1)
    np.testing.assert_allclose(scores.instance_scores, 0.5 * means, rtol=1e-6)


@pytest.mark.slow
def test_the_whole_pipeline_and_the_detector_alone(poses, tmp_path):
    out = tmp_path / "pipeline.json"
    assert run(poses, out, "--boxes", "detector") == 0
    document = read_document(out, EvaluationDocument)
    assert document.prediction.detector.name == "yolox-nano-person-bundled"
    own = get_spec("yolox-nano-person-bundled").with_points
    assert document.prediction.score_threshold == own.score_threshold
    assert document.prediction.person_threshold == own.person_threshold > 0
    assert document.predicted_persons >= 3
    assert run(poses, out, "--task", "detector") == 0
    document = read_document(out, EvaluationDocument)
    assert document.prediction.score_threshold == 0.01 and document.parts is None
    assert document.detector.detections > 3 and 0 <= document.detector.ap_50 <= 1


@pytest.mark.slow
def test_flip_test_and_portraits(poses, tmp_path):
    pytest.importorskip("onnx")
    out = tmp_path / "metrics.json"
    assert run(poses, out, "--flip-test", "--limit", 1) == 0
    document = read_document(out, EvaluationDocument)
    assert document.prediction.flip_test and document.prediction.pose.form == "simcc"
    assert document.labels.pictures == 1
    assert 0 < document.groups[0].parts["face"].mean_error_px < 20
    assert run(poses, out, "--cut", "portrait", "--limit", 1) == 0
    document = read_document(out, EvaluationDocument)
    assert document.prediction.cut == "portrait"
    assert document.groups[0].confident["labelled_outside"].points > 10


def test_missing_pictures_are_found_before_the_work(poses, tmp_path, capsys):
    _folder, labels = poses
    (tmp_path / "astronaut.jpg").touch()
    assert run((tmp_path, labels), tmp_path / "out.json") == 1
    message = capsys.readouterr().err
    assert "grace_hopper.jpg: there is no such picture, image 2 of labels.json" in message
    assert "2 of 3 pictures are missing" in message


def test_a_damaged_picture_is_named_with_its_id(poses, tmp_path, capsys):
    _folder, labels = poses
    for name in ("astronaut.jpg", "grace_hopper.jpg", "camera.jpg"):
        (tmp_path / name).write_bytes(b"no picture")
    assert run((tmp_path, labels), tmp_path / "out.json") == 1
    assert "(image id 1)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give either --results"),
        (["--results", "r.json", "--images", "d"], "give either --results"),
        (["--results", "r.json", "--flip-test"], "--flip-test cannot be used with --results"),
        (["--images", "d", "--task", "detector", "--draw", "x"], "--draw cannot be used with"),
        (["--images", "d", "--det", "yolox-l"], "--det needs --boxes detector"),
        (
            ["--images", "d", "--nms-threshold", "0.5", "--square-input"],
            "--nms-threshold, --square-input need --boxes detector or --task detector",
        ),
        (
            ["--results", "r.json", "--threads", "2", "--provider-option", "a=b", "--restart"],
            "--restart, --threads, --provider-option cannot be used with --results",
        ),
        (["--images", "d", "--pck-threshold", "0"], "must be above 0"),
        (["--images", "d", "--per-person", "x.txt"], "must end with .csv or .json"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, capsys, options, message):
    arguments = ["--annotations", "gt.json", "--out", str(tmp_path / "out.json"), *options]
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_help_teaches_without_heavy_modules(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "--results result_keypoints.json" in text and "exit status" in text
