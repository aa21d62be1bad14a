"""What runs in the interpreters of other projects, with modules in their place."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from dwpose_infer.benchmarks.other_networks import program

LANDMARKS = 33
GREY = np.full((80, 50, 3), 90, np.uint8)


def task(method="mediapipe pose full", **changes):
    return {"method": method, "threads": 3, "clip": None, "people": [], "weights": None, **changes}


@pytest.fixture
def mediapipe(monkeypatch):
    """Its `solutions`: landmark i is at i percent of the width and half the height."""
    made = SimpleNamespace(given=[], seen=[], found=True, resets=0)

    class Solution:
        def __init__(self, **given):
            made.given.append(given)

        def process(self, image_rgb):
            made.seen.append(image_rgb)
            marks = [SimpleNamespace(x=i / 100, y=0.5, visibility=i) for i in range(LANDMARKS)]
            found = SimpleNamespace(landmark=marks) if made.found else None
            return SimpleNamespace(pose_landmarks=found)

        def reset(self):
            made.resets += 1

    made.solutions = SimpleNamespace(
        pose=SimpleNamespace(Pose=Solution), holistic=SimpleNamespace(Holistic=Solution)
    )
    monkeypatch.setitem(sys.modules, "mediapipe", made)
    return made


def test_landmarks_become_the_points_of_coco(mediapipe):
    image_bgr = GREY.copy()
    image_bgr[..., 0] = 7
    (person,) = program.MediaPipe(task()).in_picture(image_bgr)
    assert mediapipe.given == [{"static_image_mode": True, "model_complexity": 1}]
    assert mediapipe.seen[0][0, 0].tolist() == [90, 90, 7]
    # Nose, left eye, right eye, ears; shoulders, elbows, wrists; hips, knees, ankles.
    places = [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
    assert [point[2] for point in person["points"]] == places
    np.testing.assert_allclose([p[:2] for p in person["points"]], [(i / 2, 40) for i in places])
    assert person["box_xyxy"] is None


def test_nobody_and_a_clip(mediapipe):
    mediapipe.found = False
    pipeline = program.MediaPipe(task("mediapipe holistic heavy", clip="clip.mp4"))
    assert mediapipe.given == [{"static_image_mode": False, "model_complexity": 2}]
    assert pipeline.in_picture(GREY) == []
    assert pipeline.in_box(GREY, [0, 0, 10, 10]) is None
    pipeline.begin()
    assert mediapipe.resets == 1


def test_points_of_a_box_are_in_the_picture(mediapipe):
    # 20 x 40 around (30, 40): a quarter more is 25 x 50, from (17.5, 15).
    person = program.MediaPipe(task()).in_box(GREY, [20, 20, 40, 60])
    assert mediapipe.seen[0].shape == (51, 26, 3)
    assert person["points"][0][:2] == [17, 15 + 51 / 2]


def test_a_release_without_solutions_says_which_has_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "mediapipe", SimpleNamespace(__version__="0.10.30"))
    with pytest.raises(SystemExit, match=r"0\.10\.30 has no `solutions` any more.* 0\.10\.21"):
        program.MediaPipe(task())


@pytest.mark.parametrize("method", ["mediapipe pose full", "ultralytics"])
def test_a_missing_package_says_where_to_install_it(method, monkeypatch):
    for package in ("mediapipe", "torch"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SystemExit, match=rf"{sys.executable} -m pip install {method.split()[0]}"):
        program.prepare(task(method))


class Rows:
    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def tolist(self):
        return self.rows


@pytest.fixture
def ultralytics(monkeypatch):
    made = SimpleNamespace(boxes=[[1.0, 2.0, 3.0, 4.0]], numbers=3, calls=[], threads=[])

    class Yolo:
        def __init__(self, weights, task):
            made.calls.append((weights, task))

        def predict(self, source, *, device, verbose, stream=False):
            made.calls.append((device, verbose, stream))
            points = [[[5.0, 6.0, 0.5][: made.numbers]] * 17 for _ in made.boxes]
            result = SimpleNamespace(
                boxes=SimpleNamespace(xyxy=Rows(made.boxes)),
                keypoints=SimpleNamespace(data=Rows(points)),
            )
            return iter([result] * 2) if stream else [result]

    made.YOLO = Yolo
    monkeypatch.setitem(sys.modules, "ultralytics", made)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(set_num_threads=made.threads.append))
    monkeypatch.delenv("YOLO_AUTOINSTALL", raising=False)
    return made


def test_ultralytics(ultralytics):
    pipeline = program.Ultralytics(task("ultralytics", weights="yolo11n-pose.pt"))
    assert program.os.environ["YOLO_AUTOINSTALL"] == "false"
    assert ultralytics.threads == [3]
    person = {"points": [[5.0, 6.0, 0.5]] * 17, "box_xyxy": [1.0, 2.0, 3.0, 4.0]}
    assert pipeline.in_picture(GREY) == [person]
    assert list(pipeline.in_clip("clip.mp4")) == [[person]] * 2
    assert pipeline.in_box(GREY, [8, 8, 24, 24])["points"] == [[11.0, 12.0, 0.5]] * 17
    assert ultralytics.calls[0] == ("yolo11n-pose.pt", "pose")
    assert ultralytics.calls[1:3] == [("cpu", False, False), ("cpu", False, True)]
    ultralytics.boxes = []
    assert pipeline.in_picture(GREY) == []


def test_weights_of_other_points_are_refused(ultralytics):
    ultralytics.numbers = 2
    with pytest.raises(SystemExit, match="no 17 points with a score"):
        program.Ultralytics(task("ultralytics", weights="hands.pt")).in_picture(GREY)


@pytest.mark.parametrize("read", [program.read_picture, lambda path: next(program.frames_of(path))])
def test_what_cannot_be_read_is_named(read, tmp_path):
    path = tmp_path / "no.mp4"
    path.write_bytes(b"nothing")
    with pytest.raises(SystemExit, match=r"no\.mp4: OpenCV cannot read it"):
        read(str(path))


def test_ours_has_the_same_form(astronaut):
    made = task("dwpose_infer", pose="dwpose-t-bundled", detector="yolox-nano-person-bundled")
    pipeline = program.Ours({**made, "threads": 1, "detect_every": 5})
    image_bgr = program.read_picture(str(astronaut))
    (person,) = pipeline.in_picture(image_bgr)
    again = pipeline.in_box(image_bgr, person["box_xyxy"])
    assert np.shape(person["points"]) == (17, 3)
    np.testing.assert_allclose(again["points"], person["points"], atol=1e-3)
    assert program.versions(pipeline.packages).keys() >= {"python", "dwpose-infer", "numpy"}
