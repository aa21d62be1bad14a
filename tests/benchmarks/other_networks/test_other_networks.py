"""The command, with a package in MediaPipe's place in an interpreter of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from dwpose_infer.benchmarks import cli
from dwpose_infer.benchmarks.machine import capture_environment
from dwpose_infer.benchmarks.other_networks import result
from dwpose_infer.benchmarks.other_networks.accuracy import labelled_pictures, pck_rows
from dwpose_infer.benchmarks.other_networks.messages import Person, Who
from dwpose_infer.errors import InputError
from dwpose_infer.evaluation.document import FileFacts
from dwpose_infer.files.document import read_document

FAKE = """
from types import SimpleNamespace
__version__ = "0.10.21"
class Pose:
    def __init__(self, **_): pass
    def process(self, image):
        print("a library prints")
        marks = [SimpleNamespace(x=0.5, y=0.25, visibility=1) for _ in range(33)]
        return SimpleNamespace(pose_landmarks=SimpleNamespace(landmark=marks))
    def reset(self): pass
solutions = SimpleNamespace(pose=SimpleNamespace(Pose=Pose))
"""


@pytest.fixture
def python(tmp_path):
    """An interpreter that has such a package."""
    (tmp_path / "site" / "mediapipe").mkdir(parents=True)
    (tmp_path / "site" / "mediapipe" / "__init__.py").write_text(FAKE)
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path}/site exec {sys.executable} "$@"\n')
    program.chmod(0o755)
    return program


def labels(folder, persons, *, label="people"):
    """A file of persons (image id, middle of the points, box), pictures of 100 x 100."""
    images = [{"id": i, "file_name": f"{i}.png", "width": 100, "height": 100} for i in (1, 2)]
    annotations = [
        {
            "id": number,
            "image_id": image_id,
            "category_id": 1,
            "iscrowd": 0,
            "bbox": box,
            "area": 1000.0,
            "keypoints": [number for point in spread(place) for number in (*point, 2)],
            "label": label,
        }
        for number, (image_id, place, box) in enumerate(persons, 1)
    ]
    path = folder / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    for each in images:
        (folder / each["file_name"]).write_bytes(b"")
    return path


def spread(place):
    """17 points on a diagonal of 16 pixels around a place."""
    return [(place[0] + step, place[1] + step) for step in range(-8, 9)]


def person(place, box=None):
    return Person([(*point, 0.9) for point in spread(place)], box)


def test_shares_of_points_hit(tmp_path):
    # Two persons in one picture, one in the other; boxes of 40: within 2 px is hit.
    persons = [(1, (20, 20), [0, 0, 40, 40]), (1, (80, 20), [60, 0, 40, 40])]
    persons += [(2, (50, 50), [30, 30, 40, 40])]
    labelled = labelled_pictures(labels(tmp_path, persons), tmp_path)
    assert [len(each.boxes_xyxy) for each in labelled.pictures] == [2, 1]
    assert labelled.pictures[1].boxes_xyxy == [[30, 30, 70, 70]]
    all_right = [
        Who([person((80, 20), (60, 0, 99, 40)), person((20, 20), (0, 0, 40, 40))],
            [person((20, 20)), person((80, 20))]),
        Who([person((51.9, 50), (30, 30, 70, 70))], [person((50, 52.1))]),
    ]  # fmt: skip
    one_each = [
        Who([person((20, 20))], [person((20, 20)), None]),
        Who([], [person((50, 50))]),
    ]
    found = {"dwpose_infer": all_right, "mediapipe pose full": one_each}
    boxed, own = pck_rows(labelled, found)
    assert (boxed.boxes, own.boxes) == ("labels", "own")
    assert (own.group, own.persons, own.points) == ("people", 3, 51)
    assert boxed.pck == {"dwpose_infer": 2 / 3, "mediapipe pose full": 2 / 3}
    # The persons found may come in another order; without a box that around the points counts.
    assert own.pck == {"dwpose_infer": 1, "mediapipe pose full": 1 / 3}


def test_labels_without_body_points(tmp_path):
    path = labels(tmp_path, [])
    with pytest.raises(InputError, match=r"labels\.json: nobody in it has body points"):
        labelled_pictures(path, tmp_path)


@pytest.mark.slow
def test_whole_run(python, tmp_path, astronaut, capsys):
    pytest.importorskip("av")
    annotations = labels(tmp_path, [(1, (50, 25), [10, 10, 80, 80])])
    (tmp_path / "1.png").write_bytes(Path(astronaut).read_bytes())
    path = tmp_path / "result.json"
    arguments = ["--peer-python", f"mediapipe={python}", "--peers", "mediapipe pose full"]
    arguments += ["--persons", "2", "--frames", "2", "--repeats", "1", "--threads", "1"]
    arguments += ["--annotations", str(annotations), "--images", str(tmp_path)]
    assert cli.main(["other-networks", *arguments, "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    document = read_document(path, result.OtherNetworksDocument)
    assert [(row.workload, row.count) for row in document.times] == [("picture", 1), ("clip", 2)]
    for row in document.times:
        ours, theirs = row.costs["dwpose_infer"], row.costs["mediapipe pose full"]
        assert (ours.persons, theirs.persons) == (2, 1)
        assert min(ours.ms, ours.cpu_ms, theirs.ms, theirs.cpu_ms) > 0
    boxed, own = document.accuracy
    assert (boxed.persons, own.points) == (1, 17)
    assert set(own.pck) == {"dwpose_infer", "mediapipe pose full"}
    assert ", finds 1.0 |" in printed

    assert cli.main(["other-networks", "--from", str(path)]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.slow
def test_a_peer_that_is_not_installed(tmp_path, capsys):
    (tmp_path / "mediapipe.py").write_text("raise ModuleNotFoundError('No module mediapipe')")
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    program.chmod(0o755)
    arguments = ["--peer-python", f"mediapipe={program}", "--persons", "1", "--frames", "1"]
    assert cli.main(["other-networks", *arguments]) == 1
    error = capsys.readouterr().err
    assert "measuring mediapipe pose full failed: No module mediapipe; install it there" in error


def document(**changes):
    def costs(ms, cpu_ms, persons):
        return result.Cost(ms=ms, cpu_ms=cpu_ms, persons=persons)

    both = {"dwpose_infer": costs(40, 20, 4), "mediapipe pose full": costs(30, 30, 1)}
    one = {"dwpose_infer": costs(40, 20, 1), "mediapipe pose full": costs(60, 30, 1)}
    made = {
        "environment": capture_environment(threads={}),
        "pose": "dwpose-s-bundled",
        "detector": "yolox",
        "random_weights": False,
        "ultralytics_weights": None,
        "picture_wh": (1280, 720),
        "threads": 2,
        "detect_every": 5,
        "repeats": 10,
        "blocks": 5,
        "versions": {
            "dwpose_infer": {"python": "3.11.7"},
            "mediapipe pose full": {"python": "3.11.7", "mediapipe": "0.10.21"},
        },
        "times": (
            result.TimeRow(workload="picture", count=1, persons_shown=4, costs=both),
            result.TimeRow(workload="folder", count=3, persons_shown=None, costs=one),
        ),
        "accuracy": (
            result.PckRow(
                labels=FileFacts(name="val.json", sha256="0" * 64),
                group="",
                boxes="own",
                persons=9,
                points=100,
                pck={"dwpose_infer": 0.665, "mediapipe pose full": 0.5},
            ),
        ),
    }
    return result.OtherNetworksDocument(**{**made, **changes})


def test_tables():
    said = result.readme_table(document())
    assert "| beside mediapipe pose full | 33 | 0.75 (1.50), finds 1.0 | 1.50 (1.50) |" in said
    assert "| dwpose-s-bundled: times as fast (as little CPU time) | points | picture, 4" in said
    assert "| val.json: all, own boxes | 9 | 66 % | 50 % |" in said
    assert "mediapipe 0.10.21; medians of 10 calls in 5 blocks by turns" in said
    assert " with yolo11n-pose.yaml (random weights); medians" in result.origin(
        document(ultralytics_weights="yolo11n-pose.yaml")
    )
    shares_alone = result.readme_table(document(times=()))
    assert "medians" not in shares_alone
    assert shares_alone.startswith("| body points within 5 % of the box")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"times": (), "accuracy": ()}, "both empty"),
        ({"versions": {"dwpose_infer": {}}}, "must name the same methods"),
    ],
)
def test_documents_that_contradict_themselves(changes, message):
    with pytest.raises(ValueError, match=message):
        document(**changes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nobody to measure beside"),
        (["--peer-python", "torch=PYTHON"], "must be mediapipe=PYTHON or ultralytics=PYTHON"),
        (["--peer-python", "mediapipe="], "must be mediapipe=PYTHON or ultralytics=PYTHON"),
        (["--peer-python", "mediapipe=no/python"], "there is no interpreter no/python"),
        (["--peer-python", "ultralytics=PYTHON"], "needs --ultralytics-weights FILE"),
        (
            ["--peer-python", "ultralytics=PYTHON", "--ultralytics-weights", "no.pt"],
            "no.pt: no such file",
        ),
        (
            ["--peer-python", "mediapipe=PYTHON", "--peers", "ultralytics"],
            "ultralytics needs --peer-python ultralytics=PYTHON",
        ),
        (["--peer-python", "mediapipe=PYTHON", "--annotations", "a.json"], "must be as many"),
        (["--peer-python", "mediapipe=PYTHON", "--persons"], "nothing to measure"),
        (["--repeats", "0"], "--repeats is 0"),
        (
            ["--random-weights", "dwpose-m", "--annotations", "a", "--images", "b"],
            "hits nothing",
        ),
        (["--peer-python", "mediapipe=README.md", "--persons", "1"], "cannot be started"),
    ],
)
def test_errors_say_what_to_do(arguments, message, capsys):
    given = [each.replace("PYTHON", sys.executable) for each in arguments]
    assert cli.main(["other-networks", *given]) in (1, 2)
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
