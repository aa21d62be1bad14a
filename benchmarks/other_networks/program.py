"""One pipeline, this package's or another project's, in a process of the Python that has it.

This file is run, never imported: it needs that project, NumPy and OpenCV, and nothing of this
package but where it runs this package. It reads a task, one line of JSON, and answers with what it
has found and its versions; then every number it reads is answered: with what so many calls took,
or with who is in the picture of that number. `messages.py` says what the lines hold.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

BODY = 17
"""Points of COCO's body, which all are compared in."""

BLAZEPOSE_OF_COCO = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""Place among MediaPipe's 33 landmarks of nose, eyes, ears, shoulders, elbows, wrists, hips, knees
and ankles, left before right, as COCO has them: the list of PoseLandmark in its documentation."""

COMPLEXITY = {"lite": 0, "full": 1, "heavy": 2}
"""What MediaPipe calls `model_complexity`."""

CROP_SCALE = 1.25
"""A labelled box is cut out so many times as large, which is what the pose network of this package
sees of it; those that take no boxes are given that."""

WARM_UP = 2
"""Calls before any is timed."""

Person = dict[str, Any]
"""`points`: 17 times x, y, score, pixels of the picture; `box_xyxy`: corners, or None."""


class Ours:
    """This package."""

    packages = ("dwpose-infer", "onnxruntime", "numpy")
    install = "dwpose-infer[cpu]"

    def __init__(self, task: dict[str, Any]) -> None:
        from dwpose_infer import Predictor

        self._predictor = Predictor(task["pose"], task["detector"], threads=task["threads"])
        self._detect_every = task["detect_every"]

    def in_picture(self, image_bgr: Any) -> list[Person]:
        """Returns who is found."""
        return self._persons(self._predictor(image_bgr))

    def in_box(self, image_bgr: Any, box_xyxy: list[float]) -> Person | None:
        """Returns the person of a box."""
        return self._persons(self._predictor(image_bgr, boxes=[box_xyxy]))[0]

    def in_clip(self, path: str) -> Iterator[list[Person]]:
        """Yields who is found in each frame."""
        with self._predictor.stream(path, detect_every=self._detect_every) as stream:
            for frame in stream:
                yield self._persons(frame.result)

    @staticmethod
    def _persons(result: Any) -> list[Person]:
        import numpy as np

        points = np.concatenate([result.keypoints, result.scores[..., None]], axis=2)[:, :BODY]
        return [
            {"points": person.tolist(), "box_xyxy": box.tolist()}
            for person, box in zip(points, result.boxes_xyxy, strict=True)
        ]


class MediaPipe:
    """MediaPipe's `solutions`, which find one person; on clips they follow that person."""

    packages = ("mediapipe", "numpy")
    install = "mediapipe==0.10.21"

    def __init__(self, task: dict[str, Any]) -> None:
        mediapipe = importlib.import_module("mediapipe")
        if not hasattr(mediapipe, "solutions"):
            raise SystemExit(
                f"mediapipe {mediapipe.__version__} has no `solutions` any more, which carry their "
                "networks with them: 0.10.21 is the last release that has"
            )
        _, kind, size = task["method"].split()
        module = getattr(mediapipe.solutions, kind)
        self._solution = (module.Pose if kind == "pose" else module.Holistic)(
            static_image_mode=task["clip"] is None, model_complexity=COMPLEXITY[size]
        )

    def in_picture(self, image_bgr: Any) -> list[Person]:
        """Returns who is found: one or nobody."""
        import cv2

        found = self._solution.process(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB)).pose_landmarks
        if found is None:
            return []
        height, width = image_bgr.shape[:2]
        marks = [found.landmark[place] for place in BLAZEPOSE_OF_COCO]
        points = [[mark.x * width, mark.y * height, mark.visibility] for mark in marks]
        return [{"points": points, "box_xyxy": None}]

    def in_box(self, image_bgr: Any, box_xyxy: list[float]) -> Person | None:
        """Returns who is found in a box."""
        return in_cut_out(self.in_picture, image_bgr, box_xyxy)

    def in_clip(self, path: str) -> Iterator[list[Person]]:
        """Yields who is found in each frame."""
        for image_bgr in frames_of(path):
            yield self.in_picture(image_bgr)

    def begin(self) -> None:
        """Forgets who was followed."""
        self._solution.reset()


class Ultralytics:
    """Ultralytics' pose networks with their own settings."""

    packages = ("ultralytics", "ultralytics-opencv-headless", "torch", "numpy")
    install = "ultralytics"

    def __init__(self, task: dict[str, Any]) -> None:
        os.environ["YOLO_AUTOINSTALL"] = "false"  # it would call pip while it is timed
        importlib.import_module("torch").set_num_threads(task["threads"])
        self._model = importlib.import_module("ultralytics").YOLO(task["weights"], task="pose")

    def in_picture(self, image_bgr: Any) -> list[Person]:
        """Returns who is found."""
        return self._persons(self._model.predict(image_bgr, device="cpu", verbose=False)[0])

    def in_box(self, image_bgr: Any, box_xyxy: list[float]) -> Person | None:
        """Returns who is found in a box."""
        return in_cut_out(self.in_picture, image_bgr, box_xyxy)

    def in_clip(self, path: str) -> Iterator[list[Person]]:
        """Yields who is found in each frame."""
        for result in self._model.predict(path, stream=True, device="cpu", verbose=False):
            yield self._persons(result)

    @staticmethod
    def _persons(result: Any) -> list[Person]:
        boxes = result.boxes.xyxy.tolist()  # best first
        points = result.keypoints.data.tolist() if boxes else []
        if points and [len(points[0]), len(points[0][0])] != [BODY, 3]:
            raise SystemExit(f"these weights give no {BODY} points with a score each")
        return [{"points": each, "box_xyxy": box} for each, box in zip(points, boxes, strict=True)]


KINDS: dict[str, Any] = {"dwpose_infer": Ours, "mediapipe": MediaPipe, "ultralytics": Ultralytics}


def in_cut_out(
    find: Callable[[Any], list[Person]], image_bgr: Any, box_xyxy: list[float]
) -> Person | None:
    """Returns the best person in a part of a picture around a box, in pixels of the picture."""
    left, top, right, bottom = box_xyxy
    more_x, more_y = ((CROP_SCALE - 1) / 2 * side for side in (right - left, bottom - top))
    x, y = max(0, int(left - more_x)), max(0, int(top - more_y))
    part = image_bgr[y : int(bottom + more_y) + 1, x : int(right + more_x) + 1]
    found = find(part.copy())
    if not found:
        return None
    points = [[point[0] + x, point[1] + y, point[2]] for point in found[0]["points"]]
    return {"points": points, "box_xyxy": None}


def frames_of(path: str) -> Iterator[Any]:
    """Yields the frames of a clip, (H, W, 3) uint8 BGR."""
    import cv2

    capture = cv2.VideoCapture(path)
    if not capture.isOpened():
        raise SystemExit(f"{path}: OpenCV cannot read it")
    done, image_bgr = capture.read()
    while done:
        yield image_bgr
        done, image_bgr = capture.read()
    capture.release()


def read_picture(path: str) -> Any:
    """Returns a picture, (H, W, 3) uint8 BGR."""
    import cv2

    image_bgr = cv2.imread(path)
    if image_bgr is None:
        raise SystemExit(f"{path}: OpenCV cannot read it")
    return image_bgr


def prepare(task: dict[str, Any]) -> tuple[dict[str, Any], Callable[[int], Any]]:
    """Loads the pipeline and returns what it has found, and what answers a number."""
    kind = KINDS[task["method"].split()[0]]
    try:
        pipeline = kind(task)
    except ImportError as error:
        raise SystemExit(
            f"{error}; install it there: {sys.executable} -m pip install {kind.install}"
        ) from error
    ready: dict[str, Any] = {"versions": versions(kind.packages), "persons": []}
    if task["people"]:
        return ready, lambda number: who(pipeline, task["people"][number])
    work = on_clip(pipeline, task) if task["clip"] else on_pictures(pipeline, task)
    begin = getattr(pipeline, "begin", None) if task["clip"] else None
    for _ in range(1 if task["clip"] else WARM_UP):
        ready["persons"] = [len(persons) for persons in work()]

    def timed() -> dict[str, float]:
        if begin is not None:
            begin()
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        work()
        ended_s, ended_cpu_s = time.perf_counter(), time.process_time()
        return {"ms": 1e3 * (ended_s - began_s), "cpu_ms": 1e3 * (ended_cpu_s - began_cpu_s)}

    return ready, lambda calls: [timed() for _ in range(calls)]


def on_clip(pipeline: Any, task: dict[str, Any]) -> Callable[[], list[list[Person]]]:
    """Returns what goes through the clip, and who is found in each frame."""
    return lambda: list(pipeline.in_clip(task["clip"]))


def on_pictures(pipeline: Any, task: dict[str, Any]) -> Callable[[], list[list[Person]]]:
    """Returns what goes through the pictures, which are decoded, and who is found in each."""
    pictures = [read_picture(path) for path in task["pictures"]]
    return lambda: [pipeline.in_picture(image_bgr) for image_bgr in pictures]


def who(pipeline: Any, labelled: dict[str, Any]) -> dict[str, Any]:
    """Returns who is found in a labelled picture by itself, and who in each labelled box."""
    image_bgr = read_picture(labelled["picture"])
    return {
        "own": pipeline.in_picture(image_bgr),
        "boxed": [pipeline.in_box(image_bgr, box) for box in labelled["boxes_xyxy"]],
    }


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Returns the versions of Python and of those of the packages that are there."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def main() -> None:
    """Reads the task and answers until nothing more is asked."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    lines = iter(sys.stdin.buffer.readline, b"")
    ready, answer = prepare(json.loads(next(lines)))
    answers.write(json.dumps(ready).encode() + b"\n")
    for line in lines:
        answers.write(json.dumps(answer(int(line))).encode() + b"\n")


if __name__ == "__main__":
    del sys.path[0]  # the folder of this file, whose modules are no packages
    main()
