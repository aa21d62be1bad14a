from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dwpose_infer import PoseResult, Predictor
from dwpose_infer.benchmarks import person_choice, person_hits
from dwpose_infer.benchmarks import quick_accuracy as check
from dwpose_infer.errors import FormatError, InputError, InvalidArgumentError
from dwpose_infer.formats.coco import FIELD_OF_PART
from dwpose_infer.keypoints import BODY, PARTS

BOX = (90.0, 5.0, 430.0, 511.0)


def annotation(keypoints, image_id=1, box=BOX, **more):
    flat = np.concatenate([keypoints, np.full((133, 1), 2.0)], axis=1).astype(float)
    return {
        "image_id": image_id,
        "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
        "label": "auto",
        "iscrowd": 0,
        **{field: flat[PARTS[part]].ravel().tolist() for part, field in FIELD_OF_PART.items()},
        **more,
    }


def image(image_id=1, name="astronaut.jpg", source="photos"):
    return {"id": image_id, "file_name": name, "source": source}


@pytest.fixture(scope="module")
def keypoints(astronaut):
    """What the bundled network itself says of the person in the box."""
    with Predictor(detector=None) as predictor:
        return predictor(astronaut, boxes=[BOX]).keypoints[0]


@pytest.fixture
def write(tmp_path, astronaut):
    """Writes an annotation file beside a folder of pictures and returns the arguments for it."""
    folder = tmp_path / "images"
    folder.mkdir()
    shutil.copy(astronaut, folder)
    Image.new("RGB", (320, 240), (90, 90, 90)).save(folder / "nobody.png")

    def save(images, annotations):
        path = tmp_path / "labels.json"
        path.write_text(json.dumps({"images": images, "annotations": annotations}))
        return ["--annotations", str(path), "--images", str(folder)]

    return save


def run(arguments, tmp_path):
    path = tmp_path / "out.json"
    assert check.main([*arguments, "--json", str(path)]) == 0
    return json.loads(path.read_text())


def test_own_points_are_all_hit(write, keypoints, tmp_path, capsys):
    arguments = [*write([image()], [annotation(keypoints)]), "--ground-truth-boxes"]
    document = run([*arguments, "--draw", str(tmp_path / "drawn")], tmp_path)
    assert document["schema_version"] == check.SCHEMA_VERSION
    assert document["persons_compared"] == 1
    for part, span in PARTS.items():
        assert document["parts"][part] == {"labelled_points": span.stop - span.start, "hit": 1.0}
    for share in ("body_pck_mean", "persons_body_pck_80", "persons_body_median", "persons_found"):
        assert document[share] == 1.0
    (person,) = document["persons"]
    assert person["file_name"] == "astronaut.jpg"
    assert person["body_median_error"] == pytest.approx(0, abs=1e-6)
    assert person["iou"] == pytest.approx(1)
    (drawn,) = (tmp_path / "drawn").iterdir()
    assert drawn.name == "1.00_astronaut.png"
    with Image.open(drawn) as picture:
        assert picture.size == (512, 512)
    output = capsys.readouterr().out
    assert "| body | 17 | 100.0 % |" in output
    assert "below" not in output


def test_moved_body_is_missed_and_the_rest_is_not(write, keypoints, tmp_path, capsys):
    moved = keypoints.copy()
    moved[BODY] += [0.0, 0.06 * (BOX[3] - BOX[1])]
    arguments = [*write([image()], [annotation(moved)]), "--ground-truth-boxes"]
    document = run(arguments, tmp_path)
    assert document["parts"]["body"]["hit"] == document["body_pck_mean"] == 0
    assert document["parts"]["face"]["hit"] == 1
    assert document["persons_body_pck_80"] == document["persons_body_median"] == 0
    assert document["persons"][0]["body_median_error"] == pytest.approx(0.06, abs=1e-4)
    assert "| astronaut.jpg | 0 % | 1.00 |" in capsys.readouterr().out
    assert run([*arguments, "--tolerance", "0.07"], tmp_path)["persons_body_pck_80"] == 1


def test_nobody_found_misses_every_point(write, keypoints, tmp_path):
    labels = annotation(keypoints, box=(10, 10, 100, 200))
    document = run(
        [*write([image(name="nobody.png")], [labels]), "--draw", str(tmp_path)], tmp_path
    )
    assert [part["hit"] for part in document["parts"].values()] == [0.0] * len(PARTS)
    assert document["persons_found"] == document["body_pck_mean"] == 0
    assert document["persons"][0] == {
        "file_name": "nobody.png",
        "source": "photos",
        "iou": 0.0,
        "body_pck": 0.0,
        "body_median_error": None,
    }
    assert (tmp_path / "0.00_nobody.png").is_file()


def labelled_picture(**changes):
    picture = person_choice.LabelledPicture(
        file_name="a.jpg",
        source="photos",
        keypoints=np.zeros((133, 2)),
        labelled=np.ones(133, bool),
        box_xyxy=np.array([0.0, 0.0, 10.0, 20.0]),
    )
    return replace(picture, **changes)


def test_best_overlapping_person_counts(tmp_path):
    found = PoseResult(
        keypoints=np.stack([np.full((133, 2), 9.0), np.zeros((133, 2))]).astype(np.float32),
        scores=np.ones((2, 133), np.float32),
        boxes_xyxy=np.array([[8, 0, 18, 20], [0, 0, 10, 10]], np.float32),
        box_scores=np.array([0.9, 0.5], np.float32),
    )
    outcome = person_hits.evaluate(lambda *_, **__: found, labelled_picture(), tmp_path)
    assert outcome.iou == pytest.approx(0.5)
    assert outcome.pck(BODY, 0.05) == 1
    apart = labelled_picture(box_xyxy=np.array([100.0, 100.0, 110.0, 120.0]))
    outcome = person_hits.evaluate(lambda *_, **__: found, apart, tmp_path)
    assert (outcome.iou, len(outcome.result), outcome.pck(BODY, 0.05)) == (0, 0, 0)


def test_points_that_are_not_labelled_do_not_count(tmp_path):
    labelled = np.zeros(133, bool)
    labelled[:4] = True
    found = PoseResult(
        keypoints=np.full((1, 133, 2), [0.0, 0.0], np.float32),
        scores=np.ones((1, 133), np.float32),
        boxes_xyxy=np.array([[0, 0, 10, 20]], np.float32),
    )
    found.keypoints[0, 3] = 1, 1  # 0.07 heights away
    outcome = person_hits.evaluate(
        lambda *_, **__: found, labelled_picture(labelled=labelled), tmp_path
    )
    summary = person_hits.summarise([outcome])
    assert summary["parts"]["body"] == {"labelled_points": 4, "hit": 0.75}
    assert summary["parts"]["face"] == {"labelled_points": 0, "hit": None}
    assert summary["persons_body_pck_80"] == 0
    assert summary["persons_body_median"] == 1
    assert "| face | 0 | - |" in check.to_markdown(summary)


def test_only_single_persons_with_the_label_and_a_body_are_read(write, keypoints):
    no_body = {**annotation(keypoints, 4), "keypoints": [0.0] * 51}
    arguments = write(
        [image(number, f"{number}.jpg") for number in range(1, 7)],
        [
            annotation(keypoints, 1),
            annotation(keypoints, 2),
            annotation(keypoints, 2, label="other"),
            annotation(keypoints, 3, label="other"),
            no_body,
            annotation(keypoints, 5, iscrowd=1),
            annotation(keypoints, 6, foot_kpts=[]),
        ],
    )
    names = [picture.file_name for picture in person_choice.read_pictures(arguments[1])]
    assert names == ["1.jpg", "3.jpg", "6.jpg"]
    pictures = person_choice.read_pictures(arguments[1], label="auto")
    assert [picture.file_name for picture in pictures] == ["1.jpg", "6.jpg"]
    assert pictures[0].labelled.all()
    assert pictures[1].labelled.sum() == 127
    np.testing.assert_allclose(pictures[0].box_xyxy, BOX)
    with pytest.raises(InputError, match="exactly one person labelled 'nothing'"):
        person_choice.read_pictures(arguments[1], label="nothing")


def test_choice_takes_every_source_in_turn():
    sizes = {"many": 30, "few": 2, "some": 5}
    pictures = [
        labelled_picture(file_name=f"{source}{number}", source=source)
        for source, size in sizes.items()
        for number in range(size)
    ]
    chosen = person_choice.choose(pictures, count=9)
    assert [picture.source for picture in chosen] == [
        *("few", "many", "some") * 2,
        *("many", "some"),
        "many",
    ]
    names = [picture.file_name for picture in chosen]
    assert len(set(names)) == 9
    assert names == [picture.file_name for picture in person_choice.choose(pictures[::-1], count=9)]
    assert names != [
        picture.file_name for picture in person_choice.choose(pictures, count=9, seed=1)
    ]
    assert len(person_choice.choose(pictures, count=1000)) == 37
    with pytest.raises(InvalidArgumentError, match="at least 1"):
        person_choice.choose(pictures, count=0)


def test_choice_of_the_first_keeps_the_order_given():
    names = ["c", "a", "d", "b"]
    pictures = [labelled_picture(file_name=name, source=name) for name in names]
    for count, seed in ((1, 0), (3, 1), (9, 0)):
        chosen = person_choice.choose(iter(pictures), count=count, seed=seed, take="first")
        assert [picture.file_name for picture in chosen] == names[:count]
    with pytest.raises(InvalidArgumentError, match="at least 1"):
        person_choice.choose(pictures, count=0, take="first")
    with pytest.raises(InvalidArgumentError, match="take is 'last', must be one of spread, first"):
        person_choice.choose(pictures, count=1, take="last")


def test_take_first_goes_by_the_order_of_the_annotations(write, keypoints, tmp_path):
    numbers = (4, 2, 2, 3, 1)
    names = {1: "nobody.png", 2: "two.png", 3: "astronaut.jpg", 4: "crowd.png"}
    arguments = write(
        [image(number, name) for number, name in names.items()],
        [annotation(keypoints, number, iscrowd=int(number == 4)) for number in numbers],
    )
    arguments += ["--ground-truth-boxes", "--persons", "1"]
    document = run([*arguments, "--take", "first"], tmp_path)
    assert [person["file_name"] for person in document["persons"]] == ["astronaut.jpg"]
    assert (document["take"], document["seed"]) == ("first", None)
    spread = run(arguments, tmp_path)
    assert (spread["take"], spread["seed"]) == ("spread", 0)
    assert spread == run([*arguments, "--take", "spread"], tmp_path)
    document = run([*arguments, "--take", "first", "--persons", "9"], tmp_path)
    names = [person["file_name"] for person in document["persons"]]
    assert names == ["astronaut.jpg", "nobody.png"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "is an object"),
        ({"images": []}, "lists of objects"),
        ({"images": [], "annotations": [1]}, "lists of objects"),
        ({"images": [], "annotations": [{"image_id": 3}]}, "image 3: there is no such image"),
        ({"images": [image()], "annotations": [{"image_id": 1}]}, "bbox is not a list"),
        (
            {"images": [image()], "annotations": [{"image_id": 1, "bbox": [0, 0, 0, 5]}]},
            "bbox is no box",
        ),
        (
            {
                "images": [image()],
                "annotations": [{"image_id": 1, "bbox": [0, 0, 5, 5], "keypoints": [1, 2, 2]}],
            },
            "keypoints has a wrong length",
        ),
    ],
)
def test_damaged_annotation_files(tmp_path, document, message):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(document))
    with pytest.raises(FormatError, match=message):
        person_choice.read_pictures(path)


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        (["--annotations", "missing.json"], 1, "no such file"),
        (["--images", "nowhere"], 1, "no such file"),
        (["--label", "nothing"], 1, "no picture has exactly one person"),
        (["--persons", "0"], 2, "at least 1"),
        (["--tolerance", "-1"], 2, "above 0"),
        (["--pose", "no-such-model"], 4, "no-such-model"),
    ],
)
def test_errors_are_told_without_a_traceback(
    write, keypoints, tmp_path, monkeypatch, capsys, change, status, message
):
    monkeypatch.chdir(tmp_path)
    arguments = write([image()], [annotation(keypoints)])
    assert check.main([*arguments, "--ground-truth-boxes", *change]) == status
    error = capsys.readouterr().err
    assert "quick_accuracy: error:" in error
    assert message in error
